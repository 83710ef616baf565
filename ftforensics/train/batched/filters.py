"""Filters, colour and light on batches; parameters are tensors (B,) or as said."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ftforensics.train.batched.linear import FULL, resize_matrix, rounded

_BILATERAL_PX = 3


def median3(pictures: Tensor) -> Tensor:
    """Median over 3x3, as ``attacks.handling.median``."""
    side = pictures.shape[-1]
    wide = functional.pad(pictures, (1, 1, 1, 1), mode="replicate")
    shifts = [wide[:, :, dy : dy + side, dx : dx + side] for dy in range(3) for dx in range(3)]
    return torch.stack(shifts).median(dim=0).values


def smooth_surfaces(pictures: Tensor, strength: Tensor) -> Tensor:
    """Bilateral filter over 7x7 (Tomasi and Manduchi, 1998), as ``attacks.handling.smooth_surfaces``."""
    side, reach = pictures.shape[-1], _BILATERAL_PX
    wide = functional.pad(pictures, (reach,) * 4, mode="replicate")
    colour = ((10.0 + 60.0 * strength) / FULL)[:, None, None, None]
    space = (3.0 + 3.0 * strength)[:, None, None, None]
    total, weights = torch.zeros_like(pictures), torch.zeros_like(pictures[:, :1])
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dx * dx + dy * dy > reach * reach:
                continue
            other = wide[:, :, reach + dy : reach + dy + side, reach + dx : reach + dx + side]
            apart = (other - pictures).abs().sum(dim=1, keepdim=True)
            weight = torch.exp(-(apart / colour).square() / 2.0 - (dx * dx + dy * dy) / (2.0 * space.square()))
            total += weight * other
            weights += weight
    return rounded(total / weights)


def tone(pictures: Tensor, brightness: Tensor, contrast: Tensor, gamma: Tensor) -> Tensor:
    """As ``attacks.colour.tone``; parameters (B, 1, 1, 1)."""
    curved = pictures.clamp_min(1e-6).pow(gamma)
    return rounded((curved - 0.5) * contrast + 0.5 + brightness)


def cast(pictures: Tensor, hue_rad: Tensor, saturation: Tensor) -> Tensor:
    """Turn hues about the grey axis and scale saturation as HSV does; parameters (B,)."""
    cos, sin = hue_rad.cos(), hue_rad.sin()
    same, apart = (1.0 + 2.0 * cos) / 3.0, (1.0 - cos) / 3.0
    tilt = sin / 3.0**0.5
    rows = [same, apart - tilt, apart + tilt, apart + tilt, same, apart - tilt, apart - tilt, apart + tilt, same]
    turn = torch.stack(rows, dim=1).reshape(-1, 3, 3)
    turned = torch.einsum("bac,bcyx->bayx", turn, pictures).clamp(0.0, 1.0)
    value = turned.amax(dim=1, keepdim=True)
    now = (value - turned.amin(dim=1, keepdim=True)) / value.clamp_min(1e-6)
    factor = torch.minimum(saturation[:, None, None, None], 1.0 / now.clamp_min(1e-6))
    return rounded(value - (value - turned) * factor)


def smooth_fields(coarse: Tensor, side: int) -> Tensor:
    """Fields (B, C, S, S) from cells (B, C, n, n), as ``attacks.handling.smooth_field``."""
    matrix = resize_matrix(coarse.shape[-1], side, coarse.device)
    return matrix @ coarse @ matrix.T


def light(pictures: Tensor, log_gain: Tensor) -> Tensor:
    """Multiply by the exponential of gains that broadcast to the pictures."""
    return rounded(pictures * log_gain.exp())
