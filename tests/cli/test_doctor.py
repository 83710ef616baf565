"""``ftf doctor``: every fact of it, as a person and as a program reads it; and ``--engine``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ftforensics.cli.doctor import render_lines
from ftforensics.cli.main import run_command
from ftforensics.cli.opening import choose_reader, tell_choice, trouble_facts
from ftforensics.cli.output import Output
from ftforensics.cli.settings import load_settings
from ftforensics.engine.cuda.driver import check_driver
from ftforensics.engine.onnx import OnnxReader
from ftforensics.errors import UsageError

NO_DRIVER = not check_driver().works


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from ftforensics.cli.doctor import examine_machine

    return examine_machine(load_settings({"FTF_HOME": str(tmp_path_factory.mktemp("home"))}))


def test_a_program_gets_every_fact(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found)) == found
    assert [engine["name"] for engine in found["engines"]] == ["tensorrt", "tensorrt-rtx", "torch", "openvino", "onnx"]
    onnx = found["engines"][-1]
    assert (onnx["works"], onnx["precision"]) == (True, "fp32")
    model = next(model for model in found["models"] if model["name"] == "ftf-1")
    assert model["holds"]
    assert len(model["files"]["reader.onnx"]) == 64
    assert found["plans"] == []
    assert found["packages"]["onnxruntime"]
    assert found["choice"] in ("onnx", "torch", "tensorrt", "tensorrt-rtx")


def test_a_person_reads_what_works_and_what_to_do(found: dict[str, Any]) -> None:
    lines = list(render_lines(found))
    for heading in ("GPUs", "Packages", "Models", "Engines", "Next"):
        assert heading in lines
    assert "  onnx          works: reads on the processor" in lines
    assert any(line.startswith("  ftf-1: every hash holds") for line in lines)
    if NO_DRIVER:
        assert "  none: there is no NVIDIA driver on this machine" in lines
        assert "  auto takes onnx" in lines
        assert lines[-1].startswith("  nothing is needed: the processor reads tags.")


def test_a_damaged_model_ends_with_5_and_says_what_to_do(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model_folder, tmp_path / "engines" / model_folder.name)
    (tmp_path / "engines" / model_folder.name / "reader.onnx").write_bytes(b"\0")
    monkeypatch.setenv("FTF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FTF_ENGINES", str(tmp_path / "engines"))
    assert run_command(["doctor"]) == 5
    told = capsys.readouterr().out
    assert "its SHA-256 is not the card's" in told
    assert "  nothing reads tags here" in told
    assert "reinstall ftforensics" in told


def test_a_plan_that_does_not_verify_is_shown_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ftforensics.cli import doctor
    from ftforensics.engine.plans.folder import PlanFolder

    monkeypatch.setattr(doctor, "_try_backends", lambda settings, engines: [])
    place = PlanFolder(tmp_path / "engines")
    path = place.manifest_path("ftf-1-tensorrt-rtx-fp16-0123456789abcdef")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}")
    found = doctor.examine_machine(load_settings({"FTF_HOME": str(tmp_path)}), tmp_path / "engines")
    assert [plan["holds"] for plan in found["plans"]] == [False]
    assert found["plans"][0]["reason"] in "\n".join(render_lines(found))


def test_a_broken_trust_list_is_a_line_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTF_HOME", str(tmp_path))
    (tmp_path / "trust.json").write_text("{}")
    assert run_command(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "trust.json" in told
    assert "  onnx          works: reads on the processor" in told
    reader, _ = choose_reader(load_settings({"FTF_HOME": str(tmp_path)}))
    reader.close()


class Limping(OnnxReader):
    """A reader that has lost a device."""

    def read_each(self, pictures: Any) -> list[tuple[str, Any]]:
        return [("GPU 1", self.read(pictures))]

    def troubles(self) -> tuple[str, ...]:
        return ("GPU 0 is done without: it failed",)


def test_what_a_reader_does_without_stands_among_the_machines_facts(model_folder: Path) -> None:
    assert trouble_facts(Limping(model_folder, threads=1)) == {"troubles": "GPU 0 is done without: it failed"}
    assert trouble_facts(OnnxReader(model_folder, threads=1)) == {}


def test_what_a_reader_does_without_is_warned_of_where_the_choice_is_told(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_choice(Output(), Limping(model_folder, threads=1))
    assert capsys.readouterr().err.splitlines() == [
        "Reading with onnxruntime-cpu, fp32.",
        "ftf: warning: GPU 0 is done without: it failed.",
    ]


@pytest.mark.parametrize("option", [("--engine", "warp-drive"), ("--precision", "fp8")])
def test_scan_refuses_engines_that_do_not_exist_before_it_opens_keys(
    option: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTF_HOME", str(tmp_path))  # there are no keys, which would be 6
    assert run_command(["scan", str(tmp_path), "--case", "one", *option]) == 2
    assert "choose one of" in capsys.readouterr().err


def test_the_choice_is_told_with_the_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader, passed_over = choose_reader(load_settings({"FTF_HOME": str(tmp_path)}))
    tell_choice(Output(), reader, passed_over)
    reader.close()
    told = capsys.readouterr().err
    assert told.startswith(f"Reading with {reader.backend}, fp32.")
    if NO_DRIVER:
        assert told == (
            "Reading with onnxruntime-cpu, fp32. Passed over: tensorrt, tensorrt-rtx, torch "
            "(there is no NVIDIA driver on this machine).\n"
        )


@pytest.mark.parametrize("options", [{"engine": "warp-drive"}, {"precision": "fp8"}])
def test_engines_and_precisions_that_do_not_exist_are_usage_errors(options: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose one of"):
        choose_reader(load_settings({"FTF_HOME": str(tmp_path)}), **options)  # type: ignore[arg-type]
