"""Generators that only measure: other architectures than the simulator that readers are trained through.

Both regenerate a picture through a narrow latent, as deepfake generators do, and neither is ever seen by the training
of a reader or by tagging, so what a reader makes of their pictures says what it makes of a generator unknown to it.
Enters and leaves: ``float32 (B, 3, H, W)`` in [0, 1], H and W multiples of 8. Sources: finite scalar quantisation
(Mentzer et al., 2023) in a residual autoencoder with group normalisation (Esser et al., VQGAN, 2021); depthwise blocks
(Liu et al., ConvNeXt, 2022) around a noised eightfold latent (Rombach et al., 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atanh

import torch
from torch import Tensor, nn

FOLD = 8
GROUPS = 8
FSQ_LEVELS = (8, 8, 8, 8, 5, 5, 5, 5)


class FiniteScalarQuantiser(nn.Module):
    """Rounds every latent channel to one of a few levels between -1 and 1; gradients pass as if it did not round.

    Args:
        levels: Of each channel, two at least.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        # A little more than half the range, so that the outermost levels are reached before the tangent is flat.
        reach = [(count - 1) * 1.001 / 2.0 for count in levels]
        offsets = [0.5 if count % 2 == 0 else 0.0 for count in levels]
        shifts = [atanh(offset / half) for offset, half in zip(offsets, reach, strict=True)]
        for name, values in {
            "reach": reach,
            "offset": offsets,
            "shift": shifts,
            "steps": [float(count // 2) for count in levels],
        }.items():
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    reach: Tensor
    offset: Tensor
    shift: Tensor
    steps: Tensor

    def forward(self, latent: Tensor) -> Tensor:
        """Quantised latent of the same shape, in about [-1, 1]."""
        bounded = torch.tanh(latent + self.shift) * self.reach - self.offset
        rounded = bounded + (torch.round(bounded) - bounded).detach()
        return rounded / self.steps


class _Residual(nn.Module):
    """Two normalised 3x3 convolutions beside an identity, which keeps the absolute colour that normalising loses."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(GROUPS, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(GROUPS, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, values: Tensor) -> Tensor:
        added: Tensor = self.layers(values)
        return values + added


class QuantisedGenerator(nn.Module):
    """Fourfold smaller latent of whole levels: what cannot be said in them is gone.

    Args:
        width: Channels at a quarter of the resolution; half of it at half the resolution.
        levels: Of each latent channel.
    """

    def __init__(self, width: int = 48, levels: Sequence[int] = FSQ_LEVELS) -> None:
        super().__init__()
        half = width // 2
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, half, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(half, width, 4, stride=2, padding=1),
            _Residual(width),
            _Residual(width),
            nn.Conv2d(width, len(levels), 1),
        )
        self.quantiser = FiniteScalarQuantiser(levels)
        self.decoder = nn.Sequential(
            nn.Conv2d(len(levels), width, 3, padding=1),
            _Residual(width),
            _Residual(width),
            _Residual(width),
            nn.Conv2d(width, 4 * half, 3, padding=1),
            nn.PixelShuffle(2),
            nn.SiLU(),
            nn.Conv2d(half, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Regenerate."""
        regenerated: Tensor = self.decoder(self.quantiser(self.encoder(picture - 0.5))) + 0.5
        return regenerated


class _ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.offset = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, values: Tensor) -> Tensor:
        centred = values - values.mean(dim=1, keepdim=True)
        return centred * torch.rsqrt((centred * centred).mean(dim=1, keepdim=True) + 1e-6) * self.scale + self.offset


class _Depthwise(nn.Module):
    """7x7 depthwise convolution, then a threefold wider one between two 1x1 convolutions, beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            _ChannelNorm(channels),
            nn.Conv2d(channels, 3 * channels, 1),
            nn.GELU(),
            nn.Conv2d(3 * channels, channels, 1),
        )

    def forward(self, values: Tensor) -> Tensor:
        added: Tensor = self.layers(values)
        return values + added


class NoisedGenerator(nn.Module):
    """Eightfold smaller latent, to which noise is added before it is decoded.

    Args:
        width: Channels at a quarter of the resolution; twice as many below.
        latent: Channels of the latent.
        noise_level: Standard deviation of the noise relative to the latent's own.
    """

    def __init__(self, width: int = 40, latent: int = 24, noise_level: float = 0.1) -> None:
        super().__init__()
        self.latent, self.noise_level = latent, noise_level
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, width, 1),
            _Depthwise(width),
            nn.Conv2d(width, 2 * width, 2, stride=2),
            _Depthwise(2 * width),
            _Depthwise(2 * width),
            nn.Conv2d(2 * width, latent, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, 2 * width, 1),
            _Depthwise(2 * width),
            _Depthwise(2 * width),
            _Depthwise(2 * width),
            nn.Conv2d(2 * width, 4 * width, 1),
            nn.PixelShuffle(2),
            _Depthwise(width),
            _Depthwise(width),
            _Depthwise(width),
            nn.Conv2d(width, 48, 3, padding=1),
            nn.PixelShuffle(4),
        )

    def forward(self, picture: Tensor, noise: Tensor) -> Tensor:
        """Regenerate; ``noise`` (B, latent, H/8, W/8) is standard normal."""
        latent = self.encoder(picture - 0.5)
        regenerated: Tensor = self.decoder(latent + noise * latent.std() * self.noise_level) + 0.5
        return regenerated
