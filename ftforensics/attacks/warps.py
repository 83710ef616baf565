"""Changes of geometry: crop, mirror, rotation, borders, and the small local warps of reenactment."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.attacks.handling import smooth_field
from ftforensics.imaging.resample import Pixels


def crop(image: Pixels, share: float, random: np.random.Generator) -> Pixels:
    """Keep a rectangle of ``share`` of each side, at a random place."""
    height, width = image.shape[:2]
    tall, wide = max(1, round(height * share)), max(1, round(width * share))
    top, left = int(random.integers(0, height - tall + 1)), int(random.integers(0, width - wide + 1))
    return np.ascontiguousarray(image[top : top + tall, left : left + wide])


def mirror(image: Pixels) -> Pixels:
    """Left to right."""
    return np.ascontiguousarray(image[:, ::-1])


def rotate(image: Pixels, angle_deg: float, fill: tuple[int, int, int] = (0, 0, 0)) -> Pixels:
    """Rotate about the middle, same size, corners filled."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle_deg, 1.0)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderValue=fill))


def border(image: Pixels, shares: tuple[float, float, float, float], fill: tuple[int, int, int]) -> Pixels:
    """Add a plain frame: left, top, right, bottom as shares of the side, as a screenshot has around its picture."""
    height, width = image.shape[:2]
    left, top, right, bottom = (round(s * n) for s, n in zip(shares, (width, height, width, height), strict=True))
    return np.asarray(cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=fill))


def reenact(
    image: Pixels, shift: float, random: np.random.Generator, within: NDArray[np.float32] | None = None
) -> Pixels:
    """Smooth local displacement of at most about ``shift`` of the side, as expression transfer moves a face.

    ``within``, (H, W) of 0..1, fades it out: a face that moves before a still background. None moves everything.
    """
    height, width = image.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    dx = smooth_field(height, width, 3, random) * np.float32(0.5 * shift * width)
    dy = smooth_field(height, width, 3, random) * np.float32(0.5 * shift * height)
    if within is not None:
        dx, dy = dx * within, dy * within
    return np.asarray(cv2.remap(image, columns + dx, rows + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))
