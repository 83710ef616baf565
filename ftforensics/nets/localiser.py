"""The localiser: where in its frame was a tag replaced?

Enters: ``float32 (B, 10, 64, 64)``, three maps of three planes each and one mask, see ``stack``. Leaves:
``float32 (B, 64, 64)``, the log odds that a place was replaced since the tag was added. What was read, and what is read
in the source, are seen as products with the tag and as energies alone, never multiplied with each other: both maps
carry traces of the content, and the localiser is to say where the tag is gone, not where the content differs. None of
the products changes when tag and maps change their sign. The shape is a U-Net (Ronneberger et al., 2015) on folded
cells, without normalisation.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ftforensics.nets.reader import run_levels

# What its checkpoints say they are.
KIND = "localiser"
WIDTHS = (32, 64, 96)
MAPS = 10
# Five products of three planes each, and the mask.
_PRODUCTS = 16


class Block(nn.Module):
    """relu(x + conv(relu(conv(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Same shape out."""
        outer: Tensor = functional.relu(features + self.second(functional.relu(self.first(features))))
        return outer


class Localiser(nn.Module):
    """U-Net from maps to evidence."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4 * _PRODUCTS, widths[0], 3, padding=1)
        self.encoders = nn.ModuleList(Block(width) for width in widths)
        self.downs = nn.ModuleList(
            nn.Conv2d(shallow, deep, 3, stride=2, padding=1) for shallow, deep in pairwise(widths)
        )
        self.ups = nn.ModuleList(nn.Conv2d(deep, shallow, 3, padding=1) for shallow, deep in pairwise(widths))
        self.decoders = nn.ModuleList(Block(width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, 10, 64, 64) to log odds (B, 64, 64)."""
        features = functional.relu(self.stem(functional.pixel_unshuffle(multiply(maps), 2)))
        return functional.pixel_shuffle(self.head(run_levels(self, features)), 2)[:, 0]


def multiply(maps: Tensor) -> Tensor:
    """Products (B, 16, 64, 64): both readings with the tag, everything with itself; and the mask."""
    seen = maps[:, 9:]
    residual, tag, source = maps[:, :3] * seen, maps[:, 3:6], maps[:, 6:9]
    products = (residual * tag, source * tag, residual * residual, source * source, tag * tag)
    return torch.cat([*products, seen], dim=1)
