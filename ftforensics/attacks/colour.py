"""Changes of light and colour: what editing apps, relighting and attribute editors do to whole pictures."""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.attacks.handling import smooth_field
from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Pixels


def tone(image: Pixels, *, brightness: float = 0.0, contrast: float = 1.0, gamma: float = 1.0) -> Pixels:
    """Gamma, then contrast about mid-grey, then brightness as a fraction of full scale."""
    levels = (np.arange(256, dtype=np.float32) / 255.0) ** gamma
    curve = round_pixels(((levels - 0.5) * contrast + 0.5 + brightness) * 255.0)
    return np.asarray(cv2.LUT(image, curve))


def colour_cast(image: Pixels, *, hue_deg: float = 0.0, saturation: float = 1.0) -> Pixels:
    """Rotate hue and scale saturation in HSV."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[:, :, 0] = (hsv[:, :, 0] + hue_deg / 2.0) % 180.0
    hsv[:, :, 1] = np.clip(hsv[:, :, 1] * saturation, 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB))


def white_balance(image: Pixels, gains: tuple[float, float, float]) -> Pixels:
    """Multiply the three channels."""
    return np.asarray(round_pixels(image.astype(np.float32) * np.asarray(gains, dtype=np.float32)))


def relight(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """A smooth coloured light over the picture; ``strength`` 1 about halves and doubles brightness."""
    height, width = image.shape[:2]
    light = smooth_field(height, width, 2, random)[:, :, None] * np.float32(0.35 * strength)
    tint = random.normal(0.0, 0.08 * strength, 3).astype(np.float32)
    return np.asarray(round_pixels(image.astype(np.float32) * np.exp(light + tint)))


def random_edit(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """One colour edit drawn at random, as hard as ``strength`` in [0, 1] allows."""
    kind = int(random.integers(0, 4))
    if kind == 0:
        return tone(
            image,
            brightness=float(random.uniform(-0.15, 0.15)) * strength,
            contrast=1.0 + float(random.uniform(-0.4, 0.5)) * strength,
            gamma=float(np.exp(random.uniform(-0.5, 0.5) * strength)),
        )
    if kind == 1:
        hue = float(random.uniform(-25, 25)) * strength
        return colour_cast(image, hue_deg=hue, saturation=float(np.exp(random.uniform(-0.9, 0.6) * strength)))
    if kind == 2:
        red, green, blue = (float(value) for value in np.exp(random.normal(0, 0.12 * strength, 3)))
        return white_balance(image, (red, green, blue))
    return relight(image, strength, random)
