"""Reading a picture beside the source that a record registers for it.

Most of what disturbs a read is the photograph itself, which the reader has to tell from what was added. Whoever holds
the untagged source need not guess: the reader also gets to see what is left when the source is taken out, laid on plain
grey, and its two maps are averaged. This is detection with the original at hand (Cox et al., *Digital Watermarking and
Steganography*, 2nd ed., 2008, section 3.2.1).

A record signs the hash of its preview, and the tag id follows from the record by a slow hash. So whoever made the
preview could not yet know the tag, and the bound on chance holds for these soft bits as for any others, also against an
issuer who tampers with previews; see docs/adr/0015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ftforensics.engine.tries import Floats
from ftforensics.imaging import cancel, geometry
from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Pixels, resize

_GREY = np.float32(0.5)


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


def read_beside(
    picture: Pixels, source: KnownSource, read: Callable[[Sequence[Pixels]], Floats], side_px: int
) -> Floats:
    """The residual map (3, 64, 64) of a picture in the frame of a source, the source being known.

    Args:
        picture: uint8 (H, W, 3) sRGB.
        source: What it is read beside.
        read: Maps (B, 3, 64, 64) of views uint8 (P, P, 3).
        side_px: P, of the reader's views.
    """
    large = (cancel.VIEW_PX, cancel.VIEW_PX)
    seen = geometry.seen_cells(source.frame, cancel.VIEW_PX)
    left = cancel.cancel_source(
        np.asarray(geometry.sample_frame(picture, source.frame, large)), resize(source.preview, *large), seen
    )
    plain = resize(round_pixels((left + _GREY) * np.float32(255.0)), side_px, side_px)
    as_it_is = np.asarray(geometry.sample_frame(picture, source.frame, (side_px, side_px)))
    maps = read([as_it_is, plain])
    return np.asarray(np.float32(0.5) * (maps[0] + maps[1]), dtype=np.float32)
