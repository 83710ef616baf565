from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ftforensics.flows.bench.results import Column, DataInfo, Table, save_tables

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "render_readme.py"
WEIGHTS = "ab" * 32
CARD = {
    "format_version": 1,
    "model_id": "ftf-1",
    "input_px": 128,
    "grid": 64,
    "message_bits": 128,
    "sync_energy": 0.2,
    "presence_threshold": 1.0,
    "sync_threshold": 1.0,
    "parameters": 1999587,
} | {f"{name}_{what}": WEIGHTS for name in ("reader", "gradient", "simulator") for what in ("file", "sha256")}


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
    (folder / "model.json").write_text(json.dumps(CARD))
    block = "<!-- numbers:begin -->\n<!-- numbers:end -->\n"
    (tmp_path / "README.md").write_text(f"# Title\n\n{block}\nafter\n")
    (tmp_path / "docs").mkdir()
    asked = "<!-- requirements:begin -->\n<!-- requirements:end -->\n<!-- further:begin -->\n<!-- further:end -->\n"
    peers = "<!-- peers:begin -->\n<!-- peers:end -->\n"
    (tmp_path / "docs" / "validation.md").write_text(f"# Report\n\n{asked}\n{peers}")
    (folder / "card.md").write_text(f"# Card\n\n<!-- facts:begin -->\nold\n<!-- facts:end -->\n\n{block}")
    return tmp_path


def measure(root: Path, **changes: Any) -> None:
    values: dict[str, Any] = {
        "name": "robustness",
        "title": "What survives",
        "columns": (
            Column(key="manipulation", label="manipulation"),
            Column(key="bits", label="bits", kind="rate", digits=2),
            Column(key="worst", label="worst picture"),
        ),
        "rows": (
            {"manipulation": "JPEG 30", "bits": 0.9925, "worst": "p1.jpg"},
            {"manipulation": "sepia", "bits": 0.5, "worst": "p2.jpg"},
        ),
        "command": "ftf bench robustness --images DIR",
        "seed": 7,
        "data": DataInfo(count=1200, sha256="cd" * 32),
        "machine": {"processor": "two cores"},
        "tool_version": "0.1.0",
        "weights_sha256": WEIGHTS,
    }
    save_tables(root / "engines" / "ftf-1" / "bench.json", [Table(**(values | changes))])


def test_fills_both_documents_and_then_finds_them_right(script: ModuleType, root: Path) -> None:
    measure(root)
    assert script.main([], root) == 0
    readme = (root / "README.md").read_text()
    assert "| JPEG 30 | 99.25 % |" in readme
    assert "seed 7, 1200 pictures" in readme
    assert readme.startswith("# Title\n")
    assert readme.endswith("\nafter\n")
    card = (root / "engines" / "ftf-1" / "card.md").read_text()
    assert "| weights | 1,999,587 |" in card
    assert "old" not in card
    assert "| JPEG 30 | 99.25 % |" in card
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


def test_the_readme_shows_only_the_tables_chosen_for_it(script: ModuleType, root: Path) -> None:
    measure(root, name="scan-stages")
    assert script.main([], root) == 0
    assert "JPEG 30" not in (root / "README.md").read_text()
    assert "JPEG 30" in (root / "engines" / "ftf-1" / "card.md").read_text()


