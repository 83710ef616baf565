"""How much of other free, keyless watermarks survives, under manipulations and on pictures of ``ftf bench robustness``.

    python bench/peers.py --images DIR [--limit N] [--seed 1] [--jobs N] [--out bench/peers.json]

Each package marks every picture with the 128-bit code word that ``ftf bench`` gives it, at its own default strength,
and reads it back as its own decoder does. Packages are imported when needed; one that is not installed is named on
stderr and left out, and 1 is the exit code if none is. They ask for a second OpenCV, and one of them for torch, so they
belong in an environment of their own, or without what they ask for:

    pip install --target peers --no-deps blind-watermark==0.4.4 invisible-watermark==0.2.0 PyWavelets
    PYTHONPATH=peers python bench/peers.py --images DIR

``bench/render_readme.py`` shows the results in docs/validation.md.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ftforensics import __version__
from ftforensics.cli.bench_run import describe_machine
from ftforensics.codec import channel
from ftforensics.codec.tails import chance_p
from ftforensics.errors import FtfError
from ftforensics.flows.bench.keys import draw_key, draw_tag_id
from ftforensics.flows.bench.manipulations import BATTERY, Manipulation, Means, apply_manipulation, draw_random
from ftforensics.flows.bench.pictures import BenchPicture, PictureSet, load_set
from ftforensics.flows.bench.results import Column, Row, Table, interval_columns, load_tables, save_tables
from ftforensics.flows.bench.setup import ISSUER_KEY
from ftforensics.flows.bench.statistics import estimate_mean, estimate_rate
from ftforensics.flows.bench.tagging import load_exhibit
from ftforensics.flows.bench.workers import run_tasks
from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.quality import psnr_db
from ftforensics.imaging.resample import Pixels, resize

Bits = NDArray[np.int8]
OUT = Path(__file__).resolve().parent / "peers.json"
MODEL_ID = "ftf-1"
BITS, RECORDS, LARGEST_E = 128, 1_000_000, 1e-6
MEASURED = (
    "none",
    "JPEG 50 at 640 px",
    "AVIF 40",
    "resize to 256 px",
    "noise 5 %",
    "relight",
    "face-like swap, 50 %",
    "swap, 480 px, JPEG 60",
    "social pipeline",
    "reenactment warp",
    "crop to 75 %",
    "mirror",
    "rotation 10°",
)
COLUMNS: tuple[Column, ...] = (
    Column(key="method", label="method"),
    Column(key="manipulation", label="manipulation"),
    Column(key="pictures", label="pictures", kind="count"),
    Column(key="refused", label="too small for it", kind="count"),
    Column(key="psnr_db", label="PSNR, mean", kind="number", digits=1, unit="dB"),
    *interval_columns("bits", "bits right", "rate"),
    *interval_columns("identified", "right record of all", "rate"),
)
NOTES = (
    "every package carries the same 128-bit code words at its own default strength; its hard bits are held against "
    "10^6 records in one comparison each, right at E <= 1e-6",
    "peers are marked and read without a file between, and are handed pictures back at the size that they were marked "
    "at, which a blind reader does not know: both favour them",
    "the first draw of every manipulation; where a decoder refuses a picture, half of the bits count as right",
)


class Peer(Protocol):
    """A watermark of somebody else. Pictures are uint8 (H, W, 3) sRGB, bits are 0 or 1, (128,)."""

    def mark(self, picture: Pixels, bits: Bits) -> Pixels | None:
        """The marked picture; None where the package refuses it."""

    def read(self, picture: Pixels) -> Bits | None:
        """The bits; None where the package refuses the picture."""


class InvisibleWatermark:
    """invisible-watermark, which image generators use; it refuses pictures of fewer than 65,536 pixels."""

    def __init__(self, method: str) -> None:
        self._package: Any = importlib.import_module("imwatermark")
        self._method = method

    def mark(self, picture: Pixels, bits: Bits) -> Pixels | None:
        """Bits repeated over blocks of the colour channel's wavelet band."""
        encoder = self._package.WatermarkEncoder()
        encoder.set_watermark("bits", [int(bit) for bit in bits])
        try:
            return _to_rgb(encoder.encode(_to_bgr(picture), self._method))
        except RuntimeError:
            return None

    def read(self, picture: Pixels) -> Bits | None:
        """Majority over blocks."""
        try:
            return np.asarray(
                self._package.WatermarkDecoder("bits", BITS).decode(_to_bgr(picture), self._method), dtype=np.int8
            )
        except RuntimeError:
            return None


