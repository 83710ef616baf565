"""docs/engines.md from its results files: filled, checked, and honest about what is not there."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ftforensics.flows.bench.results import Column, DataInfo, Table, save_tables

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = "ab" * 32


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_engines", ROOT / "bench" / "render_engines.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a model, a document of three blocks, and no measurement."""
    folder = tmp_path / "engines" / "ftf-1"
    folder.mkdir(parents=True)
    card = json.loads((ROOT / "engines" / "ftf-1" / "model.json").read_text()) | {"reader_sha256": WEIGHTS}
    (folder / "model.json").write_text(json.dumps(card))
    for name in ("docs", "bench"):
        (tmp_path / name).mkdir()
    names = ("cpu-engine-speed", "cpu-engine-parity", "gpu-engine-speed")
    blocks = "\n".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->" for name in names)
    (tmp_path / "docs" / "engines.md").write_text(f"# Engines\n\n{blocks}\n\nafter\n")
    return tmp_path


def measure(root: Path, file: str, **changes: Any) -> None:
    values: dict[str, Any] = {
        "name": "engine-speed",
        "title": "How fast",
        "columns": (Column(key="engine", label="engine"), Column(key="rate", label="images/s", kind="number")),
        "rows": ({"engine": "onnx", "rate": 123.45},),
        "command": "ftf engine bench",
        "seed": 1,
        "data": DataInfo(count=0, sha256="cd" * 32),
        "machine": {"processor": "two cores"},
        "tool_version": "0.1.0",
        "weights_sha256": WEIGHTS,
    }
    save_tables(root / "bench" / file, [Table(**(values | changes))])


def text_of(root: Path) -> str:
    return (root / "docs" / "engines.md").read_text()


def test_what_is_not_there_is_marked(script: ModuleType, root: Path) -> None:
    assert script.main([], root) == 0
    assert text_of(root).count("_Not measured: ") == 3
    assert text_of(root).endswith("after\n")
    assert script.main(["--check"], root) == 0


def test_each_file_fills_its_own_blocks(script: ModuleType, root: Path) -> None:
    measure(root, "engines-gpu.json", machine={"gpu0": "A Large GPU"})
    script.main([], root)
    cpu, gpu = text_of(root).split("<!-- gpu-engine-speed:begin -->")
    assert "| onnx | 123.5 |" in gpu
    assert "A Large GPU" in gpu
    assert "123.5" not in cpu


def test_check_fails_on_a_changed_number_and_writes_nothing(script: ModuleType, root: Path) -> None:
    measure(root, "engines-cpu.json")
    assert script.main(["--check"], root) == 1
    script.main([], root)
    document = root / "docs" / "engines.md"
    document.write_text(text_of(root).replace("123.5", "999.9"))
    assert script.main(["--check"], root) == 1
    assert "999.9" in text_of(root)


def test_agreement_of_other_weights_is_not_shown_but_speed_is(script: ModuleType, root: Path) -> None:
    measure(root, "engines-cpu.json", weights_sha256="cd" * 32)
    measure(root, "engines-cpu.json", weights_sha256="cd" * 32, name="engine-parity")
    assert script.main([], root) == 0
    assert text_of(root).count("123.5") == 1
    assert "_Not measured with these weights: cpu engine parity._" in text_of(root)


def test_a_results_file_that_is_none_is_refused(script: ModuleType, root: Path) -> None:
    (root / "bench" / "engines-cpu.json").write_text("{}")
    assert script.main([], root) == 1


def test_the_document_of_this_repository_is_right(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0
