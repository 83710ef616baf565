"""Precision lies in the graph: what the builder gets, and that it still answers as the model does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from plan_samples import quantised_graph, tiny_graph

from ftforensics.engine.models import load_card, load_graph
from ftforensics.engine.plans.precision import prepare_graph
from ftforensics.errors import EngineError


@pytest.fixture(scope="module")
def reader(model_folder: Path) -> bytes:
    card = load_card(model_folder)
    return load_graph(model_folder, card.reader_file, card.reader_sha256)


@pytest.fixture(scope="module")
def half(reader: bytes) -> bytes:
    return prepare_graph(reader, "fp16")


def answers(graph: bytes, picture: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"picture": picture})[0])


def test_fp32_is_the_graph_as_it_is(reader: bytes) -> None:
    assert prepare_graph(reader, "fp32") is reader


def test_fp16_has_half_weights_between_float32_ends(half: bytes) -> None:
    model = onnx.load_model_from_string(half)
    kinds = Counter(one.data_type for one in model.graph.initializer if len(one.dims) == 4)
    assert set(kinds) == {TensorProto.FLOAT16}
    for end in (*model.graph.input, *model.graph.output):
        assert end.type.tensor_type.elem_type == TensorProto.FLOAT
    onnx.checker.check_model(model)


def test_fp16_answers_as_float32_does(reader: bytes, half: bytes, rng: np.random.Generator) -> None:
    picture = rng.random((1, 3, 128, 128), dtype=np.float32)
    exact, rounded = answers(reader, picture), answers(half, picture)
    assert rounded.dtype == np.float32
    assert np.abs(exact - rounded).max() < 0.02 * np.abs(exact).max()
    assert not np.array_equal(exact, rounded)


def test_the_conversion_gives_the_same_bytes_again() -> None:
    graph = tiny_graph()
    assert prepare_graph(graph, "fp16") == prepare_graph(graph, "fp16")


def test_a_float_graph_is_no_int8_graph() -> None:
    with pytest.raises(EngineError, match="no Q/DQ nodes"):
        prepare_graph(tiny_graph(), "int8")


def test_int8_is_the_quantised_graph_if_tensorrt_takes_it(tmp_path: Path) -> None:
    signed = quantised_graph(tmp_path, signed=True)
    assert prepare_graph(signed, "int8") == signed
    with pytest.raises(EngineError, match="not signed and symmetric"):
        prepare_graph(quantised_graph(tmp_path, signed=False), "int8")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\x0a\x05hello"])
def test_what_is_not_onnx_is_refused(precision: str, data: bytes) -> None:
    with pytest.raises(EngineError):
        prepare_graph(data, precision, subject="model.onnx")


def test_weights_in_other_files_are_refused() -> None:
    model = onnx.load_model_from_string(tiny_graph())
    (weights,) = model.graph.initializer
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")
    for precision in ("fp16", "int8"):
        with pytest.raises(EngineError, match="weights in other files"):
            prepare_graph(model.SerializeToString(), precision)


def test_an_unknown_precision() -> None:
    with pytest.raises(EngineError, match="use fp32, fp16 or int8"):
        prepare_graph(tiny_graph(), "fp8")
