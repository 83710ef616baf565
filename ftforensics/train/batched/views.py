"""Light manipulations under which tags are shaped, on batches, with gradients; those of ``engine.informed``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ftforensics.engine.informed import VIEW_PX
from ftforensics.train.batched import codecs, filters, regions
from ftforensics.train.batched.linear import along_both, gaussian_matrices, resized, rounded

KINDS = 8


def light_views(pictures: Tensor, random: np.random.Generator, noise: torch.Generator) -> Tensor:
    """One light manipulation of each picture (B, 3, 128, 128), an eighth of them none; as quickly for all at once.

    Every kind is computed for its own share of the batch, which is in no order.
    """
    parts = list(torch.split(pictures, -(-pictures.shape[0] // KINDS)))
    changes = (_replaced, _cropped, _squeezed, _recompressed, _recoloured, _noisy, _replaced)
    turn = int(random.integers(0, KINDS))
    for offset, change in enumerate(changes):
        at = (turn + offset) % KINDS
        if at < len(parts):
            parts[at] = change(parts[at], random, noise)
    return torch.cat(parts)


def _on(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(like.device, non_blocking=True)


def _replaced(pictures: Tensor, random: np.random.Generator, _: torch.Generator) -> Tensor:
    """A region replaced by another, mirrored part of the picture itself."""
    count = pictures.shape[0]
    masks = regions.draw_masks(count, VIEW_PX, 0.6, random, pictures.device)
    shift = [int(value) for value in random.integers(16, VIEW_PX - 16, 2)]
    donors = torch.roll(pictures.detach().flip(2, 3), shift, dims=(2, 3))
    donors = donors * _on(random.uniform(0.7, 1.3, count), pictures)[:, None, None, None]
    return pictures * (1.0 - masks) + donors * masks


def _cropped(pictures: Tensor, random: np.random.Generator, _: torch.Generator) -> Tensor:
    """Only a rectangle of 65 to 90 % of each side left, the rest the mean."""
    count = pictures.shape[0]
    share = random.uniform(0.65, 0.9, count)
    corner = random.uniform(0.0, 1.0, (2, count)) * (1.0 - share)
    at = (torch.arange(VIEW_PX, device=pictures.device, dtype=torch.float32) + 0.5) / VIEW_PX
    spans = []
    for low in corner:
        start, end = _on(low, pictures)[:, None], _on(low + share, pictures)[:, None]
        spans.append(((at >= start) & (at < end)).float())
    masks = (spans[1][:, :, None] * spans[0][:, None, :])[:, None]
    fill = pictures.detach().mean(dim=(2, 3), keepdim=True)
    return pictures * masks + fill * (1.0 - masks)


def _squeezed(pictures: Tensor, random: np.random.Generator, noise: torch.Generator) -> Tensor:
    """Blurred and a little noisy: what a generator's bottleneck leaves."""
    blur = gaussian_matrices(_on(random.uniform(0.6, 1.6, pictures.shape[0]), pictures), VIEW_PX)
    return along_both(pictures, blur) + 0.01 * _normal(pictures, noise)


def _recompressed(pictures: Tensor, random: np.random.Generator, _: torch.Generator) -> Tensor:
    """JPEG at twice the size, differentiated as if it were the identity."""
    quality = _on(np.floor(random.uniform(30, 80, pictures.shape[0])), pictures)
    with torch.no_grad():
        large = codecs.jpeg(rounded(resized(pictures, 2 * VIEW_PX)), quality)
        change = resized(large, VIEW_PX) - pictures
    return pictures + change


def _recoloured(pictures: Tensor, random: np.random.Generator, _: torch.Generator) -> Tensor:
    count = pictures.shape[0]
    gains = random.normal(0, 0.12, (count, 3)) + random.normal(0, 0.15, (count, 1))
    cells = _on(random.standard_normal((count, 1, 4, 4)), pictures)
    light = filters.smooth_fields(cells, VIEW_PX) * 0.2 + _on(gains, pictures)[:, :, None, None]
    return (pictures * light.exp()).clamp(0.0, 1.0)


def _noisy(pictures: Tensor, random: np.random.Generator, noise: torch.Generator) -> Tensor:
    sigma = _on(random.uniform(0.01, 0.05, pictures.shape[0]), pictures)[:, None, None, None]
    return pictures + sigma * _normal(pictures, noise)


def _normal(like: Tensor, noise: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=noise, device=like.device)
