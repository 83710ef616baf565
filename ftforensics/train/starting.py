"""The reader that training goes on from: a checkpoint, or the graph of an exported model."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import nn

from ftforensics.engine.cuda.torch_weights import load_folded_reader, read_weights
from ftforensics.engine.models import load_card, load_graph
from ftforensics.errors import UsageError
from ftforensics.nets.folded import FoldedBlock, FoldedReader, Layer, fold
from ftforensics.nets.reader import PAIR_CHANNELS, SIZES, Block, Reader, build_reader
from ftforensics.nets.simulator import Simulator
from ftforensics.train.simulator import load_simulator


def load_start(path: Path) -> tuple[Reader, str]:
    """A reader and the name of its size.

    Args:
        path: A checkpoint of training, or the folder of an exported model, whose graph gives the same reader with its
            normalisations already folded.

    Raises:
        FtfError: The model folder cannot be used, or its graph is of no size that training knows.
    """
    if path.is_dir():
        card = load_card(path)
        graph = load_graph(path, card.reader_file, card.reader_sha256)
        return unfold(load_folded_reader(graph, subject=str(path / card.reader_file)))
    # It may have been written on a GPU, and be gone on with where there is none.
    state = torch.load(path, weights_only=True, map_location="cpu")
    size = str(state.get("size", "cpu"))
    net = build_reader(size)
    net.load_state_dict(state["average"])
    return net, size


def unfold(folded: FoldedReader) -> tuple[Reader, str]:
    """A reader that computes the same as a folded one, once it is put into evaluation.

    Raises:
        UsageError: It is of no size that training knows.
    """
    for size in SIZES:
        net = build_reader(size)
        if net.stem.weight.shape == folded.stem.weight.shape and len(net.encoders) == len(folded.encoders):
            _copy(net, folded)
            return net.eval(), size
    raise UsageError(f"a reader with {folded.stem.weight.shape[0]} channels at its first level is of no known size")


def simulator_graph(folder: Path) -> tuple[bytes, str]:
    """The simulator's graph of a model folder, and its SHA-256.

    Raises:
        FtfError: The folder cannot be used, or has no simulator.
    """
    card = load_card(folder)
    if card.simulator_file is None or card.simulator_sha256 is None:
        raise UsageError("the model has no simulator", subject=str(folder), remedy="give a checkpoint of one")
    return load_graph(folder, card.simulator_file, card.simulator_sha256), card.simulator_sha256


def load_generator(path: Path) -> Simulator:
    """A simulator to train through: from a checkpoint, or from the graph of an exported model's folder.

    Raises:
        FtfError: The folder cannot be used, or has no simulator.
    """
    if not path.is_dir():
        return load_simulator(path)
    weights = read_weights(simulator_graph(path)[0], f"the simulator in {path}")
    width, latent = weights["encoder.1.0.weight"].shape[0], weights["decoder.0.0.weight"].shape[1]
    net = Simulator(int(width), int(latent))
    net.load_state_dict(weights)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net.eval().requires_grad_(False)


@torch.no_grad()
def widen(net: Reader, size: str) -> Reader:
    """A reader of pairs that computes, in evaluation, what a reader does on what is left of the picture on grey."""
    pairs = build_reader(size, PAIR_CHANNELS)
    stem = torch.zeros_like(pairs.stem.weight)
    # Each channel enters as four, one for every place in its 2 x 2 pixels; what is left comes after the picture.
    stem[:, 12:24] = net.stem.weight
    pairs.load_state_dict(net.state_dict() | {"stem.weight": stem})
    return pairs.eval()


@torch.no_grad()
def without_norms(net: Reader) -> Reader:
    """The same evaluated reader with every normalisation folded into its convolution, for training that is quicker."""
    plain = copy.deepcopy(net)
    for block in (module for module in plain.modules() if isinstance(module, Block)):
        for name in ("first", "second"):
            convolution, norm = getattr(block, name), getattr(block, f"{name}_norm")
            wide = nn.Conv2d(convolution.in_channels, convolution.out_channels, 3, padding=1)
            weight, bias = fold(convolution, norm)
            wide.weight.copy_(weight)
            wide.bias.copy_(bias)  # type: ignore[union-attr]
            setattr(block, name, wide)
            setattr(block, f"{name}_norm", nn.Identity())
    return plain


@torch.no_grad()
def with_norms(plain: Reader, size: str) -> Reader:
    """The reader of a size that computes what one without normalisations does."""
    net = build_reader(size).to(next(plain.parameters()).device)
    known = net.state_dict()
    net.load_state_dict(known | {name: value for name, value in plain.state_dict().items() if name in known})
    blocks = ([module for module in one.modules() if isinstance(module, Block)] for one in (net, plain))
    for ours, theirs in zip(*blocks, strict=True):
        _copy_normalised(ours.first, ours.first_norm, theirs.first)
        _copy_normalised(ours.second, ours.second_norm, theirs.second)
    return net.eval()


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


def _copy_normalised(into: nn.Conv2d, norm: nn.BatchNorm2d, layer: Layer | nn.Conv2d) -> None:
    """The folded weights, and a normalisation that only adds the bias."""
    if layer.bias is None:
        raise TypeError("a convolution with a bias was expected")
    into.weight.copy_(layer.weight)
    if norm.running_var is not None:
        norm.running_var.fill_(1.0 - norm.eps)
    norm.bias.copy_(layer.bias)
