from __future__ import annotations

import importlib.util
import sys
from math import comb
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ftforensics.flows.bench.manipulations import BATTERY
from ftforensics.flows.bench.results import load_tables, render_markdown

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "peers.py"
Pixels = NDArray[np.uint8]


class LowestBits:
    """A watermark that anything destroys: the lowest bits of the first red values. It refuses narrow pictures."""

    def mark(self, picture: Pixels, bits: NDArray[np.int8]) -> Pixels | None:
        if picture.shape[1] < 200:
            return None
        marked = picture.copy()
        marked[0, :128, 0] = (marked[0, :128, 0] & 254) | bits.astype(np.uint8)
        return marked

    def read(self, picture: Pixels) -> NDArray[np.int8] | None:
        return (picture[0, :128, 0] & 1).astype(np.int8)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_peers", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_peers", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def images(tmp_path: Path, photographs: dict[str, Pixels]) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, width in (("astronaut", 220), ("coffee", 240), ("chelsea", 180)):
        Image.fromarray(photographs[name][:200, :width]).save(folder / f"{name}.png")
    return folder


def refuse_import() -> object:
    raise ImportError("No module named 'elsewhere'")


def test_every_measured_manipulation_is_in_the_battery_and_needs_no_model(script: ModuleType) -> None:
    assert set(script.MEASURED) <= {one.name for one in BATTERY}
    assert "GAN simulator" not in script.MEASURED
    assert len(script.list_measured()) == len(script.MEASURED)


def test_a_record_is_identified_from_exactly_as_many_bits_as_chance_demands(script: ModuleType) -> None:
    tails = {count: sum(comb(128, k) for k in range(count, 129)) / 2**128 for count in range(90, 120)}
    needed = min(count for count, tail in tails.items() if script.RECORDS * tail <= script.LARGEST_E)
    assert script.is_identified(needed / 128)
    assert not script.is_identified((needed - 1) / 128)
    assert not script.is_identified(0.0)


def test_a_mark_is_measured_and_packages_that_are_missing_are_named(
    script: ModuleType,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    peers = {"lowest bits": ("lowest-bits", LowestBits), "elsewhere": ("elsewhere", refuse_import)}
    monkeypatch.setattr(script, "PEERS", peers)
    out = tmp_path / "peers.json"
    assert script.main(["--images", str(images), "--jobs", "1", "--out", str(out)]) == 0
    assert "elsewhere: left out" in capsys.readouterr().err
    (table,) = load_tables(out)
    rows = {row["manipulation"]: row for row in table.rows}
    assert list(rows) == [one.name for one in script.list_measured()]
    assert rows["none"]["bits"] == rows["none"]["identified"] == 1.0
    assert rows["none"]["pictures"] == 2
    assert rows["none"]["refused"] == 1
    assert rows["none"]["psnr_db"] > 60
    assert rows["noise 5 %"]["bits"] < 0.8
    assert rows["noise 5 %"]["identified"] == 0.0
    assert table.settings == {"lowest-bits": "unknown"}
    assert "lowest bits" in render_markdown(table)
    before = out.read_bytes()
    assert script.main(["--images", str(images), "--jobs", "1", "--out", str(out)]) == 0
    assert out.read_bytes() == before


def test_with_no_peer_at_all_nothing_is_written(
    script: ModuleType, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "PEERS", {"elsewhere": ("elsewhere", refuse_import)})
    assert script.main(["--images", str(images), "--out", str(tmp_path / "peers.json")]) == 1
    assert not (tmp_path / "peers.json").exists()


def test_a_missing_folder_and_a_foreign_results_file_are_errors_without_a_traceback(
    script: ModuleType,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "PEERS", {"lowest bits": ("lowest-bits", LowestBits)})
    out = tmp_path / "peers.json"
    assert script.main(["--images", str(tmp_path / "nowhere"), "--jobs", "1", "--out", str(out)]) == 1
    assert "nowhere" in capsys.readouterr().err
    out.write_text("[1]")
    assert script.main(["--images", str(images), "--jobs", "1", "--out", str(out)]) == 1
    assert out.read_text() == "[1]"
