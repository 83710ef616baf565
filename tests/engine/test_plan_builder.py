"""Real builds with TensorRT for RTX, each in a process of its own; and what is left of failed and stopped ones."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from plan_samples import EXAMINER, NOW, PINNED, REQUEST, quantised_graph, tiny_graph

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is there for Linux on x86-64 only")

from ftforensics.engine.models import load_card, load_graph
from ftforensics.engine.plans.builder import BuildOrigin, build_plan, run_job
from ftforensics.engine.plans.builder_process import BuildJob
from ftforensics.engine.plans.flavours import FLAVOURS, find_installed
from ftforensics.engine.plans.folder import PlanFolder
from ftforensics.engine.plans.precision import prepare_graph
from ftforensics.engine.plans.request import PlanRequest, hash_graph, reader_shapes
from ftforensics.engine.plans.verified import load_verified_plan
from ftforensics.errors import EngineError

INSTALLED = find_installed(FLAVOURS["tensorrt-rtx"])
ORIGIN = BuildOrigin(built_at=NOW, platform="Linux", tool_version="0.1.0")


def silent(done: int, total: int) -> None:
    """Report nothing."""


def build(engines: Path, graph: bytes, on_progress: Callable[[int, int], None] = silent, **changes: object) -> str:
    request = replace(REQUEST, **{"graph_sha256": hash_graph(graph), "precision": "fp32", **changes})
    ready = prepare_graph(graph, request.precision)
    build_plan(request, ready, INSTALLED, PlanFolder(engines), EXAMINER, origin=ORIGIN, on_progress=on_progress)
    return request.name


def left_over(engines: Path) -> list[str]:
    return [path.name for path in (engines / "plans").glob(".*")]


def job(tmp_path: Path, graph: bytes, **changes: object) -> BuildJob:
    (tmp_path / "graph.onnx").write_bytes(graph)
    found = BuildJob(
        module="tensorrt_rtx",
        version=INSTALLED.version,
        graph=str(tmp_path / "graph.onnx"),
        plan=str(tmp_path / "plan"),
        targets=("sm_89",),
        shapes=(("picture", (1, 3, 128, 128), (4, 3, 128, 128), (8, 3, 128, 128)),),
    )
    return replace(found, **changes)


def test_the_shipped_reader_is_built_in_fp16_for_several_gpus(model_folder: Path, tmp_path: Path) -> None:
    card = load_card(model_folder)
    reader = load_graph(model_folder, card.reader_file, card.reader_sha256)
    steps: list[tuple[int, int]] = []
    request = PlanRequest(
        model_id=card.model_id,
        model_sha256=card.reader_sha256,
        graph_sha256=card.reader_sha256,
        flavour="tensorrt-rtx",
        flavour_version=INSTALLED.version,
        targets=("sm_89", "sm_120"),
        precision="fp16",
        shapes=reader_shapes(card, batch=16, max_batch=64),
    )
    build_plan(
        request,
        prepare_graph(reader, "fp16"),
        INSTALLED,
        PlanFolder(tmp_path),
        EXAMINER,
        origin=ORIGIN,
        on_progress=lambda done, total: steps.append((done, total)),
    )
    plan = load_verified_plan(
        tmp_path, request.name, PINNED, model_sha256=card.reader_sha256, flavour_version=INSTALLED.version
    )
    # The weights are in it, and in half precision.
    assert 0.4 * len(reader) < len(plan.plan) < 0.8 * len(reader)
    assert plan.manifest.cuda_major == 13
    assert plan.manifest.parity is None
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1] > 1
    assert steps == sorted(steps)
    assert left_over(tmp_path) == []


def test_the_same_request_names_the_same_plan(tmp_path: Path) -> None:
    assert build(tmp_path, tiny_graph()) == build(tmp_path, tiny_graph())
    assert len(list((tmp_path / "plans").glob("*.plan"))) == 1


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_other_precisions_are_built(tmp_path: Path, precision: str) -> None:
    graph = quantised_graph(tmp_path, signed=True) if precision == "int8" else tiny_graph()
    name = build(tmp_path, graph, precision=precision)
    assert precision in name
    assert load_verified_plan(tmp_path, name, PINNED).manifest.request.precision == precision


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "1.0"}, "is of version"),
        ({"module": "no_such_module"}, "no_such_module cannot be loaded"),
        ({"module": "json"}, "json is of version"),
        ({"targets": ("sm_90",)}, "builds nothing for sm_90"),
        ({"shapes": (("image", (1, 3, 128, 128), (1, 3, 128, 128), (1, 3, 128, 128)),)}, "which is no reader"),
        ({"shapes": (("picture", (1, 3, 64, 64), (1, 3, 64, 64), (1, 3, 64, 64)),)}, "could not build the plan"),
    ],
)
def test_a_job_that_cannot_be_done_says_why(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with pytest.raises(EngineError, match=re.escape(words)) as caught:
        run_job(job(tmp_path, tiny_graph(), **change), silent)
    assert "\n" not in caught.value.sentence
    assert not (tmp_path / "plan").exists()


@pytest.mark.parametrize("graph", [b"", b"not onnx", b"\x08\x0a" * 50], ids=["empty", "text", "bytes"])
def test_a_graph_that_is_none_leaves_no_plan(tmp_path: Path, graph: bytes) -> None:
    with pytest.raises(EngineError, match=r"the graph is not understood|which is no reader"):
        build(tmp_path, graph)
    assert list((tmp_path / "plans").iterdir()) == []


def test_a_builder_that_crashes_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crashing.py").write_text(
        "import os, sys\nprint('on the way out')\nsys.stderr.write('out of luck\\n')\nsys.stderr.flush()\nos.abort()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"ended by SIGABRT, last words: .*luck") as caught:
        run_job(job(tmp_path, tiny_graph(), module="crashing"), silent)
    assert "\n" not in caught.value.sentence


def test_nothing_is_imported_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    for name in ("tensorrt_rtx.py", "json.py", "dataclasses.py"):
        (evidence / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(9)\n")
    monkeypatch.chdir(evidence)
    run_job(job(tmp_path, tiny_graph()), silent)
    assert not (tmp_path / "ran").exists()


@contextmanager
def running_build(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """``ftf engine build`` of the shipped reader, once its builder is at work; that builder's process id."""
    home = tmp_path / "home"
    environment = {**os.environ, "FTF_HOME": str(home)}
    ftf = str(Path(sys.executable).with_name("ftf"))
    subprocess.run(
        [ftf, "key", "new", "me", "--role", "examiner", "--no-passphrase"],
        env=environment,
        check=True,
        capture_output=True,
    )
    process = subprocess.Popen(
        [ftf, "engine", "build", "--precision", "fp32"], env=environment, stderr=subprocess.PIPE, cwd=tmp_path
    )
    try:
        yield process, wait_for_child(process), home / "engines"
    finally:
        process.kill()
        process.communicate()


def wait_for_child(process: subprocess.Popen[bytes]) -> int:
    """The builder's process id, once it has loaded the library and so is about to build or building."""
    deadline = time.monotonic() + 120
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < deadline:
        for child in map(int, children.read_text().split()):
            if "tensorrt_rtx.so" in Path(f"/proc/{child}/maps").read_text():
                return child
        time.sleep(0.02)
    raise AssertionError("no builder was started")


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        state = Path(f"/proc/{process}/stat")
        try:
            # A zombie that nobody has collected yet runs no more.
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError("the builder goes on")


def test_ctrl_c_kills_the_builder_and_leaves_nothing(tmp_path: Path) -> None:
    with running_build(tmp_path) as (process, child, engines):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 130
        assert b"Traceback" not in errors
        wait_until_gone(child)
        assert list((engines / "plans").iterdir()) == []


def test_a_builder_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    with running_build(tmp_path) as (process, child, engines):
        process.kill()
        process.wait()
        wait_until_gone(child)
        assert not list((engines / "plans").glob("*.json"))
        build(engines, tiny_graph())
        assert left_over(engines) == []
