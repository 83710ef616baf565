"""A newsroom with tagged photographs, made once by the real program and shared by all tests that need one.

Every command runs as its own process, as a user would type it. The photographs come with scikit-image; tests make their
suspects of them. Helpers that need the carrier key play an attacker who holds it, which is the worst case.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image, ImageCms

from ftforensics.codec import channel
from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.engine.models import find_model
from ftforensics.engine.onnx import OnnxReader
from ftforensics.engine.ring import RingKey, build_ring_key
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.trust.keys import KeyFolder

TAGGED_AT = "2026-03-01T12:00:00Z"
SCANNED_AT = "2026-06-01T09:00:00Z"
ISSUER = "Press Agency"
CASE = "case-1"
SKIMAGE = Path(skimage.__file__).parent / "data"


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def csv_rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


@dataclass(frozen=True)
class Scan:
    """A finished scan: what was printed, and the case's folder."""

    run: Run
    folder: Path

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The lines of scan.jsonl by path."""
        lines = (self.folder / "scan.jsonl").read_text("ascii").splitlines()
        return {row["path"]: row for row in map(json.loads, lines)}

    @property
    def cases(self) -> Path:
        return self.folder.parent


@dataclass(frozen=True)
class Newsroom:
    """Keys, registry, trust list and three tagged photographs, in ``home`` and ``tagged``."""

    folder: Path
    originals: dict[str, Path] = field(default_factory=dict)
    tagged: dict[str, Path] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def ftf(self, *arguments: str | Path, expect: int | None = 0, **options: Any) -> Run:
        """Run ``ftf`` in a process of its own; see ``command`` for the options."""
        argv, given = self.command(*arguments, **options)
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=300, check=False, **given)
        run = Run(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in run.err, run.err
        assert expect is None or run.code == expect, run
        return run

    def command(
        self,
        *arguments: str | Path,
        home: Path | None = None,
        now: str | None = SCANNED_AT,
        environment: dict[str, str] | None = None,
        **given: Any,
    ) -> tuple[list[str], dict[str, Any]]:
        """The command line and options for ``subprocess``, for a test that has to hold the process itself."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FTF_")}
        variables = kept | {"FTF_HOME": str(home or self.home), "OMP_NUM_THREADS": "1"} | (environment or {})
        if now is not None:
            variables["FTF_NOW"] = now
        return [str(Path(sys.executable).with_name("ftf")), *map(str, arguments)], {"env": variables, **given}

    def copy_home(self, target: Path) -> Path:
        """A home of its own, to change whom it trusts or what its registry holds."""
        shutil.copytree(self.home, target)
        return target

    def new_case(self, cases: Path) -> Path:
        """An empty case of the examiner; a copy, because making one costs a process."""
        folder = cases / CASE
        shutil.copytree(self.folder / "empty" / CASE, folder)
        return folder

    def scan(
        self, evidence: Sequence[Path], cases: Path, *options: str | Path, expect: int | None = 0, **given: Any
    ) -> Scan:
        """Scan into a new case, or the one that is in ``cases`` already."""
        folder = cases / CASE
        if not folder.exists():
            self.new_case(cases)
        run = self.ftf("scan", *evidence, "--case", CASE, "--cases", cases, *options, expect=expect, **given)
        return Scan(run, folder)


def make_newsroom(folder: Path) -> Newsroom:
    """Make keys, registry, trust list and an empty case, and tag three photographs of three kinds."""
    made = Newsroom(folder)
    for name, kind in (("agency", "--role=issuer"), ("me", "--role=examiner"), ("waves", "--carrier")):
        made.ftf("key", "new", name, kind, "--no-passphrase")
    made.ftf("registry", "init", "agency-2026", "--key", "agency", now=TAGGED_AT)
    pin(made, made.home, ISSUER, "agency")
    made.ftf("case", "new", CASE, "--title", "A case", "--examiner", "me", "--cases", folder / "empty")
    originals = write_originals(folder / "originals")
    rights = ("--rights", "(c) 2026 Press Agency", "--contact", "desk@agency.example")
    run = made.ftf(
        *("tag", *originals.values(), "--out", folder / "tagged", "--issuer", ISSUER, "--format", "jsonl", *rights),
        now=TAGGED_AT,
    )
    rows = {Path(row["source"]).name: row for row in run.rows()}
    tagged = {name: folder / "tagged" / name for name in originals}
    return Newsroom(folder, originals, tagged, rows)


