"""Affine frames (B, 2, 3) in unit coordinates, many at once, and batches seen through them.

The conventions are those of ``imaging.geometry``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ftforensics.train.batched.linear import along_both, box_matrices

Frames = NDArray[np.float64]


def about_centre(scale: Frames, angle_deg: Frames, centre: Frames, mirrored: NDArray[np.bool_]) -> Frames:
    """``imaging.geometry.about_centre`` for scales (B, 2), angles (B,), centres (B, 2) and mirrorings (B,)."""
    turn = np.deg2rad(angle_deg)
    rotation = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], axis=1).reshape(-1, 2, 2)
    linear = rotation * np.where(mirrored, [[-1.0], [1.0]], 1.0).T[:, None, :] * scale[:, None, :]
    shift = centre - linear @ np.array([0.5, 0.5])
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def compose(outer: Frames, inner: Frames) -> Frames:
    """The maps that apply ``inner`` first."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    shift = outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]
    return np.concatenate([linear, shift], axis=2)


def invert(frames: Frames) -> Frames:
    """The inverse maps."""
    linear = np.linalg.inv(frames[:, :, :2])
    return np.concatenate([linear, -linear @ frames[:, :, 2:]], axis=2)


def identities(count: int) -> Frames:
    """Frames that change nothing."""
    return np.broadcast_to(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), (count, 2, 3)).copy()


def for_grid_sample(frames: Frames, device: torch.device) -> Tensor:
    """The same maps in torch's [-1, 1] coordinates."""
    linear = frames[:, :, :2]
    shift = 2.0 * frames[:, :, 2:] + linear.sum(axis=2, keepdims=True) - 1.0
    maps = np.concatenate([linear, shift], axis=2).astype(np.float32)
    return torch.from_numpy(maps).to(device, non_blocking=True)


def see(pictures: Tensor, frames: Frames, side: int, fill: Tensor | None = None) -> Tensor:
    """Pictures (B, C, S, S) seen through frames at ``side``; outside is ``fill`` (B, C, 1, 1), else their means.

    What is seen smaller is averaged by area first, so that nothing aliases.
    """
    if fill is None:
        fill = pictures.mean(dim=(2, 3), keepdim=True)
    before = pictures.shape[-1]
    seen = np.abs(np.linalg.det(frames[:, :, :2])) ** 0.5
    widths = before / side * seen
    if np.any(widths > 1.05):
        wide = torch.from_numpy(widths.astype(np.float32)).to(pictures.device, non_blocking=True)
        pictures = along_both(pictures, box_matrices(wide, before))
    maps = for_grid_sample(frames, pictures.device)
    grid = functional.affine_grid(maps, [pictures.shape[0], pictures.shape[1], side, side], align_corners=False)
    # Zero outside, so what is sampled is the difference to the fill.
    return functional.grid_sample(pictures - fill, grid, mode="bicubic", align_corners=False) + fill
