"""Where the places of a suspect lie in the tagged frame, so that maps over the frame can be laid on the suspect.

A frame is laid by a matrix alone, or by a matrix and the displacements on top of it that ``movement`` found.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ftforensics.link.agreement import F32, Mask
from ftforensics.link.homography import Reals
from ftforensics.link.movement import MovementMap, within_unit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """``matrix`` is 3 x 3, unit coordinates of the tagged frame to those of the suspect; ``movement`` goes on top."""

    matrix: Reals
    movement: MovementMap | None = None

    def carry(self, values: F32, size: tuple[int, int]) -> F32:
        """Bring a map over the frame (G, G) onto the suspect at ``size`` (width, height)."""
        grid = values.shape[0]
        if self.movement is not None:
            at = (grid * self._look_up(size) - 0.5).astype(np.float32)
            carried = cv2.remap(values, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            return np.asarray(carried, np.float32)
        start = np.array([[1 / grid, 0.0, 0.5 / grid], [0.0, 1 / grid, 0.5 / grid], [0.0, 0.0, 1.0]])
        end = np.array([[size[0], 0.0, -0.5], [0.0, size[1], -0.5], [0.0, 0.0, 1.0]])
        carried = cv2.warpPerspective(values, end @ self.matrix @ start, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(carried, np.float32)

    def covers(self, size: tuple[int, int]) -> Mask:
        """Where the frame lies in the suspect at ``size`` (width, height), bool (height, width)."""
        if self.movement is None and np.array_equal(self.matrix, np.eye(3)):  # the whole suspect
            return np.ones((size[1], size[0]), np.bool_)
        places = self._look_up(size)
        return within_unit(places)

    def _look_up(self, size: tuple[int, int]) -> Reals:
        """Frame coordinates (height, width, 2) of the suspect's pixels; not numbers behind a vanishing line."""
        across, down = np.meshgrid((np.arange(size[0]) + 0.5) / size[0], (np.arange(size[1]) + 0.5) / size[1])
        unit = np.stack([across, down], axis=-1)
        if self.movement is not None:
            return self.movement.to_source(unit)
        carried = np.concatenate([unit, np.ones((*unit.shape[:2], 1))], axis=-1) @ np.linalg.inv(self.matrix).T
        depth = carried[..., 2:]
        places = np.where(depth > 0.0, carried[..., :2] / np.where(depth > 0.0, depth, 1.0), np.nan)
        return np.asarray(places, np.float64)
