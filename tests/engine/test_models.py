"""Model folders: what is missing, changed or of another format is one clear sentence, never a traceback."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftforensics.engine.models import find_model, load_card, load_graph
from ftforensics.engine.onnx import (
    OnnxEmbedder,
    OnnxLocaliser,
    OnnxPairReader,
    OnnxReader,
    OnnxSimulator,
    open_localiser,
    open_pair_reader,
)
from ftforensics.errors import EngineError, ModelMissing

GRAPH = b"not an ONNX graph"


@pytest.fixture
def card() -> dict[str, Any]:
    digest = hashlib.sha256(GRAPH).hexdigest()
    return {
        "model_id": "ftf-test",
        "format_version": 1,
        "input_px": 128,
        "grid": 64,
        "message_bits": 128,
        "sync_energy": 0.2,
        "reader_file": "reader.onnx",
        "reader_sha256": digest,
        "gradient_file": "gradient.onnx",
        "gradient_sha256": digest,
        "simulator_file": None,
        "simulator_sha256": None,
        "presence_threshold": 5,
        "sync_threshold": 9.5,
        "parameters": 1,
        "training": {"kept": "and ignored"},
    }


def write(folder: Path, card: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
    for name in ("reader.onnx", "gradient.onnx"):
        (folder / name).write_bytes(GRAPH)
    return folder


def test_a_good_card_is_read(tmp_path: Path, card: dict[str, Any]) -> None:
    read = load_card(write(tmp_path, card))
    assert read.model_id == "ftf-test"
    assert read.simulator_file is None
    assert read.presence_threshold == 5
    assert load_graph(tmp_path, read.reader_file, read.reader_sha256) == GRAPH


def test_an_unknown_model_is_named_with_what_to_do() -> None:
    with pytest.raises(ModelMissing, match=r"^no such model: ftf-none; .*--engines") as caught:
        find_model("ftf-none")
    assert caught.value.subject == "ftf-none"


def test_the_given_folder_comes_before_the_shipped_one(tmp_path: Path, card: dict[str, Any]) -> None:
    shipped = find_model()
    assert find_model(extra=tmp_path) == shipped
    write(tmp_path / "ftf-1", card)
    assert find_model(extra=tmp_path) == tmp_path / "ftf-1"


def test_a_folder_without_a_card_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "ftf-x").mkdir()
    with pytest.raises(ModelMissing, match="no such model"):
        find_model("ftf-x", extra=tmp_path)
    with pytest.raises(ModelMissing, match=r"cannot be read: .*model\.json; reinstall"):
        load_card(tmp_path / "ftf-x")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"a": 1', b"[" * 100_000])
def test_a_card_that_is_not_json_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(data)
    with pytest.raises(ModelMissing, match="cannot be read"):
        load_card(tmp_path)


@pytest.mark.parametrize("value", [[], "text", 3, None])
def test_a_card_that_is_no_object_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="not a JSON object"):
        load_card(write(tmp_path, value))


@pytest.mark.parametrize("field", ["grid", "reader_sha256", "sync_threshold", "format_version"])
def test_a_card_without_a_field_says_which(field: str, tmp_path: Path, card: dict[str, Any]) -> None:
    del card[field]
    with pytest.raises(ModelMissing, match=f"lacks {field}"):
        load_card(write(tmp_path, card))


@pytest.mark.parametrize(
    ("field", "value"),
    [("grid", "64"), ("reader_file", 7), ("sync_energy", "much"), ("input_px", True), ("model_id", None)],
)
def test_a_card_with_a_wrong_type_says_which(field: str, value: object, tmp_path: Path, card: dict[str, Any]) -> None:
    card[field] = value
    with pytest.raises(ModelMissing, match=f"wrong type for {field}"):
        load_card(write(tmp_path, card))


@pytest.mark.parametrize("version", [0, 2])
def test_another_format_is_named_before_its_unknown_fields(version: int, tmp_path: Path, card: dict[str, Any]) -> None:
    del card["sync_energy"]
    card |= {"format_version": version, "unheard_of": 1}
    with pytest.raises(ModelMissing, match=rf"has format {version}, this program reads 1: .*came with this version"):
        load_card(write(tmp_path, card))


@pytest.mark.parametrize("backend", [OnnxReader, OnnxEmbedder])
def test_a_missing_graph_is_named(backend: type, tmp_path: Path, card: dict[str, Any]) -> None:
    write(tmp_path, card)
    (tmp_path / "reader.onnx").unlink()
    (tmp_path / "gradient.onnx").unlink()
    with pytest.raises(ModelMissing, match=r"a file of the model is missing: .*\.onnx; reinstall the model\.$"):
        backend(tmp_path)


@pytest.mark.parametrize("backend", [OnnxReader, OnnxEmbedder])
def test_one_changed_byte_of_a_graph_is_refused(backend: type, tmp_path: Path, card: dict[str, Any]) -> None:
    write(tmp_path, card)
    for name in ("reader.onnx", "gradient.onnx"):
        (tmp_path / name).write_bytes(GRAPH[:-1] + b"H")
    with pytest.raises(ModelMissing, match=r"was changed: its SHA-256 is not the card's: .*\.onnx"):
        backend(tmp_path)


@pytest.mark.parametrize("backend", [OnnxReader, OnnxEmbedder])
def test_a_graph_that_is_none_is_an_engine_error(backend: type, tmp_path: Path, card: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"ONNX Runtime cannot load this graph: .*\.onnx") as caught:
        backend(write(tmp_path, card))
    assert caught.value.__cause__ is not None


def test_a_model_without_a_simulator_says_so(tmp_path: Path, card: dict[str, Any]) -> None:
    with pytest.raises(ModelMissing, match="ships no simulator"):
        OnnxSimulator(write(tmp_path, card))


def test_a_card_of_before_there_were_pair_readers_is_read(tmp_path: Path, card: dict[str, Any]) -> None:
    folder = write(tmp_path, card)
    assert load_card(folder).pair_reader_file is None
    assert open_pair_reader(folder) is None
    with pytest.raises(ModelMissing, match="ships no pair reader"):
        OnnxPairReader(folder)


def test_a_changed_pair_reader_is_refused_before_anything_is_read(tmp_path: Path, card: dict[str, Any]) -> None:
    known = card | {"pair_reader_file": "reader.onnx", "pair_reader_sha256": "0" * 64}
    with pytest.raises(ModelMissing, match="was changed"):
        open_pair_reader(write(tmp_path, known))
    with pytest.raises(ModelMissing, match="outside of the model's folder"):
        load_card(write(tmp_path, known | {"pair_reader_file": "../reader.onnx"}))
    with pytest.raises(EngineError, match="cannot load this graph"):
        OnnxPairReader(write(tmp_path, known | {"pair_reader_sha256": card["reader_sha256"]})).read(
            np.zeros((1, 7, 128, 128), np.float32)
        )


def test_a_changed_simulator_is_told_when_the_pair_reader_opens_not_hours_later(
    tmp_path: Path, card: dict[str, Any]
) -> None:
    known = {"pair_reader_file": "reader.onnx", "pair_reader_sha256": card["reader_sha256"]}
    simulator = {"simulator_file": "reader.onnx", "simulator_sha256": "0" * 64}
    with pytest.raises(ModelMissing, match="was changed"):
        open_pair_reader(write(tmp_path, card | known | simulator))


def test_the_shipped_model_is_whole(model_folder: Path) -> None:
    card = load_card(model_folder)
    assert (card.input_px, card.grid, card.message_bits) == (128, 64, 128)
    assert card.model_id == model_folder.name
    shipped = {path.name for path in model_folder.glob("*.onnx")} - {"reader.int8.onnx"}
    assert {name for name, _ in card.graphs} == shipped
    for name, sha256 in card.graphs:
        assert load_graph(model_folder, name, sha256)


def test_a_card_of_before_there_were_localisers_is_read(tmp_path: Path, card: dict[str, Any]) -> None:
    folder = write(tmp_path, card)
    assert load_card(folder).localiser_file is None
    assert open_localiser(folder) is None
    with pytest.raises(ModelMissing, match="ships no localiser"):
        OnnxLocaliser(folder)


def test_a_changed_localiser_is_refused_before_it_is_run(tmp_path: Path, card: dict[str, Any]) -> None:
    known = card | {"localiser_file": "reader.onnx", "localiser_sha256": "0" * 64}
    with pytest.raises(ModelMissing, match="was changed"):
        open_localiser(write(tmp_path, known))
    with pytest.raises(ModelMissing, match="outside of the model's folder"):
        load_card(write(tmp_path, known | {"localiser_file": "../reader.onnx"}))
    planes = np.zeros((3, 64, 64), np.float32)
    with pytest.raises(EngineError, match="cannot load this graph"):
        OnnxLocaliser(write(tmp_path, known | {"localiser_sha256": card["reader_sha256"]})).locate(
            planes, planes, planes, np.ones((64, 64), np.bool_)
        )


@pytest.mark.parametrize("graph", ["pair_reader", "localiser"])
@pytest.mark.parametrize("half", [{"file": "reader.onnx"}, {"sha256": "0" * 64}])
def test_half_an_optional_graph_is_none(graph: str, half: dict[str, str], tmp_path: Path, card: dict[str, Any]) -> None:
    given = {f"{graph}_{part}": value for part, value in half.items()}
    with pytest.raises(ModelMissing, match="without its hash, or a hash without"):
        load_card(write(tmp_path, card | given))
