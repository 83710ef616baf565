from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "render_readme.py"
WEIGHTS = "ab" * 32
TABLE = {
    "name": "survival",
    "title": "What survives",
    "columns": ["manipulation", "bits read, %", "pictures"],
    "rows": [["JPEG 50", 99.25, 1200], ["a | b <script>", None, 3]],
    "command": "ftf bench survival --seed 7",
    "seed": 7,
    "data": "a set of portraits",
    "machine": "two CPU cores",
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_readme", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of two documents and one model, not yet measured."""
    folder = tmp_path / "engines" / "ftf-1"
    folder.mkdir(parents=True)
    card = {"parameters": 1999587, "input_px": 128, "grid": 64, "message_bits": 128, "sync_energy": 0.2}
    card |= {f"{name}_sha256": WEIGHTS for name in ("reader", "gradient", "simulator")}
    (folder / "model.json").write_text(json.dumps(card))
    block = "<!-- numbers:begin -->\n<!-- numbers:end -->\n"
    (tmp_path / "README.md").write_text(f"# Title\n\n{block}\nafter\n")
    (folder / "card.md").write_text(f"# Card\n\n<!-- facts:begin -->\nold\n<!-- facts:end -->\n\n{block}")
    return tmp_path


def measure(root: Path, **changes: Any) -> None:
    table = TABLE | {name: value for name, value in changes.items() if name in {*TABLE, "in_readme", "note", "odd"}}
    bench = {"schema": "ftforensics.bench.v1", "model": "ftf-1", "weights_sha256": WEIGHTS, "tool_version": "0.1.0"}
    bench |= {"tables": [table]} | {name: value for name, value in changes.items() if name in bench}
    (root / "engines" / "ftf-1" / "bench.json").write_text(json.dumps(bench))


def test_fills_both_documents_and_then_finds_them_right(script: ModuleType, root: Path) -> None:
    measure(root)
    assert script.main([], root) == 0
    readme = (root / "README.md").read_text()
    assert "| JPEG 50 | 99.25 | 1,200 |" in readme
    assert "| a \\| b &lt;script> | – | 3 |" in readme
    assert "Made with `ftf bench survival --seed 7`, seed 7, on a set of portraits; two CPU cores." in readme
    assert readme.startswith("# Title\n")
    assert readme.endswith("\nafter\n")
    assert "| weights | 1,999,587 |" in (root / "engines" / "ftf-1" / "card.md").read_text()
    assert script.main(["--check"], root) == 0


def test_filling_twice_changes_nothing(script: ModuleType, root: Path) -> None:
    measure(root)
    script.main([], root)
    once = (root / "README.md").read_bytes()
    script.main([], root)
    assert (root / "README.md").read_bytes() == once


def test_check_fails_on_a_number_changed_by_hand_and_writes_nothing(
    script: ModuleType, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(root)
    script.main([], root)
    readme = root / "README.md"
    edited = readme.read_text().replace("99.25", "99.95")
    readme.write_text(edited)
    assert script.main(["--check"], root) == 1
    assert "README.md" in capsys.readouterr().err
    assert readme.read_text() == edited


def test_check_fails_when_the_measurements_change(script: ModuleType, root: Path) -> None:
    measure(root)
    script.main([], root)
    measure(root, seed=8)
    assert script.main(["--check"], root) == 1


def test_without_measurements_it_says_so(script: ModuleType, root: Path) -> None:
    assert script.main([], root) == 0
    assert script.NOTHING_YET in (root / "README.md").read_text()
    assert script.main(["--check"], root) == 0


def test_a_table_can_stay_out_of_the_readme(script: ModuleType, root: Path) -> None:
    measure(root, in_readme=False)
    assert script.main([], root) == 0
    assert "JPEG 50" not in (root / "README.md").read_text()
    assert "JPEG 50" in (root / "engines" / "ftf-1" / "card.md").read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"weights_sha256": "cd" * 32}, "other weights"),
        ({"schema": "ftforensics.bench.v2"}, "schema"),
        ({"rows": [["too short"]]}, "one cell a column"),
        ({"odd": 1}, "unknown fields"),
    ],
)
def test_refuses_measurements_that_do_not_fit(
    script: ModuleType, root: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], told: str
) -> None:
    measure(root, **change)
    before = (root / "README.md").read_text()
    assert script.main([], root) == 1
    assert told in capsys.readouterr().err
    assert (root / "README.md").read_text() == before


def test_refuses_a_document_without_its_block(script: ModuleType, root: Path) -> None:
    (root / "README.md").write_text("# Title\n")
    assert script.main([], root) == 1


def test_the_blocks_of_this_repository_are_right(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0
