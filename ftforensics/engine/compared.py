"""Reading a picture beside the source that a record registers for it.

Most of what disturbs a read is the photograph itself, which the reader has to tell from what was added. Whoever holds
the untagged source need not guess: the reader also gets to see what is left when the source is taken out, laid on plain
grey, and its two maps are averaged. Where the content was replaced there can be no tag, so what is read there does not
count for the message. This is detection with the original at hand (Cox et al., *Digital Watermarking and
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
from ftforensics.engine.tries import Floats
from ftforensics.imaging import cancel, geometry
from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Pixels, resize

_GREY = np.float32(0.5)
# Of the weights' edges.
_SOFTENED_CELLS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownSource:
    """A record's source as registered, and where it lies in a picture.

    ``preview`` is uint8 (h, w, 3); ``frame`` maps the tagged frame, which is the preview's, to the picture. Both must
    come from content alone: a frame that was chosen for its soft bits would be another hypothesis.
    """

    tag_id: str
    carrier_key_id: str
    preview: Pixels = field(repr=False)
    frame: geometry.Affine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """A residual map (3, 64, 64) in the frame of a source, and how far each place counts for the message (64, 64)."""

    residual: Floats
    weight: Floats


def read_beside(
    picture: Pixels, source: KnownSource, read: Callable[[Sequence[Pixels]], Floats], side_px: int
) -> Beside:
    """Read a picture in the frame of a source, the source being known.

    Args:
        picture: uint8 (H, W, 3) sRGB.
        source: What it is read beside.
        read: Maps (B, 3, 64, 64) of views uint8 (P, P, 3).
        side_px: P, of the reader's views.
    """
    large = (cancel.VIEW_PX, cancel.VIEW_PX)
    seen = geometry.seen_cells(source.frame, cancel.VIEW_PX)
    remainder = cancel.cancel_source(
        np.asarray(geometry.sample_frame(picture, source.frame, large)), resize(source.preview, *large), seen
    )
    plain = resize(round_pixels((remainder.left + _GREY) * np.float32(255.0)), side_px, side_px)
    as_it_is = np.asarray(geometry.sample_frame(picture, source.frame, (side_px, side_px)))
    maps = read([as_it_is, plain])
    return Beside(
        residual=np.asarray(np.float32(0.5) * (maps[0] + maps[1]), dtype=np.float32),
        weight=cv2.GaussianBlur(resize(remainder.kept, GRID, GRID), (0, 0), _SOFTENED_CELLS).astype(np.float32),
    )
