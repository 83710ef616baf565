"""Choosing a backend: the best that works, why not the others, and nothing heavy before it is needed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slot_devices import GRID, SIDE, AveragingDevice, average

from ftforensics.domain.model import ModelCard
from ftforensics.engine.agreement import build_test_pictures, check_agreement
from ftforensics.engine.backends import (
    AUTO,
    TRIED_FIRST,
    BackendStatus,
    Wanted,
    open_backend,
    open_reader,
    probe,
    try_backend,
)
from ftforensics.engine.cuda.driver import DriverReport, Gpu, check_driver
from ftforensics.engine.cuda.runner import Runner
from ftforensics.engine.onnx import OnnxReader
from ftforensics.engine.quantised import save_quantised
from ftforensics.engine.reader import Floats, Pixels
from ftforensics.engine.trial import try_apart
from ftforensics.errors import BackendUnavailable, EngineError, ModelMissing, TrustError

without_driver = pytest.mark.skipif(check_driver().works, reason="this machine has an NVIDIA GPU")
NO_DRIVER = "there is no NVIDIA driver on this machine"


@without_driver
def test_auto_takes_onnx_where_there_is_no_gpu_and_says_why_nothing_faster(model_folder: Path) -> None:
    reader, passed_over = open_reader(AUTO, model_folder, threads=1)
    assert (reader.backend, reader.precision, reader.engine_sha256) == ("onnxruntime-cpu", "fp32", None)
    assert [(status.name, status.works, status.reason) for status in passed_over] == [
        (name, False, NO_DRIVER) for name in ("tensorrt", "tensorrt-rtx", "torch")
    ]
    assert all(status.remedy for status in passed_over)


@without_driver
def test_without_a_driver_everything_is_passed_over_in_a_moment(model_folder: Path) -> None:
    wanted = Wanted(folder=model_folder)
    check_driver.cache_clear()
    started_s = time.process_time()
    for name in TRIED_FIRST:
        try_backend(name, wanted)
    assert time.process_time() - started_s < 0.05


def test_asking_what_works_imports_nothing_heavy_and_asks_nobody_for_keys(model_folder: Path) -> None:
    program = """
import json, sys
from pathlib import Path
from ftforensics.engine.backends import BACKENDS, Wanted, probe, try_backend
def keys():
    raise AssertionError("asked for keys")
wanted = Wanted(folder=Path(sys.argv[1]), fingerprints=keys)
for name in BACKENDS:
    probe(name, wanted)
    if name not in ("torch", "openvino"):
        try_backend(name, wanted)
heavy = {"torch", "openvino", "tensorrt", "tensorrt_rtx", "pycuda", "onnx", "onnxruntime", "numpy", "cryptography"}
heavy.add("subprocess")
print(json.dumps(sorted(heavy & sys.modules.keys())))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(model_folder)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


@without_driver
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_a_backend_asked_for_that_does_not_work_is_refused_in_one_sentence(name: str, model_folder: Path) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        open_reader(name, model_folder)
    assert caught.value.sentence == (
        f"the engine {name} does not work here: {NO_DRIVER}; "
        "install NVIDIA's driver, or give a container its GPUs ('--gpus all')."
    )


def test_an_unknown_backend_is_refused(model_folder: Path) -> None:
    with pytest.raises(BackendUnavailable, match="no such engine: 'warp-drive'"):
        open_backend("warp-drive", Wanted(folder=model_folder))


@pytest.mark.parametrize(("name", "precision"), [("onnx", "bf16"), ("onnx", "fp16"), ("torch", "int8")])
def test_precisions_that_a_backend_lacks_are_refused(name: str, precision: str, model_folder: Path) -> None:
    if name == "torch":
        pytest.importorskip("torch")
    with pytest.raises(BackendUnavailable, match=f"does not read with {precision}"):
        open_reader(name, model_folder, precision=precision)


