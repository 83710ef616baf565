"""The reader as a torch module, with the weights of its ONNX graph. In: the graph's bytes. Out: ``FoldedReader``.

The graph stays the one source of the weights: the same hash stands in every finding, whatever runs them.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from ftforensics.errors import EngineError
from ftforensics.nets.folded import FoldedReader, Layer
from ftforensics.nets.reader import Reader

_BLOCK = re.compile(r"encoders\.(\d+)\.(\d+)\.first\.weight")
_REMEDY = "choose --engine onnx, which runs any graph"


def load_folded_reader(graph: bytes, *, subject: str) -> FoldedReader:
    """Build the network that a graph was exported from.

    Args:
        graph: ONNX, already checked against the card's hash.
        subject: The file, for errors.

    Raises:
        EngineError: It is no such network, or the package that reads ONNX is missing.
    """
    weights = read_weights(graph, subject)
    try:
        widths, blocks = _shape(weights)
        net = FoldedReader(Reader(widths, blocks))
        for name, module in net.named_modules():
            if isinstance(module, Layer):
                weights[f"{name}.reverse"] = _reverse(weights[f"{name}.weight"], module.stride)
        net.load_state_dict(weights, strict=True)
    except (KeyError, RuntimeError, ValueError, IndexError) as exc:
        raise EngineError("torch does not know the network in this graph", subject=subject, remedy=_REMEDY) from exc
    return net.eval().requires_grad_(False)


def read_weights(graph: bytes, subject: str) -> dict[str, Tensor]:
    """Weights and biases by the names that modules give them.

    Raises:
        EngineError: It is no graph, or the package that reads ONNX is missing.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as exc:
        raise EngineError(
            "the torch backend needs the package onnx to read the model's weights",
            remedy="python -m pip install 'ftforensics[torch]'",
        ) from exc
    try:
        proto = onnx.load_model_from_string(graph)
        tensors = {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}
    except Exception as exc:  # onnx raises protobuf's own unrelated classes
        raise EngineError("the graph cannot be parsed", subject=subject, remedy="reinstall the model") from exc
    return {
        name: torch.from_numpy(value.copy())
        for name, value in tensors.items()
        if name.endswith((".weight", ".bias")) and value.dtype.kind == "f"
    }


def _shape(weights: dict[str, Tensor]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths and block counts of the levels."""
    found = [match for name in weights if (match := _BLOCK.fullmatch(name))]
    depth = 1 + max((int(match[1]) for match in found), default=-1)
    widths = tuple(int(weights[f"encoders.{level}.0.first.weight"].shape[0]) for level in range(depth))
    blocks = tuple(sum(int(match[1]) == level for match in found) for level in range(depth))
    return widths, blocks


def _reverse(weight: Tensor, stride: int) -> Tensor:
    return weight.flip(2, 3).transpose(0, 1).contiguous() if stride == 1 else weight
