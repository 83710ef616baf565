"""What tagging for real and tagging for measurements share: the planes to add, and reading a written file back."""

from __future__ import annotations

import numpy as np

from ftforensics.codec.carriers import build_tag_planes
from ftforensics.domain.tag import MatchedTag
from ftforensics.engine.informed import InformedSettings, shape_tag
from ftforensics.engine.reader import Embedder, Reader
from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.engine.ring import RingKey, build_book
from ftforensics.imaging.resample import Floats, Pixels


def make_planes(
    pixels: Pixels,
    signs: Floats,
    tag_id: str,
    *,
    key: RingKey,
    sync: Floats,
    embedder: Embedder | None,
    informed: InformedSettings | None,
    psnr_db: float,
) -> Floats:
    """Tag planes (3, 64, 64) of mean square 1 for a picture.

    They are shaped to it unless ``embedder`` or ``informed`` is None; the tag id seeds what the shaping draws.
    """
    if embedder is None or informed is None:
        return build_tag_planes(signs, key.carriers, sync)
    return shape_tag(
        pixels,
        signs,
        key.carriers,
        sync,
        embedder,
        target_psnr_db=psnr_db,
        random=np.random.default_rng(int(tag_id, 16)),
        settings=informed,
    )


def read_back(pixels: Pixels, tag_id: str, key: RingKey, reader: Reader) -> float:
    """The z of a tag in a written file's pixels, read directly as a scan would; 0 where it does not match."""
    book = build_book(key, np.array([int(tag_id, 16)], dtype=np.uint64))
    tag_reader = TagReader(reader, [book], budget=SearchBudget(mode="direct"))
    outcome = tag_reader.identify(pixels, tag_reader.residuals([pixels])[0]).outcome
    return outcome.z if isinstance(outcome, MatchedTag) else 0.0
