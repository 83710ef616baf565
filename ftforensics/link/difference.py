"""Measure what was changed between the source and a registered suspect.

In: pixels of both and their registration. Out: a difference map, the changed regions as boxes and as a mask, and their
share of the overlap. What a whole picture suffers (recompression, resizing, another light or colour, blur, noise) must
not show: both pictures are brought to one frame and resolution, compared by structure in local windows after a local
gain and offset, and the disagreement is measured in units of what the picture itself shows nearly everywhere. The map
says that content differs there; it does not say which of the two pictures is the altered one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ftforensics.domain.link import Box, Registration
from ftforensics.link.agreement import (
    F32,
    U8,
    Aligned,
    LaidOver,
    Mask,
    agreeing_texture,
    lay_over,
    regional_correlation,
)
from ftforensics.link.blots import find_blots
from ftforensics.link.homography import Reals
from ftforensics.link.movement import MovementMap
from ftforensics.link.register import matrix_of
from ftforensics.link.untouched import find_untouched

CHANGED_LEVEL = 0.5
CORE_LEVEL = 1.0
MIN_CORE = 0.5
BLOT_DIFFERENCE = 2.0
MIN_REGION_FRACTION = 0.004
# What a changed region surrounds is unchanged if it is so much of what both show, and so much of that agrees.
MIN_HOLE_FRACTION, MIN_HOLE_AGREEING = 0.01, 0.4
MAX_REGIONS = 12
# Of regional correlation; on held-out photographs swaps have 0 to 0.4, generators and edits of a face 0.6 to 1.
REWORKED_CORRELATION = 0.5

_JOIN_FRACTION = 0.04
_BACKGROUND_QUANTILE = 0.4
_STRUCTURE_SCALE = 0.30
_BACKGROUND_WEIGHT = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs, in the suspect's frame.

    ``difference`` is float32 (h, w), 0 where the contents agree and outside the overlap, 1 and more where they surely
    differ. ``changed``, ``replaced`` and ``seen`` are bool (h, w); ``replaced`` is what of the changed regions shows
    something else, neither the old content reworked, as light edits and generators do, nor the source's own pixels
    between what was laid over them. ``regions`` are boxes in suspect unit coordinates, largest first.
    ``changed_fraction`` is the changed share of the overlap.
    """

    difference: F32
    changed: Mask
    replaced: Mask
    seen: Mask
    regions: tuple[Box, ...]
    changed_fraction: float


def compare(
    suspect: U8,
    source_preview: U8,
    registration: Registration,
    movement: MovementMap | None = None,
    *,
    laid: LaidOver | None = None,
    kept: Mask | None = None,
) -> Difference:
    """Compare a suspect with its source where both show the scene.

    Args:
        suspect: uint8 (H, W, 3).
        source_preview: uint8 (h, w, 3).
        registration: As ``register`` made it.
        movement: Displacements to be undone first, so that what was only moved does not count as changed.
        laid: The one laid over the other by this registration, where that is at hand already.
        kept: A part of the common frame that is known to be the source's, bool (h, w), if that is not most of it: what
            the whole picture suffers is measured there.

    Returns:
        The difference; its maps have a long side of at most 256 px.
    """
    laid = laid or lay_over(suspect, source_preview, matrix_of(registration))
    aligned, correlation, weight = laid.aligned, laid.correlation, laid.weight
    if movement is not None:
        aligned, correlation, weight = movement.undo(aligned), movement.correlation, movement.weight
    background = _background(correlation, weight, aligned.seen if kept is None else kept)
    dissimilarity = (1.0 - correlation) * weight
    level = _STRUCTURE_SCALE + _BACKGROUND_WEIGHT * background
    difference = np.where(aligned.seen, dissimilarity / level, 0).astype(np.float32)
    difference[find_blots(aligned)] = BLOT_DIFFERENCE
    changed = _regions_mask(difference, aligned.seen, agreeing_texture(correlation, weight, aligned.seen))
    seen_px = max(int(aligned.seen.sum()), 1)
    return Difference(
        difference=difference,
        changed=changed,
        replaced=_replaced(aligned, changed, regional_correlation(correlation, weight)),
        seen=aligned.seen,
        regions=_boxes(changed),
        changed_fraction=float(changed.sum()) / seen_px,
    )