def pin(newsroom: Newsroom, home: Path, issuer: str, key: str) -> None:
    """Pin a key of the home's own key folder."""
    newsroom.ftf("trust", "add", issuer, KeyFolder(home / "keys").load_signing(key, None).key_id, home=home)


def write_originals(folder: Path) -> dict[str, Path]:
    """A PNG, a lossy WebP, and a JPEG that lies on its side, with EXIF, thumbnail and colour profile."""
    folder.mkdir()
    shutil.copy(SKIMAGE / "astronaut.png", folder / "portrait.png")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    coffee = Image.open(SKIMAGE / "coffee.png").convert("RGB")
    coffee.save(folder / "coffee.webp", quality=92, icc_profile=profile)
    rocket = Image.open(SKIMAGE / "rocket.jpg").convert("RGB")
    rocket.transpose(Image.Transpose.ROTATE_90).save(
        folder / "rocket.jpg", quality=91, subsampling="4:2:2", exif=make_exif(6), icc_profile=profile
    )
    return {name: folder / name for name in ("portrait.png", "coffee.webp", "rocket.jpg")}


def make_exif(orientation: int) -> bytes:
    """EXIF with maker, orientation and a magenta thumbnail, which no picture of ours looks like."""
    buffer = io.BytesIO()
    Image.new("RGB", (160, 120), (255, 0, 255)).save(buffer, "JPEG", quality=95, comment=b"x" * 9000)
    thumbnail = buffer.getvalue()
    maker = b"Kamera\0\0"
    first = 8 + 2 + 2 * 12 + 4 + len(maker)
    tiff = b"II*\0" + struct.pack("<IH", 8, 2)
    tiff += struct.pack("<HHII", 0x010F, 2, 7, first - len(maker)) + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff += struct.pack("<I", first) + maker + struct.pack("<H", 3) + struct.pack("<HHIHH", 0x0103, 3, 1, 6, 0)
    tiff += struct.pack("<HHII", 0x0201, 4, 1, first + 2 + 3 * 12 + 4)
    tiff += struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail)) + struct.pack("<I", 0) + thumbnail
    return b"Exif\0\0" + tiff


def load(path: Path) -> np.ndarray:
    """A picture as shown: uint8 (H, W, 3)."""
    from PIL import ImageOps

    with Image.open(path) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def save(pixels: np.ndarray, path: Path, **settings: Any) -> Path:
    """Write a suspect; the ending says as what."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **settings)
    return path


def cat() -> np.ndarray:
    """A photograph that nobody registered."""
    return load(SKIMAGE / "chelsea.png")


def open_reader() -> OnnxReader:
    """The reader, which is public: anybody may run it."""
    return OnnxReader(find_model())


def load_ring_key(home: Path, name: str = "waves") -> RingKey:
    """The carrier key, made ready to read and write with."""
    key = KeyFolder(home / "keys").load_carrier(name, None)
    return build_ring_key(key.key_id, key.derive, open_reader().card.model_id)


def embed(pixels: np.ndarray, tag_id: str, key: RingKey, psnr_db: float = 42.0) -> np.ndarray:
    """Add a tag to a picture without the program's checks, as somebody with the carrier key can."""
    sync = build_sync_carrier(open_reader().card.model_id)
    planes = build_tag_planes(channel.encode(tag_id, key.channel), key.carriers, sync)
    return add_residual(pixels, planes, build_mask(pixels), psnr_db)


def replace_half(pixels: np.ndarray) -> np.ndarray:
    """A cup of coffee over the middle of a picture, half of its width across."""
    from skimage import data

    from ftforensics.attacks import regions

    height, width = pixels.shape[:2]
    mask = regions.ellipse_mask(height, width, (0.45, 0.42), (0.25, 0.32), 0.015)
    return regions.swap_region(pixels, data.coffee(), mask)[0]


def replace_face(pixels: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """The cat's face over the astronaut's; also where: left, top, right, bottom in unit coordinates."""
    from ftforensics.cli.demo_pictures import swap_face

    box = (0.32, 0.10, 0.56, 0.43)
    donor = cat()[66:276, 126:325]
    return swap_face(pixels, np.ascontiguousarray(donor), box), box