class BlindWatermark:
    """blind-watermark, with its two passwords left at 1."""

    def __init__(self) -> None:
        self._package: Any = importlib.import_module("blind_watermark")
        self._package.bw_notes.close()

    def mark(self, picture: Pixels, bits: Bits) -> Pixels | None:
        """Bits repeated over blocks of all three channels' wavelet bands."""
        marker = self._package.WaterMark()
        marker.read_img(img=_to_bgr(picture))
        marker.read_wm(bits.astype(bool), mode="bit")
        try:
            return _to_rgb(marker.embed())
        except AssertionError:
            return None

    def read(self, picture: Pixels) -> Bits | None:
        """Two clusters of the average over blocks."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # the mean of an empty cluster
                return np.asarray(
                    self._package.WaterMark().extract(embed_img=_to_bgr(picture), wm_shape=BITS, mode="bit"),
                    dtype=np.int8,
                )
        except AssertionError:
            return None


PEERS: dict[str, tuple[str, Any]] = {
    "invisible-watermark, dwtDct": ("invisible-watermark", lambda: InvisibleWatermark("dwtDct")),
    "invisible-watermark, dwtDctSvd": ("invisible-watermark", lambda: InvisibleWatermark("dwtDctSvd")),
    "blind-watermark": ("blind-watermark", BlindWatermark),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTask:
    """One picture and the one that regions are taken from."""

    picture: BenchPicture
    donor: BenchPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReads:
    """What a method's marks on one picture gave: PSNR and shares of right bits by manipulation; None if refused."""

    method: str
    psnr_db: float | None
    bits: dict[str, float]
    identified: dict[str, bool]


class PeerWorker:
    """Marks, manipulates and reads one picture after another."""

    def __init__(self, setup: tuple[int, tuple[str, ...]]) -> None:
        self._seed, methods = setup
        self._peers: dict[str, Peer] = {method: PEERS[method][1]() for method in methods}
        self._key = draw_key(self._seed, ISSUER_KEY, MODEL_ID).channel

    def __call__(self, task: PeerTask) -> list[PeerReads]:
        picture, donor = load_exhibit(task.picture.path), load_exhibit(task.donor.path)
        word = (channel.encode(draw_tag_id(self._seed, task.picture.sha256), self._key) > 0).astype(np.int8)
        return [self._measure(method, peer, task, picture, donor, word) for method, peer in self._peers.items()]

    def _measure(
        self, method: str, peer: Peer, task: PeerTask, picture: Pixels, donor: Pixels, word: Bits
    ) -> PeerReads:
        marked = peer.mark(picture, word)
        if marked is None:
            return PeerReads(method=method, psnr_db=None, bits={}, identified={})
        bits: dict[str, float] = {}
        identified: dict[str, bool] = {}
        for chosen in list_measured():
            random = draw_random(self._seed, task.picture.sha256, chosen.name, 0)
            made = apply_manipulation(chosen, marked, Means(donor=donor, regenerate=_refuse, random=random))
            read = peer.read(np.ascontiguousarray(resize(made, marked.shape[1], marked.shape[0])))
            right = 0.5 if read is None else float(np.mean(read == word))
            bits[chosen.name] = right
            identified[chosen.name] = is_identified(right)
        return PeerReads(method=method, psnr_db=psnr_db(picture, marked), bits=bits, identified=identified)


