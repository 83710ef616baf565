"""Pixels that are the source's own within a changed region: between the letters of a caption, behind drawn glasses.

In: both pictures in one frame and what differs. Out: a mask. Structure is judged in windows, and a window with a stroke
in it is as unlike the source as one of a pasted face; pixel by pixel the two are easily told. Where nothing was
replaced the tag stays, so it says nothing there about when it was embedded.
"""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.link.agreement import F32, Aligned, Mask

# Levels of 255, and as a multiple of what half of the unchanged pixels keep to: recompression, blur, regeneration.
TOLERANCE_LEVELS, TOLERANCE_MEDIANS = 8.0, 3.0

_FEWEST_PIXELS, _LEAST_SPREAD = 64, 3.0


def find_untouched(aligned: Aligned, changed: Mask) -> Mask:
    """Where a changed region shows the source's pixels, whatever was done to the light and colour of the whole.

    Args:
        aligned: Suspect and source.
        changed: bool (H, W), what differs; gain and offset of each channel are fitted to all else.

    Returns:
        bool (H, W), within the region; places of a pixel or two, alike by accident, are left out.
    """
    elsewhere = aligned.seen & ~changed
    distance = np.zeros(changed.shape, np.float32)
    for channel in range(aligned.source.shape[2]):
        suspect, source = aligned.suspect[..., channel], aligned.source[..., channel]
        gain, offset = _fit_tone(suspect[elsewhere], source[elsewhere])
        distance = np.maximum(distance, np.abs(suspect - (gain * source + offset)))
    usual = float(np.median(distance[elsewhere])) if elsewhere.any() else 0.0
    alike = (distance < max(TOLERANCE_LEVELS, TOLERANCE_MEDIANS * usual)) & changed
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    opened = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, cross)
    return np.asarray((cv2.dilate(opened, cross) > 0) & changed, np.bool_)


def _fit_tone(suspect: F32, source: F32) -> tuple[float, float]:
    """Gain and offset by least squares; none where there is too little to fit them to."""
    if len(source) < _FEWEST_PIXELS or float(source.std()) < _LEAST_SPREAD:
        return 1.0, 0.0
    gain, offset = np.polyfit(source.astype(np.float64), suspect.astype(np.float64), 1)
    return float(gain), float(offset)
