"""Replaced regions on batches: masks, feathered and seamless pastes, local warps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ftforensics.train.batched.filters import smooth_fields
from ftforensics.train.batched.linear import along_both, gaussian_matrices, rounded

# Share of the side over which a seamless paste takes on the colours around it.
_MEMBRANE = 0.08


def draw_masks(count: int, side: int, largest: float, random: np.random.Generator, device: torch.device) -> Tensor:
    """Soft ellipses and boxes (B, 1, S, S), drawn as ``attacks.regions.random_mask`` does."""
    across = random.uniform(0.4, 1.0, count) * largest
    down = np.minimum(0.9, across * random.uniform(0.9, 1.3, count))
    centre_x, centre_y = random.uniform(across / 2, 1 - across / 2), random.uniform(down / 2, 1 - down / 2)
    feather = np.maximum(0.3, random.uniform(0.0, 0.03, count) * side)
    round_ones = random.random(count) < 0.6
    turn = np.deg2rad(np.where(round_ones, random.uniform(-15, 15, count), 0.0))
    columns = [across / 2 * side, down / 2 * side, centre_x * side, centre_y * side, feather, round_ones, turn]
    table = torch.from_numpy(np.stack(columns).astype(np.float32)).to(device, non_blocking=True)
    half_x, half_y, x, y, soft, is_round, angle = (row[:, None, None] for row in table)
    at = torch.arange(side, device=device, dtype=torch.float32) + 0.5
    right, below = at[None, None, :] - x, at[None, :, None] - y
    along, beside = right * angle.cos() + below * angle.sin(), below * angle.cos() - right * angle.sin()
    radius = ((along / half_x).square() + (beside / half_y).square()).sqrt()
    inside_ellipse = (1.0 - radius) * torch.minimum(half_x, half_y)
    inside_box = torch.minimum(half_x - along.abs(), half_y - beside.abs())
    inside = torch.where(is_round > 0.5, inside_ellipse, inside_box)
    # The integral of a Gaussian blur across a straight edge.
    return (0.5 * (1.0 + torch.erf(inside / (soft * 2.0**0.5))))[:, None]


def match_colour(donors: Tensor, targets: Tensor, masks: Tensor) -> Tensor:
    """As ``attacks.regions.match_colour``."""
    weight = masks / masks.sum(dim=(2, 3), keepdim=True).clamp_min(1.0)

    def moments(values: Tensor) -> tuple[Tensor, Tensor]:
        mean = (values * weight).sum(dim=(2, 3), keepdim=True)
        return mean, ((values - mean).square() * weight).sum(dim=(2, 3), keepdim=True).sqrt() + 1.0 / 255.0

    mean, spread = moments(donors)
    wanted, wanted_spread = moments(targets)
    return ((donors - mean) * (wanted_spread / spread).clamp(0.4, 2.5) + wanted).clamp(0.0, 1.0)


def paste(pictures: Tensor, donors: Tensor, masks: Tensor) -> Tensor:
    """Feathered paste."""
    return rounded(pictures * (1.0 - masks) + donors * masks)


def paste_seamlessly(pictures: Tensor, donors: Tensor, masks: Tensor) -> Tensor:
    """Paste donors that take on the colours around the region.

    In place of the Poisson equation's membrane, the difference outside is spread inwards by normalised convolution
    (Knutsson and Westin, 1993).
    """
    side = pictures.shape[-1]
    outside = 1.0 - masks
    blur = gaussian_matrices(torch.tensor([_MEMBRANE * side], device=pictures.device), side)[0]
    spread = along_both((pictures - donors) * outside, blur) / (along_both(outside, blur) + 1e-3)
    return paste(pictures, donors + spread, masks)


def reenact(pictures: Tensor, shifts: Tensor, cells: Tensor) -> Tensor:
    """Displace locally by fields made of ``cells`` (B, 2, 5, 5), scaled by ``shifts`` (B,) as in ``attacks.warps``."""
    side = pictures.shape[-1]
    field = smooth_fields(cells, side).permute(0, 2, 3, 1) * shifts[:, None, None, None]
    eye = torch.eye(2, 3, device=pictures.device).expand(pictures.shape[0], -1, -1)
    grid = functional.affine_grid(eye, list(pictures.shape), align_corners=False) + field
    return rounded(functional.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False))
