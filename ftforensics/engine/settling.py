"""In which panel of an assembled picture a tag lies that was found by searching the whole of it.

Enters: a tag's residual map, its frame, and the picture's panels. Leaves: the panel that shows nearly all that is seen
of the tag, or none. The tagged frame of a part reaches beyond its panel, over others that have nothing to do with it:
compared with all of them the source could not be confirmed, and what else they show would not be looked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ftforensics.engine.tries import BAND_VALUES, Floats
from ftforensics.imaging import geometry

# In standard deviations of maps that hold no carrier. Whatever is smaller says nothing about where a tag lies.
LEAST_SEEN = 3.0
# A tag that lies in several panels is seen at least so strongly, and at least this share as strongly, in the next one.
MOST_ELSEWHERE = 2.5
MOST_ELSEWHERE_SHARE = 0.5


def find_panel(
    residual: Floats, sync: Floats, frame: geometry.Affine, panels: Sequence[geometry.Rectangle]
) -> geometry.Rectangle | None:
    """The panel in which alone the synchronisation carrier is seen.

    Args:
        residual: Map (3, 64, 64) in the tagged frame.
        sync: The carrier (3, 64, 64).
        frame: Tagged frame to picture.
        panels: Upright rectangles of the picture that do not overlap.

    Returns:
        None where there are less than two panels that the frame reaches, or the carrier is seen in none or in several.
    """
    inside = [geometry.seen_cells(_within(panel, frame), residual.shape[-1]) for panel in panels]
    reached = [(panel, cells) for panel, cells in zip(panels, inside, strict=True) if cells.any()]
    if len(reached) < 2:
        return None
    ranked = sorted(((seen_of(residual, sync, cells), panel) for panel, cells in reached), reverse=True)
    (seen, panel), (next_seen, _) = ranked[:2]
    most = min(MOST_ELSEWHERE, MOST_ELSEWHERE_SHARE * seen)
    return panel if seen >= LEAST_SEEN and next_seen < most else None


def seen_of(residual: Floats, sync: Floats, cells: NDArray[np.bool_]) -> float:
    """Strength of the carrier in some cells (64, 64) of a map, in standard deviations of unrelated maps."""
    ours, carrier = residual[:, cells], sync[:, cells]
    scale = float(np.linalg.norm(ours) * np.linalg.norm(carrier))
    if scale == 0.0:
        return 0.0
    return float(np.vdot(ours, carrier)) / scale * float(np.sqrt(BAND_VALUES * cells.mean()))


def _within(panel: geometry.Rectangle, frame: geometry.Affine) -> geometry.Affine:
    return geometry.compose(geometry.invert(geometry.upright(panel)), frame)
