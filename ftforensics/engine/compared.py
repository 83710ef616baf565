"""Reading a picture beside the source that a record registers for it.

Most of what disturbs a read is the photograph itself, which the reader has to tell from what was added. Whoever holds
the untagged source need not guess: what is left when the source is taken out is read as well, by a reader that was
trained to see both, and the two maps are averaged. Where the content was replaced there can be no tag, so what is read
there does not count for the message. This is detection with the original at hand (Cox et al., *Digital Watermarking and
Steganography*, 2nd ed., 2008, section 3.2.1).

A record signs the hash of its preview, and the tag id follows from the record by a slow hash. So whoever made the
preview could not yet know the tag, and the bound on chance holds for these soft bits as for any others. How far it
holds against an issuer who tampers with previews is said in docs/adr/0015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ftforensics.codec.carriers import GRID
from ftforensics.domain.record import PREVIEW_PX
from ftforensics.engine.tries import Floats
from ftforensics.imaging import cancel, geometry
from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Pixels, fit_within, resize

_GREY = np.float32(0.5)
# Of the weights' edges.
_SOFTENED_CELLS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownSource:
    """A record's source as registered, and where it lies in a picture.

    ``preview`` is uint8 (h, w, 3); ``frame`` maps the tagged frame, which is the preview's, to the picture, and nothing
    of it is seen beyond ``within``. All must come from content alone: a frame that was chosen for its soft bits would
    be another hypothesis.
    """

    tag_id: str
    carrier_key_id: str
    preview: Pixels = field(repr=False)
    frame: geometry.Affine
    within: geometry.Rectangle = geometry.WHOLE

    @property
    def region(self) -> geometry.Rectangle:
        """The upright rectangle of the picture that shows the source, or what is left of it."""
        return geometry.common_part(geometry.bounds(self.frame), self.within)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """Two maps (3, 64, 64) in the frame of a source: of the picture alone, and what its message is read from.

    ``explained`` is that of ``cancel.Remainder``.
    """

    residual: Floats
    message: Floats
    explained: bool


def line_up(
    picture: Pixels,
    preview: Pixels,
    frame: geometry.Affine,
    side_px: int,
    regenerate: Callable[[Pixels], Pixels] | None = None,
) -> tuple[Pixels, cancel.Remainder]:
    """A picture in the frame of its source, uint8 (side_px, side_px, 3), and what is left of it without that source.

    With ``regenerate``, the picture may have gone through that generator.
    """
    large = (cancel.VIEW_PX, cancel.VIEW_PX)
    suspect = np.asarray(geometry.sample_frame(picture, frame, large))
    seen = geometry.seen_cells(frame, cancel.VIEW_PX)
    as_it_is = np.asarray(geometry.sample_frame(picture, frame, (side_px, side_px)))
    regenerated = None if regenerate is None else lambda: resize(regenerate(to_generator(preview)), *large)
    return as_it_is, cancel.cancel_source(suspect, resize(preview, *large), seen, regenerated)


def to_generator(preview: Pixels) -> Pixels:
    """A source as the generator takes it."""
    return fit_within(preview, PREVIEW_PX)


def stack_pair(as_it_is: Pixels, remainder: cancel.Remainder) -> Floats:
    """What a reader that knows the source takes: float32 (7, 128, 128) in [0, 1].

    The picture, what is left of it on grey, and where it still shows the source.

    Args:
        as_it_is: uint8 (128, 128, 3), the picture in the frame of its source.
        remainder: Of the same frame.
    """
    picture = as_it_is.transpose(2, 0, 1).astype(np.float32) / np.float32(255.0)
    left = np.clip(remainder.left.transpose(2, 0, 1) + _GREY, 0.0, 1.0)
    return np.concatenate([picture, left, remainder.kept[None]]).astype(np.float32)


def read_beside(
    picture: Pixels,
    source: KnownSource,
    read: Callable[[Sequence[Pixels]], Floats],
    side_px: int,
    read_pair: Callable[[Floats], Floats] | None = None,
    regenerate: Callable[[Pixels], Pixels] | None = None,
) -> Beside:
    """Read a picture in the frame of a source, the source being known.

    Args:
        picture: uint8 (H, W, 3) sRGB.
        source: What it is read beside.
        read: Maps (B, 3, 64, 64) of views uint8 (P, P, 3).
        side_px: P, of the reader's views.
        read_pair: Map (3, 64, 64) of a pair (7, 128, 128), from a reader that was trained for it. Without one, ``read``
            sees what is left by itself.
        regenerate: A generator that the picture may have gone through.
    """
    inside, rectangle = geometry.cut(picture, source.within)
    frame = geometry.compose(geometry.invert(geometry.upright(rectangle)), source.frame)
    as_it_is, remainder = line_up(inside, source.preview, frame, side_px, regenerate)
    if read_pair is None:
        plain = resize(round_pixels((remainder.left + _GREY) * np.float32(255.0)), side_px, side_px)
        alone, left = read([as_it_is, plain])
    else:
        alone, left = read([as_it_is])[0], read_pair(stack_pair(as_it_is, remainder))
    counts = cv2.GaussianBlur(resize(remainder.kept, GRID, GRID), (0, 0), _SOFTENED_CELLS)
    message = (np.float32(0.5) * (alone + left) * counts).astype(np.float32)
    return Beside(residual=alone, message=message, explained=remainder.explained)
