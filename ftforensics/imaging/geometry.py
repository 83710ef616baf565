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
# Left, top, right and bottom in unit coordinates of a picture.
Rectangle = tuple[float, float, float, float]

IDENTITY: Affine = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
WHOLE: Rectangle = (0.0, 0.0, 1.0, 1.0)


def homogeneous(affine: Affine) -> NDArray[np.float64]:
    """An affine map (2, 3) as a matrix (3, 3) of homogeneous coordinates."""
    return np.vstack([affine, [0.0, 0.0, 1.0]])


def compose(outer: Affine, inner: Affine) -> Affine:
    """The map that applies ``inner`` first."""
    full = homogeneous(inner)
    return np.asarray(outer @ full)


def invert(affine: Affine) -> Affine:
    """The inverse map; raises numpy's LinAlgError for a degenerate one."""
    return np.asarray(np.linalg.inv(homogeneous(affine))[:2])


def bounds(frame: Affine) -> Rectangle:
    """The upright rectangle around a frame's unit square, as far as it lies in the picture."""
    corners = frame @ np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]).T
    left, top = np.clip(corners.min(axis=1), 0.0, 1.0)
    right, bottom = np.clip(corners.max(axis=1), 0.0, 1.0)
    return float(left), float(top), float(right), float(bottom)


def seen_cells(frame: Affine, grid: int) -> NDArray[np.bool_]:
    """Which cells of a tagged frame lie inside the picture that it is laid into."""
    at = (np.arange(grid) + 0.5) / grid
    x, y = np.meshgrid(at, at)
    points = np.stack([x, y, np.ones_like(x)], axis=-1) @ frame.T
    return np.asarray(((points >= 0.0) & (points <= 1.0)).all(axis=-1))


def seen_share(frame: Affine, grid: int = 16) -> float:
    """About which share of a tagged frame lies inside the picture that it is laid into."""
    return float(seen_cells(frame, grid).mean())


def upright(rectangle: Rectangle) -> Affine:
    """The frame that a rectangle is: unit coordinates of it to those of the picture."""
    left, top, right, bottom = rectangle
    return np.array([[right - left, 0.0, left], [0.0, bottom - top, top]])


def cut(image: NDArray[Any], rectangle: Rectangle) -> tuple[NDArray[Any], Rectangle]:
    """The pixels (h, w, ...) of a picture in a rectangle, and the rectangle that they are, in unit coordinates."""
    height, width = image.shape[:2]
    left, right = _span(rectangle[0], rectangle[2], width)
    top, bottom = _span(rectangle[1], rectangle[3], height)
    pixels = np.ascontiguousarray(image[top:bottom, left:right])
    return pixels, (left / width, top / height, right / width, bottom / height)


def _span(start: float, end: float, size_px: int) -> tuple[int, int]:
    return max(0, round(start * size_px)), min(size_px, round(end * size_px))


def area(rectangle: Rectangle) -> float:
    """Of a rectangle; 0 where its ends have changed places."""
    left, top, right, bottom = rectangle
    return max(0.0, right - left) * max(0.0, bottom - top)


def common_part(left: Rectangle, right: Rectangle) -> Rectangle:
    """What two rectangles share; where they share nothing, its ends have changed places."""
    return max(left[0], right[0]), max(left[1], right[1]), min(left[2], right[2]), min(left[3], right[3])


def covered_share(rectangle: Rectangle, by: Rectangle) -> float:
    """The share of a rectangle that another covers; 0 for an empty one."""
    own = area(rectangle)
    return area(common_part(rectangle, by)) / own if own > 0.0 else 0.0


def likeness(left: Rectangle, right: Rectangle) -> float:
    """Area that two rectangles share over the area that either covers; 0 to 1."""
    shared = covered_share(left, right) * area(left)
    either = area(left) + area(right) - shared
    return shared / either if either > 0.0 else 0.0


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
