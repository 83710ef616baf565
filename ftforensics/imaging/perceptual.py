"""How much change each part of a picture hides.

Enters: a picture. Leaves: a gain map, high in texture and low on skin, sky and plain walls. Source: activity masking as
in Watson's DCT quantisation work (1993) and the visibility observations in ``docs/adr/0002-tag-model.md``.
"""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.imaging.resample import Floats, Pixels, resize

MASK_PX = 128
_FLOOR = 0.006
# Activity beyond which a picture hides no more of the tag than here.
_BUSY = 0.02
_EXPONENT = 0.8
_LOWEST, _HIGHEST = 0.3, 2.4
_END_GAIN, _DARK, _BRIGHT = 0.3, 0.12, 0.05


def build_mask(image: Pixels) -> Floats:
    """Gain map (128, 128) of mean square 1 over the picture squeezed to a square.

    Local activity is the standard deviation of the luma's fine structure; its 5x5 minimum keeps gains from leaking out
    of a textured object into the plain ground beside it, where a halo would show. Whatever is busy gets the same gain:
    giving the busiest places still more hides nothing better, makes the largest changes of colour larger and crowds the
    tag into few places.
    """
    small = resize(image, MASK_PX, MASK_PX).astype(np.float32) / 255.0
    luma = small @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    fine = luma - cv2.GaussianBlur(luma, (0, 0), 3.0)
    activity = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 2.0))
    activity = cv2.erode(activity, np.ones((5, 5), np.uint8))
    gain = (np.minimum(activity, _BUSY) + _FLOOR) ** _EXPONENT * _headroom(luma)
    gain = gain / np.sqrt(np.mean(gain * gain))
    gain = np.clip(gain, _LOWEST, _HIGHEST)
    gain = cv2.GaussianBlur(gain, (0, 0), 1.5)
    return np.asarray(gain / np.sqrt(np.mean(gain * gain)), dtype=np.float32)


def _headroom(luma: Floats) -> Floats:
    """Less near black and near white, where half of the change would be clipped and the other half seen as a veil."""
    level = np.asarray(cv2.GaussianBlur(luma, (0, 0), 1.5), dtype=np.float32)
    dark = np.clip(_END_GAIN + level / _DARK, 0.0, 1.0)
    bright = np.clip(_END_GAIN + (1.0 - level) / _BRIGHT, 0.0, 1.0)
    return np.asarray(dark * bright, dtype=np.float32)


def residual_rms(psnr_db: float) -> float:
    """Root mean square of a residual in [0, 1] units that gives this PSNR."""
    return float(10.0 ** (-psnr_db / 20.0))


def add_residual(image: Pixels, planes: Floats, mask: Floats, psnr_db: float) -> Pixels:
    """Add tag planes (3, G, G) of mean square 1 to a picture at the wanted PSNR, mask applied, rounded to 8 bits."""
    return np.asarray(round_pixels(image.astype(np.float32) + scaled_residual(image, planes, mask, psnr_db) * 255.0))


def scaled_residual(image: Pixels, planes: Floats, mask: Floats, psnr_db: float) -> Floats:
    """The residual (H, W, 3) in [0, 1] units that ``add_residual`` adds."""
    height, width = image.shape[:2]
    grid = np.ascontiguousarray(planes.transpose(1, 2, 0))
    wide = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    gain = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    shaped = wide * gain[:, :, None]
    rms = float(np.sqrt(np.mean(shaped * shaped)))
    return np.asarray(shaped * (residual_rms(psnr_db) / max(rms, 1e-9)), dtype=np.float32)


def round_pixels(values: Floats) -> Pixels:
    """Round and clip float values in [0, 255] to uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
