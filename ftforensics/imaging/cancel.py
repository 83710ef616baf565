"""Taking a picture's own source out of it, so that what was added is left.

In: a suspect and the photograph that it shows, both seen in one frame. Out: their difference, after the photograph was
moved onto the suspect by fractions of a pixel, put through what the suspect seems to have gone through, if enough of
it is there to tell by, and given its light, contrast and colour place by place. The moving follows only what both show
alike, so that a replaced region does not pull it along (enhanced correlation coefficient, Evangelidis and Psarakis,
2008). Nothing here knows of tags: the result depends on the two pictures alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.imaging.explain import explain
from ftforensics.imaging.resample import Floats, Pixels

VIEW_PX = 256
# Windows in which likeness is judged, and in which light and contrast are fitted, as the sigma of a Gaussian.
_LIKENESS_SIGMA_PX = 8.0
_FIT_SIGMA_PX = 16.0
_COARSER = 4
# Above, a place is the same in both; 1 is equal up to light and contrast.
_ALIKE = 0.6
# Grey levels below which structure is no more than noise.
_NOISE_VARIANCE = 4.0
_FIT_VARIANCE = 1e-5
_STEPS, _PRECISION = 40, 1e-5

# Below the first likeness a place is another content, from the second on it is the source's own.
_OTHER, _OWN = 0.1, 0.5
# Of the frame: with less of the source in sight, what the whole went through is not estimated.
MOSTLY = 0.75

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remainder:
    """What a suspect has and its source has not, to first order.

    ``left`` is float32 (128, 128, 3) in [0, 1] units about 0; 0 where nothing is seen. ``kept`` is float32 (128, 128):
    1 where the suspect still shows the source's content, or shows nothing at all, 0 where it shows another.
    ``explained`` says whether enough was seen to put the source through what the suspect went through.
    """

    left: Floats
    kept: Floats
    explained: bool


def cancel_source(
    suspect: Pixels, source: Pixels, seen: Mask, regenerated: Callable[[], Pixels] | None = None
) -> Remainder:
    """Take a source out of a suspect.

    Args:
        suspect: uint8 (256, 256, 3), the suspect in the tagged frame.
        source: uint8 (256, 256, 3), the source.
        seen: bool (256, 256), where the suspect shows the frame at all.
        regenerated: Makes, if it is needed, what a generator makes of the source, uint8 (256, 256, 3).
    """
    shown = seen.astype(np.float32)
    motion = _find_motion(source, suspect, seen)
    moved = _move(source, motion)
    likeness = np.where(seen, _likeness(_grey(suspect), _grey(moved), shown), np.float32(1.0))
    kept = np.clip((_halved(likeness) - _OTHER) / (_OWN - _OTHER), 0.0, 1.0).astype(np.float32)
    first, second = _unit(suspect), _unit(moved)
    weight = kept * _halved(shown)
    if float(weight.mean()) < MOSTLY:
        return Remainder(left=_halved(_fitted_difference(first, second, shown)), kept=kept, explained=False)
    others = [] if regenerated is None else [_halved(_unit(_move(regenerated(), motion)))]
    as_shown = explain(_halved(first), _halved(second), weight, others)
    left = _fitted_difference(_halved(first), as_shown, _halved(shown))
    return Remainder(left=left, kept=kept, explained=True)


def _unit(picture: Pixels) -> Floats:
    return picture.astype(np.float32) / np.float32(255.0)


def _halved(values: Floats) -> Floats:
    half = (VIEW_PX // 2, VIEW_PX // 2)
    return np.asarray(cv2.resize(values, half, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _find_motion(source: Pixels, suspect: Pixels, seen: Mask) -> NDArray[np.float32] | None:
    """The small affine map (2, 3) of the source under which what both show alike agrees best; None if none does."""
    first, second = _grey(suspect), _grey(source)
    alike = seen & (_likeness(first, second, seen.astype(np.float32)) > _ALIKE)
    still = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _STEPS, _PRECISION)
    try:
        _, matrix = cv2.findTransformECC(
            first, second, still, cv2.MOTION_AFFINE, criteria, alike.astype(np.uint8) * np.uint8(255), 1
        )
    except cv2.error:  # nothing alike, or nothing that it could follow
        return None
    return np.asarray(matrix, dtype=np.float32)


def _move(source: Pixels, motion: NDArray[np.float32] | None) -> Pixels:
    if motion is None:
        return source
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(source, motion, (VIEW_PX, VIEW_PX), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def _grey(picture: Pixels) -> Floats:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def _blur(values: Floats, sigma_px: float) -> Floats:
    """A wide blur of a view or of half of one, sigma in the view's pixels; made of a quarter, smooth and as good."""
    small = cv2.resize(values, (VIEW_PX // _COARSER, VIEW_PX // _COARSER), interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(small, (0, 0), sigma_px / _COARSER)
    return np.asarray(cv2.resize(wide, values.shape[1::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _likeness(first: Floats, second: Floats, seen: Floats) -> Floats:
    """Local correlation (256, 256) of two grey pictures over what is seen; 1 where either has no structure."""
    share = _blur(seen, _LIKENESS_SIGMA_PX) + np.float32(1e-6)

    def mean(values: Floats) -> Floats:
        return np.asarray(_blur(values * seen, _LIKENESS_SIGMA_PX) / share, dtype=np.float32)

    one, other = first - mean(first), second - mean(second)
    spread = np.sqrt(mean(one * one) * mean(other * other)) + np.float32(_NOISE_VARIANCE)
    return np.asarray((mean(one * other) + np.float32(_NOISE_VARIANCE)) / spread, dtype=np.float32)


def _fitted_difference(first: Floats, second: Floats, seen: Floats) -> Floats:
    """The first less the second (H, W, 3), each channel's offset and gain fitted in every window."""
    share = (_blur(seen, _FIT_SIGMA_PX) + np.float32(1e-6))[:, :, None]
    weight = seen[:, :, None]

    def mean(values: Floats) -> Floats:
        return np.asarray(_blur(values * weight, _FIT_SIGMA_PX) / share, dtype=np.float32)

    one, other = first - mean(first), second - mean(second)
    eps = np.float32(_FIT_VARIANCE)
    gain = (mean(one * other) + eps) / (mean(other * other) + eps)
    return np.asarray((one - gain * other) * weight, dtype=np.float32)
