"""What tagging for real and tagging for measurements share: the tag to add, and reading a written file back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ftforensics.codec.carriers import build_tag_planes
from ftforensics.domain.tag import DEFAULT_PSNR_DB, STRONGEST_PSNR_DB, MatchedTag
from ftforensics.engine.informed import InformedSettings, ShapedTag, shape_tag
from ftforensics.engine.reader import Embedder, Reader
from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.engine.ring import RingKey, build_book
from ftforensics.imaging.resample import Floats, Pixels

# A file is kept only if its tag reads back so clearly; sqrt(128) = 11.3 is the most there is.
KEEP_Z = 8.5
# By how much a tag that does not is made stronger, in turn.
STRONGER_DB = (1.5, 3.0)


def make_tag(
    pixels: Pixels,
    signs: Floats,
    tag_id: str,
    *,
    key: RingKey,
    sync: Floats,
    embedder: Embedder | None,
    informed: InformedSettings | None,
    psnr_db: float | None,
) -> ShapedTag:
    """The planes to add to a picture, and how strongly.

    They are shaped to it unless ``embedder`` or ``informed`` is None; the tag id seeds what the shaping draws. Without
    a ``psnr_db`` the shaping chooses one for the picture, and a plain tag gets the default.
    """
    if embedder is None or informed is None:
        planes = build_tag_planes(signs, key.carriers, sync)
        return ShapedTag(planes=planes, psnr_db=DEFAULT_PSNR_DB if psnr_db is None else psnr_db)
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


def attempt_tags(
    shape: Callable[[float | None], ShapedTag], asked_db: float | None
) -> Iterator[tuple[ShapedTag, float]]:
    """Tags to try in turn until one reads back, and by how many dB each is stronger than was meant.

    Args:
        shape: Makes a tag for a PSNR, or for what the picture needs.
        asked_db: The PSNR that was asked for; without one, nothing is made stronger than any picture needs.
    """
    first = shape(asked_db)
    yield first, 0.0
    strongest_db = -np.inf if asked_db is not None else min(first.psnr_db, STRONGEST_PSNR_DB)
    tried_db = first.psnr_db
    for more_db in STRONGER_DB:
        psnr_db = max(first.psnr_db - more_db, strongest_db)
        if psnr_db < tried_db:
            yield shape(psnr_db), first.psnr_db - psnr_db
            tried_db = psnr_db


def read_back(pixels: Pixels, tag_id: str, key: RingKey, reader: Reader) -> float:
    """The z of a tag in a written file's pixels, read directly as a scan would; 0 where it does not match."""
    book = build_book(key, np.array([int(tag_id, 16)], dtype=np.uint64))
    tag_reader = TagReader(reader, [book], budget=SearchBudget(mode="direct"))
    outcome = tag_reader.identify(pixels, tag_reader.residuals([pixels])[0]).outcome
    return outcome.z if isinstance(outcome, MatchedTag) else 0.0
