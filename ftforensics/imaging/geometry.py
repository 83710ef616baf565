"""Affine maps in unit coordinates, and pictures warped by them.

A map is ``float64 (2, 3)``: (x, y, 1) in unit coordinates of one picture ((0, 0) the top left corner, (1, 1) the bottom
right) to unit coordinates of another.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.imaging.resample import resize

Affine = NDArray[np.float64]

IDENTITY: Affine = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def compose(outer: Affine, inner: Affine) -> Affine:
    """The map that applies ``inner`` first."""
    full = np.vstack([inner, [0.0, 0.0, 1.0]])
    return np.asarray(outer @ full)


def invert(affine: Affine) -> Affine:
    """The inverse map; raises numpy's LinAlgError for a degenerate one."""
    return np.asarray(np.linalg.inv(np.vstack([affine, [0.0, 0.0, 1.0]]))[:2])


def about_centre(
    *,
    scale_x: float = 1.0,
    scale_y: float = 1.0,
    angle_deg: float = 0.0,
    centre: tuple[float, float] = (0.5, 0.5),
    mirrored: bool = False,
) -> Affine:
    """The map that sends the unit square's middle to ``centre``, scaled, turned and perhaps mirrored left to right."""
    turn = np.deg2rad(angle_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = rotation @ np.diag([-scale_x if mirrored else scale_x, scale_y])
    shift = np.asarray(centre) - linear @ np.array([0.5, 0.5])
    return np.hstack([linear, shift[:, None]])


def to_pixels(affine: Affine, into: tuple[int, int], source: tuple[int, int]) -> Affine:
    """The same map between pixel coordinates (centres at integers) of pictures of these (height, width)."""
    unit = np.array([[1.0 / source[1], 0.0, 0.5 / source[1]], [0.0, 1.0 / source[0], 0.5 / source[0]]])
    grown = np.array([[float(into[1]), 0.0, -0.5], [0.0, float(into[0]), -0.5]])
    return compose(grown, compose(affine, unit))


def sample_frame(
    image: NDArray[Any], frame: Affine, side: tuple[int, int], fill: tuple[float, ...] | None = None
) -> NDArray[Any]:
    """Look at ``image`` through a frame: result(u) = image(frame(u)), (height, width) = ``side``.

    The picture is first shrunk by area to about the scale it will be seen at, so that nothing aliases. Outside the
    picture is ``fill``, by default the picture's mean.
    """
    height, width = image.shape[:2]
    tall, wide = side
    seen_x, seen_y = float(np.hypot(frame[0, 0], frame[1, 0])), float(np.hypot(frame[0, 1], frame[1, 1]))
    target_w = min(width, max(8, round(wide / max(seen_x, 1e-6))))
    target_h = min(height, max(8, round(tall / max(seen_y, 1e-6))))
    small = resize(image, target_w, target_h)
    if fill is None:
        fill = tuple(float(value) for value in np.atleast_1d(small.reshape(-1, *small.shape[2:]).mean(axis=0)))
    matrix = to_pixels(frame, small.shape[:2], side)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(small, matrix, (wide, tall), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)
    return np.asarray(warped)
