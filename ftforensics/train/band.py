"""Between planes and the coefficients inside the carriers' band, as torch modules that gradients pass through."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ftforensics.codec.carriers import GRID, OPPONENT_AXES, PLANES, VALUES, dct_matrix, spectral_envelope


def warp(planes: Tensor, maps: Tensor) -> Tensor:
    """Planes seen through affine maps (B, 2, 3) in [-1, 1] coordinates; zero outside."""
    grid = functional.affine_grid(maps, list(planes.shape), align_corners=False)
    return functional.grid_sample(planes, grid, align_corners=False)


class BandTransform:
    """Planes (B, 3, 64, 64) to band coefficients (B, D), where carriers are short rows.

    The adjoint of ``codec.carriers.planes_from_rows``.
    """

    def __init__(self, device: torch.device) -> None:
        self.dct = torch.from_numpy(dct_matrix()).float().to(device)
        self.axes = torch.from_numpy(OPPONENT_AXES).float().to(device)
        self.inside = torch.from_numpy(np.flatnonzero(spectral_envelope() > 0)).to(device)

    def __call__(self, planes: Tensor) -> Tensor:
        """Coefficients inside the band, in the order of codec.carriers."""
        opponent = torch.einsum("ac,bcyx->bayx", self.axes, planes)
        return (self.dct @ opponent @ self.dct.T).flatten(1)[:, self.inside]

    def planes(self, band: Tensor) -> Tensor:
        """Planes (B, 3, 64, 64) of coefficients (B, D): the adjoint, and the inverse inside the band."""
        coefficients = torch.zeros(band.shape[0], VALUES, device=band.device, dtype=band.dtype)
        coefficients[:, self.inside] = band
        opponent = self.dct.T @ coefficients.view(-1, PLANES, GRID, GRID) @ self.dct
        return torch.einsum("ac,bayx->bcyx", self.axes, opponent)
