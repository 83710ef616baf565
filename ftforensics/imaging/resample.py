"""Resizing with one convention everywhere: pixel centres at half integers, area averaging down, cubic up."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def resize(image: NDArray[Any], width_px: int, height_px: int) -> NDArray[Any]:
    """Resize (H, W) or (H, W, C) to the given size, keeping the dtype.

    Shrinking in either direction averages areas, so that nothing aliases into the tag's band; growing interpolates
    cubically.
    """
    height, width = image.shape[:2]
    if (width, height) == (width_px, height_px):
        return image
    shrinking = width_px < width or height_px < height
    method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width_px, height_px), interpolation=method))


def fit_within(image: NDArray[Any], max_px: int) -> NDArray[Any]:
    """Shrink so that the long side is at most ``max_px``; smaller pictures come back as they are."""
    height, width = image.shape[:2]
    scale = max_px / max(height, width)
    if scale >= 1.0:
        return image
    return resize(image, max(1, round(width * scale)), max(1, round(height * scale)))


def planes_to_image(planes: Floats, width_px: int, height_px: int) -> Floats:
    """Bicubic enlargement of (3, G, G) planes to (H, W, 3), as the embedder uses it."""
    grid = np.ascontiguousarray(planes.transpose(1, 2, 0))
    return np.asarray(cv2.resize(grid, (width_px, height_px), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
