"""The engine that is asked for reads, and nothing else; which it was stands in the finding and in the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from newsroom import Newsroom, Scan, load, save

from ftforensics.engine.cuda.driver import check_driver
from ftforensics.engine.libraries import package_version


@pytest.fixture(scope="module")
def picture(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(load(newsroom.tagged["portrait.png"]), tmp_path_factory.mktemp("evidence") / "copy.jpg", quality=88)


def scan_with(newsroom: Newsroom, picture: Path, cases: Path, *options: str) -> Scan:
    return newsroom.scan([picture], cases, "--jobs", "1", *options)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(name, marks=pytest.mark.skipif(package_version(name) is None, reason=f"{name} is not installed"))
        for name in ("torch", "openvino")
    ],
)
def test_two_engines_find_the_same_and_say_which_they_were(
    second: str, newsroom: Newsroom, picture: Path, tmp_path: Path
) -> None:
    found = {}
    for engine in ("onnx", second):
        scan = scan_with(newsroom, picture, tmp_path / engine, "--engine", engine, "--precision", "fp32")
        row = found[engine] = scan.rows["copy.jpg"]
        backend = row["reading"]["backend"]
        assert backend.startswith(engine)
        assert (row["reading"]["precision"], row["reading"]["engine_sha256"]) == ("fp32", None)
        assert f"Reading with {backend}, fp32." in scan.run.err
        run = json.loads((scan.folder / "run.json").read_text(encoding="ascii"))
        assert (run["model"]["backend"], run["config"]["backend"]) == (backend, backend)
        assert (engine in run["machine"]) or engine == "onnx"
    one, other = found["onnx"], found[second]
    assert one["verdict"] == other["verdict"] == "VERIFIED_MATCH"
    assert one["tag"]["tag_id"] == other["tag"]["tag_id"]
    assert one["match"]["z"] == pytest.approx(other["match"]["z"], abs=1e-3)


def test_an_engine_that_does_not_work_here_is_one_sentence_and_exit_code_5(
    newsroom: Newsroom, picture: Path, tmp_path: Path
) -> None:
    scan = newsroom.scan([picture], tmp_path, "--engine", "tensorrt-rtx", "--engines", str(tmp_path / "none"), expect=5)
    line = scan.run.err.strip().splitlines()[-1]
    assert line.startswith("ftf: the engine tensorrt-rtx does not work here: ")
    assert not (scan.folder / "scan.jsonl").exists()
    if not check_driver().works:
        assert "there is no NVIDIA driver on this machine; install" in line
