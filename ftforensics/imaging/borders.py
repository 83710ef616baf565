"""Plain borders around a picture, as screenshots, letterboxes and prints have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftforensics.imaging.geometry import Affine
from ftforensics.imaging.resample import Pixels, fit_within

_WORK_PX = 512
_TOLERANCE = 14
_LEAST_LEFT = 0.25
_LEAST_CUT = 0.008


def find_bordered(image: Pixels) -> Affine | None:
    """The frame inside a plain border: unit coordinates of the inside to those of the picture; None without a border.

    A row or column belongs to the border while all of it is within 14 levels of its own corner's colour.
    """
    small = fit_within(image, _WORK_PX).astype(np.int16)
    top, bottom = _plain_run(small), _plain_run(small[::-1])
    height = small.shape[0]
    if height - top - bottom < _LEAST_LEFT * height:
        return None
    rows = small[top : height - bottom]
    turned = rows.transpose(1, 0, 2)
    left, right = _plain_run(turned), _plain_run(turned[::-1])
    width = small.shape[1]
    if width - left - right < _LEAST_LEFT * width:
        return None
    if max(top, bottom) < _LEAST_CUT * height and max(left, right) < _LEAST_CUT * width:
        return None
    wide, tall = (width - left - right) / width, (height - top - bottom) / height
    return np.array([[wide, 0.0, left / width], [0.0, tall, top / height]])


def _plain_run(rows: NDArray[np.int16]) -> int:
    """How many rows from the start have one colour, that of the first pixel; 0 where all have."""
    for count, row in enumerate(rows):
        if np.abs(row - rows[0, 0]).max() > _TOLERANCE:
            return count
    return 0
