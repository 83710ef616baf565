"""The GAN simulator: regenerates a picture through a narrow latent, as face-swap and attribute generators do.

Enters and leaves: ``float32 (B, 3, H, W)`` in [0, 1], H and W multiples of 8. Source: the simulator of FakeTagger (Wang
et al., 2021, section 3.4); the eightfold bottleneck is that of latent diffusion's autoencoder (Rombach et al., 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LATENT_CHANNELS = 8


def _stage(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    # No normalisation: it would throw away the absolute colour that a generator keeps.
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride=stride, padding=1), nn.LeakyReLU(0.1, inplace=True))


class Simulator(nn.Module):
    """Autoencoder with an eightfold smaller latent of ``latent`` channels.

    Args:
        width: Channels at half resolution; 2x and 3x of it below.
        latent: Channels of the latent; fewer regenerate more and keep less.
    """

    def __init__(self, width: int = 32, latent: int = LATENT_CHANNELS) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            _stage(12, width),
            _stage(width, 2 * width, 2),
            _stage(2 * width, 2 * width),
            _stage(2 * width, 3 * width, 2),
            _stage(3 * width, 3 * width),
            nn.Conv2d(3 * width, latent, 1),
        )
        self.decoder = nn.Sequential(
            _stage(latent, 3 * width),
            _stage(3 * width, 3 * width),
            nn.Upsample(scale_factor=2),
            _stage(3 * width, 2 * width),
            _stage(2 * width, 2 * width),
            nn.Upsample(scale_factor=2),
            _stage(2 * width, width),
            _stage(width, width),
            nn.Conv2d(width, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, picture: Tensor, latent_noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        """Regenerate; ``latent_noise`` is the standard deviation of noise relative to the latent's own."""
        latent = self.encoder(picture)
        if latent_noise > 0.0:
            noise = torch.randn(latent.shape, generator=generator, dtype=latent.dtype, device=latent.device)
            latent = latent + noise * latent.std() * latent_noise
        regenerated: Tensor = self.decoder(latent) + 0.5
        return regenerated


class PatchCritic(nn.Module):
    """Hinge critic on overlapping patches (Isola et al., pix2pix, 2017), used only to train the simulator."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.GroupNorm(8, 2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
            nn.GroupNorm(8, 4 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, 1, 1),
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Patch scores (B, 1, H/8, W/8)."""
        scores: Tensor = self.layers(picture)
        return scores


def gradient_difference(left: Tensor, right: Tensor) -> Tensor:
    """Mean absolute difference of the two pictures' horizontal and vertical gradients."""
    across = functional.l1_loss(left.diff(dim=3), right.diff(dim=3))
    down = functional.l1_loss(left.diff(dim=2), right.diff(dim=2))
    return across + down
