"""What a graph costs: multiplications, operations and bytes, counted from its ONNX form.

Enters: a graph and a batch size. Leaves: counts for one picture of that batch, in all and by kind of node. A
multiply-accumulate is two operations, as in the published figures of floating-point operations; bytes are what every
node reads and writes if nothing stays in a cache between nodes, weights included: an upper bound on the traffic of a
runtime that fuses nodes. Nodes that only rename memory (Reshape, Flatten, ...) and constants cost nothing.

Needs the package onnx, which is an extra.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from ftforensics.errors import EngineError

FREE = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Constant", "Dropout", "Shape"})
# Operations an element of the output; what is not named here counts one.
_PER_VALUE = {"Erf": 8, "Exp": 8, "Tanh": 8, "Sigmoid": 8, "Gelu": 12, "LayerNormalization": 8, "Softmax": 10}
_MOVES = frozenset({"Transpose", "Concat", "Slice", "Gather", "Pad", "Split", "Expand", "Cast"})
_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 16: 2}

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCost:
    """Costs of one picture. ``macs`` are multiply-accumulates, ``operations`` everything, a multiply-accumulate as two.

    ``activation_bytes`` are read and written by all nodes; ``weight_bytes`` are read once a batch, and are given whole.
    """

    macs: int
    operations: int
    activation_bytes: int
    weight_bytes: int
    batch: int
    by_node: dict[str, int] = field(default_factory=dict)

    @property
    def bytes_moved(self) -> float:
        """Bytes of one picture, its share of the weights included."""
        return self.activation_bytes + self.weight_bytes / self.batch

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.bytes_moved

    def at_half_width(self) -> GraphCost:
        """The same in a number format of half the width: half the bytes."""
        return replace(self, activation_bytes=self.activation_bytes // 2, weight_bytes=self.weight_bytes // 2)


def count_graph(data: bytes, *, batch: int = 1) -> GraphCost:
    """Count a graph whose first axis is the batch.

    Args:
        data: A serialised ONNX model with one input of known size but for its batch.
        batch: How many pictures at a time.

    Raises:
        EngineError: The package onnx is missing, or a shape cannot be inferred.
    """
    graph = _infer(data, batch)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {name: tuple(tensor.dims) for name, tensor in weights.items()}
    kinds = {name: int(tensor.data_type) for name, tensor in weights.items()}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        shapes[value.name] = tuple(int(side.dim_value) for side in tensor.shape.dim)
        kinds[value.name] = int(tensor.elem_type)
    macs = operations = moved = 0
    by_node: dict[str, int] = {}
    for node in graph.node:
        if node.op_type in FREE:
            continue
        inputs = [name for name in node.input if name and name not in weights]
        for name in (*inputs, *node.output):
            if name and (name not in shapes or 0 in shapes[name]):
                raise EngineError("the shape of a value of the graph is not known", subject=name)
        done = _macs(node, shapes)
        total = 2 * done if done else _operations(node, shapes)
        macs, operations = macs + done, operations + total
        moved += sum(prod(shapes[name]) * _BYTES.get(kinds[name], 4) for name in (*inputs, *node.output) if name)
        by_node[node.op_type] = by_node.get(node.op_type, 0) + total
    return GraphCost(
        macs=macs // batch,
        operations=operations // batch,
        activation_bytes=moved // batch,
        weight_bytes=sum(prod(shapes[name]) * _BYTES.get(kinds[name], 4) for name in weights),
        batch=batch,
        by_node={kind: count // batch for kind, count in sorted(by_node.items())},
    )


def _infer(data: bytes, batch: int) -> Any:
    """The graph with its batch fixed and every shape inferred."""
    try:
        import onnx
    except ImportError as exc:
        raise EngineError("counting a graph needs the package onnx", remedy="pip install 'ftforensics[speed]'") from exc
    try:
        model = onnx.load_model_from_string(data)
        del model.graph.value_info[:]
        initial = {tensor.name for tensor in model.graph.initializer}
        for value in model.graph.input:
            if value.name not in initial:
                value.type.tensor_type.shape.dim[0].dim_value = batch
        for value in model.graph.output:
            del value.type.tensor_type.shape.dim[:]
            value.type.tensor_type.ClearField("shape")
        graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    except Exception as exc:  # protobuf and onnx raise unrelated classes
        raise EngineError("the graph cannot be counted", remedy="check that it is an ONNX model") from exc
    if not graph.node:
        raise EngineError("the graph cannot be counted: it has no nodes", remedy="check that it is an ONNX model")
    return graph


def _macs(node: Any, shapes: dict[str, Shape]) -> int:
    """Multiply-accumulates of convolutions and matrix products; 0 for everything else."""
    count: Callable[[Any, dict[str, Shape]], int] | None = {
        "Conv": _conv_macs,
        "QLinearConv": _conv_macs,
        "ConvTranspose": _transposed_macs,
        "Gemm": _gemm_macs,
        "MatMul": _matmul_macs,
    }.get(node.op_type)
    return 0 if count is None else count(node, shapes)


def _conv_macs(node: Any, shapes: dict[str, Shape]) -> int:
    weight = shapes[node.input[3 if node.op_type == "QLinearConv" else 1]]
    return prod(shapes[node.output[0]]) * prod(weight[1:])


def _transposed_macs(node: Any, shapes: dict[str, Shape]) -> int:
    return prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])


def _gemm_macs(node: Any, shapes: dict[str, Shape]) -> int:
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if turned else 1]


def _matmul_macs(node: Any, shapes: dict[str, Shape]) -> int:
    return prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


def _operations(node: Any, shapes: dict[str, Shape]) -> int:
    if node.op_type in _MOVES or (node.op_type == "Resize" and _is_nearest(node)):
        return 0
    if node.op_type in ("GlobalAveragePool", "ReduceMean"):
        return prod(shapes[node.input[0]])
    values = prod(shapes[node.output[0]])
    if node.op_type in ("MaxPool", "AveragePool"):
        kernel = next((attribute.ints for attribute in node.attribute if attribute.name == "kernel_shape"), (1,))
        return values * prod(kernel)
    return values * _PER_VALUE.get(node.op_type, 1)


def _is_nearest(node: Any) -> bool:
    mode = next((attribute.s for attribute in node.attribute if attribute.name == "mode"), b"nearest")
    return bool(mode == b"nearest")
