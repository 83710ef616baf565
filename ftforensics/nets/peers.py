"""Networks of the size that published watermark readers have, to be timed beside the reader. Random weights only.

ResNet-50 (He et al., 2015, with the stride in the 3x3 convolution) as in TrustMark's decoder (Bui et al., 2023), and
ConvNeXt-tiny (Liu et al., 2022) as in VideoSeal's extractor (Fernandez et al., 2024), both fed 256 px there. They are
written from the papers' tables and read nothing; their cost is checked against the published figures.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a shortcut; normalisations are folded, so every convolution has a bias."""

    def __init__(self, width: int, inner: int, stride: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, inner, 1)
        self.middle = nn.Conv2d(inner, inner, 3, stride=stride, padding=1)
        self.widen = nn.Conv2d(inner, 4 * inner, 1)
        same = width == 4 * inner and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(width, 4 * inner, 1, stride=stride)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, H, W) to (B, 4 inner, H / stride, W / stride)."""
        inner = functional.relu(self.middle(functional.relu(self.reduce(features))))
        out: Tensor = functional.relu(self.widen(inner) + self.shortcut(features))
        return out


class ResNet50(nn.Module):
    """Picture (B, 3, P, P) to ``outputs`` values."""

    def __init__(self, outputs: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        layers: list[nn.Module] = []
        width = 64
        for inner, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for index in range(count):
                layers.append(Bottleneck(width, inner, stride if index == 0 else 1))
                width = 4 * inner
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, outputs)

    def forward(self, picture: Tensor) -> Tensor:
        """Values (B, outputs)."""
        features = self.layers(self.pool(functional.relu(self.stem(picture))))
        values: Tensor = self.head(features.mean(dim=(2, 3)))
        return values


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of (B, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """Same shape out."""
        normed: Tensor = self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return normed


class ConvNeXtBlock(nn.Module):
    """7x7 depthwise convolution, normalisation, two pointwise layers with GELU, beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Same shape out."""
        inner = self.norm(self.depthwise(features).permute(0, 2, 3, 1))
        inner = self.narrow(functional.gelu(self.widen(inner)))
        out: Tensor = features + inner.permute(0, 3, 1, 2)
        return out


class ConvNeXtTiny(nn.Module):
    """Picture (B, 3, P, P) to ``outputs`` values."""

    def __init__(self, outputs: int = 1000) -> None:
        super().__init__()
        widths = (96, 192, 384, 768)
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, stride=4), ChannelNorm(widths[0])]
        for level, (width, count) in enumerate(zip(widths, (3, 3, 9, 3), strict=True)):
            if level:
                layers += [ChannelNorm(widths[level - 1]), nn.Conv2d(widths[level - 1], width, 2, stride=2)]
            layers += [ConvNeXtBlock(width) for _ in range(count)]
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, picture: Tensor) -> Tensor:
        """Values (B, outputs)."""
        values: Tensor = self.head(self.norm(self.layers(picture).mean(dim=(2, 3))))
        return values


def build_peer(name: str, seed: int) -> nn.Module:
    """``resnet50`` or ``convnext-tiny`` with random weights and 100 outputs, ready to be exported.

    Raises:
        KeyError: No such peer.
    """
    torch.manual_seed(seed)
    return {"resnet50": ResNet50, "convnext-tiny": ConvNeXtTiny}[name](100).eval()
