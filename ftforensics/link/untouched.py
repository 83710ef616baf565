"""Pixels that are the source's own within a changed region: between the letters of a caption, behind drawn glasses.

In: both pictures in one frame and what differs. Out: a mask. Structure is judged in windows, and a window with a stroke
in it is as unlike the source as one of a pasted face; pixel by pixel the two are easily told. Where nothing was
replaced the tag stays, so it says nothing there about when it was embedded.

Tone and light of the whole are taken off first. What is left over is noise, and how much of it counts as none is
bounded: whoever treats a whole fake roughly must not make its face count as the source's.
"""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.link.agreement import Aligned, Mask
from ftforensics.link.light import under_light

# Levels of 255 of the source; the usual one is a multiple of what half of the unchanged pixels keep to, as after
# recompression.
LEAST_TOLERANCE, MOST_TOLERANCE, TOLERANCE_MEDIANS = 8.0, 16.0, 3.0

_LEAST_GAIN = 0.25


def find_untouched(aligned: Aligned, changed: Mask) -> Mask:
    """Where a changed region shows the source's pixels, whatever was done to the light and colour of the whole.

    Args:
        aligned: Suspect and source.
        changed: bool (H, W), what differs; tone and light are those of all else.

    Returns:
        bool (H, W), within the region; places of a pixel or two, alike by accident, are left out.
    """
    elsewhere = aligned.seen & ~changed
    distance = np.zeros(changed.shape, np.float32)
    for channel in range(aligned.source.shape[2]):
        suspect = aligned.suspect[..., channel]
        lit, gain = under_light(suspect, aligned.source[..., channel], elsewhere)
        # In levels of the source: what was made pale must not be the more alike for it.
        distance = np.maximum(distance, np.abs(suspect - lit) / np.float32(np.clip(gain, _LEAST_GAIN, 1.0)))
    usual = float(np.median(distance[elsewhere])) if elsewhere.any() else 0.0
    tolerance = float(np.clip(TOLERANCE_MEDIANS * usual, LEAST_TOLERANCE, MOST_TOLERANCE))
    alike = (distance < tolerance) & changed
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    opened = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, cross)
    return np.asarray((cv2.dilate(opened, cross) > 0) & changed, np.bool_)
