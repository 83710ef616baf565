"""Lossy coders on batches: the loss of JPEG as it is, and a coder of small flat-quantised blocks in place of WebP."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from ftforensics.codec.carriers import dct_matrix
from ftforensics.train.batched.linear import FULL, rounded

# ITU-T T.81, tables K.1 and K.2.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
# ITU-R BT.601 as JFIF uses it.
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


@lru_cache(maxsize=8)
def _dct(size: int, device: torch.device) -> Tensor:
    return torch.from_numpy(dct_matrix(size)).float().to(device)


@lru_cache(maxsize=4)
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    to_ycc = torch.tensor(_TO_YCC, device=device)
    tables = [torch.tensor(table, device=device, dtype=torch.float32) for table in (_LUMA, _CHROMA)]
    return to_ycc, torch.linalg.inv(to_ycc), tables[0], tables[1]


def _quantised(plane: Tensor, steps: Tensor) -> Tensor:
    """Planes (B, C, H, W) whose block DCT was rounded to multiples of ``steps`` (B, n, n)."""
    size = steps.shape[-1]
    dct = _dct(size, plane.device)
    batch, channels, height, width = plane.shape
    blocks = plane.reshape(batch, channels, height // size, size, width // size, size).transpose(3, 4)
    wide = steps[:, None, None, None]
    levels = (dct @ blocks @ dct.T / wide).round() * wide
    back = dct.T @ levels @ dct
    return back.transpose(3, 4).reshape(batch, channels, height, width)


def _coded(pictures: Tensor, luma_steps: Tensor, chroma_steps: Tensor) -> Tensor:
    to_ycc, to_rgb, _, _ = _constants(pictures.device)
    # Coders round to whole levels before they transform, which decides many a coefficient.
    ycc = torch.einsum("ac,bcyx->bayx", to_ycc, pictures * FULL - 128.0).round()
    luma = _quantised(ycc[:, :1], luma_steps)
    chroma = _quantised(functional.avg_pool2d(ycc[:, 1:], 2).round(), chroma_steps)
    # Bilinear growth is libjpeg's "fancy" upsampling.
    wide = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    return rounded((torch.einsum("ca,bayx->bcyx", to_rgb, torch.cat([luma, wide], dim=1)) + 128.0) / FULL)


def jpeg(pictures: Tensor, quality: Tensor) -> Tensor:
    """Baseline JPEG with 4:2:0 chroma at qualities (B,) from 1 to 100, tables scaled as libjpeg does."""
    _, _, luma, chroma = _constants(pictures.device)
    scale = torch.where(quality < 50, 5000.0 / quality, 200.0 - 2.0 * quality)[:, None, None]
    steps = [((table * scale + 50.0) / 100.0).floor().clamp(1.0, 255.0) for table in (luma, chroma)]
    return _coded(pictures, steps[0], steps[1])


def small_blocks(pictures: Tensor, step: Tensor) -> Tensor:
    """Blocks of 4x4 with one quantiser step (B,) in grey levels for all coefficients, chroma halved, as in VP8."""
    steps = step[:, None, None].expand(-1, 4, 4)
    return _coded(pictures, steps, steps)
