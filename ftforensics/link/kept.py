"""Whether a picture shows a part of a source exactly, and another scene around it.

In: what registering by features gave. Out: yes or no. A person who was cut out and set before another background keeps
a fifth of the photograph, too little for a registration as a whole (``link.register``): two photographs of one person
before one wall agree in as much. They do not agree as exactly. Where features fit within a third of a pixel and a
region that holds together agrees throughout, pixels of the one are in the other. That is still no more than content in
common, a banner for instance; so a verdict asks besides that the tag keeps to that content (``link.verdict``).
"""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.link.agreement import TEXTURED_WEIGHT, LaidOver, Mask, blur
from ftforensics.link.homography import Reals, map_points
from ftforensics.link.register import Attempt

# 3,000 pairs of photographs of one person in one room reached 0.39 px with 24 points, 0.40 px with 30; copies of a part
# lay within 0.3 px as a rule, after JPEG 50 too.
MAX_RESIDUAL_PX = 0.35
MIN_INLIERS = 24
MAX_LOG10_CHANCE = -45.0
# Of what both show: a region in which nearly all that has texture agrees.
MIN_KEPT_FRACTION = 0.03
MIN_KEPT_SHARE = 0.95

# Of the sides: how far a tag's frame may lie from where the content puts it. A tag one cell off, 0.016, hardly reads.
MAX_OFFSET_OF_PART = 0.04
MAX_OFFSET = 0.1

_POOL_SHARE = 0.0235
_AGREEING_SHARE = 0.8
_LEAST_TEXTURE = 0.15


def find_part(attempt: Attempt) -> Mask | None:
    """Where a picture shows a part of the source, exact to a third of a pixel, bool (H, W); None if it shows none."""
    if attempt.candidate is None or attempt.laid is None or attempt.residual_px is None or attempt.log10_chance is None:
        return None
    is_exact = (
        attempt.residual_px <= MAX_RESIDUAL_PX
        and attempt.inliers >= MIN_INLIERS
        and attempt.log10_chance <= MAX_LOG10_CHANCE
    )
    return _keep_region(attempt.laid) if is_exact else None


def _keep_region(laid: LaidOver) -> Mask | None:
    both = laid.aligned.seen
    textured = both & (laid.weight > TEXTURED_WEIGHT)
    agreeing = laid.agreeing
    region = find_kept_region(textured, agreeing) & both
    share = float((agreeing & region).sum()) / max(int((textured & region).sum()), 1)
    is_enough = float(region.sum()) >= MIN_KEPT_FRACTION * float(both.sum()) and share >= MIN_KEPT_SHARE
    return region if is_enough else None


def measure_offset(content: Reals, tag: Reals) -> float:
    """How far a tag lies from where its source's content lies, in shares of the picture's sides: the median.

    Args:
        content: Homography (3, 3) from source to picture, unit coordinates.
        tag: The same of the tag's frame.
    """
    steps = np.linspace(0.1, 0.9, 9)
    points = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    by_content, by_tag = map_points(content, points), map_points(tag, points)
    shown = ((by_content >= 0.0) & (by_content <= 1.0)).all(axis=1)
    if not shown.any():
        return float("inf")
    return float(np.median(np.abs(by_content - by_tag).max(axis=1)[shown]))


def find_kept_region(textured: Mask, agreeing: Mask) -> Mask:
    """The largest connected place where nearly all texture agrees, bool (H, W)."""
    sigma = _POOL_SHARE * max(textured.shape)
    texture, agreement = blur(textured.astype(np.float32), sigma), blur(agreeing.astype(np.float32), sigma)
    good = (agreement > _AGREEING_SHARE * texture) & (texture > _LEAST_TEXTURE)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(good.astype(np.uint8), connectivity=8)
    if count < 2:
        return np.zeros(textured.shape, np.bool_)
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), np.bool_)
