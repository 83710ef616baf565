"""Attack: a model card names a file outside of the model's folder, and vouches for its hash."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from ftforensics.engine.models import load_card
from ftforensics.engine.onnx import OnnxReader
from ftforensics.errors import ModelMissing

OUTSIDE = ("../../etc/passwd", "/etc/passwd", "..", ".", "", "a/b.onnx", "..\\up.onnx", "C:up.onnx", "a\0b", "a\nb")


def plant(model_folder: Path, folder: Path, **changes: str) -> Path:
    folder.mkdir(parents=True)
    shutil.copyfile(model_folder / "reader.onnx", folder / "reader.onnx")
    card = json.loads((model_folder / "model.json").read_text(encoding="utf-8")) | changes
    (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


@pytest.mark.parametrize("field", ["reader_file", "gradient_file", "simulator_file"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_card_cannot_point_out_of_its_folder(name: str, field: str, model_folder: Path, tmp_path: Path) -> None:
    folder = plant(model_folder, tmp_path / "model", **{field: name})
    with pytest.raises(ModelMissing, match=f"outside of the model's folder .{field} is .*; do not use this model"):
        load_card(folder)


def test_a_file_outside_is_not_read_even_if_its_hash_is_given(model_folder: Path, tmp_path: Path) -> None:
    shutil.copyfile(model_folder / "reader.onnx", tmp_path / "planted.onnx")
    digest = hashlib.sha256((tmp_path / "planted.onnx").read_bytes()).hexdigest()
    folder = plant(model_folder, tmp_path / "model", reader_file="../planted.onnx", reader_sha256=digest)
    with pytest.raises(ModelMissing, match="outside"):
        OnnxReader(folder)
    OnnxReader(plant(model_folder, tmp_path / "sound", reader_file="reader.onnx"))
