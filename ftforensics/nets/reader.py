"""The residual reader: what was added to this picture?

Enters: ``float32 (B, 3, 128, 128)`` sRGB in [0, 1], the suspect squeezed to a square. Leaves:
``float32 (B, 3, 64, 64)``, the estimate of the tag planes w, of mean square 1 where the tag is certain and near 0 where
it is not. The shape is a U-Net (Ronneberger et al., 2015) with residual blocks; the keyed projection outside it follows
PRNU practice (Chen et al., 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT_PX = 128
# The picture, what is left of it without its source, and where it still shows that source (``engine.compared``).
PAIR_CHANNELS = 7


@dataclass(frozen=True, slots=True)
class Size:
    """Channels and residual blocks at each depth, and the batch and the steps that one training run is meant for."""

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    batch: int
    steps: int


# "cpu" trains in hours on two processor cores and reads at hundreds of pictures a second there; "gpu" trains in under
# half an hour on one data-centre GPU.
SIZES = {
    "cpu": Size(widths=(32, 64, 96, 128), blocks=(2, 2, 2, 2), batch=32, steps=14_000),
    "gpu": Size(widths=(48, 96, 160, 224), blocks=(2, 2, 3, 3), batch=256, steps=9_000),
}


class Block(nn.Module):
    """relu(x + conv(relu(conv(x)))) with normalised convolutions that fold away."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width, momentum=0.05)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width, momentum=0.05)

    def forward(self, features: Tensor) -> Tensor:
        """Same shape out."""
        inner = functional.relu(self.first_norm(self.first(features)))
        outer: Tensor = functional.relu(features + self.second_norm(self.second(inner)))
        return outer


class Levels(Protocol):
    """A U-Net's parts between its first convolution and its last: blocks at each depth, and what leads down and up."""

    encoders: nn.ModuleList
    decoders: nn.ModuleList
    downs: nn.ModuleList
    ups: nn.ModuleList


def run_levels(net: Levels, features: Tensor) -> Tensor:
    """Features (B, C, H, W) down through all depths and up again, each depth's own added on the way up; same shape."""
    skips: list[Tensor] = []
    for level, encoder in enumerate(net.encoders):
        features = encoder(features)
        if level < len(net.downs):
            skips.append(features)
            features = functional.relu(net.downs[level](features))
    for level in reversed(range(len(net.ups))):
        wider = functional.interpolate(features, scale_factor=2, mode="nearest")
        features = net.decoders[level](functional.relu(net.ups[level](wider) + skips[level]))
    return features


class Reader(nn.Module):
    """U-Net from a 128 px picture to 64 px tag planes.

    ``channels`` is 3 for a picture alone; a reader that also knows the picture's source takes ``PAIR_CHANNELS``.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = SIZES["cpu"].widths,
        blocks: tuple[int, ...] = SIZES["cpu"].blocks,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4 * channels, widths[0], 3, padding=1)
        self.encoders = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(count))) for width, count in zip(widths, blocks, strict=True)
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(shallow, deep, 3, stride=2, padding=1) for shallow, deep in pairwise(widths)
        )
        self.ups = nn.ModuleList(nn.Conv2d(deep, shallow, 3, padding=1) for shallow, deep in pairwise(widths))
        self.decoders = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(count)))
            for width, count in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """Picture (B, channels, 128, 128) in [0, 1] to planes (B, 3, 64, 64)."""
        features = functional.relu(self.stem(functional.pixel_unshuffle(picture * 4.0 - 2.0, 2)))
        planes: Tensor = self.head(run_levels(self, features))
        return planes


def build_reader(size: str, channels: int = 3) -> Reader:
    """An untrained reader of a size of ``SIZES``."""
    return Reader(SIZES[size].widths, SIZES[size].blocks, channels)


def count_parameters(net: nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in net.parameters())


@torch.no_grad()
def update_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and running statistics, in place."""
    for kept, value in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(value, 1.0 - decay)
        else:
            kept.copy_(value)
