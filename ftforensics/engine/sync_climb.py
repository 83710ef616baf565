"""Refining a frame: scales, turn and shifts are climbed along the carrier's own slopes.

Enters: planes of a residual map and a frame that is nearly right. Leaves: the frame in which the synchronisation
carrier stands out most nearby. The map is seen through the frame once a step; products with the carrier and with six
images of its slopes then give the response and how it would change, so a step costs one warp however many parameters
there are (the inverse compositional algorithm of Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 56(3), 2004).
About the middle of what is seen of the frame the parameters hardly depend on each other, and the carrier is as rough
everywhere, so the curvature is a number for each.
"""

from __future__ import annotations

from math import hypot, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import GRID, dct_matrix
from ftforensics.imaging import geometry

Floats = NDArray[np.float32]

# No step moves an edge of what is seen further than the carrier's slopes reach.
_REACH_CELLS = 0.7
_SETTLED_CELLS = 0.03


class Climber:
    """Climbs one carrier.

    Args:
        planes: The carrier's planes (P, 64, 64).
    """

    def __init__(self, planes: Floats) -> None:
        across, down = _slopes(planes.astype(np.float64))
        cells = (np.arange(GRID) + 0.5) / GRID
        columns, rows = cells[None, :], cells[:, None]
        moved = [-slope * weight for slope in (across, down) for weight in (1.0, columns, rows)]
        images = np.stack([planes.astype(np.float64), *moved]).transpose(0, 2, 3, 1)
        # The carrier and how it changes with an offset, x and y in the displacement across, then down.
        self._images = np.ascontiguousarray(images.reshape(len(images), -1), dtype=np.float32)
        energy = float(np.square(planes, dtype=np.float64).sum())
        self._norm = sqrt(energy)
        self._rough = (float(np.square(across).sum()) / energy, float(np.square(down).sum()) / energy)

    def climb(
        self, image: Floats, aspect: float, frame: geometry.Affine, steps: int
    ) -> tuple[geometry.Affine, float, float]:
        """The best frame within so many steps.

        Args:
            image: Planes of a map, (64, 64, P).
            aspect: Width over height of the picture that the map shows.
            frame: Tagged frame to map.
            steps: How often the map is seen anew.

        Returns:
            The frame, its correlation and that of the first one, in [-1, 1]. A frame in which the carrier does not show
            at all comes back as it is.
        """
        strength = float(np.linalg.norm(image)) * self._norm
        if strength <= 0.0:
            return frame, 0.0, 0.0
        seen = _Seen(frame)
        first = best = -1.0
        at = chosen = frame
        for step in range(steps + 1):
            products = self._see(image, at)
            correlation = products[0] * seen.weight(at) / strength
            if step == 0:
                first = correlation
            if correlation > best:
                best, chosen = correlation, at
            if products[0] <= 0.0 or step == steps:
                break
            at, moved = seen.move(at, products, self._rough, aspect)
            if moved * GRID < _SETTLED_CELLS:
                break
        return chosen, best, first

    def _see(self, image: Floats, frame: geometry.Affine) -> list[float]:
        """Products of a map seen through a frame with the carrier and its slopes."""
        pixels = geometry.to_pixels(frame, (GRID, GRID), (GRID, GRID))
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(image, pixels, (GRID, GRID), flags=flags, borderValue=0)
        return [float(value) for value in self._images @ seen.ravel()]


class _Seen:
    """What is seen of a frame: its part in the map, about whose middle each parameter moves least."""

    def __init__(self, frame: geometry.Affine) -> None:
        a, b, c, d, e, f = (float(value) for value in frame.ravel())
        area = a * e - b * d
        corners = [
            ((e * (x - c) - b * (y - f)) / area, (a * (y - f) - d * (x - c)) / area) for x in (0, 1) for y in (0, 1)
        ]
        spans = [sorted(min(1.0, max(0.0, corner[axis])) for corner in corners) for axis in (0, 1)]
        (left, *_, right), (top, *_, bottom) = spans
        self.middle = ((left + right) / 2.0, (top + bottom) / 2.0)
        self.size = (max(right - left, 1e-3), max(bottom - top, 1e-3))

    def weight(self, frame: geometry.Affine) -> float:
        """What turns a product in the frame's cells into one in the map's, over the norm of the part that is seen."""
        area = abs(float(frame[0, 0] * frame[1, 1] - frame[0, 1] * frame[1, 0]))
        return sqrt(area) / sqrt(min(1.0, self.size[0] * self.size[1]))

    def move(
        self, frame: geometry.Affine, products: list[float], rough: tuple[float, float], aspect: float
    ) -> tuple[geometry.Affine, float]:
        """The frame after one step of Newton's, and the largest movement of what is seen in frame sizes."""
        response, across, across_x, across_y, down, down_x, down_y = products
        (x, y), (wide, tall) = self.middle, self.size
        # The slopes' moments about the middle, and how a turn in the picture moves the frame's coordinates.
        across_x, across_y = across_x - x * across, across_y - y * across
        down_x, down_y = down_x - x * down, down_y - y * down
        a, b, d, e = (float(value) for value in frame[:, :2].ravel())
        area = a * e - b * d
        turn = (
            (-e * d / aspect - b * a * aspect) / area,
            (-e * e / aspect - b * b * aspect) / area,
            (d * d / aspect + a * a * aspect) / area,
            (d * e / aspect + a * b * aspect) / area,
        )
        spread = (wide * wide / 12.0, tall * tall / 12.0)
        slope = turn[0] * across_x + turn[1] * across_y + turn[2] * down_x + turn[3] * down_y
        bend = rough[0] * (turn[0] ** 2 * spread[0] + turn[1] ** 2 * spread[1])
        bend += rough[1] * (turn[2] ** 2 * spread[0] + turn[3] ** 2 * spread[1])
        reach = _REACH_CELLS / GRID
        shift_x = _clip(across / (response * rough[0]), reach)
        shift_y = _clip(down / (response * rough[1]), reach)
        scale_x = _clip(across_x / (response * rough[0] * spread[0]), 2.0 * reach / wide)
        scale_y = _clip(down_y / (response * rough[1] * spread[1]), 2.0 * reach / tall)
        lever = max(hypot(turn[0], turn[2]) * wide, hypot(turn[1], turn[3]) * tall) / 2.0
        angle = _clip(slope / (response * bend), reach / lever)
        linear = np.array(
            [[1.0 + scale_x + angle * turn[0], angle * turn[1]], [angle * turn[2], 1.0 + scale_y + angle * turn[3]]]
        )
        middle = np.array([x, y])
        step = np.column_stack([linear, middle - linear @ middle + np.array([shift_x, shift_y])])
        moved = max(
            abs(shift_x), abs(shift_y), abs(scale_x) * wide / 2.0, abs(scale_y) * tall / 2.0, abs(angle) * lever
        )
        return geometry.compose(frame, step), moved


def _clip(value: float, reach: float) -> float:
    return min(reach, max(-reach, value))


def _slopes(planes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Derivatives (P, 64, 64) across and down, by frame sizes, of planes that are sums of the DCT's cosines."""
    dct, waves = dct_matrix(), np.arange(GRID)
    angles = np.pi * (2 * waves[None, :] + 1) * waves[:, None] / (2 * GRID)
    sines = -np.pi * waves[:, None] * np.sin(angles) * np.sqrt(2.0 / GRID)
    amounts = dct @ planes @ dct.T
    return np.asarray(dct.T @ amounts @ sines), np.asarray(sines.T @ amounts @ dct)
