"""The reader with normalisation folded into its convolutions, and its gradient with respect to the picture.

Both are what is shipped as ONNX graphs: the tagger needs the gradient and must not need torch. The backward pass is
written out, convolution by transposed convolution, because ONNX has no differentiation of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ftforensics.nets.reader import Block, Reader, run_levels


def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution followed by an evaluated batch normalisation (Ioffe and Szegedy, 2015)."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("only a normalisation with running statistics folds")
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = convolution.weight * gain[:, None, None, None]
    return weight.detach().clone(), (norm.bias - norm.running_mean * gain).detach().clone()


class Layer(nn.Module):
    """A 3x3 convolution with a known adjoint."""

    weight: Tensor
    bias: Tensor
    reverse: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("weight", weight.detach().clone())
        self.register_buffer("bias", bias.detach().clone())
        turned = weight.flip(2, 3).transpose(0, 1).contiguous() if stride == 1 else weight
        self.register_buffer("reverse", turned.detach().clone())

    def forward(self, features: Tensor) -> Tensor:
        """Convolve."""
        return functional.conv2d(features, self.weight, self.bias, stride=self.stride, padding=1)

    def adjoint(self, cotangent: Tensor) -> Tensor:
        """Gradient with respect to the input; stride 1 as a plain convolution, which CPU runtimes run fastest."""
        if self.stride == 1:
            return functional.conv2d(cotangent, self.reverse, padding=1)
        return functional.conv_transpose2d(cotangent, self.reverse, stride=2, padding=1, output_padding=1)


class FoldedBlock(nn.Module):
    """relu(x + second(relu(first(x))))."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.first = Layer(*fold(block.first, block.first_norm))
        self.second = Layer(*fold(block.second, block.second_norm))

    def forward(self, features: Tensor) -> Tensor:
        """Same shape out."""
        return functional.relu(features + self.second(functional.relu(self.first(features))))

    def trace(self, features: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Output and what the adjoint needs: the two activations."""
        inner = functional.relu(self.first(features))
        outer = functional.relu(features + self.second(inner))
        return outer, (inner, outer)

    def adjoint(self, cotangent: Tensor, kept: tuple[Tensor, Tensor]) -> Tensor:
        """Gradient with respect to the block's input."""
        inner, outer = kept
        through = cotangent * (outer > 0).to(cotangent.dtype)
        return through + self.first.adjoint(self.second.adjoint(through) * (inner > 0).to(cotangent.dtype))


class FoldedReader(nn.Module):
    """The reader for inference: (B, 3, 128, 128) in [0, 1] to planes (B, 3, 64, 64)."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.stem = Layer(reader.stem.weight, _bias(reader.stem))
        self.encoders = nn.ModuleList(_fold_stage(stage) for stage in reader.encoders)
        self.decoders = nn.ModuleList(_fold_stage(stage) for stage in reader.decoders)
        self.downs = nn.ModuleList(Layer(_conv(m).weight, _bias(_conv(m)), stride=2) for m in reader.downs)
        self.ups = nn.ModuleList(Layer(_conv(m).weight, _bias(_conv(m))) for m in reader.ups)
        self.head = Layer(reader.head.weight, _bias(reader.head))

    def forward(self, picture: Tensor) -> Tensor:
        """Picture to planes."""
        features = functional.relu(self.stem(functional.pixel_unshuffle(picture * 4.0 - 2.0, 2)))
        planes: Tensor = self.head(run_levels(self, features))
        return planes


class ReaderGradient(nn.Module):
    """Soft bits of signed carriers and the gradient of a margin loss with respect to the picture.

    Inputs: picture (B, 3, 128, 128); carriers (K, 12288), each times the sign it should be read with and scaled so that
    a perfect reading gives 1; weights (K,); margin and sharpness (scalars). With level the mean |soft| of a picture,
    taken as a constant, the loss of a picture is
    sum_k weights_k * level * softplus(sharpness * (margin - soft_k / level)) / sharpness:
    bits that read weaker than their fellows are pulled up first, whatever the manipulation left of all of them.
    Outputs: soft (B, K) and gradient (B, 3, 128, 128).
    """

    def __init__(self, reader: FoldedReader) -> None:
        super().__init__()
        self.reader = reader

    def forward(
        self, picture: Tensor, carriers: Tensor, weights: Tensor, margin: Tensor, sharpness: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run the reader forward, the loss, and the reader backward."""
        planes, kept = self._forward(picture)
        soft = planes.flatten(1) @ carriers.T
        level = soft.abs().mean(dim=1, keepdim=True) + 1e-3
        slope = -weights * torch.sigmoid(sharpness * (margin - soft / level))
        cotangent = (slope @ carriers).reshape(planes.shape)
        return soft, self._backward(cotangent, kept)

    def _forward(self, picture: Tensor) -> tuple[Tensor, list[list[tuple[Tensor, ...]]]]:
        net = self.reader
        features = functional.relu(net.stem(functional.pixel_unshuffle(picture * 4.0 - 2.0, 2)))
        first, skips = features, []
        encoded, downs, decoded = [], [], []
        for level, encoder in enumerate(net.encoders):
            features, kept = _trace_stage(encoder, features)
            encoded.append(kept)
            if level < len(net.downs):
                skips.append(features)
                features = functional.relu(net.downs[level](features))
                downs.append(features)
        for level in reversed(range(len(net.ups))):
            wider = functional.interpolate(features, scale_factor=2, mode="nearest")
            joined = functional.relu(net.ups[level](wider) + skips[level])
            features, kept = _trace_stage(net.decoders[level], joined)
            decoded.append([(joined,), *kept])
        return net.head(features), [[(first,)], [(down,) for down in downs], *encoded, *decoded]

    def _backward(self, cotangent: Tensor, kept: list[list[tuple[Tensor, ...]]]) -> Tensor:
        net = self.reader
        depth = len(net.encoders)
        first, downs, encoded, decoded = kept[0][0][0], kept[1], kept[2 : 2 + depth], kept[2 + depth :]
        gradient = net.head.adjoint(cotangent)
        into_skips: list[Tensor] = []
        for level in range(len(net.ups)):
            joined, *blocks = decoded[len(net.ups) - 1 - level]
            gradient = _adjoint_stage(net.decoders[level], gradient, blocks)
            gradient = gradient * (joined[0] > 0).to(gradient.dtype)
            into_skips.append(gradient)
            gradient = 4.0 * functional.avg_pool2d(_layer(net.ups[level]).adjoint(gradient), 2)
        for level in reversed(range(depth)):
            if level < len(net.downs):
                masked = gradient * (downs[level][0] > 0).to(gradient.dtype)
                gradient = _layer(net.downs[level]).adjoint(masked)
                gradient = gradient + into_skips[level]
            gradient = _adjoint_stage(net.encoders[level], gradient, encoded[level])
        gradient = net.stem.adjoint(gradient * (first > 0).to(gradient.dtype))
        return functional.pixel_shuffle(gradient, 2) * 4.0


def _bias(convolution: nn.Conv2d) -> Tensor:
    if convolution.bias is None:
        raise ValueError("this convolution was expected to have a bias")
    return convolution.bias


def _conv(module: nn.Module) -> nn.Conv2d:
    if not isinstance(module, nn.Conv2d):
        raise TypeError("a convolution was expected here")
    return module


def _layer(module: nn.Module) -> Layer:
    if not isinstance(module, Layer):
        raise TypeError("a folded convolution was expected here")
    return module


def _fold_stage(stage: nn.Module) -> nn.Sequential:
    return nn.Sequential(*(FoldedBlock(block) for block in stage.children() if isinstance(block, Block)))


def _trace_stage(stage: nn.Module, features: Tensor) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    kept: list[tuple[Tensor, ...]] = []
    for block in stage.children():
        if isinstance(block, FoldedBlock):
            features, pair = block.trace(features)
            kept.append(pair)
    return features, kept


def _adjoint_stage(stage: nn.Module, gradient: Tensor, kept: list[tuple[Tensor, ...]]) -> Tensor:
    for block, pair in zip(reversed(list(stage.children())), reversed(kept), strict=True):
        if isinstance(block, FoldedBlock):
            gradient = block.adjoint(gradient, (pair[0], pair[1]))
    return gradient