def measured(registration: Registration, difference: Difference) -> Registration:
    """The registration with its change fields filled in."""
    return replace(registration, changed_fraction=difference.changed_fraction, changed_regions=difference.regions)


def project_to_source(mask: Mask, registration: Registration, grid: int, movement: MovementMap | None = None) -> Mask:
    """Carry a mask from the suspect's frame onto a grid over the source (the tag's frame).

    Args:
        mask: bool (h, w) over the whole suspect.
        registration: Source to suspect.
        grid: Side of the square result.
        movement: Displacements on top of the registration, or None.

    Returns:
        bool (grid, grid); False where the suspect does not show the source.
    """
    if movement is not None:
        return movement.pull_to_source(mask, grid)
    height, width = mask.shape
    to_grid = _pixels(grid, grid) @ np.linalg.inv(matrix_of(registration)) @ np.linalg.inv(_pixels(width, height))
    carried = cv2.warpPerspective(mask.astype(np.float32), to_grid, (grid, grid), flags=cv2.INTER_LINEAR, borderValue=0)
    return np.asarray(carried > 0.5, np.bool_)


def _replaced(aligned: Aligned, changed: Mask, regional: F32) -> Mask:
    unlike = changed & (regional < REWORKED_CORRELATION)
    return unlike & ~find_untouched(aligned, changed) if unlike.any() else unlike


def _background(correlation: F32, weight: F32, seen: Mask) -> float:
    """How much the pictures disagree nearly everywhere: the price of compression, blur or regeneration."""
    judged = seen & (weight > 0.3)
    if int(judged.sum()) < 64:
        return 0.0
    return float(np.quantile((1.0 - correlation[judged]) * weight[judged], _BACKGROUND_QUANTILE))


def _regions_mask(difference: F32, seen: Mask, agreeing: Mask) -> Mask:
    """Connected regions over the weaker level that hold a sure core and are large enough, gaps and holes filled.

    A large hole full of texture that agrees stays one: a face before another background was not changed.
    """
    side = max(difference.shape)
    weak = (difference > CHANGED_LEVEL).astype(np.uint8)
    weak = np.asarray(cv2.morphologyEx(weak, cv2.MORPH_OPEN, _disc(1)), np.uint8)
    joined = np.asarray(cv2.morphologyEx(weak, cv2.MORPH_CLOSE, _disc(max(2, round(side * _JOIN_FRACTION)))), np.uint8)
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(joined)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    filled[_open_holes((filled > joined).astype(np.uint8), agreeing, MIN_HOLE_FRACTION * float(seen.sum()))] = 0
    smooth = np.asarray(cv2.morphologyEx(filled, cv2.MORPH_OPEN, _disc(max(1, round(side * 0.012)))), np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(smooth, connectivity=8)
    least = max(12.0, MIN_REGION_FRACTION * float(seen.sum()))
    kept = np.zeros(difference.shape, np.bool_)
    for label in range(1, count):
        inside = labels == label
        core = int((inside & (difference > CORE_LEVEL)).sum())
        if stats[label, cv2.CC_STAT_AREA] >= least and core >= MIN_CORE * least:
            kept |= inside
    return kept & seen


def _open_holes(holes: U8, agreeing: Mask, least: float) -> Mask:
    """Those of the holes that have this many cells or more and show the source."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(holes, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    agree = np.bincount(labels[agreeing], minlength=count)
    is_open = (areas >= least) & (agree >= MIN_HOLE_AGREEING * areas)
    is_open[0] = False
    return np.asarray(is_open[labels], np.bool_)


def _disc(radius: int) -> U8:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(kernel, np.uint8)


def _boxes(changed: Mask) -> tuple[Box, ...]:
    count, _, stats, _ = cv2.connectedComponentsWithStats(changed.astype(np.uint8), connectivity=8)
    height, width = changed.shape
    rows = sorted((tuple(int(v) for v in stats[label]) for label in range(1, count)), key=lambda r: (-r[4], r[1], r[0]))
    return tuple(
        Box(left=x / width, top=y / height, right=(x + w) / width, bottom=(y + h) / height)
        for x, y, w, h, _ in rows[:MAX_REGIONS]
    )


def _pixels(width: int, height: int) -> Reals:
    return np.array([[width, 0.0, -0.5], [0.0, height, -0.5], [0.0, 0.0, 1.0]])
