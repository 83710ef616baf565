"""Resizing, blurring and sharpening as matrices along both sides: every picture of a batch can have its own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ftforensics.imaging.resample import resize

FULL = 255.0


def rounded(pictures: Tensor) -> Tensor:
    """The nearest 8-bit levels, in [0, 1]."""
    return (pictures * FULL).round().clamp(0.0, FULL) / FULL


@lru_cache(maxsize=256)
def resize_matrix(before: int, after: int, device: torch.device) -> Tensor:
    """The matrix (after, before) of ``imaging.resample.resize`` along one side."""
    eye = np.eye(before, dtype=np.float32)
    return torch.from_numpy(np.ascontiguousarray(resize(eye, before, after))).to(device)


def along_both(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Apply (n, S), or one matrix each (B, n, S), to rows and columns of (B, C, S, S)."""
    if matrix.dim() == 3:
        matrix = matrix[:, None]
    return matrix @ pictures @ matrix.transpose(-1, -2)


def resized(pictures: Tensor, side: int) -> Tensor:
    """As ``imaging.resample.resize``, without its rounding."""
    before = pictures.shape[-1]
    return pictures if before == side else along_both(pictures, resize_matrix(before, side, pictures.device))


def gaussian_matrices(sigma_px: Tensor, side: int) -> Tensor:
    """Blurs (B, S, S) of these standard deviations (B,); what lies outside the picture does not count."""
    at = torch.arange(side, device=sigma_px.device, dtype=torch.float32)
    apart = (at[:, None] - at[None, :]).square()
    weights = torch.exp(-apart / (2.0 * sigma_px.clamp_min(0.05).square())[:, None, None])
    return weights / weights.sum(dim=2, keepdim=True)


def box_matrices(width_px: Tensor, side: int) -> Tensor:
    """Means (B, S, S) over windows of these widths (B,), not always whole: shrinking by area, without its grid."""
    at = torch.arange(side, device=width_px.device, dtype=torch.float32)
    half = width_px.clamp_min(1.0)[:, None, None] / 2.0
    apart = (at[:, None] - at[None, :]).abs()
    weights = (half + 0.5 - apart).clamp(0.0, 1.0)
    return weights / weights.sum(dim=2, keepdim=True)


def sharpen_matrices(amount: Tensor, side: int, sigma_px: float = 1.5) -> tuple[Tensor, Tensor]:
    """The blur that an unsharp mask subtracts (1, S, S), and the amounts (B, 1, 1, 1)."""
    blur = gaussian_matrices(torch.tensor([sigma_px], device=amount.device), side)
    return blur, amount[:, None, None, None]


@lru_cache(maxsize=16)
def down_up_matrices(side: int, device: torch.device, count: int = 12, largest: float = 3.5) -> Tensor:
    """Shrinking by area and growing cubically again (count, S, S), by factors spread evenly up to the largest."""
    factors = np.linspace(1.1, largest, count)
    smaller = [max(8, round(side / factor)) for factor in factors]
    return torch.stack([resize_matrix(n, side, device) @ resize_matrix(side, n, device) for n in smaller])
