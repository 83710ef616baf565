"""Lay the source's preview on the suspect and ask, window by window, whether they show the same thing.

In: pixels of both and the homography between them. Out: both pictures in one frame, and maps of local agreement. Used
to confirm a registration (shared logos and repeated patterns fit a homography too, but nothing around them agrees) and
to measure what was changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.link.homography import Reals, map_points

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

ALIGN_PX = 256
_MIN_ALIGN_PX = 96
_PREFILTER_SIGMA_PX = 0.8
AGREEING_CORRELATION = 0.85
TEXTURED_WEIGHT = 0.5

WINDOW_SIGMA_PX = 3.0
BLACK, BURNT_OUT = 4.0, 250.0
_NOISE_VARIANCE = 3.0
_STRUCTURE_VARIANCE = 12.0
_MIN_COVERAGE = 0.25
_LOG_SCALE, _LOG_OFFSET = 120.0, 24.0
_LIGHT_SIGMA_PX = 6.0
_SHARPNESS_RATIO = 0.8
_BLURS_PX = (0.5, 0.7, 0.9, 1.2, 1.5, 1.9, 2.4)
_REGIONAL_SHARE, _LEAST_WEIGHT = 0.03, 0.2
_SHIFTS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """Two pictures in the suspect's frame: float32 (H, W, 3), 0..255, and ``seen``, bool (H, W), where both are."""

    suspect: F32
    source: F32
    seen: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """``share`` of the textured overlap on which source and suspect correlate, ``area`` of it in frame shares."""

    share: float
    textured_fraction: float
    agreeing_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LaidOver:
    """A source laid over a suspect: both in one frame, and what ``local_structure`` says of them."""

    aligned: Aligned
    correlation: F32
    weight: F32

    @property
    def agreeing(self) -> Mask:
        """Where there is texture and it agrees, bool (H, W)."""
        return agreeing_texture(self.correlation, self.weight, self.aligned.seen)

    @property
    def agreement(self) -> Agreement:
        """What it says on the whole."""
        return summarise_structure(self.correlation, self.weight, self.aligned.seen)


def lay_over(suspect: U8, source: U8, matrix: Reals) -> LaidOver:
    """Both in the suspect's frame, as ``align`` brings them there, compared window by window."""
    aligned = align(suspect, source, matrix)
    correlation, weight = local_structure(aligned)
    return LaidOver(aligned=aligned, correlation=correlation, weight=weight)


def clipped_in_one(aligned: Aligned) -> Mask:
    """Where both show something and one of them alone is burnt out or black: structure says nothing of it."""
    first, second = (_is_clipped(grey(pixels)) for pixels in (aligned.suspect, aligned.source))
    return np.asarray((first ^ second) & aligned.seen, np.bool_)


