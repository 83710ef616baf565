"""Attack: a model graph is swapped for another that runs, beside the genuine card."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ftforensics.cli.main import run_command
from ftforensics.engine.onnx import OnnxEmbedder, OnnxReader, OnnxSimulator
from ftforensics.errors import ModelMissing

BACKENDS = {"reader": OnnxReader, "gradient": OnnxEmbedder, "simulator": OnnxSimulator}


@pytest.fixture
def engines(model_folder: Path, tmp_path: Path) -> Path:
    """A folder of models that somebody else can write to."""
    folder = tmp_path / "engines"
    shutil.copytree(model_folder, folder / model_folder.name)
    return folder


def plant(folder: Path, graph: str) -> None:
    """Put another graph of the same model, sound and runnable, in a graph's place."""
    other = "simulator.onnx" if graph != "simulator" else "reader.onnx"
    shutil.copyfile(folder / other, folder / f"{graph}.onnx")


@pytest.mark.parametrize("graph", sorted(BACKENDS))
def test_a_swapped_graph_is_never_run(engines: Path, model_folder: Path, graph: str) -> None:
    folder = engines / model_folder.name
    BACKENDS[graph](folder)
    plant(folder, graph)
    with pytest.raises(ModelMissing, match="changed"):
        BACKENDS[graph](folder)


def test_a_command_stops_before_it_reads_or_writes_anything(
    engines: Path,
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plant(engines / model_folder.name, "reader")
    monkeypatch.setenv("FTF_ENGINES", str(engines))
    monkeypatch.setenv("FTF_HOME", str(tmp_path / "home"))
    assert run_command(["demo", "--out", str(tmp_path / "demo")]) == 5
    assert "SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()
