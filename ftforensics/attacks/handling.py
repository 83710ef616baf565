"""What platforms and people do to pictures without meaning to manipulate: compression, resizing, noise, filters."""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Floats, Pixels, resize


def _recode(image: Pixels, suffix: str, parameters: list[int]) -> Pixels:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(suffix, bgr, parameters)[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError(f"the {suffix} coder returned nothing")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def jpeg(image: Pixels, quality: int) -> Pixels:
    """Baseline JPEG with 4:2:0 chroma at ``quality`` 1..100 (ITU-T T.81)."""
    return _recode(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def webp(image: Pixels, quality: int) -> Pixels:
    """Lossy WebP at ``quality`` 1..100 (RFC 9649)."""
    return _recode(image, ".webp", [cv2.IMWRITE_WEBP_QUALITY, quality])


def resize_long_side(image: Pixels, side_px: int) -> Pixels:
    """Shrink or grow so that the long side is ``side_px``."""
    height, width = image.shape[:2]
    scale = side_px / max(height, width)
    return np.asarray(resize(image, max(1, round(width * scale)), max(1, round(height * scale))))


def down_up(image: Pixels, factor: float) -> Pixels:
    """Shrink by ``factor`` > 1 and interpolate back, as a super-resolution stage without invention does."""
    height, width = image.shape[:2]
    small = resize(image, max(8, round(width / factor)), max(8, round(height / factor)))
    return np.asarray(resize(small, width, height))


def gaussian_noise(image: Pixels, sigma: float, random: np.random.Generator) -> Pixels:
    """White noise of standard deviation ``sigma`` as a fraction of full scale."""
    noise = random.standard_normal(image.shape, dtype=np.float32) * np.float32(sigma * 255.0)
    return np.asarray(round_pixels(image.astype(np.float32) + noise))


def blur(image: Pixels, sigma_px: float) -> Pixels:
    """Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px))


def sharpen(image: Pixels, amount: float, sigma_px: float = 1.5) -> Pixels:
    """Unsharp mask of the given amount."""
    base = image.astype(np.float32)
    return np.asarray(round_pixels(base + amount * (base - cv2.GaussianBlur(base, (0, 0), sigma_px))))


def median(image: Pixels, side_px: int) -> Pixels:
    """Median filter over an odd side."""
    return np.asarray(cv2.medianBlur(image, side_px | 1))


def smooth_surfaces(image: Pixels, strength: float) -> Pixels:
    """Edge-preserving smoothing, as beauty filters and cartoonisers do; ``strength`` in [0, 1]."""
    return np.asarray(cv2.bilateralFilter(image, 7, 10.0 + 60.0 * strength, 3.0 + 3.0 * strength))


def smooth_field(height: int, width: int, cells: int, random: np.random.Generator) -> Floats:
    """A smooth random field (H, W) of about unit amplitude with ``cells`` bumps per side."""
    coarse = random.standard_normal((cells + 2, cells + 2)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
