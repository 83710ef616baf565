"""Whether a tag is in a region's own pixels: the region read by itself, and the rest by itself.

Enters: a picture seen through its tag's frame, and which cells of that frame were changed and replaced. Leaves: how
well the tag reads in what was replaced, and around what was changed, while all else is blurred away. A reader looks at
a whole picture, and a tag that was shaped to a picture makes it see a continuation in a pasted face that carries none.
Read apart, such a face shows next to nothing, and a tag that was laid over it afterwards still shows. What was changed
and not replaced, such as the gaps between letters, is seen in neither: its tag may well be the photograph's.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.engine.reader import Reader
from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Pixels
from ftforensics.link.survival import measure_error, measure_level

BLUR_SHARE = 0.09
SEAM_PX = 1.0
FEWEST_CELLS = 64

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """Mean local correlation with a tag in and out of a region, each read without the other.

    ``error`` is the root mean square of ``inside`` over displaced copies of the tag, which are not there.
    """

    inside: float
    outside: float
    error: float


def read_apart(
    view: Pixels, changed: Mask, replaced: Mask, seen: Mask | None, expected: Floats, reader: Reader
) -> Apart | None:
    """Mean local correlation with a tag in what was replaced of a changed region, and out of the region.

    What was replaced and the rest are each read without all else.

    Args:
        view: uint8 (P, P, 3), the picture through the tag's frame, at the reader's size.
        changed: bool (G, G), the changed region in that frame.
        replaced: bool (G, G), the part of it that is read, and over which the tag is judged.
        seen: bool (G, G), the part of the frame that the picture shows, or None for all of it.
        expected: The tag's planes, float32 (3, G, G).
        reader: Reads two pictures.

    Returns:
        The levels; None where either part has fewer than 64 cells, too few to judge by.
    """
    frame = np.ones_like(changed) if seen is None else seen
    parts = (replaced & frame, ~changed & frame)
    if min(int(part.sum()) for part in parts) < FEWEST_CELLS:
        return None
    within, around = reader.read(np.stack([isolate(view, replaced), isolate(view, ~changed)]))
    return Apart(
        inside=measure_level(within, expected, parts[0]),
        outside=measure_level(around, expected, parts[1]),
        error=measure_error(within, expected, parts[0]),
    )


def isolate(view: Pixels, kept: Mask) -> Pixels:
    """The view with everything but ``kept`` blurred beyond what a tag survives; uint8 like the view."""
    side = view.shape[0]
    share = cv2.resize(kept.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    share = cv2.GaussianBlur(share, (0, 0), SEAM_PX)[:, :, None]
    plain = cv2.GaussianBlur(view.astype(np.float32), (0, 0), BLUR_SHARE * side)
    return round_pixels(np.asarray(view * share + plain * (1.0 - share), dtype=np.float32))
