"""Tagging for measurements: what ``ftf tag`` does to a picture, with ids by draw and results kept.

Strength, retries and the reading back are those of ``flows.tag``, whose constants are used here; a test holds the two
to the same bytes. Nothing is signed or registered. Kept files are named by everything that they depend on, the code
that shapes tags included, so that a stopped measurement goes on and a changed program starts anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ftforensics.attacks import handling, regions
from ftforensics.codec import carriers, channel
from ftforensics.engine import informed
from ftforensics.engine.reader import Embedder, Reader
from ftforensics.engine.ring import RingKey
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.embedding import make_planes, read_back
from ftforensics.flows.tag import KEEP_Z, PSNR_STEPS_DB, READ_PX, TagSettings
from ftforensics.imaging import perceptual, resample
from ftforensics.imaging.resample import Floats, Pixels, fit_within
from ftforensics.media.container import Photo, load_photo, save_like

_SHAPED_BY = (informed, perceptual, resample, carriers, channel, handling, regions)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaggedPicture:
    """A tagged picture.

    ``added`` are the pixels before the file's coding, uint8 (H, W, 3); ``written`` is the file. ``stronger_db`` says by
    how much the wanted PSNR was missed on purpose, ``z`` how clearly the file reads back.
    """

    tag_id: str
    added: Pixels
    written: Photo
    stronger_db: float
    z: float

    @property
    def pixels(self) -> Pixels:
        """What others get to see and manipulate: the file's pixels in sRGB."""
        return np.ascontiguousarray(self.written.srgb)


class BenchTagger:
    """Tags pictures under one key.

    Args:
        key: The carrier key.
        reader: Reads back.
        embedder: The reader's gradient; None tags plainly.
        settings: As of ``ftf tag``.
        work: Where tagged pictures are kept.
    """

    def __init__(
        self, *, key: RingKey, reader: Reader, embedder: Embedder | None, settings: TagSettings, work: Path
    ) -> None:
        self._key, self._reader, self._embedder, self._settings = key, reader, embedder, settings
        self._sync = carriers.build_sync_carrier(reader.card.model_id)
        self._work = work
        # All that a tagged picture depends on but the picture and its id.
        self.basis = self._describe()

    def _describe(self) -> str:
        card = self._reader.card
        code = [hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in _SHAPED_BY]
        shaped = self._settings.informed if self._embedder is not None else None
        return json.dumps(
            {
                "code": code,
                "key": self._key.key_id,
                # Tags are shaped under the simulator too.
                "weights": [card.reader_sha256, card.gradient_sha256, card.simulator_sha256, card.model_id],
                "psnr_db": self._settings.psnr_db,
                "informed": None if shaped is None else asdict(shaped),
            },
            sort_keys=True,
        )

    def tag(self, path: Path, tag_id: str) -> TaggedPicture | None:
        """Tag a photograph, or take it from what is kept; None where ``ftf tag`` would refuse it as unreadable.

        Raises:
            EvidenceError: It cannot be read, or not be written back as its kind.
            WriteFailed: Disk full or not permitted.
        """
        photo = load_photo(path)
        name = hashlib.sha256(f"{self.basis}\0{photo.sha256}\0{tag_id}".encode()).hexdigest()[:32]
        facts_path = self._work / f"{name}.json"
        if facts_path.exists():
            facts = json.loads(facts_path.read_text(encoding="ascii"))
        else:
            facts = self._make(photo, tag_id, name)
            partial = self._work / f"{name}.part"
            partial.write_text(json.dumps(facts), encoding="ascii")
            partial.replace(facts_path)
        if facts["refused"]:
            return None
        with Image.open(self._work / f"{name}.png") as picture:
            added = np.asarray(picture)
        return TaggedPicture(
            tag_id=tag_id,
            added=added,
            written=load_photo(self._work / f"{name}.file"),
            stronger_db=facts["stronger_db"],
            z=facts["z"],
        )

    def _make(self, photo: Photo, tag_id: str, name: str) -> dict[str, float | bool]:
        """The steps of ``flows.tag``: add, write, read back from disk, stronger where it does not read."""
        signs = channel.encode(tag_id, self._key.channel)
        mask = perceptual.build_mask(photo.pixels)
        file = self._work / f"{name}.file"
        self._work.mkdir(parents=True, exist_ok=True)
        for step_db in PSNR_STEPS_DB:
            psnr_db = self._settings.psnr_db + step_db
            planes = self._planes(photo.pixels, signs, tag_id, psnr_db)
            added = perceptual.add_residual(photo.pixels, planes, mask, psnr_db)
            save_like(photo, added, file, clobber=True)
            z = read_back(fit_within(load_photo(file).srgb, READ_PX), tag_id, self._key, self._reader)
            if z >= KEEP_Z:
                Image.fromarray(added).save(self._work / f"{name}.png", compress_level=1)
                return {"refused": False, "stronger_db": -step_db, "z": z}
        return {"refused": True, "stronger_db": -PSNR_STEPS_DB[-1], "z": z}

    def _planes(self, pixels: Pixels, signs: Floats, tag_id: str, psnr_db: float) -> Floats:
        return make_planes(
            pixels,
            signs,
            tag_id,
            key=self._key,
            sync=self._sync,
            embedder=self._embedder,
            informed=self._settings.informed,
            psnr_db=psnr_db,
        )


def load_exhibit(path: Path) -> Pixels:
    """An untagged photograph as a scan sees it: sRGB, uint8 (H, W, 3).

    Raises:
        EvidenceUnreadable: It changed since it was listed.
    """
    try:
        return np.ascontiguousarray(load_photo(path).srgb)
    except EvidenceUnreadable as exc:
        raise EvidenceUnreadable("a picture changed during the measurement", subject=str(path)) from exc