def is_identified(right: float) -> bool:
    """Whether that share of 128 hard bits singles out a record of 10^6 at E <= 1e-6."""
    soft = np.ones(BITS, dtype=np.float32)
    return RECORDS * chance_p(soft, float((2.0 * right - 1.0) * np.sqrt(BITS))) <= LARGEST_E


def list_measured() -> list[Manipulation]:
    """The manipulations, in the battery's order."""
    return [one for one in BATTERY if one.name in MEASURED]


def list_installed() -> tuple[str, ...]:
    """The methods whose packages can be imported; others are named on stderr."""
    found = []
    for method, (package, make) in PEERS.items():
        try:
            make()
            found.append(method)
        except ImportError as exc:
            sys.stderr.write(f"{method}: left out, {package} cannot be imported ({exc})\n")
    return tuple(found)


def summarise(results: Sequence[Sequence[PeerReads]], methods: Sequence[str], seed: int) -> tuple[Row, ...]:
    """One row for a method and a manipulation."""
    rows: list[Row] = []
    for method in methods:
        reads = [read for picture in results for read in picture if read.method == method]
        marked = [read for read in reads if read.psnr_db is not None]
        if not marked:
            continue
        loss = float(np.mean([read.psnr_db for read in marked if read.psnr_db is not None]))
        for name in [one.name for one in list_measured()]:
            row: Row = {"method": method, "manipulation": name, "pictures": len(marked), "psnr_db": loss}
            row["refused"] = len(reads) - len(marked)
            estimates = {
                "bits": estimate_mean(np.array([read.bits[name] for read in marked]), seed),
                "identified": estimate_rate(np.array([float(read.identified[name]) for read in marked]), seed),
            }
            for key, one in estimates.items():
                row |= {key: one.mean, f"{key}_low": one.low, f"{key}_high": one.high}
            rows.append(row)
    return tuple(rows)


def measure(pictures: PictureSet, methods: tuple[str, ...], seed: int, jobs: int) -> list[list[PeerReads]]:
    """All pictures, in order, counted on stderr."""
    tasks = [
        PeerTask(picture=picture, donor=pictures.donor_of(index, seed))
        for index, picture in enumerate(pictures.pictures)
    ]
    done: list[list[PeerReads]] = []
    for result in run_tasks(PeerWorker, (seed, methods), tasks, jobs):
        done.append(result)
        sys.stderr.write(f"\r{len(done)} of {len(tasks)}")
    sys.stderr.write("\n")
    return done


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure what survives of other free watermarks.")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--limit", type=int, default=None, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    methods = list_installed()
    if not methods:
        sys.stderr.write("no peer is installed; see the head of this file\n")
        return 1
    try:
        if given.out.exists():
            load_tables(given.out)
        pictures = load_set(given.images, given.limit)
        rows = summarise(measure(pictures, methods, given.seed, given.jobs), methods, given.seed)
        save_tables(given.out, [_build_table(rows, pictures, given, methods)])
    except FtfError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def _build_table(rows: tuple[Row, ...], pictures: PictureSet, given: Any, methods: Sequence[str]) -> Table:
    limited = f" --limit {given.limit}" if given.limit else ""
    return Table(
        name="peers",
        title="Other free watermarks on the same pictures",
        columns=COLUMNS,
        rows=rows,
        command=f"python bench/peers.py --images DIR{limited} --seed {given.seed}",
        seed=given.seed,
        data=pictures.data,
        machine=describe_machine(),
        tool_version=__version__,
        weights_sha256="",
        settings={PEERS[method][0]: _read_version(PEERS[method][0]) for method in methods},
        notes=NOTES,
    )


def _read_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _refuse(name: str, _: Pixels, __: np.random.Generator) -> Pixels:
    raise ValueError(f"generator {name} is no manipulation of peers")


def _to_bgr(picture: Pixels) -> Pixels:
    return np.ascontiguousarray(picture[:, :, ::-1])


def _to_rgb(picture: NDArray[Any]) -> Pixels:
    return np.ascontiguousarray(round_pixels(picture.astype(np.float32))[:, :, ::-1])


if __name__ == "__main__":
    sys.exit(main())
