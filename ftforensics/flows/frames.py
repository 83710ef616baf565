"""Frames of an examined picture: where a registration puts the source, where the tag was read, what of it is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftforensics.domain.link import Registration
from ftforensics.domain.tag import MatchedTag
from ftforensics.engine.reading import Reading
from ftforensics.imaging import geometry


def frame_of(registration: Registration) -> geometry.Affine:
    """The affine map that best follows a homography over the unit square: source frame to suspect."""
    matrix = np.asarray(registration.homography, dtype=np.float64).reshape(3, 3)
    points = np.array([[x, y, 1.0] for y in (0.1, 0.5, 0.9) for x in (0.1, 0.5, 0.9)])
    mapped = points @ matrix.T
    solution = np.linalg.lstsq(points, mapped[:, :2] / mapped[:, 2:], rcond=None)[0]
    return np.asarray(solution.T)


def tag_frame(tag: MatchedTag) -> geometry.Affine | None:
    """The frame that the tag was read through; None where it is the whole picture."""
    return None if tag.geometry.mode == "direct" else np.asarray(tag.geometry.matrix).reshape(2, 3)


def seen_cells(reading: Reading, grid: int) -> NDArray[np.bool_] | None:
    """Which cells of the tagged frame lie inside the suspect; None where all do."""
    outcome = reading.outcome
    if not isinstance(outcome, MatchedTag) or outcome.geometry.mode == "direct":
        return None
    frame = np.asarray(outcome.geometry.matrix).reshape(2, 3)
    at = (np.arange(grid) + 0.5) / grid
    x, y = np.meshgrid(at, at)
    points = np.stack([x, y, np.ones_like(x)], axis=-1) @ frame.T
    return np.asarray(((points >= 0.0) & (points <= 1.0)).all(axis=-1))