def test_a_missing_model_is_refused_by_every_backend(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        open_reader(AUTO, tmp_path)


def test_torch_reads_on_the_processor_if_it_is_asked_for(model_folder: Path, onnx_reader: OnnxReader) -> None:
    pytest.importorskip("torch")
    reader, passed_over = open_reader("torch", model_folder, threads=1)
    assert passed_over == ()
    assert reader.backend in ("torch-cpu", "torch-cuda")
    assert check_agreement(reader, onnx_reader) < 1e-3
    reader.close()


class Shifted:
    """Reads as another reader does, and a bit more."""

    backend, engine_sha256 = "shifted", None

    def __init__(self, reader: OnnxReader, precision: str, by: float) -> None:
        self.card, self.precision, self._reader, self._by = reader.card, precision, reader, by

    def read(self, pictures: Pixels) -> Floats:
        maps = self._reader.read(pictures)
        return maps + np.float32(self._by) * maps.std()

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("precision", "by"), [("fp32", 1e-2), ("fp16", 0.1), ("bf16", 0.5), ("fp32", np.nan)])
def test_a_backend_that_reads_something_else_is_found_out(precision: str, by: float, onnx_reader: OnnxReader) -> None:
    with pytest.raises(EngineError):
        check_agreement(Shifted(onnx_reader, precision, by), onnx_reader)
    assert check_agreement(Shifted(onnx_reader, precision, 1e-6), onnx_reader) < 1e-5


class Skewed(AveragingDevice):
    """A device whose maps are twice what they should be."""

    def open_slot(self, capacity: int):  # type: ignore[no-untyped-def]
        slot = super().open_slot(capacity)
        collect = slot.collect
        slot.collect = lambda: 2 * collect()  # type: ignore[method-assign]
        return slot


class Averaging:
    """A reader on devices, or on none, that averages: no model is needed to see who is asked."""

    backend, precision, engine_sha256 = "averaging", "fp32", None

    def __init__(self, card: ModelCard, devices: Sequence[AveragingDevice] = ()) -> None:
        self.card = replace(card, input_px=SIDE, grid=GRID)
        if devices:
            self.runner = Runner(devices, grid=GRID, batch=4)
            self.read_each, self.troubles = self.runner.read_each, self.runner.troubles

    def read(self, pictures: Pixels) -> Floats:
        return average(pictures)

    def close(self) -> None:
        self.runner.close()


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_every_device_is_compared_and_the_wrong_one_named(wrong: int, onnx_reader: OnnxReader) -> None:
    kinds = [Skewed if at == wrong else AveragingDevice for at in range(3)]
    reader = Averaging(onnx_reader.card, [kind(f"GPU {at}") for at, kind in enumerate(kinds)])
    with pytest.raises(EngineError, match=f"its maps on GPU {wrong} are 1e\\+02 % off"):
        check_agreement(reader, Averaging(onnx_reader.card))
    reader.close()
    sound = Averaging(onnx_reader.card, [AveragingDevice(), AveragingDevice()])
    assert check_agreement(sound, Averaging(onnx_reader.card)) == 0
    sound.close()


@without_driver
@pytest.mark.parametrize("name", [AUTO, "onnx"])
def test_eight_bits_that_read_something_else_are_found_out(name: str, model_folder: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from plan_samples import make_tiny_model

    folder = make_tiny_model(tmp_path)
    graph = onnx.load(str(folder / "reader.onnx"))
    save_quantised(folder, graph.SerializeToString(), {})
    reader, _ = open_reader(name, folder, precision="int8")
    assert (reader.backend, reader.precision) == ("onnxruntime-cpu", "int8")
    (weights,) = graph.graph.initializer
    weights.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weights), "w"))
    save_quantised(folder, graph.SerializeToString(), {})
    with pytest.raises(BackendUnavailable, match=r"off those of ONNX Runtime.*choose --precision fp32"):
        open_reader(name, folder, precision="int8")


