"""The outline of what was replaced, by both maps together: content that differs, and the tag that is gone.

In: the difference map and the evidence that the tag is gone. Out: the region in the suspect that both make most likely.
Where the two pictures agree, that speaks against a hole; where nothing can be told from structure, the tag decides.
At least 5 % of each region must be changed content, or a gone tag: by measurement or, where there is a localiser, by
its outline.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.link.difference import CHANGED_LEVEL, Difference
from ftforensics.link.outline import divide, keep_sure
from ftforensics.link.placement import Placement
from ftforensics.link.survival import Holes

Mask = NDArray[np.bool_]

LONG_SIDE_CELLS = 128
# Chosen on photographs that were kept back from training, see docs/adr/0003.
DIFFERENCE_WEIGHT, MOST_AGAINST = 0.5, 0.4
_LENGTH_COST, _GAP_CELLS, _LEAST_CELLS, _LEAST_EVIDENCE = 0.25, 4, 40, 5.0


def find_replaced(difference: Difference, holes: Holes, frame: Placement) -> Mask:
    """What was replaced, where content and tag are weighed together.

    Args:
        difference: As ``compare`` made it for the suspect.
        holes: As ``find_holes`` made them for the same suspect.
        frame: How the tagged frame lies in the suspect.

    Returns:
        bool (h, w) over the whole suspect, long side 128 cells.
    """
    height, width = difference.difference.shape
    scale = LONG_SIDE_CELLS / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Content that surely differs must outweigh a tag that shows there: a paste may have been tagged anew.
    against = np.maximum(frame.carry(holes.evidence, size), -MOST_AGAINST)
    gone = np.where(frame.covers(size), against, 0.0)
    # Clipped before it is made small: a burnt-out pixel is no better proof than a changed one.
    differs = np.clip(difference.difference - CHANGED_LEVEL, -CHANGED_LEVEL, 1.0) * difference.seen
    differs = cv2.resize(differs.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    evidence = np.asarray(gone + DIFFERENCE_WEIGHT * differs, np.float32)
    changed = cv2.resize(difference.changed.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    proven = holes.region if holes.by_network else holes.gone
    return keep_sure(
        divide(evidence, _LENGTH_COST),
        evidence,
        gap=_GAP_CELLS,
        least=_LEAST_CELLS,
        sure=_LEAST_EVIDENCE,
        proof=changed | (frame.carry(proven.astype(np.float32), size) > 0.5),
        rounded=False,
    )
