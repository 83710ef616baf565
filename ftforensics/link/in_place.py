"""Lay a source where a few features or a tag say it lies, and ask whether nearly everything agrees with it there.

In: pixels of both, what registering by features gave, and the frame of a tag. Out: a registration, if nearly all that
has texture agrees. Blurred and regenerated pictures have too few distinct features to be registered by, though nothing
else in them differs; but a tag that was read tells where its photograph lies. Refining that follows
Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient maximization, IEEE TPAMI
2008, on the local structure of both.
"""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.domain.link import TAG_FRAME, Registration
from ftforensics.link.agreement import U8, Aligned, LaidOver, clipped_in_one, equal_detail, lay_over, unit_to_pixels
from ftforensics.link.homography import Reals, area_of, is_plausible, overlap
from ftforensics.link.register import (
    MIN_AGREEING_FRACTION,
    MIN_AGREEING_SHARE_ALONE,
    MIN_COVERAGE,
    MIN_OVERLAP,
    Attempt,
)

# Where no feature fits: a caption or a logo on plain ground has less texture than this.
LEAST_TEXTURE = 0.10
# Below this a start is not worth refining: unrelated pictures and other photographs of a scene reached 0.42.
WORTH_REFINING = 0.48
# What is black or burnt out in one of both agrees with nothing.
MOST_CLIPPED = 0.10

_STEPS, _PRECISION, _PREFILTER_PX = 60, 1e-4, 5
_SIDE = np.array([256.0, 256.0])


def confirm_in_place(suspect: U8, preview: U8, attempt: Attempt, frame: Reals) -> tuple[Registration, LaidOver] | None:
    """A registration that needs no exact features, for a picture whose tag leads to the source.

    What content alone suggests is never confirmed by this: there, two photographs of one scene must be told apart.

    Args:
        suspect: uint8 (H, W, 3).
        preview: uint8 (h, w, 3) of the source.
        attempt: What features gave; not a registration.
        frame: 3 x 3, where the tag's frame lies, unit coordinates of the source to those of the suspect.

    Returns:
        What features suggest as it is, or a registration against the frame of the tag, with the one picture laid over
        the other by it; None where less than nine tenths of the texture agrees, or where there is little of it.
    """
    if attempt.candidate is not None and attempt.laid is not None and _agrees(attempt.laid, MIN_AGREEING_FRACTION):
        return attempt.candidate, attempt.laid
    try:
        matrix, laid = _refine(suspect, preview, frame)
    except np.linalg.LinAlgError:
        return None
    if not _is_plausible(matrix):
        return None
    share, seen = overlap(matrix)
    shown = area_of(seen)
    if share < MIN_OVERLAP or max(share, shown) < MIN_COVERAGE:
        return None
    if clipped_in_one(laid.aligned).sum() > MOST_CLIPPED * laid.aligned.seen.sum():
        return None
    if not _agrees(laid, LEAST_TEXTURE / max(shown, 1e-9)):
        return None
    registration = Registration(
        inliers=0,
        matches=0,
        inlier_ratio=0.0,
        homography=tuple(float(value) for value in (matrix / matrix[2, 2]).ravel()),
        against=TAG_FRAME,
        overlap_fraction=share,
        changed_fraction=None,
        agreement=laid.agreement.share,
    )
    return registration, laid


def _is_plausible(matrix: Reals) -> bool:
    """As for features: no fold, no needle, no vanishing line inside. Shares of the sides will do for that."""
    if not np.isfinite(matrix).all() or not np.linalg.det(matrix):
        return False
    square = np.diag([*_SIDE, 1.0])
    return is_plausible(square @ matrix @ np.linalg.inv(square), _SIDE, mirrored=bool(np.linalg.det(matrix) < 0))


def _agrees(laid: LaidOver, least: float) -> bool:
    """Whether nearly all that has texture agrees, and so much of what both show."""
    found = laid.agreement
    return found.share >= MIN_AGREEING_SHARE_ALONE and found.agreeing_fraction >= least


def _refine(suspect: U8, preview: U8, start: Reals) -> tuple[Reals, LaidOver]:
    """The better of a map and what the alignment of structure makes of it, and the one laid over the other by it."""
    laid = lay_over(suspect, preview, start)
    if laid.agreement.share < WORTH_REFINING:
        return start, laid
    moved = _align_structure(laid.aligned, start)
    if moved is None:
        return start, laid
    refined = lay_over(suspect, preview, moved)
    return (moved, refined) if refined.agreement.share > laid.agreement.share else (start, laid)


def _align_structure(aligned: Aligned, start: Reals) -> Reals | None:
    """The map that lines up the structure of both best; None where that does not converge."""
    ours, theirs = equal_detail(aligned)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _STEPS, _PRECISION)
    mask = aligned.seen.astype(np.uint8)
    first = np.eye(3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(ours, theirs, first, cv2.MOTION_HOMOGRAPHY, stop, mask, _PREFILTER_PX)
    except cv2.error:
        return None
    back = np.asarray(warp, np.float64)
    if not np.isfinite(back).all() or abs(np.linalg.det(back)) < 1e-6:
        return None
    pixels = unit_to_pixels(ours.shape[1], ours.shape[0])
    return np.asarray(np.linalg.inv(pixels) @ np.linalg.inv(back) @ pixels @ start, np.float64)