def test_the_test_pictures_are_the_same_everywhere() -> None:
    pictures = build_test_pictures(128)
    assert (pictures.dtype, pictures.shape) == (np.uint8, (2, 128, 128, 3))
    assert pictures[0, 3, 5].tolist() == [11, 0, 252]
    assert pictures[1].astype(int).std() > 20


ONNX = BackendStatus(name="onnx", works=True, reason="reads on the processor")


def test_a_backend_is_tried_in_a_process_of_its_own(model_folder: Path) -> None:
    assert try_apart(ONNX, Wanted(folder=model_folder, threads=1)) == ONNX


def test_what_does_not_work_there_says_why(model_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(model_folder, tmp_path / "model")
    (tmp_path / "model" / "reader.onnx").write_bytes(b"\0")
    found = try_apart(ONNX, Wanted(folder=tmp_path / "model"))
    assert not found.works
    assert found.reason == "a file of the model was changed: its SHA-256 is not the card's"
    assert found.remedy == "reinstall the model"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("crash_trial", r"its libraries end the process \(SIGSEGV\): about to crash"),
        ("exit_trial", r"its libraries end the process \(exit code 3\)"),
        ("hang_trial", r"it did not read a picture within 2 s"),
        ("chatter_trial", "it said no"),
    ],
)
def test_a_backend_that_takes_its_process_down_is_passed_over(
    module: str, reason: str, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {
        "crash_trial": "import os, sys; print('about to crash', file=sys.stderr, flush=True); os.kill(os.getpid(), 11)",
        "exit_trial": "import os; os._exit(3)",
        "hang_trial": "import time; time.sleep(60)",
        "chatter_trial": 'print(\'loading\'); print(\'{"works": false, "reason": "it said no"}\')',
    }
    (tmp_path / f"{module}.py").write_text(programs[module], encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = try_apart(ONNX, Wanted(folder=model_folder), timeout_s=2 if module == "hang_trial" else 60, module=module)
    assert not found.works
    assert found.remedy
    assert re.fullmatch(reason, found.reason)


def untrustworthy() -> tuple[str, ...]:
    raise TrustError("the trust list is malformed", subject="trust.json", remedy="mend it")


def test_only_backends_that_load_plans_ask_whose_may_run(model_folder: Path) -> None:
    wanted = Wanted(folder=model_folder, threads=1, fingerprints=untrustworthy)
    assert try_apart(ONNX, wanted) == ONNX
    found = try_apart(replace(ONNX, name="tensorrt"), wanted)
    assert (found.works, found.reason) == (False, "the trust list is malformed (trust.json)")
    assert found.remedy == "mend it"


def test_the_trial_opens_the_plan_that_was_found(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "echo_trial.py").write_text(
        "import json, sys\njob = json.load(sys.stdin)\n"
        "print(json.dumps({'works': False, 'reason': f'{job[\"plan\"]} {job[\"unasked\"]}'}))",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = replace(ONNX, name="tensorrt", plan="ftf-1-plan")
    tried = try_apart(found, Wanted(folder=model_folder, unasked=True), module="echo_trial")
    assert tried.reason == "ftf-1-plan True"


GPU = Gpu(ordinal=0, name="Test GPU", compute_capability=(8, 9), memory_bytes=24 << 30)


def test_with_a_driver_a_backend_without_its_packages_says_what_to_install(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = DriverReport(works=True, reason="1 GPU", cuda_version="13.0", gpus=(GPU,))
    monkeypatch.setattr("ftforensics.engine.backends.check_driver", lambda: working)
    monkeypatch.setattr("ftforensics.engine.backends._package_folder", lambda package: None)
    found = {name: probe(name, Wanted(folder=model_folder)) for name in ("tensorrt", "tensorrt-rtx", "torch")}
    assert not any(status.works for status in found.values())
    assert all(status.remedy for status in found.values())
    assert "installed" in found["tensorrt-rtx"].reason
