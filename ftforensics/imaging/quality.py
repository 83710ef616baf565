"""How far two pictures are apart: PSNR, SSIM and the CIEDE2000 colour difference.

SSIM: Wang et al. (2004), Gaussian window of sigma 1.5 on luma. CIEDE2000: CIE 142:2001 in the formulation of Sharma, Wu
and Dalal (2005); sRGB per IEC 61966-2-1 with white point D65.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.imaging.resample import Pixels

Floats = NDArray[np.float32]
_ROWS = 256
_COLOUR_PIXELS = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """PSNR in dB (inf for equal pictures), SSIM in [-1, 1], CIEDE2000 mean and 99th percentile."""

    psnr_db: float
    ssim: float
    ciede2000_mean: float
    ciede2000_p99: float


def psnr_db(left: Pixels, right: Pixels) -> float:
    """Peak signal-to-noise ratio over all channels."""
    error = float(np.mean((left.astype(np.float32) - right.astype(np.float32)) ** 2))
    return float("inf") if error == 0.0 else float(10.0 * np.log10(255.0**2 / error))


def ssim(left: Pixels, right: Pixels) -> float:
    """Mean structural similarity of the lumas."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    a, b = left.astype(np.float32) @ weights, right.astype(np.float32) @ weights

    def window(values: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), dtype=np.float32)

    mean_a, mean_b = window(a), window(b)
    var_a, var_b = window(a * a) - mean_a**2, window(b * b) - mean_b**2
    covariance = window(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float(np.mean(top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))))


def to_lab(image: Pixels) -> NDArray[np.float64]:
    """CIELAB (H, W, 3) of an sRGB picture, D65."""
    values = image.astype(np.float64) / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = linear @ matrix.T / np.array([0.95047, 1.0, 1.08883])
    curve = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    light = 116 * curve[..., 1] - 16
    return np.stack([light, 500 * (curve[..., 0] - curve[..., 1]), 200 * (curve[..., 1] - curve[..., 2])], axis=-1)


def ciede2000(lab_a: NDArray[np.float64], lab_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colour difference of CIELAB arrays (..., 3); about 1 is just noticeable side by side."""
    chroma_mean = (np.hypot(lab_a[..., 1], lab_a[..., 2]) + np.hypot(lab_b[..., 1], lab_b[..., 2])) / 2
    gain = 1.5 - 0.5 * np.sqrt(chroma_mean**7 / (chroma_mean**7 + 25.0**7))
    a1, a2 = lab_a[..., 1] * gain, lab_b[..., 1] * gain
    c1, c2 = np.hypot(a1, lab_a[..., 2]), np.hypot(a2, lab_b[..., 2])
    h1 = np.degrees(np.arctan2(lab_a[..., 2], a1)) % 360
    h2 = np.degrees(np.arctan2(lab_b[..., 2], a2)) % 360
    grey = c1 * c2 == 0
    turn = np.where(grey, 0.0, (h2 - h1 + 180) % 360 - 180)
    d_light, d_chroma = lab_b[..., 0] - lab_a[..., 0], c2 - c1
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    light, chroma = (lab_a[..., 0] + lab_b[..., 0]) / 2, (c1 + c2) / 2
    far = np.abs(h1 - h2) > 180
    total = h1 + h2
    hue = np.where(grey, total, np.where(far, np.where(total < 360, total + 360, total - 360), total) / 2)
    t = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    s_light = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    s_chroma, s_hue = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    rotation = rotation * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    parts = (d_light / s_light, d_chroma / s_chroma, d_hue / s_hue)
    return np.asarray(np.sqrt(np.maximum(0, sum(part**2 for part in parts) + rotation * parts[1] * parts[2])))


def compare(left: Pixels, right: Pixels) -> Quality:
    """All measures of two pictures of the same size.

    CIEDE2000 of pictures over two megapixels is taken on evenly spaced rows that make up about two megapixels.
    """
    height, width = left.shape[:2]
    every = max(1, height * width // _COLOUR_PIXELS)
    rows_left, rows_right = left[::every], right[::every]
    strips = [
        ciede2000(to_lab(rows_left[at : at + _ROWS]), to_lab(rows_right[at : at + _ROWS])).astype(np.float32).ravel()
        for at in range(0, rows_left.shape[0], _ROWS)
    ]
    colour = np.concatenate(strips)
    return Quality(
        psnr_db=psnr_db(left, right),
        ssim=ssim(left, right),
        ciede2000_mean=float(colour.mean()),
        ciede2000_p99=float(np.percentile(colour, 99)),
    )
