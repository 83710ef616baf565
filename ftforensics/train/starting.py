"""The reader that training goes on from: a checkpoint, or the graph of an exported model."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ftforensics.engine.cuda.torch_weights import load_folded_reader
from ftforensics.engine.models import load_card, load_graph
from ftforensics.nets.folded import FoldedBlock, FoldedReader, Layer
from ftforensics.nets.reader import SIZES, Block, Reader, build_reader


def load_start(path: Path) -> tuple[Reader, str]:
    """A reader and the name of its size.

    Args:
        path: A checkpoint of training, or the folder of an exported model, whose graph gives the same reader with its
            normalisations already folded.

    Raises:
        FtfError: The model folder cannot be used.
        ValueError: The graph is of no size that training knows.
    """
    if path.is_dir():
        card = load_card(path)
        graph = load_graph(path, card.reader_file, card.reader_sha256)
        return unfold(load_folded_reader(graph, subject=str(path / card.reader_file)))
    state = torch.load(path, weights_only=True)
    size = str(state.get("size", "cpu"))
    net = build_reader(size)
    net.load_state_dict(state["average"])
    return net, size


def unfold(folded: FoldedReader) -> tuple[Reader, str]:
    """A reader that computes the same as a folded one, once it is put into evaluation.

    Raises:
        ValueError: It is of no size that training knows.
    """
    for size in SIZES:
        net = build_reader(size)
        if net.stem.weight.shape == folded.stem.weight.shape and len(net.encoders) == len(folded.encoders):
            _copy(net, folded)
            return net.eval(), size
    raise ValueError(f"a reader with {folded.stem.weight.shape[0]} channels at its first level is of no known size")


@torch.no_grad()
def _copy(net: Reader, folded: FoldedReader) -> None:
    for name in ("stem", "head"):
        _copy_layer(getattr(net, name), getattr(folded, name))
    for theirs, ours in zip((*folded.downs, *folded.ups), (*net.downs, *net.ups), strict=True):
        _copy_layer(ours, theirs)
    for stage, into in zip((*folded.encoders, *folded.decoders), (*net.encoders, *net.decoders), strict=True):
        for block, target in zip(stage.children(), into.children(), strict=True):
            if not isinstance(block, FoldedBlock) or not isinstance(target, Block):
                raise TypeError("a stage of blocks was expected")
            _copy_normalised(target.first, target.first_norm, block.first)
            _copy_normalised(target.second, target.second_norm, block.second)


def _copy_layer(into: nn.Module, layer: nn.Module) -> None:
    if not isinstance(into, nn.Conv2d) or not isinstance(layer, Layer) or into.bias is None:
        raise TypeError("a convolution with a bias was expected")
    into.weight.copy_(layer.weight)
    into.bias.copy_(layer.bias)


def _copy_normalised(into: nn.Conv2d, norm: nn.BatchNorm2d, layer: Layer) -> None:
    """The folded weights, and a normalisation that only adds the bias."""
    into.weight.copy_(layer.weight)
    if norm.running_var is not None:
        norm.running_var.fill_(1.0 - norm.eps)
    norm.bias.copy_(layer.bias)
