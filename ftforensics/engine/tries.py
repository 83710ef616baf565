"""Hypotheses about where a tag's frame lies in a picture: what was read through each, and what is seen of it.

Enters: residual maps and frames. Leaves: maps in the tagged frame, their soft bits, and how strong the synchronisation
carrier is in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ftforensics.domain.tag import Geometry, Placement
from ftforensics.engine.ring import Book
from ftforensics.engine.sync import correlate_frame, see_map
from ftforensics.imaging.geometry import IDENTITY, WHOLE, Affine, Rectangle, bounds, common_part, compose

Floats = NDArray[np.float32]

# Independent values of a map inside the carriers' band; the scale of ``presence_of``.
BAND_VALUES = 2773
# The reader answers plain fills with a map this faint, whose shape means nothing; photographs give far more.
_SILENT_RMS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Nominee:
    """The record that a hypothesis matched best, well enough or not, and the frame in which it did.

    What is nominated is looked at more closely; by itself it says nothing.
    """

    tag_id: str
    carrier_key_id: str
    z: float
    frame: Affine = field(compare=False)


@dataclass(slots=True, kw_only=True, eq=False)
class Try:
    """One hypothesis that was read; ``best_z`` is the largest z of any record with it, once it has been matched.

    ``within`` is the part of the picture that it was looked for in, beyond which its frame may reach but shows nothing.
    ``message`` (3, 64, 64) is what the message is read from, None for the residual: a map made with a source at hand
    reads better, but is no evidence of where a tag is left, for content had a part in it. ``explained`` says whether
    that source was put through what the picture went through, see ``imaging.cancel``. ``soft`` keeps soft bits by
    carrier key, since a hypothesis that does not match is decoded blind later.
    """

    residual: Floats
    frame: Affine
    mode: Placement
    within: Rectangle = WHOLE
    peak: float | None = None
    best_z: float | None = None
    nominee: Nominee | None = None
    message: Floats | None = None
    explained: bool = False
    soft: dict[str, Floats] = field(default_factory=dict)

    def soft_bits(self, book: Book) -> Floats:
        """As ``soft_bits`` of what the message is read from, made once a key."""
        if book.key.key_id not in self.soft:
            self.soft[book.key.key_id] = soft_bits(self.residual if self.message is None else self.message, book)
        return self.soft[book.key.key_id]

    @property
    def geometry(self) -> Geometry:
        """The frame as findings tell it."""
        a, b, c, d, e, f = (float(value) for value in self.frame.ravel())
        return Geometry(mode=self.mode, matrix=(a, b, c, d, e, f), sync_peak=self.peak)

    @property
    def region(self) -> Rectangle:
        """The upright rectangle of the picture that shows the frame, or what is left of it."""
        return common_part(bounds(self.frame), self.within)


class Candidate:
    """A frame found ``within`` a residual map that was already read; seen through it, that map needs no new reading.

    ``standing`` says how much the carrier speaks for it, whichever way it was found (``sync_grid.standing_of``).
    """

    def __init__(self, *, source: Try, within: Affine, peak: float | None, standing: float) -> None:
        self.source, self.within, self.peak, self.standing = source, within, peak, standing

    @cached_property
    def residual(self) -> Floats:
        """The map in the tagged frame."""
        return see_map(self.source.residual, self.within)

    @property
    def frame(self) -> Affine:
        """Tagged frame to picture."""
        return compose(self.source.frame, self.within)

    def move(self, correction: Affine) -> Candidate:
        """The same after a small correction in the tagged frame."""
        return Candidate(
            source=self.source, within=compose(self.within, correction), peak=self.peak, standing=self.standing
        )

    def attempt(self, mode: Placement) -> Try:
        """The hypothesis to match."""
        return Try(residual=self.residual, frame=self.frame, mode=mode, within=self.source.within, peak=self.peak)


def soft_bits(residual: Floats, book: Book) -> Floats:
    """Soft bits (128,) of a residual map under a book's key, see ``codec.separation``."""
    return book.key.separator.soft_bits(residual)


def is_silent(residual: Floats) -> bool:
    """Whether the reader saw nothing in a picture that might have been added."""
    return float(np.sqrt(np.mean(np.square(residual, dtype=np.float64)))) < _SILENT_RMS


def presence_of(residual: Floats, sync: Floats) -> float:
    """Strength of the sync carrier in a map of the tagged frame, in standard deviations of unrelated maps."""
    if is_silent(residual):
        return 0.0
    return correlate_frame(residual, sync, IDENTITY) * float(np.sqrt(BAND_VALUES))
