"""Fit and judge the map that carries the source onto the suspect.

In: matched points in unit coordinates. Out: a 3 x 3 homography in unit coordinates with the matches that agree, or
nothing. A hypothesis must be a plausible view of a flat picture (crop, resize, rotation, mild perspective; mirrored
only when that was asked) and must be very unlikely to arise from chance matches. The second test is the a-contrario
bound of Moisan and Stival, "A probabilistic criterion to detect rigid point matches", IJCV 57(3), 2004. Robust fitting
is MAGSAC++ (Barath et al., CVPR 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.link.features import WORK_PX, Features, count_distinct

Reals = NDArray[np.floating[Any]]

TOLERANCE_PX = 4.0
_FIT_TOLERANCE_PX = 2.0
_MIN_SCALE, _MAX_SCALE = 1 / 8, 8.0
_MAX_STRETCH = 2.0
_MAX_PERSPECTIVE = 3.0
_AFFINE_PREFERENCE = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A map from source to suspect (unit coordinates, 3 x 3, last entry 1) and how well the matches support it.

    ``agreeing`` marks the matches within tolerance, ``distinct`` counts the different places among them,
    ``residual_px`` is their median distance in the coarser picture at 480 px, and ``log10_chance`` bounds the expected
    number of fits as good among chance matches.
    """

    matrix: Reals
    agreeing: NDArray[np.bool_]
    distinct: int
    residual_px: float
    log10_chance: float


