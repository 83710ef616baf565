"""Straightening a residual map whose picture was warped a little, as reenactment moves a face.

Enters: a residual map nearly in the tagged frame. Leaves: the map seen through the smooth displacement under which the
synchronisation carrier stands out most. The displacement is a sum of a few cosines a direction; its prior keeps it
small and smooth where the carrier is too faint to tell, so a map that was not warped stays about as it is. It is found
as image registration finds one, along the map's own gradients (Lucas and Kanade, 1981), with Gauss's damped steps.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import GRID

Floats = NDArray[np.float32]

# Half waves a direction of the finest cosine, and the prior standard deviation of a plain shift in cells.
_ORDER = 5
_SHIFT_CELLS = 1.0
_STEPS = 8
_STEP = 0.8
# Independent values of a map inside the carriers' band.
_BAND_VALUES = 2773
# Mean curvature of the carrier's correlation with its own shift, per square cell.
_CURVATURE = 1.1


@lru_cache(maxsize=1)
def _cosines() -> tuple[Floats, Floats]:
    """Smooth fields (n, 64 * 64) and the prior standard deviations (n,) of their amounts in cells."""
    cells = (np.arange(GRID) + 0.5) / GRID
    pairs = [(down, across) for down in range(_ORDER) for across in range(_ORDER - down)]
    fields = [np.outer(np.cos(np.pi * down * cells), np.cos(np.pi * across * cells)).ravel() for down, across in pairs]
    spread = [_SHIFT_CELLS / (1.0 + np.hypot(down, across)) for down, across in pairs]
    return np.asarray(fields, dtype=np.float32), np.asarray(spread, dtype=np.float32)


def straighten(residual: Floats, sync: Floats) -> Floats:
    """The map (3, 64, 64) with small smooth displacements undone as far as the carrier (3, 64, 64) shows them.

    A map in which the carrier does not stand out comes back as it is.
    """
    fields, spread = _cosines()
    image = np.ascontiguousarray(residual.transpose(1, 2, 0))
    carrier = np.ascontiguousarray(sync.transpose(1, 2, 0))
    rows, columns = np.mgrid[0:GRID, 0:GRID].astype(np.float32)
    # The carrier's response is its strength in noise of this variance.
    variance = float(np.square(image).sum()) / _BAND_VALUES + 1e-12
    power = np.square(fields).mean(axis=1)
    amounts = np.zeros((2, len(fields)), dtype=np.float32)
    best = -np.inf
    straightest = image
    for _ in range(_STEPS):
        across, down = (amounts @ fields).reshape(2, GRID, GRID)
        seen = cv2.remap(image, columns + across, rows + down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        response = float(np.vdot(seen, carrier))
        if response <= 0.0:
            break
        likelihood = 0.5 * response**2 / variance - 0.5 * float(np.square(amounts / spread).sum())
        if likelihood > best:
            best, straightest = likelihood, np.asarray(seen, dtype=np.float32)
        slopes = [cv2.Sobel(seen, -1, *order, ksize=3, scale=0.125) for order in ((1, 0), (0, 1))]
        pull = np.stack([fields @ (slope * carrier).sum(axis=2).ravel() for slope in slopes]) * (response / variance)
        curvature = _CURVATURE * response**2 / variance * power + 1.0 / spread**2
        amounts = (amounts + _STEP * (pull - amounts / spread**2) / curvature).astype(np.float32)
    return np.ascontiguousarray(straightest.transpose(2, 0, 1), dtype=np.float32)
