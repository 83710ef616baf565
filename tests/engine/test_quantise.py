"""Eight bits: which layers stand them, and the int8 reader beside its model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from ftforensics.engine.models import load_card
from ftforensics.engine.onnx import OnnxReader
from ftforensics.engine.quantise import choose_graph, list_runs, quantise_graph
from ftforensics.engine.quantised import (
    QUANTISED_FILE,
    check_writable,
    load_quantised,
    remove_quantised,
    save_quantised,
)
from ftforensics.errors import EngineError, ModelMissing, WriteFailed

onnx = pytest.importorskip("onnx")
SIDE = 16


@pytest.fixture(scope="module")
def views() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (12, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((24, 3 * 8 * 8)).astype(np.float32)


def make_graph(gain: float) -> bytes:
    """16 px, 8 px, 8 px: the first layer's picture part, ``gain`` times the rest, is cancelled by the last."""
    random = np.random.default_rng(3)
    first = random.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32)
    down = random.normal(0, 0.2, (8, 8, 3, 3)).astype(np.float32)
    last = random.normal(0, 0.2, (3, 8, 3, 3)).astype(np.float32)
    # Two channels that are equal but for a little, and are subtracted in the end: eight bits cannot hold the little.
    first[1] = first[0] * gain + 0.01 * first[1]
    first[0] = first[0] * gain
    down[:, 1] = -down[:, 0]
    down[:, 2:] *= 0.001
    names = {"w1": first, "w2": down, "w3": last}
    nodes = [
        onnx.helper.make_node("Conv", ["picture", "w1"], ["a"], name="first", pads=[1, 1, 1, 1]),
        onnx.helper.make_node("Conv", ["a", "w2"], ["b"], name="down", pads=[1, 1, 1, 1], strides=[2, 2]),
        onnx.helper.make_node("Conv", ["b", "w3"], ["planes"], name="last", pads=[1, 1, 1, 1]),
    ]
    value = onnx.helper.make_tensor_value_info
    made = onnx.helper.make_graph(
        nodes,
        "small",
        [value("picture", onnx.TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [value("planes", onnx.TensorProto.FLOAT, ["n", 3, 8, 8])],
        [onnx.numpy_helper.from_array(array, name) for name, array in names.items()],
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def test_runs_are_layers_of_one_resolution() -> None:
    assert [run.nodes for run in list_runs(make_graph(1.0))] == [("first",), ("down", "last")]


def test_the_shipped_readers_runs_go_down_and_up_again(model_folder: Path) -> None:
    runs = list_runs((model_folder / "reader.onnx").read_bytes())
    assert len(runs) == 7
    assert len({node for run in runs for node in run.nodes}) == sum(len(run.nodes) for run in runs)


def test_only_the_named_layers_are_quantised(views: np.ndarray) -> None:
    made = onnx.load_model_from_string(quantise_graph(make_graph(1.0), views, ["last"]))
    kinds = [node.op_type for node in made.graph.node]
    assert kinds.count("Conv") == 3
    whole = onnx.load_model_from_string(quantise_graph(make_graph(1.0), views, ["first", "down", "last"]))
    more = [node.op_type for node in whole.graph.node]
    assert 0 < kinds.count("QuantizeLinear") < more.count("QuantizeLinear")


def test_quantising_twice_gives_the_same_bytes(views: np.ndarray) -> None:
    graph = make_graph(1.0)
    assert quantise_graph(graph, views, ["last"]) == quantise_graph(graph, views, ["last"])


def test_all_layers_are_taken_where_all_stand_it(views: np.ndarray, rows: np.ndarray) -> None:
    found = choose_graph(make_graph(1.0), calibration=views, check=views, rows=rows, least_agreement=0.5)
    assert found.graph is not None
    assert len(found.trials) == 1
    assert len(found.runs) == 2


def test_layers_that_lose_the_signal_are_left_out(views: np.ndarray, rows: np.ndarray) -> None:
    found = choose_graph(make_graph(40.0), calibration=views, check=views, rows=rows, least_agreement=0.9)
    whole, *alone = found.trials
    assert whole.sign_agreement < 0.9
    assert len(alone) >= 2
    assert len(found.runs) < 2
    assert (found.graph is None) == (not found.runs)


def test_nothing_is_taken_where_every_sign_must_stay(views: np.ndarray, rows: np.ndarray) -> None:
    found = choose_graph(make_graph(40.0), calibration=views, check=views, rows=rows, least_agreement=1.01)
    assert found.graph is None
    assert found.runs == ()


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(EngineError):
        list_runs(b"no graph")


@pytest.fixture
def model(tmp_path: Path, model_folder: Path) -> Path:
    folder = tmp_path / "ftf-1"
    folder.mkdir()
    for name in ("model.json", "reader.onnx"):
        shutil.copy(model_folder / name, folder / name)
    remove_quantised(folder)
    return folder


def test_a_model_without_an_int8_reader_says_so(model: Path) -> None:
    with pytest.raises(ModelMissing, match="ships no int8 reader"):
        OnnxReader(model, precision="int8")


def test_it_is_saved_opened_and_removed(model: Path) -> None:
    before = json.loads((model / "model.json").read_text())
    graph = (model / "reader.onnx").read_bytes()
    digest = save_quantised(model, graph, {"speed_up": 2.0})
    assert load_quantised(model) == graph
    reader = OnnxReader(model, threads=1, precision="int8")
    assert (reader.precision, reader.engine_sha256) == ("int8", digest)
    assert load_card(model).reader_sha256 == before["reader_sha256"]
    remove_quantised(model)
    assert json.loads((model / "model.json").read_text()) == before
    assert not (model / QUANTISED_FILE).exists()


def test_it_does_not_outlive_its_reader(model: Path) -> None:
    save_quantised(model, b"graph", {})
    card = json.loads((model / "model.json").read_text())
    card["reader_sha256"] = "0" * 64
    (model / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelMissing, match="made from another reader"):
        load_quantised(model)


def test_changed_bytes_are_refused(model: Path) -> None:
    save_quantised(model, b"graph", {})
    (model / QUANTISED_FILE).write_bytes(b"grapf")
    with pytest.raises(ModelMissing, match="was changed"):
        load_quantised(model)


@pytest.mark.parametrize(("graph_bytes", "limit_bytes"), [(50_000, 20_000), (10, 1_000)])
def test_a_disk_that_fills_up_leaves_reader_and_card_as_they_were(
    model: Path, file_size_limit: Callable[[int], AbstractContextManager[None]], graph_bytes: int, limit_bytes: int
) -> None:
    """Once the graph does not fit, and once the card does not."""
    save_quantised(model, b"the first", {"speed_up": 2.0, "runs": ["x" * 2_000]})
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    with file_size_limit(limit_bytes), pytest.raises(WriteFailed, match="cannot be written"):
        save_quantised(model, b"." * graph_bytes, {"runs": ["x" * 2_000]})
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    assert load_quantised(model) == b"the first"


def test_others_may_still_read_what_they_could(model: Path) -> None:
    (model / "model.json").chmod(0o644)
    save_quantised(model, b"graph", {})
    assert {(model / name).stat().st_mode & 0o777 for name in ("model.json", QUANTISED_FILE)} == {0o644}


def test_a_folder_that_cannot_be_written_is_known_beforehand(
    model: Path, tmp_path: Path, file_size_limit: Callable[[int], AbstractContextManager[None]]
) -> None:
    before = sorted(path.name for path in model.iterdir())
    check_writable(model)
    assert sorted(path.name for path in model.iterdir()) == before
    with pytest.raises(WriteFailed):
        check_writable(tmp_path / "nowhere")
    with file_size_limit(0), pytest.raises(WriteFailed):
        check_writable(model)