def align(suspect: U8, source: U8, matrix: Reals, *, long_side_px: int = ALIGN_PX) -> Aligned:
    """Warp the source into the suspect's frame, at a resolution both pictures really have.

    Args:
        suspect: uint8 (H, W, 3).
        source: uint8 (h, w, 3), the preview.
        matrix: Homography from source to suspect, unit coordinates.
        long_side_px: Largest side of the common frame.
    """
    height, width = suspect.shape[:2]
    scale = min(1.0, long_side_px / max(height, width), _source_scale(suspect, source, matrix))
    scale = max(scale, min(1.0, _MIN_ALIGN_PX / max(height, width)))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(np.ascontiguousarray(suspect), size, interpolation=cv2.INTER_AREA).astype(np.float32)
    shrunk = _shrink_source(source, matrix, size)
    to_pixels = unit_to_pixels(*size) @ matrix @ np.linalg.inv(unit_to_pixels(shrunk.shape[1], shrunk.shape[0]))
    warped = cv2.warpPerspective(shrunk, to_pixels, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Aligned(suspect=_soften(small), source=_soften(np.asarray(warped, np.float32)), seen=_seen(matrix, size))


def measure_agreement(aligned: Aligned) -> Agreement:
    """How much of what either picture shows is the same in both, whatever the light, colour and compression."""
    return summarise_structure(*local_structure(aligned), aligned.seen)


def summarise_structure(correlation: F32, weight: F32, both: Mask) -> Agreement:
    """What ``local_structure`` says on the whole of the part that ``both`` pictures show."""
    textured = both & (weight > TEXTURED_WEIGHT)
    seen = max(int(both.sum()), 1)
    agreeing = int(agreeing_texture(correlation, weight, both).sum())
    return Agreement(
        share=agreeing / max(int(textured.sum()), 1),
        textured_fraction=float(textured.sum()) / seen,
        agreeing_fraction=agreeing / seen,
    )


def agreeing_texture(correlation: F32, weight: F32, both: Mask) -> Mask:
    """Where both pictures show texture and it is the same, bool (H, W)."""
    return np.asarray(both & (weight > TEXTURED_WEIGHT) & (correlation > AGREEING_CORRELATION), np.bool_)


def local_structure(aligned: Aligned) -> tuple[F32, F32]:
    """Best local correlation over one-pixel shifts, and how much structure there is to judge by.

    Returns:
        Correlation, -1..1, and weight, 0..1, each float32 (H, W). Flat, clipped or unseen windows weigh nothing.
    """
    mask = judged(aligned)
    first, second = equal_detail(aligned)
    coverage = blur(mask, WINDOW_SIGMA_PX)
    norm = np.maximum(coverage, 1e-3)

    def mean(values: F32) -> F32:
        return np.asarray(blur(values * mask, WINDOW_SIGMA_PX) / norm, np.float32)

    first_mean = mean(first)
    first_var = np.maximum(mean(first * first) - first_mean**2, 0)
    best = np.full(first.shape, -1.0, np.float32)
    stronger = first_var
    for dx, dy in _SHIFTS:
        moved = np.roll(second, (dy, dx), axis=(0, 1)) if dx or dy else second
        moved_mean = mean(moved)
        moved_var = np.maximum(mean(moved * moved) - moved_mean**2, 0)
        covariance = mean(first * moved) - first_mean * moved_mean
        spread = np.sqrt((first_var + _NOISE_VARIANCE) * (moved_var + _NOISE_VARIANCE))
        best = np.maximum(best, (covariance + _NOISE_VARIANCE) / spread)
        if not dx and not dy:
            stronger = np.maximum(first_var, moved_var)
    weight = stronger / (stronger + _STRUCTURE_VARIANCE) * (coverage > _MIN_COVERAGE)
    return best.astype(np.float32), weight.astype(np.float32)


def regional_correlation(correlation: F32, weight: F32) -> F32:
    """What ``local_structure`` found, averaged some way around each place: low where something else was put.

    Over a few windows unlike things agree by accident; over a region they do not, and what was only reworked does. 1
    where nothing has texture: nothing can be told from structure there.
    """
    sigma = _REGIONAL_SHARE * max(correlation.shape)
    near = blur(weight, sigma)
    mean = blur(correlation * weight, sigma) / (near + 1e-9)
    return np.asarray(np.where(near > _LEAST_WEIGHT, mean, 1.0), np.float32)


def equal_detail(aligned: Aligned) -> tuple[F32, F32]:
    """Detail of suspect and source, equally sharp and free of light: log luma about 0, float32 (H, W) each."""
    mask = judged(aligned)
    first, second = _equally_sharp(_levels(aligned.suspect), _levels(aligned.source), mask > 0)
    return _detail(first, mask), _detail(second, mask)


def judged(aligned: Aligned) -> F32:
    """1 where both pictures show something that is neither burnt out nor black, else 0."""
    return (aligned.seen & ~_clipped(aligned)).astype(np.float32)


def _levels(pixels: F32) -> F32:
    """Logarithm of luma, scaled so that a step in the middle of the range is about one grey level."""
    return np.asarray(_LOG_SCALE * np.log(grey(pixels) + _LOG_OFFSET), np.float32)


def _detail(levels: F32, mask: F32) -> F32:
    """Log luma less its local mean over the mask: another light is a smooth sum there, and goes away."""
    mean = blur(levels * mask, _LIGHT_SIGMA_PX) / np.maximum(blur(mask, _LIGHT_SIGMA_PX), 1e-3)
    return np.asarray((levels - mean) * mask, np.float32)


def _equally_sharp(first: F32, second: F32, mask: Mask) -> tuple[F32, F32]:
    """Blur the sharper of the two until both have the same fine detail nearly everywhere."""
    energies = (_fine_energy(first, mask), _fine_energy(second, mask))
    if min(energies) > _SHARPNESS_RATIO * max(energies):
        return first, second
    first_is_sharper = energies[0] > energies[1]
    sharper = first if first_is_sharper else second
    best = sharper
    for sigma in _BLURS_PX:
        best = blur(sharper, sigma)
        if _fine_energy(best, mask) <= min(energies):
            break
    return (best, second) if first_is_sharper else (first, best)


def _fine_energy(levels: F32, mask: Mask) -> float:
    fine = np.abs(levels - blur(levels, 1.0))[mask]
    return float(np.quantile(fine, 0.7)) if fine.size else 0.0


def _clipped(aligned: Aligned) -> Mask:
    """Where either picture is burnt out or black and says nothing."""
    return _is_clipped(grey(aligned.suspect)) | _is_clipped(grey(aligned.source))


def _is_clipped(luma: F32) -> Mask:
    """Where luma of 0..255 is burnt out or black."""
    return np.asarray((luma > BURNT_OUT) | (luma < BLACK), np.bool_)


def grey(pixels: F32) -> F32:
    """Luma of float32 (H, W, 3)."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)


def blur(values: F32, sigma_px: float) -> F32:
    """Gaussian blur of float32 (H, W) or (H, W, 3)."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT_101), np.float32)


def _soften(pixels: F32) -> F32:
    return blur(pixels, _PREFILTER_SIGMA_PX)


def unit_to_pixels(width: int, height: int) -> Reals:
    """Unit coordinates to pixel centres."""
    return np.array([[width, 0.0, -0.5], [0.0, height, -0.5], [0.0, 0.0, 1.0]])


def _source_scale(suspect: U8, source: U8, matrix: Reals) -> float:
    """Source pixels for each suspect pixel, at the middle of what is seen."""
    back = np.linalg.inv(matrix)
    steps = np.array([[0.5, 0.5], [0.5 + 1e-3, 0.5], [0.5, 0.5 + 1e-3]])
    in_source = map_points(back, steps) * np.array([source.shape[1], source.shape[0]])
    in_suspect = steps * np.array([suspect.shape[1], suspect.shape[0]])
    across = (in_source[1:] - in_source[0]) / 1e-3
    along = np.abs(in_suspect[1:] - in_suspect[0]).sum(axis=1) / 1e-3
    return float(np.min(np.linalg.norm(across, axis=1) / along))


def _shrink_source(source: U8, matrix: Reals, size: tuple[int, int]) -> F32:
    """Bring the source near the common frame's resolution by area averaging, so that warping does not alias."""
    width, height = size
    back = np.linalg.inv(matrix)
    steps = np.array([[0.5, 0.5], [0.5 + 1 / width, 0.5], [0.5, 0.5 + 1 / height]])
    in_source = map_points(back, steps) * np.array([source.shape[1], source.shape[0]])
    density = float(np.mean(np.linalg.norm(in_source[1:] - in_source[0], axis=1)))
    pixels = np.ascontiguousarray(source)
    if density > 1.25:
        target = (max(8, round(source.shape[1] / density)), max(8, round(source.shape[0] / density)))
        pixels = np.asarray(cv2.resize(pixels, target, interpolation=cv2.INTER_AREA), np.uint8)
    return pixels.astype(np.float32)


def _seen(matrix: Reals, size: tuple[int, int]) -> Mask:
    """Where the source falls in the common frame, one pixel inside its edges."""
    canvas = np.full((128, 128), 255, np.uint8)
    to_pixels = unit_to_pixels(*size) @ matrix @ np.linalg.inv(unit_to_pixels(128, 128))
    filled = cv2.warpPerspective(canvas, to_pixels, size, flags=cv2.INTER_LINEAR, borderValue=0)
    inside = cv2.erode((filled > 250).astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    return np.asarray(inside > 0, np.bool_)