def fit_homography(source: Features, suspect: Features, pairs: NDArray[np.int64], *, mirrored: bool) -> Fit | None:
    """Fit a map through matched features.

    Args:
        source: Features of the source.
        suspect: Features of the suspect, as seen (not mirrored).
        pairs: int64 (M, 2), indices into source and suspect.
        mirrored: Whether the suspect shows the source's mirror image.

    Returns:
        The fit, or None where no plausible map exists.
    """
    if len(pairs) < 6:
        return None
    source_frame, suspect_frame = _frame(source), _frame(suspect)
    start = source.points[pairs[:, 0]].astype(np.float64) * source_frame
    end = suspect.points[pairs[:, 1]].astype(np.float64) * suspect_frame
    # The robust fitter refuses maps that turn the plane over: fit the turned-back suspect, and turn the map.
    turn = np.array([[-1.0, 0.0, suspect_frame[0]], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) if mirrored else np.eye(3)
    fitted, _ = cv2.findHomography(
        start,
        map_points(turn, end),
        method=cv2.USAC_MAGSAC,
        ransacReprojThreshold=_FIT_TOLERANCE_PX,
        maxIters=3000,
        confidence=0.9999,
    )
    if fitted is None or not np.all(np.isfinite(fitted)):
        return None
    matrix = np.asarray(turn @ fitted, np.float64)
    agreeing = _errors_px(matrix, start, end) <= TOLERANCE_PX
    if int(agreeing.sum()) < 6:
        return None
    refined, agreeing = _refine(matrix, start, end, agreeing)
    if not is_plausible(refined, source_frame, mirrored=mirrored):
        return None
    unit = np.diag([1 / suspect_frame[0], 1 / suspect_frame[1], 1.0]) @ refined @ np.diag([*source_frame, 1.0])
    distinct = min(
        count_distinct(source.points[pairs[agreeing, 0]]), count_distinct(suspect.points[pairs[agreeing, 1]])
    )
    total = max(distinct, min(count_distinct(source.points[pairs[:, 0]]), count_distinct(suspect.points[pairs[:, 1]])))
    area = float(suspect_frame[0] * suspect_frame[1])
    return Fit(
        matrix=unit / unit[2, 2],
        agreeing=agreeing,
        distinct=distinct,
        residual_px=float(np.median(_coarser_errors_px(refined, start[agreeing], end[agreeing]))),
        log10_chance=log10_chance(distinct, total, math.pi * TOLERANCE_PX**2 / area),
    )


def log10_chance(agreeing: int, total: int, p: float) -> float:
    """Decimal logarithm of the expected number of maps on which ``agreeing`` of ``total`` chance matches fall.

    Args:
        agreeing: Matches within tolerance.
        total: All matches.
        p: Probability that one chance match falls within tolerance.

    Returns:
        At most about 10; -6 means one in a million pairs of unrelated pictures, if their matches were independent,
        which repeated patterns are not: the bound is a filter, never the only one.
    """
    if agreeing <= 4:
        return 10.0
    choose = _log10_binomial(total, agreeing) + _log10_binomial(agreeing, 4)
    return math.log10(max(total - 4, 1)) + choose + (agreeing - 4) * math.log10(p)


def map_points(matrix: Reals, points: Reals) -> Reals:
    """Carry points (..., 2) through a homography."""
    carried = points @ matrix[:, :2].T + matrix[:, 2]
    w = carried[..., 2:]
    return np.asarray(carried[..., :2] / np.where(np.abs(w) < 1e-12, 1e-12, w), np.float64)


def corners() -> Reals:
    """The unit square, clockwise from the top left."""
    return np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def overlap(matrix: Reals) -> tuple[float, Reals]:
    """Share of the source (0..1) that lies in the suspect, and the seen polygon in suspect unit coordinates (N, 2)."""
    seen = _clip_to_unit(map_points(matrix, corners()))
    if len(seen) < 3:
        return 0.0, np.zeros((0, 2))
    back = map_points(np.linalg.inv(matrix), seen)
    return float(min(1.0, area_of(back))), seen


def _clip_to_unit(polygon: Reals) -> Reals:
    """Sutherland-Hodgman against the unit square, on a convex polygon."""
    for axis, limit, sign in ((0, 0.0, 1.0), (0, 1.0, -1.0), (1, 0.0, 1.0), (1, 1.0, -1.0)):
        kept: list[Reals] = []
        for here, there in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            inside, next_inside = sign * (here[axis] - limit) >= 0, sign * (there[axis] - limit) >= 0
            if inside:
                kept.append(here)
            if inside != next_inside:
                kept.append(here + (there - here) * (limit - here[axis]) / (there[axis] - here[axis]))
        if not kept:
            return np.zeros((0, 2))
        polygon = np.array(kept)
    return polygon


def _frame(features: Features) -> Reals:
    scale = WORK_PX / max(features.width_px, features.height_px)
    return np.array([features.width_px * scale, features.height_px * scale])


def _errors_px(matrix: Reals, start: Reals, end: Reals) -> Reals:
    """The larger of the forward and the backward distance: a map that squeezes all into a point must not pass."""
    forward = np.linalg.norm(map_points(matrix, start) - end, axis=1)
    try:
        backward = np.linalg.norm(map_points(np.linalg.inv(matrix), end) - start, axis=1)
    except np.linalg.LinAlgError:
        return np.full(len(start), np.inf)
    return np.asarray(np.maximum(forward, backward), np.float64)


def _coarser_errors_px(matrix: Reals, start: Reals, end: Reals) -> Reals:
    """Distances in the picture that shows the scene smaller; enlargement must not count as inaccuracy."""
    forward = np.linalg.norm(map_points(matrix, start) - end, axis=1)
    backward = np.linalg.norm(map_points(np.linalg.inv(matrix), end) - start, axis=1)
    return np.asarray(np.minimum(forward, backward), np.float64)


def _refine(matrix: Reals, start: Reals, end: Reals, agreeing: NDArray[np.bool_]) -> tuple[Reals, NDArray[np.bool_]]:
    """Least squares on the agreeing matches, and the affine map instead where it explains them as well.

    Four more parameters than the truth needs (crops, resizes and rotations are affine) swing at the far corners.
    """
    for _ in range(2):
        projective, _ = cv2.findHomography(start[agreeing], end[agreeing], method=0)
        affine = _fit_affine(start[agreeing], end[agreeing])
        better = affine
        if projective is not None and np.all(np.isfinite(projective)):
            better = np.asarray(projective, np.float64)
        plain = float(np.median(_errors_px(affine, start[agreeing], end[agreeing])))
        if plain <= _AFFINE_PREFERENCE * float(np.median(_errors_px(better, start[agreeing], end[agreeing]))) + 0.05:
            better = affine
        errors = _errors_px(better, start, end)
        if int((errors <= TOLERANCE_PX).sum()) < agreeing.sum() * 0.9:
            break
        matrix, agreeing = better, errors <= TOLERANCE_PX
    return matrix, agreeing


def _fit_affine(start: Reals, end: Reals) -> Reals:
    design = np.concatenate([start, np.ones((len(start), 1))], axis=1)
    solution, *_ = np.linalg.lstsq(design, end, rcond=None)
    return np.vstack([solution.T, [0.0, 0.0, 1.0]])


def is_plausible(matrix: Reals, source_frame: Reals, *, mirrored: bool) -> bool:
    """A crop, resize, rotation or mild perspective view of the source: no fold, no needle, no vanishing line inside."""
    square = corners() * source_frame
    weights = square @ matrix[2, :2] + matrix[2, 2]
    if (np.min(weights) <= 0 and np.max(weights) > 0) or np.any(np.abs(weights) < 1e-9):
        return False
    determinants = np.linalg.det(matrix) / weights**3
    if np.any(determinants >= 0) if mirrored else np.any(determinants <= 0):
        return False
    areas = np.abs(determinants)
    if np.max(areas) > _MAX_PERSPECTIVE**2 * np.min(areas):
        return False
    centre = source_frame / 2
    step = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]) + centre
    mapped = map_points(matrix, step)
    linear = np.stack([mapped[1] - mapped[0], mapped[2] - mapped[0]], axis=1)
    large, small = np.linalg.svd(linear, compute_uv=False)
    return bool(small >= _MIN_SCALE and large <= _MAX_SCALE and large <= _MAX_STRETCH * small)


def _log10_binomial(n: int, k: int) -> float:
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(10)


def area_of(polygon: Reals) -> float:
    """Area of a simple polygon (N, 2); 0 for fewer than three corners."""
    if len(polygon) < 3:
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    return abs(float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)))
