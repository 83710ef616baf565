"""``ftf engine bench``, ``parity`` and ``quantise``: what they write, and how they end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from cli_samples import Ftf
from PIL import Image

from ftforensics.flows.bench import engine_speed, roofline
from ftforensics.flows.bench.results import load_tables

pytest.importorskip("onnx")


@pytest.fixture
def images(tmp_path: Path, photographs: dict[str, Any]) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("astronaut", "coffee"):
        Image.fromarray(photographs[name]).save(folder / f"{name}.png")
    return folder


def test_parity_on_too_few_reads_proves_nothing(ftf: Ftf, images: Path) -> None:
    asked = ("engine", "parity", "--images", images, "--engine", "onnx", "--fast", "--psnr", "40", "--reads", "9")
    said = ftf(*asked, expect=5)
    assert "Do the engines agree?" in said.out
    (table,) = load_tables(Path("engines.json"))
    (row,) = table.rows
    assert (row["engine"], row["holds"]) == ("onnxruntime-cpu fp32", "no")
    assert (row["sign_agreement"], row["max_abs_difference"]) == (1.0, 0.0)
    assert row["reads"] == row["identical_identities"] == 16


@pytest.mark.parametrize(
    ("engine", "code", "words"),
    [
        ("warp-drive", 2, "no such engine"),
        ("auto", 2, "no such engine"),
        ("onnx:fp8", 2, "no such precision"),
        ("onnx:bf16", 5, "does not read with bf16"),
    ],
)
@pytest.mark.parametrize("part", ["parity", "bench"])
def test_an_engine_that_cannot_be_measured_is_refused_before_any_work(
    ftf: Ftf, images: Path, part: str, engine: str, code: int, words: str, tmp_path: Path
) -> None:
    work = ("--work", tmp_path / "kept") if part == "parity" else ()
    said = ftf(
        "engine", part, "--images", images / "nowhere", "--engine", "onnx", "--engine", engine, *work, expect=code
    )
    assert words in said.err  # and not that there are no such pictures
    assert not (tmp_path / "kept").exists()
    assert not Path("engines.json").exists()


def test_photographs_that_are_not_there_are_told_as_by_the_other_measurements(ftf: Ftf) -> None:
    told = [ftf(*part, "--images", "nowhere", expect=3).err for part in (("engine", "parity"), ("bench", "robustness"))]
    assert told == ["ftf: there are no photographs to measure on: nowhere; check the path.\n"] * 2


def test_quantise_finds_out_that_it_cannot_write_before_it_looks_at_pictures(
    ftf: Ftf,
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file_size_limit: Callable[[int], AbstractContextManager[None]],
) -> None:
    shutil.copytree(model_folder, tmp_path / "engines" / model_folder.name)
    monkeypatch.setenv("FTF_ENGINES", str(tmp_path / "engines"))
    with file_size_limit(0):
        told = ftf("engine", "quantise", "--images", "nowhere", expect=7).err
    assert "cannot be written" in told


def test_bench_writes_tables_and_a_plot(ftf: Ftf, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_speed, "BATCHES", (1, 2))
    monkeypatch.setattr(engine_speed, "VIEWS", 2)
    monkeypatch.setattr(roofline, "SIDES", (64,))
    ftf(
        *("engine", "bench", "--engine", "onnx", "--images", images, "--records", "1000", "--rounds", "3"),
        *("--threads", "1", "--plot", "roofline.svg"),
    )
    tables = {table.name: table for table in load_tables(Path("engines.json"))}
    assert tables.keys() == {"engine-speed", "engine-arrangements", "engine-stages", "engine-roofline"}
    assert [row["batch"] for row in tables["engine-speed"].rows] == [1, 2]
    shares = [float(str(row["share"])) for row in tables["engine-stages"].rows]
    assert np.isclose(sum(shares), 1.0)
    (placed,) = tables["engine-roofline"].rows
    assert float(str(placed["share"])) > 0
    assert ElementTree.parse("roofline.svg").getroot().tag.endswith("svg")


def test_quantise_needs_pictures_to_keep_back(ftf: Ftf, images: Path) -> None:
    said = ftf("engine", "quantise", "--images", images, "--fast", expect=3)
    assert "too few photographs to keep some back" in said.err
