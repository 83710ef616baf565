"""Line a suspect up with the photograph it may come from.

In: suspect pixels, the record's compact descriptors, and its preview if it keeps one. Out: a ``Registration``, or
nothing.

Geometry is fitted on what did not change: feature matches, MAGSAC, an a-contrario bound on chance
(``link.homography``), then, where there is a preview, a dense check that the surroundings agree too
(``link.agreement``). A registration establishes that the two pictures share content in one geometry; it does not
establish which came first, nor tell two frames of one scene apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.domain.link import Registration
from ftforensics.imaging.geometry import Rectangle
from ftforensics.link.agreement import Agreement, LaidOver, lay_over
from ftforensics.link.features import Features, detect_features, mirror_features, parse_descriptors
from ftforensics.link.homography import Fit, Reals, area_of, fit_homography, overlap

AttemptReason = Literal[
    "registered",
    "few_suspect_features",
    "few_source_features",
    "no_common_geometry",
    "chance_not_excluded",
    "not_confirmed",
]

MIN_OVERLAP = 0.03
MIN_COVERAGE = 0.35
MIN_HULL_FRACTION = 0.04
MIN_INLIERS = 8
MAX_LOG10_CHANCE = -4.0

# With a preview: much of what either shows agrees, or less does but the fit is as exact as within one photograph.
MIN_AGREEING_SHARE = 0.48
MIN_AGREEING_SHARE_IF_EXACT = 0.28
MIN_AGREEING_FRACTION = 0.02
# Nearly all agrees within a pixel at 256 px, where two photographs of one scene reached 0.42: no exact fit is needed.
MIN_AGREEING_SHARE_ALONE = 0.9
MAX_RESIDUAL_PX = 1.2
EXACT_RESIDUAL_PX = 0.5
EXACT_INLIERS = 20
EXACT_HULL_FRACTION = 0.3

# Without one, the fit alone has to carry it.
MIN_INLIERS_DESCRIPTORS = 20
MAX_LOG10_CHANCE_DESCRIPTORS = -30.0
MAX_RESIDUAL_PX_DESCRIPTORS = 0.6

_RATIO = 0.86
_DUPLICATE_UNITS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What trying to register gave; a failed attempt is a fact for the verdict too.

    ``suspect_features`` and ``source_features`` count different places: with few of them a failure says nothing.
    ``candidate`` is the registration of the best fit that chance does not explain, confirmed or not; ``matrix`` is its
    homography (3, 3) from source to suspect, ``matched`` the upright rectangle of the suspect that holds most of the
    features which agree on it, and ``laid`` the preview laid over the suspect by it.
    """

    registration: Registration | None
    reason: AttemptReason
    suspect_features: int
    source_features: int
    candidate: Registration | None = None
    matches: int = 0
    inliers: int = 0
    log10_chance: float | None = None
    residual_px: float | None = None
    agreement: Agreement | None = None
    matrix: Reals | None = field(default=None, compare=False)
    matched: Rectangle | None = field(default=None, compare=False)
    laid: LaidOver | None = field(default=None, compare=False, repr=False)


def register(suspect: NDArray[np.uint8], preview: NDArray[np.uint8] | None, descriptors: bytes) -> Registration | None:
    """Register a suspect, or its mirror image, to a source.

    Args:
        suspect: uint8 (H, W, 3).
        preview: uint8 (h, w, 3) of the source, or None.
        descriptors: Blob of ``fingerprint.build``.

    Returns:
        The registration, its change fields still empty (see ``difference.measured``), or None.

    Raises:
        LinkError: Unusable pixels or blob.
    """
    return attempt(suspect, preview, descriptors).registration


def attempt(
    suspect: NDArray[np.uint8],
    preview: NDArray[np.uint8] | None,
    descriptors: bytes,
    *,
    suspect_features: Features | None = None,
) -> Attempt:
    """As ``register``, but says why not. Pass ``suspect_features`` to try many sources with one detection."""
    ours = suspect_features if suspect_features is not None else detect_features(suspect)
    theirs = parse_descriptors(descriptors)
    counts = (ours.distinct, theirs.distinct)
    if min(counts) < MIN_INLIERS:
        few: AttemptReason = "few_suspect_features" if counts[0] <= counts[1] else "few_source_features"
        return Attempt(registration=None, reason=few, suspect_features=counts[0], source_features=counts[1])
    best = Attempt(
        registration=None, reason="no_common_geometry", suspect_features=counts[0], source_features=counts[1]
    )
    plain, turned = match_features(theirs, ours), match_features(theirs, mirror_features(ours))
    # More matches first: a symmetric picture fits both ways, one of them far better.
    for pairs, mirrored in sorted(((plain, False), (turned, True)), key=lambda item: (-len(item[0]), item[1])):
        fit = fit_homography(theirs, ours, pairs, mirrored=mirrored)
        if fit is None:
            continue
        tried = _judge_fit(fit, suspect, preview, theirs, pairs, counts)
        if tried.registration is not None:
            return tried
        if tried.inliers > best.inliers:
            best = tried
    return best


