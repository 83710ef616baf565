"""Frames of an examined picture: where a registration puts the source, how it lies."""

from __future__ import annotations

import numpy as np

from ftforensics.domain.link import Registration
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import Pixels
from ftforensics.link.homography import Reals
from ftforensics.link.register import matrix_of


def frame_of(registration: Registration) -> geometry.Affine:
    """The affine map that best follows a registration: source frame to suspect."""
    return follow(matrix_of(registration))


def follow(matrix: Reals) -> geometry.Affine:
    """The affine map (2, 3) that best follows a homography (3, 3) over the unit square."""
    points = np.array([[x, y, 1.0] for y in (0.1, 0.5, 0.9) for x in (0.1, 0.5, 0.9)])
    mapped = points @ matrix.T
    solution = np.linalg.lstsq(points, mapped[:, :2] / mapped[:, 2:], rcond=None)[0]
    return np.asarray(solution.T)


def turn_upright(pixels: Pixels, frame: geometry.Affine) -> Pixels:
    """A picture turned by the quarter turns that bring the tagged frame nearest to upright; a mirrored one stays so."""
    down = frame[:, 1]
    quarters = round(float(np.degrees(np.arctan2(down[0], down[1]))) / 90.0) % 4
    return np.ascontiguousarray(np.rot90(pixels, -quarters)) if quarters else pixels