def test_refuses_numbers_of_other_weights(script: ModuleType, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure(root, weights_sha256="cd" * 32)
    before = (root / "README.md").read_text()
    assert script.main([], root) == 1
    assert "other weights" in capsys.readouterr().err
    assert (root / "README.md").read_text() == before


def test_refuses_a_results_file_that_is_none(script: ModuleType, root: Path) -> None:
    (root / "engines" / "ftf-1" / "bench.json").write_text("[1, 2]")
    assert script.main([], root) == 1


@pytest.mark.parametrize(
    "text", ["# Title\n", "<!-- numbers:end -->\n<!-- numbers:begin -->\n", "<!-- numbers:begin -->\n" * 2]
)
def test_refuses_a_document_without_its_block(script: ModuleType, root: Path, text: str) -> None:
    (root / "README.md").write_text(text)
    assert script.main([], root) == 1
    assert (root / "README.md").read_text() == text


def test_the_blocks_of_this_repository_are_right(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0


def measure_peers(root: Path, **changes: Any) -> None:
    row = {"pictures": 9, "psnr_db": 40.25, "bits": 0.8125, "identified": 0.5}
    values: dict[str, Any] = {
        "name": "peers",
        "title": "Others",
        "columns": (Column(key="method", label="method"),),
        "rows": tuple(row | {"method": "other", "manipulation": name} for name in ("none", "JPEG 30")),
        "command": "python bench/peers.py --images DIR",
        "seed": 7,
        "data": DataInfo(count=1200, sha256="cd" * 32),
        "machine": {},
        "tool_version": "0.1.0",
        "weights_sha256": "",
        "settings": {"other-package": "1.2"},
    }
    (root / "bench").mkdir(exist_ok=True)
    save_tables(root / "bench" / "peers.json", [Table(**(values | changes))])


def read_peers(root: Path) -> str:
    return (root / "docs" / "validation.md").read_text().split("<!-- peers:begin -->")[1]


def test_peers_stand_beside_our_own_figures_of_the_same_pictures(script: ModuleType, root: Path) -> None:
    measure(root, rows=({"manipulation": "JPEG 30", "bits": 0.9925, "identified": 1.0},))
    measure_peers(root)
    assert script.main([], root) == 0
    shown = read_peers(root)
    assert "| bits right / right record of all | ftforensics | other |" in shown
    assert "| PSNR, mean | not measured | 40.2 dB (9 pictures) |" in shown
    assert "| none | - | 81.2 % / 50.0 % |" in shown
    assert "| JPEG 30 | 99.2 % / 100.0 % | 81.2 % / 50.0 % |" in shown
    assert "other-package 1.2" in shown
    assert script.main(["--check"], root) == 0


@pytest.mark.parametrize("changes", [{"seed": 8}, {"data": DataInfo(count=1200, sha256="ef" * 32)}])
def test_our_figures_of_other_pictures_or_draws_are_left_out(
    script: ModuleType, root: Path, changes: dict[str, Any]
) -> None:
    measure(root)
    measure_peers(root, **changes)
    assert script.main([], root) == 0
    assert "| bits right / right record of all | other |" in read_peers(root)
    assert "left out" in read_peers(root)


def test_the_psnr_beside_peers_is_that_of_the_tag_alone(script: ModuleType, root: Path) -> None:
    measure(root)
    table = script.load_measurements(root / "engines" / "ftf-1")[0]
    fields = {"compared": "tag alone, before the file is coded", "psnr_db": 45.31}
    rows = ({**fields, "statistic": "worst", "psnr_db": 44.0}, {**fields, "statistic": "mean"})
    save_tables(root / "engines" / "ftf-1" / "bench.json", [dataclasses.replace(table, name="quality", rows=rows)])
    measure_peers(root)
    assert script.main([], root) == 0
    assert "| PSNR, mean | 45.3 dB | 40.2 dB (9 pictures) |" in read_peers(root)


def test_without_peers_it_says_so(script: ModuleType, root: Path) -> None:
    measure(root)
    assert script.main([], root) == 0
    assert script.NOTHING_YET in read_peers(root)


def test_the_readme_shows_rows_and_columns_that_the_shipped_tables_have(script: ModuleType) -> None:
    tables = {table.name: table for table in script.load_measurements(script.ROOT / "engines" / script.README_MODEL)}
    for name, key, names, columns in script.README_EXTRACTS:
        assert set(columns) <= {column.key for column in tables[name].columns}
        assert set(names) <= {row[key] for row in tables[name].rows}
        assert {column.key for column in script.extract(tables[name], key, names, columns).columns} >= set(columns)


def test_a_row_that_the_readme_leaves_out_is_in_the_card(script: ModuleType, root: Path) -> None:
    measure(root)
    assert script.main([], root) == 0
    assert "sepia" not in (root / "README.md").read_text()
    assert "p1.jpg" not in (root / "README.md").read_text()
    assert "| sepia | 50.00 % | p2.jpg |" in (root / "engines" / "ftf-1" / "card.md").read_text()