def match_features(source: Features, suspect: Features) -> NDArray[np.int64]:
    """Mutual nearest neighbours that are clearly nearer than the next place.

    Returns:
        int64 (M, 2), indices into source and suspect.
    """
    if len(source.points) < 2 or len(suspect.points) < 2:
        return np.zeros((0, 2), np.int64)
    first = np.unpackbits(source.bits, axis=1).astype(np.float32) * 2 - 1
    second = np.unpackbits(suspect.bits, axis=1).astype(np.float32) * 2 - 1
    differing = (128.0 - first @ second.T) / 2.0
    best = np.argmin(differing, axis=1)
    mutual = np.flatnonzero(np.argmin(differing, axis=0)[best] == np.arange(len(differing)))
    best, differing = best[mutual], differing[mutual]
    nearest = differing[np.arange(len(mutual)), best]
    # The next place, not the same place at another orientation.
    x, y = suspect.points[:, 0], suspect.points[:, 1]
    near = (np.abs(x[best][:, None] - x) <= _DUPLICATE_UNITS) & (np.abs(y[best][:, None] - y) <= _DUPLICATE_UNITS)
    second_nearest = np.where(near, np.float32(np.inf), differing).min(axis=1)
    keep = nearest < _RATIO * second_nearest
    return np.stack([mutual[keep], best[keep]], axis=1).astype(np.int64)


def matrix_of(registration: Registration) -> Reals:
    """The homography as float64 (3, 3), source to suspect, unit coordinates."""
    return np.array(registration.homography, np.float64).reshape(3, 3)


def _judge_fit(
    fit: Fit,
    suspect: NDArray[np.uint8],
    preview: NDArray[np.uint8] | None,
    source: Features,
    pairs: NDArray[np.int64],
    counts: tuple[int, int],
) -> Attempt:
    share, seen = overlap(fit.matrix)
    # What both show must be a good part of one of them: a logo that moved to another corner is not.
    coverage = max(share, area_of(seen))
    hull = _hull_fraction(source.points[pairs[fit.agreeing, 0]]) / max(share, 1e-9)
    chance_excluded = (
        fit.distinct >= MIN_INLIERS
        and fit.log10_chance <= MAX_LOG10_CHANCE
        and share >= MIN_OVERLAP
        and coverage >= MIN_COVERAGE
        and hull >= MIN_HULL_FRACTION
    )
    laid = lay_over(suspect, preview, fit.matrix) if chance_excluded and preview is not None else None
    agreement = None if laid is None else laid.agreement
    confirmed = chance_excluded and _is_confirmed(fit, hull, agreement)
    reason: AttemptReason = (
        "chance_not_excluded" if not chance_excluded else "registered" if confirmed else "not_confirmed"
    )
    candidate = None
    if chance_excluded:
        candidate = Registration(
            inliers=fit.distinct,
            matches=len(pairs),
            inlier_ratio=float(fit.agreeing.sum()) / len(pairs),
            homography=tuple(float(v) for v in fit.matrix.ravel()),
            against="descriptors" if preview is None else "preview",
            overlap_fraction=share,
            changed_fraction=None,
            agreement=None if agreement is None else agreement.share,
        )
    return Attempt(
        registration=candidate if confirmed else None,
        reason=reason,
        candidate=candidate,
        suspect_features=counts[0],
        source_features=counts[1],
        matches=len(pairs),
        inliers=fit.distinct,
        log10_chance=fit.log10_chance,
        residual_px=fit.residual_px,
        agreement=agreement,
        laid=laid,
        matrix=fit.matrix if chance_excluded else None,
        matched=_spanned(source.points[pairs[fit.agreeing, 0]], fit.matrix) if chance_excluded else None,
    )


def _spanned(points: NDArray[np.float32], matrix: Reals) -> Rectangle:
    """Where all but the outermost twentieths of some points of a source lie in the suspect."""
    mapped = np.hstack([points, np.ones((len(points), 1))]) @ matrix.T
    ends = np.quantile(mapped[:, :2] / mapped[:, 2:], [0.05, 0.95], axis=0)
    return float(ends[0, 0]), float(ends[0, 1]), float(ends[1, 0]), float(ends[1, 1])


def _is_confirmed(fit: Fit, hull: float, agreement: Agreement | None) -> bool:
    """Tell one photograph from two of the same person, room or sign, whose features fit each other fairly well too."""
    if agreement is None:
        return (
            fit.distinct >= MIN_INLIERS_DESCRIPTORS
            and fit.log10_chance <= MAX_LOG10_CHANCE_DESCRIPTORS
            and fit.residual_px <= MAX_RESIDUAL_PX_DESCRIPTORS
            and hull >= EXACT_HULL_FRACTION
        )
    exact = fit.residual_px <= EXACT_RESIDUAL_PX and fit.distinct >= EXACT_INLIERS and hull >= EXACT_HULL_FRACTION
    least = MIN_AGREEING_SHARE_IF_EXACT if exact else MIN_AGREEING_SHARE
    return (
        agreement.share >= least
        and agreement.agreeing_fraction >= MIN_AGREEING_FRACTION
        and fit.residual_px <= MAX_RESIDUAL_PX
    )


def _hull_fraction(points: NDArray[np.float32]) -> float:
    """Share of the source that the agreeing features span: a logo in a corner spans little."""
    if len(points) < 3:
        return 0.0
    hull = cv2.convexHull(points.reshape(-1, 1, 2).astype(np.float32))
    return float(cv2.contourArea(hull))
