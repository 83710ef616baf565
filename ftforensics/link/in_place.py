"""Lay a source where a tag or a few features say it lies, and ask whether everything agrees with it there.

In: pixels of both and a plane map of one onto the other that could not be confirmed. Out: that map, refined, if nearly
all that has texture agrees under it. Blurred and regenerated pictures have too few distinct features to be registered
by, though nothing else in them differs; but a tag that was read tells where its photograph lies. Refining follows
Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient maximization, IEEE TPAMI
2008, on the local structure of both.
"""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.domain.link import Registration
from ftforensics.link.agreement import U8, Agreement, align, equal_detail, measure_agreement, unit_to_pixels
from ftforensics.link.homography import Reals, area_of, overlap
from ftforensics.link.register import MIN_AGREEING_FRACTION, MIN_AGREEING_SHARE_ALONE, MIN_COVERAGE, MIN_OVERLAP

TAG_FRAME = "tag frame"
# Where no feature fits: a caption or a logo on plain ground has less texture than this.
MIN_AGREEING_FRACTION_ALONE = 0.10
# Below this a start is not worth refining: unrelated pictures and other photographs of a scene reached 0.42.
WORTH_REFINING = 0.48

_STEPS, _PRECISION, _PREFILTER_PX = 60, 1e-4, 5


def confirm_in_place(suspect: U8, preview: U8, found: Registration | None, frame: Reals) -> Registration | None:
    """A registration that needs no exact features, for a picture whose tag leads to the source.

    What content alone suggests is never confirmed by this: there, two photographs of one scene must be told apart.

    Args:
        suspect: uint8 (H, W, 3).
        preview: uint8 (h, w, 3) of the source.
        found: What features suggest and could not confirm, or None.
        frame: 3 x 3, where the tag's frame lies, unit coordinates of the source to those of the suspect.

    Returns:
        The registration, ``against`` the preview if features led there and else against the frame of the tag; None
        where less than nine tenths of the texture agrees, or where there is little of it.
    """
    start = frame if found is None else np.array(found.homography, np.float64).reshape(3, 3)
    matrix, agreement = _refine(suspect, preview, start)
    share, seen = overlap(matrix)
    if share < MIN_OVERLAP or max(share, area_of(seen)) < MIN_COVERAGE:
        return None
    least = MIN_AGREEING_FRACTION_ALONE if found is None else MIN_AGREEING_FRACTION
    if agreement.share < MIN_AGREEING_SHARE_ALONE or agreement.agreeing_fraction < least:
        return None
    return Registration(
        inliers=0 if found is None else found.inliers,
        matches=0 if found is None else found.matches,
        inlier_ratio=0.0 if found is None else found.inlier_ratio,
        homography=tuple(float(value) for value in matrix.ravel()),
        against=TAG_FRAME if found is None else found.against,
        overlap_fraction=share,
        changed_fraction=None,
        agreement=agreement.share,
    )


def _refine(suspect: U8, preview: U8, start: Reals) -> tuple[Reals, Agreement]:
    """The better of a map and what the alignment of structure makes of it, with what agrees under it."""
    agreement = measure_agreement(align(suspect, preview, start))
    if agreement.share < WORTH_REFINING:
        return start, agreement
    moved = _align_structure(suspect, preview, start)
    if moved is None:
        return start, agreement
    refined = measure_agreement(align(suspect, preview, moved))
    return (moved, refined) if refined.share > agreement.share else (start, agreement)


def _align_structure(suspect: U8, preview: U8, start: Reals) -> Reals | None:
    """The map that lines up the structure of both best; None where that does not converge."""
    aligned = align(suspect, preview, start)
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
