"""The reader's network for NVIDIA GPUs: bias, residual and ReLU computed by the convolution's own kernel.

Enters: the folded network on a GPU and pictures uint8 (B, P, P, 3) there. Leaves: maps float32 (B, 3, G, G). At these
widths the network is bound by memory, and each kernel that only adds or clips reads and writes every feature again.
cuDNN's fused convolutions are offered by torch, yet nothing promises that they know a type or shape, or that they give
the same bits twice. So they are only used where they were seen to, at the batch that they are used for.
Source: cuDNN developer guide, "Runtime fusion engines"; PyTorch's operators ``cudnn_convolution_relu`` and
``cudnn_convolution_add_relu``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ftforensics.engine.agreement import LIMITS, build_test_pictures
from ftforensics.nets.folded import FoldedBlock, FoldedReader, Layer

PRECISIONS = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}

# Those after the first are how the processor's libraries and cuDNN say it.
_NO_MEMORY = ("out of memory", "DefaultCPUAllocator", "bad_alloc", "could not create a primitive", "ALLOC_FAILED")

GREY_LEVEL = float(np.float32(1.0 / 255.0))  # the same float32 as the other backends use

Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Kernels:
    """How a layer is computed with ReLU after it: the first, others, and those with something to add before that."""

    name: str
    first: Callable[[Tensor, Layer], Tensor]
    clip: Callable[[Tensor, Layer], Tensor]
    add_clip: Callable[[Tensor, Layer, Tensor], Tensor]


def _clip(features: Tensor, layer: Layer) -> Tensor:
    return functional.relu_(cast("Tensor", layer(features)))


def _add_clip(features: Tensor, layer: Layer, other: Tensor) -> Tensor:
    return functional.relu_(cast("Tensor", layer(features)).add_(other))


def _fused_clip(features: Tensor, layer: Layer) -> Tensor:
    stride = (layer.stride, layer.stride)
    found = torch.ops.aten.cudnn_convolution_relu(features, layer.weight, layer.bias, stride, (1, 1), (1, 1), 1)
    return cast("Tensor", found)


def _fused_add_clip(features: Tensor, layer: Layer, other: Tensor) -> Tensor:
    stride = (layer.stride, layer.stride)
    found = torch.ops.aten.cudnn_convolution_add_relu(
        features, layer.weight, other, 1.0, layer.bias, stride, (1, 1), (1, 1), 1
    )
    return cast("Tensor", found)


LADDER = (
    Kernels("fused", _fused_clip, _fused_clip, _fused_add_clip),
    # The first layer is float32 and takes twelve channels, which not every fused kernel does.
    Kernels("fused but the first", _clip, _fused_clip, _fused_add_clip),
    # Where there is nothing to add, cuDNN is given memory that nobody has written, times zero: that may be no number.
    Kernels("fused sums", _clip, _clip, _fused_add_clip),
    Kernels("in place", _clip, _clip, _add_clip),
)


class FusedReader(nn.Module):
    """The same network as ``FoldedReader``, with the same weights, from bytes to maps.

    Args:
        net: On its device, layers between first and last in their precision.
        kind: That precision.
        kernels: How layers are computed.
    """

    def __init__(self, net: FoldedReader, kind: torch.dtype, kernels: Kernels) -> None:
        super().__init__()
        self.net, self.kind, self.kernels = net, kind, kernels

    def forward(self, pictures: Tensor) -> Tensor:
        """Planes float32 (B, 3, G, G) of pictures uint8 (B, P, P, 3)."""
        net, kernels = self.net, self.kernels
        features = kernels.first(spread_pixels(pictures), net.stem).to(self.kind)
        skips: list[Tensor] = []
        for level, encoder in enumerate(net.encoders):
            features = self._stage(encoder, features)
            if level < len(net.downs):
                skips.append(features)
                features = kernels.clip(features, cast("Layer", net.downs[level]))
        for level in reversed(range(len(net.ups))):
            wider = functional.interpolate(features, scale_factor=2, mode="nearest")
            joined = kernels.add_clip(wider, cast("Layer", net.ups[level]), skips.pop())
            features = self._stage(net.decoders[level], joined)
        head = net.head
        planes = functional.conv2d(features.to(torch.float32), head.weight, head.bias, padding=1)
        return planes.contiguous()

    def _stage(self, stage: nn.Module, features: Tensor) -> Tensor:
        for block in stage.children():
            first, second = cast("FoldedBlock", block).first, cast("FoldedBlock", block).second
            features = self.kernels.add_clip(self.kernels.clip(features, first), second, features)
        return features


def spread_pixels(pictures: Tensor) -> Tensor:
    """What the first layer takes, float32 (B, 12, P/2, P/2) in [-2, 2], channels last: bytes are moved, not floats.

    The same numbers as ``pixel_unshuffle(picture * 4 - 2, 2)`` gives of a picture in [0, 1]: four is a power of two.
    """
    count, height, width, channels = pictures.shape
    blocks = pictures.reshape(count, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 5, 2, 4)
    moved = blocks.reshape(count, height // 2, width // 2, 4 * channels)
    return (moved * (4.0 * GREY_LEVEL)).sub_(2.0).permute(0, 3, 1, 2)


def find_forward(net: FoldedReader, kind: torch.dtype, plain: Forward, shape: tuple[int, ...], device: str) -> Forward:
    """The first of the ladder's ways that reads what the plain way reads at this shape, twice the same; else the plain.

    Raises:
        torch.OutOfMemoryError: The GPU has no room for this shape.
    """
    drawn = torch.from_numpy(build_test_pictures(shape[1])).to(device)
    pictures = drawn.repeat((shape[0] + 1) // 2, 1, 1, 1)[: shape[0]].contiguous()
    wanted = plain(pictures)
    for kernels in LADDER:
        forward = FusedReader(net, kind, kernels)
        if _reads(forward, pictures, wanted, LIMITS[PRECISIONS[kind]]):
            return forward
    return plain


def is_no_memory(error: BaseException) -> bool:
    """Whether torch, or a library under it, says that there was too little memory."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in str(error) for sign in _NO_MEMORY)


def name_kernels(forward: Forward) -> str:
    """What tables call a way to compute."""
    return forward.kernels.name if isinstance(forward, FusedReader) else "plain"


def _reads(forward: Forward, pictures: Tensor, wanted: Tensor, limit: float) -> bool:
    try:
        found = forward(pictures)
        _soil(pictures)
        again = forward(pictures)
    except (RuntimeError, AttributeError) as exc:  # no such operator in this torch, or no kernel for this type or shape
        if is_no_memory(exc):
            raise
        return False
    off = (found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt().clamp_min(1e-12)
    return bool(torch.equal(found, again)) and float(off) <= limit


def _soil(pictures: Tensor) -> None:
    """Leave bytes that are no number in the memory that is given out next, so that whoever reads it is found out."""
    largest = 6 * pictures.numel()
    held = [
        torch.full((max(1, largest >> halved),), 255, dtype=torch.uint8, device=pictures.device)
        for halved in range(7)
        for _ in range(3)
    ]
    held.clear()
