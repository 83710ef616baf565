"""Finding the tagged frame in a cropped, mirrored, turned or bordered picture.

The public synchronisation carrier is correlated with the residual map over all translations at once (FFT) for a bounded
list of scales, turns and mirrorings; the best few are refined. Peaks are in standard deviations of their own
correlation surface, so a peak means the same in every picture. Only hypotheses that are then matched against a registry
count in the E-value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import GRID
from ftforensics.imaging import geometry

PAD = 128

Floats = NDArray[np.float32]
Complexes = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A hypothesis up to translation: the frame's size in the suspect's, its turn in pixels, and mirroring."""

    scale_x: float
    scale_y: float
    angle_deg: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A found frame: ``to_suspect`` maps the tagged frame's unit coordinates to the suspect's."""

    shape: Shape
    to_suspect: geometry.Affine
    peak: float


def scale_ladder(low: float, high: float, step: float) -> list[float]:
    """Scales from low to high in equal ratios of about 1 + step."""
    count = int(np.ceil(np.log(high / low) / np.log1p(step))) + 1
    return [float(value) for value in np.geomspace(low, high, count)]


@lru_cache(maxsize=4)
def build_shapes(deep: bool) -> tuple[Shape, ...]:
    """The bounded list of hypotheses: default about 150, deep about 1,500."""
    step = 0.025
    ladder = scale_ladder(0.62, 2.1, step)
    shapes = [Shape(scale_x=s, scale_y=s, mirrored=m) for s in ladder for m in (False, True)]
    angles = [sign * value for value in (3.0, 6.0, 9.0, 12.0) for sign in (-1.0, 1.0)]
    shapes += [Shape(scale_x=s, scale_y=s, angle_deg=a) for a in angles for s in (0.98, 1.02, 1.06)]
    if not deep:
        return tuple(shapes)
    wide = scale_ladder(0.7, 2.5, 0.03)
    shapes += [
        Shape(scale_x=x, scale_y=y, mirrored=m)
        for x in wide
        for y in wide
        if abs(np.log(x / y)) > 0.02 and abs(np.log(x / y)) < 0.4
        for m in (False, True)
    ]
    turns = [float(a) for a in np.arange(-16.0, 16.1, 2.0) if abs(a) > 1.0]
    shapes += [Shape(scale_x=s, scale_y=s, angle_deg=a) for a in turns for s in scale_ladder(0.75, 1.9, 0.04)]
    shapes += [
        Shape(scale_x=s, scale_y=s, angle_deg=a) for a in (90.0, 180.0, 270.0) for s in scale_ladder(0.9, 1.6, 0.03)
    ]
    return tuple(shapes)


def linear_part(shape: Shape, aspect: float) -> NDArray[np.float64]:
    """The 2x2 map of a hypothesis in unit coordinates; ``aspect`` is the suspect's width over height.

    A turn is rigid in pixels, so in unit coordinates it is squeezed by the aspect.
    """
    turn = np.deg2rad(shape.angle_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    squeeze = np.diag([aspect, 1.0])
    rigid = np.linalg.inv(squeeze) @ rotation @ squeeze
    return np.asarray(rigid @ np.diag([-shape.scale_x if shape.mirrored else shape.scale_x, shape.scale_y]))


def render_sync(sync: Floats, linear: NDArray[np.float64], side: int) -> Floats:
    """The sync carrier (3, 64, 64) drawn about the middle of a (3, side, side) plane, scaled and turned."""
    middle = np.array([0.5, 0.5])
    affine = np.hstack([linear, (middle - linear @ middle)[:, None]])
    # Unit coordinates here are those of the suspect's 64-cell map; the plane is side / 64 times as wide.
    pixels = geometry.to_pixels(affine, (GRID, GRID), (GRID, GRID))
    offset = (side - GRID) / 2.0
    pixels[:, 2] += offset
    image = np.ascontiguousarray(sync.transpose(1, 2, 0))
    flags = cv2.INTER_LINEAR if abs(np.linalg.det(linear)) > 0.9 else cv2.INTER_AREA
    drawn = cv2.warpAffine(image, pixels, (side, side), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(drawn.transpose(2, 0, 1), dtype=np.float32)


def _template(sync: Floats, linear: NDArray[np.float64]) -> Complexes:
    drawn = render_sync(sync, linear, PAD)
    norm = float(np.linalg.norm(drawn))
    return np.conj(np.fft.rfft2(drawn / max(norm, 1e-9))).astype(np.complex64)


class SyncSearch:
    """The search for one model's sync carrier.

    Templates of upright hypotheses are kept; turned ones depend on the aspect.
    """

    def __init__(self, sync: Floats) -> None:
        self.sync = sync
        self._kept: dict[Shape, Complexes] = {}

    def _transform(self, shape: Shape, aspect: float) -> Complexes:
        if shape.angle_deg != 0.0:
            return _template(self.sync, linear_part(shape, aspect))
        if shape not in self._kept:
            self._kept[shape] = _template(self.sync, linear_part(shape, 1.0))
        return self._kept[shape]

    def find(self, residual: Floats, aspect: float, *, deep: bool = False, keep: int = 3) -> list[Frame]:
        """The ``keep`` strongest frames in a residual map (3, 64, 64), refined, strongest first."""
        padded = np.zeros((3, PAD, PAD), dtype=np.float32)
        at = (PAD - GRID) // 2
        padded[:, at : at + GRID, at : at + GRID] = residual
        spectrum = np.fft.rfft2(padded).astype(np.complex64)
        found: list[tuple[float, Shape, tuple[int, int]]] = []
        for shape in build_shapes(deep):
            product = (spectrum * self._transform(shape, aspect)).sum(axis=0)
            surface = np.fft.irfft2(product, s=(PAD, PAD))
            index = int(np.argmax(surface))
            peak = float(surface.flat[index] / (surface.std() + 1e-12))
            found.append((peak, shape, (index // PAD, index % PAD)))
        found.sort(key=lambda item: -item[0])
        frames = [self._refine(residual, aspect, *item) for item in _distinct(found, keep)]
        return sorted(frames, key=lambda frame: -frame.peak)

    def refine_aligned(self, residual: Floats, aspect: float) -> geometry.Affine:
        """The small correction of a residual map nearly in the tagged frame: frame to map, near the identity."""
        upright = Shape(scale_x=1.0, scale_y=1.0)
        return self._refine(residual, aspect, 0.0, upright, (0, 0), rounds=5).to_suspect

    def _refine(
        self, residual: Floats, aspect: float, peak: float, shape: Shape, at: tuple[int, int], *, rounds: int = 5
    ) -> Frame:
        """Climb the correlation over scales, turn and translation from a grid hypothesis."""
        down, across = (value if value < PAD // 2 else value - PAD for value in at)
        start = np.array([shape.scale_x, shape.scale_y, shape.angle_deg, across / GRID, down / GRID])
        best, score = start, self._score(residual, aspect, shape, start)
        width = np.array([0.012, 0.012, 1.5, 0.5 / GRID, 0.5 / GRID])
        for _ in range(rounds):
            for axis in range(5):
                for sign in (-1.0, 1.0):
                    trial = best.copy()
                    trial[axis] += sign * width[axis]
                    value = self._score(residual, aspect, shape, trial)
                    if value > score:
                        best, score = trial, value
                        break
            width = width * 0.6
        refined = Shape(scale_x=best[0], scale_y=best[1], angle_deg=best[2], mirrored=shape.mirrored)
        return Frame(shape=refined, to_suspect=_affine(refined, aspect, best[3], best[4]), peak=peak)

    def _score(self, residual: Floats, aspect: float, shape: Shape, at: NDArray[np.float64]) -> float:
        trial = Shape(scale_x=at[0], scale_y=at[1], angle_deg=at[2], mirrored=shape.mirrored)
        return correlate_frame(residual, self.sync, _affine(trial, aspect, float(at[3]), float(at[4])))


def _affine(shape: Shape, aspect: float, shift_x: float, shift_y: float) -> geometry.Affine:
    linear = linear_part(shape, aspect)
    middle = np.array([0.5, 0.5])
    offset = middle - linear @ middle + np.array([shift_x, shift_y])
    return np.hstack([linear, offset[:, None]])


def correlate_frame(residual: Floats, sync: Floats, to_suspect: geometry.Affine) -> float:
    """Normalised correlation of a residual map with the sync carrier laid into it by a frame; in [-1, 1]."""
    pixels = geometry.to_pixels(to_suspect, (GRID, GRID), (GRID, GRID))
    image = np.ascontiguousarray(sync.transpose(1, 2, 0))
    drawn = cv2.warpAffine(image, pixels, (GRID, GRID), flags=cv2.INTER_LINEAR, borderValue=0).transpose(2, 0, 1)
    norm = float(np.linalg.norm(drawn) * np.linalg.norm(residual))
    return float(np.vdot(drawn, residual) / norm) if norm > 0 else 0.0


def _distinct(
    found: list[tuple[float, Shape, tuple[int, int]]], keep: int
) -> list[tuple[float, Shape, tuple[int, int]]]:
    """The strongest hypotheses that are not neighbours of a stronger one."""
    chosen: list[tuple[float, Shape, tuple[int, int]]] = []
    for item in found:
        if all(_apart(item[1], other[1]) for other in chosen):
            chosen.append(item)
        if len(chosen) == keep:
            break
    return chosen


def _apart(left: Shape, right: Shape) -> bool:
    near = abs(np.log(left.scale_x / right.scale_x)) < 0.06 and abs(np.log(left.scale_y / right.scale_y)) < 0.06
    return not (near and abs(left.angle_deg - right.angle_deg) < 4.0 and left.mirrored == right.mirrored)
