"""The counter of operations and bytes against graphs counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftforensics.engine.models import load_card, load_graph
from ftforensics.errors import EngineError
from ftforensics.flows.bench.graph_cost import count_graph

onnx = pytest.importorskip("onnx")
FLOAT = onnx.TensorProto.FLOAT


def graph_of(nodes, inputs, outputs, weights=None) -> bytes:
    made = onnx.helper.make_graph(
        nodes,
        "counted",
        [onnx.helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [onnx.helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
        [onnx.numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 20)]).SerializeToString()


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype=np.float32)


def convolution(**attributes) -> bytes:
    weights = {"w": ones(5, 3, 3, 3), "b": ones(5)}
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w", "b"], ["c"], **attributes),
        onnx.helper.make_node("Relu", ["c"], ["y"]),
    ]
    return graph_of(nodes, {"x": ["n", 3, 8, 8]}, {"y": ["n", 5, None, None]}, weights)


def test_a_convolution_and_what_it_moves() -> None:
    cost = count_graph(convolution(pads=[1, 1, 1, 1]))
    assert cost.macs == 8 * 8 * 5 * 27
    assert cost.operations == 2 * cost.macs + 8 * 8 * 5
    # In and out of the convolution, in and out of the Relu.
    assert cost.activation_bytes == 4 * (3 * 64 + 5 * 64 + 5 * 64 + 5 * 64)
    assert cost.weight_bytes == 4 * (5 * 27 + 5)
    assert cost.by_node == {"Conv": 2 * cost.macs, "Relu": 320}


def test_a_stride_quarters_it() -> None:
    assert count_graph(convolution(pads=[1, 1, 1, 1], strides=[2, 2])).macs == 4 * 4 * 5 * 27


def test_a_batch_costs_the_same_a_picture_and_shares_the_weights() -> None:
    one, four = (count_graph(convolution(pads=[1, 1, 1, 1]), batch=batch) for batch in (1, 4))
    assert (four.macs, four.operations, four.activation_bytes) == (one.macs, one.operations, one.activation_bytes)
    assert four.bytes_moved == one.activation_bytes + one.weight_bytes / 4
    assert four.intensity > one.intensity


def test_a_depthwise_convolution_reads_one_channel() -> None:
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], group=4, pads=[1, 1, 1, 1])
    data = graph_of([node], {"x": ["n", 4, 6, 6]}, {"y": ["n", 4, 6, 6]}, {"w": ones(4, 1, 3, 3)})
    assert count_graph(data).macs == 6 * 6 * 4 * 9


def test_a_transposed_convolution_counts_by_its_input() -> None:
    node = onnx.helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    data = graph_of([node], {"x": ["n", 4, 6, 6]}, {"y": ["n", 2, 12, 12]}, {"w": ones(4, 2, 2, 2)})
    assert count_graph(data).macs == 6 * 6 * 4 * 2 * 4


def test_matrix_products_and_moves() -> None:
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "w"], ["m"]),
        onnx.helper.make_node("Transpose", ["m"], ["t"], perm=[0, 2, 1]),
        onnx.helper.make_node("Add", ["t", "t"], ["y"]),
    ]
    cost = count_graph(graph_of(nodes, {"x": ["n", 7, 3]}, {"y": ["n", 5, 7]}, {"w": ones(3, 5)}))
    assert cost.macs == 7 * 5 * 3
    assert cost.operations == 2 * 7 * 5 * 3 + 35
    assert cost.by_node["Transpose"] == 0


def test_enlarging_to_the_nearest_only_moves() -> None:
    node = onnx.helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest")
    scales = np.array([1, 1, 2, 2], dtype=np.float32)
    cost = count_graph(graph_of([node], {"x": ["n", 2, 4, 4]}, {"y": ["n", 2, 8, 8]}, {"s": scales}))
    assert cost.operations == 0
    assert cost.activation_bytes == 4 * (2 * 16 + 2 * 64)


def test_the_shipped_reader_is_all_convolutions(model_folder: Path) -> None:
    card = load_card(model_folder)
    cost = count_graph(load_graph(model_folder, card.reader_file, card.reader_sha256))
    # Every weight of a 3x3 convolution is used once a pixel of its output, 64 px at most and 8 px at least.
    assert 64 * card.parameters < cost.macs < 4096 * card.parameters
    assert cost.by_node["Conv"] > 0.99 * cost.operations
    assert cost.weight_bytes == pytest.approx(4 * card.parameters, rel=0.01)


@pytest.mark.parametrize("data", [b"", b"no graph", b"\x00" * 64])
def test_what_is_no_graph_is_refused(data: bytes) -> None:
    with pytest.raises(EngineError):
        count_graph(data)
