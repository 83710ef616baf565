"""Pictures and manipulations for the tests of this room, made or free to use."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from ftforensics.link import fingerprint
from ftforensics.link.difference import Difference, compare
from ftforensics.link.register import register

U8 = NDArray[np.uint8]


@cache
def photograph(name: str = "astronaut") -> U8:
    """A 512 px photograph that ships with scikit-image."""
    pixels = np.asarray(getattr(skimage.data, name)(), np.uint8)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    scale = 512 / max(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return np.ascontiguousarray(cv2.resize(pixels[:, :, :3], size, interpolation=cv2.INTER_AREA))


def scribble(seed: int, side: int = 320) -> U8:
    """A busy drawing: shapes of random place, size and colour on a soft ground."""
    rng = np.random.default_rng(seed)
    ground = rng.uniform(60, 190, (6, 6, 3)).astype(np.float32)
    canvas = np.clip(cv2.resize(ground, (side, side), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
    for _ in range(120):
        centre = tuple(int(v) for v in rng.integers(0, side, 2))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        size = (int(rng.integers(3, 26)), int(rng.integers(3, 26)))
        cv2.ellipse(canvas, centre, size, float(rng.uniform(0, 180)), 0, float(rng.uniform(90, 360)), colour, -1)
    return canvas


def jpeg(pixels: U8, quality: int) -> U8:
    _, blob = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(blob, cv2.IMREAD_COLOR)[:, :, ::-1])


def mirror(pixels: U8) -> U8:
    return np.ascontiguousarray(pixels[:, ::-1])


def resize(pixels: U8, long_side_px: int) -> U8:
    scale = long_side_px / max(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return np.asarray(
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8
    )


def rotate(pixels: U8, degrees: float) -> U8:
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC), np.uint8)


def paste(
    pixels: U8, donor: U8, centre: tuple[float, float], axes: tuple[float, float]
) -> tuple[U8, NDArray[np.bool_]]:
    """Put an oval of the donor into the picture with a soft edge; also the true mask. Units: shares of the sides."""
    height, width = pixels.shape[:2]
    oval = np.zeros((height, width), np.uint8)
    middle = (round(centre[0] * width), round(centre[1] * height))
    cv2.ellipse(oval, middle, (round(axes[0] * width), round(axes[1] * height)), 0, 0, 360, 255, -1)
    alpha = cv2.GaussianBlur(oval, (0, 0), 4).astype(np.float32)[..., None] / 255
    laid = cv2.resize(donor, (width, height), interpolation=cv2.INTER_AREA)
    return (pixels * (1 - alpha) + laid * alpha).astype(np.uint8), oval > 0


def difference_of(suspect: U8, source: U8) -> Difference:
    """What differs between a suspect and the source that it registers to."""
    made = fingerprint.build(source)
    preview = fingerprint.decode_preview(made.preview)
    registration = register(suspect, preview, made.descriptors)
    assert registration is not None
    return compare(suspect, preview, registration)
