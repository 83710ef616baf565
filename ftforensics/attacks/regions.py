"""Replacing a part of a picture: identity swap and splicing.

All return the attacked picture and the replaced share of every pixel, ``float32 (H, W)`` in [0, 1].
"""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Floats, Pixels, resize


def _soften(mask: Floats, feather: float) -> Floats:
    """The mask (H, W) blurred by a sigma of ``feather`` of its width; as it is for 0."""
    if feather <= 0:
        return mask
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.3, feather * mask.shape[1])), dtype=np.float32)


def ellipse_mask(
    height: int,
    width: int,
    centre: tuple[float, float],
    radii: tuple[float, float],
    feather: float,
    angle_deg: float = 0.0,
) -> Floats:
    """Soft ellipse (H, W).

    Centre and radii are in unit coordinates; ``feather`` is the blur's sigma as a fraction of the width.
    """
    mask = np.zeros((height, width), dtype=np.float32)
    axes = (max(1, round(radii[0] * width)), max(1, round(radii[1] * height)))
    cv2.ellipse(mask, (round(centre[0] * width), round(centre[1] * height)), axes, angle_deg, 0, 360, 1.0, -1)
    return _soften(mask, feather)


def box_mask(height: int, width: int, box: tuple[float, float, float, float], feather: float) -> Floats:
    """Soft rectangle (H, W); box = left, top, right, bottom in unit coordinates."""
    mask = np.zeros((height, width), dtype=np.float32)
    left, top, right, bottom = box
    mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 1.0
    return _soften(mask, feather)


def lobed_mask(
    height: int, width: int, centre: tuple[float, float], reach: float, lobes: Floats, feather: float
) -> Floats:
    """Soft region (H, W) of a wavy outline, as of a head with its hair.

    Args:
        height: In pixels.
        width: In pixels.
        centre: In unit coordinates.
        reach: Mean radius, as a fraction of the width.
        lobes: Sine and cosine amplitudes (N, 2) of the radius, N waves around at most, as fractions of it.
        feather: The blur's sigma as a fraction of the width.
    """
    turn = np.linspace(0.0, 2.0 * np.pi, 180, endpoint=False)
    waves = np.arange(1, len(lobes) + 1)[:, None] * turn
    radius = reach * width * np.maximum(0.2, 1.0 + lobes[:, 0] @ np.sin(waves) + lobes[:, 1] @ np.cos(waves))
    points = np.stack([centre[0] * width + radius * np.cos(turn), centre[1] * height + radius * np.sin(turn)], axis=1)
    mask = np.zeros((height, width), dtype=np.float32)
    cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 1.0)
    return _soften(mask, feather)


def match_colour(donor: Pixels, target: Pixels, mask: Floats) -> Pixels:
    """Give the donor the mean and spread that the target has under the mask, channel by channel."""
    weight = mask[:, :, None] / max(float(mask.sum()), 1.0)
    values, wanted = donor.astype(np.float32), target.astype(np.float32)
    mean, wanted_mean = (values * weight).sum((0, 1)), (wanted * weight).sum((0, 1))
    spread = np.sqrt((((values - mean) ** 2) * weight).sum((0, 1))) + 1.0
    wanted_spread = np.sqrt((((wanted - wanted_mean) ** 2) * weight).sum((0, 1))) + 1.0
    return np.asarray(round_pixels((values - mean) * np.clip(wanted_spread / spread, 0.4, 2.5) + wanted_mean))


def swap_region(image: Pixels, donor: Pixels, mask: Floats, *, colour_matched: bool = True) -> tuple[Pixels, Floats]:
    """Feathered paste of the donor, stretched to the picture's size, where the mask says."""
    height, width = image.shape[:2]
    donor = resize(donor, width, height)
    if colour_matched:
        donor = match_colour(donor, image, mask)
    alpha = mask[:, :, None]
    mixed = image.astype(np.float32) * (1.0 - alpha) + donor.astype(np.float32) * alpha
    return round_pixels(mixed), mask


def swap_region_poisson(image: Pixels, donor: Pixels, mask: Floats) -> tuple[Pixels, Floats]:
    """Seamless cloning of the donor (Pérez et al., "Poisson image editing", 2003).

    The mask that comes back is where the donor's detail stands. Around it, within the region's bounding box, OpenCV's
    solver shifts colours smoothly and keeps the picture's own detail. Tiny regions are feathered instead.
    """
    height, width = image.shape[:2]
    donor = resize(donor, width, height)
    hard = (mask > 0.5).astype(np.uint8)
    hard[:2], hard[-2:], hard[:, :2], hard[:, -2:] = 0, 0, 0, 0
    rows, columns = np.nonzero(hard)
    if rows.size < 16:
        return swap_region(image, donor, mask)
    centre = (int(columns.min() + columns.max() + 1) // 2, int(rows.min() + rows.max() + 1) // 2)
    try:
        mixed = cv2.seamlessClone(donor, image, hard * 255, centre, cv2.NORMAL_CLONE)
    except cv2.error:
        return swap_region(image, donor, mask)
    return np.asarray(mixed), hard.astype(np.float32)


def random_mask(height: int, width: int, largest: float, random: np.random.Generator) -> Floats:
    """A soft ellipse or box inside the picture.

    It is 0.4 to 1 times ``largest`` of the picture's width across, and 0.9 to 1.3 times that share of its height down.
    """
    across = float(random.uniform(0.4, 1.0)) * largest
    down = min(0.9, across * float(random.uniform(0.9, 1.3)))
    centre = (float(random.uniform(across / 2, 1 - across / 2)), float(random.uniform(down / 2, 1 - down / 2)))
    feather = float(random.uniform(0.0, 0.03))
    if random.random() < 0.6:
        return ellipse_mask(height, width, centre, (across / 2, down / 2), feather, float(random.uniform(-15, 15)))
    x, y = centre
    return box_mask(height, width, (x - across / 2, y - down / 2, x + across / 2, y + down / 2), feather)


def random_outline(height: int, width: int, largest: float, random: np.random.Generator) -> Floats:
    """A soft region of irregular outline inside the picture: three ellipses around one place, (H, W).

    It reaches at most ``largest`` of the picture's width across and of its height down.
    """
    reach = float(random.uniform(0.5, 1.0)) * largest / 2
    centre = random.uniform(reach, 1 - reach, 2)
    feather, region = float(random.uniform(0.0, 0.03)), np.zeros((height, width), np.float32)
    for _ in range(3):
        radii = random.uniform(0.3, 0.7, 2) * reach
        x, y = centre + random.uniform(-1, 1, 2) * (reach - radii.max())
        turn = float(random.uniform(0, 180))
        part = ellipse_mask(height, width, (float(x), float(y)), (float(radii[0]), float(radii[1])), 0.0, turn)
        region = np.maximum(region, part)
    return _soften(region, feather)
