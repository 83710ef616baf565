"""What the TensorRT devices call exists in the real bindings, and they say in sentences what is missing here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import deque
from enum import IntEnum
from types import SimpleNamespace

import numpy as np
import pytest

from ftforensics.engine.cuda.driver import check_driver
from ftforensics.engine.cuda.graphs import CapturedGraph, import_driver_api
from ftforensics.engine.cuda.pycuda_context import import_pycuda
from ftforensics.engine.cuda.tensorrt_device import build_log, fill_planes, find_tensors, import_library
from ftforensics.engine.models import load_card
from ftforensics.errors import BackendUnavailable, EngineError

rtx = pytest.importorskip("tensorrt_rtx")


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        ("Runtime", ["deserialize_cuda_engine"]),
        (
            "ICudaEngine",
            [
                "num_io_tensors",
                "get_tensor_name",
                "get_tensor_mode",
                "get_tensor_shape",
                "get_tensor_dtype",
                "get_tensor_profile_shape",
                "create_runtime_config",
                "create_execution_context",
            ],
        ),
        (
            "IRuntimeConfig",
            [
                "cuda_graph_strategy",
                "dynamic_shapes_kernel_specialization_strategy",
                "create_runtime_cache",
                "set_runtime_cache",
            ],
        ),
        ("IExecutionContext", ["set_input_shape", "set_tensor_address", "execute_async_v3"]),
        ("CudaGraphStrategy", ["WHOLE_GRAPH_CAPTURE"]),
        ("DynamicShapesKernelSpecializationStrategy", ["EAGER"]),
        ("TensorIOMode", ["INPUT", "OUTPUT"]),
    ],
)
def test_the_bindings_have_every_name_that_is_used(owner: str, names: list[str]) -> None:
    assert [name for name in names if not hasattr(getattr(rtx, owner), name)] == []


def test_execution_contexts_take_a_runtime_configuration() -> None:
    assert "runtime_config" in rtx.ICudaEngine.create_execution_context.__doc__


def test_errors_of_tensorrt_end_up_in_the_sentence() -> None:
    log = build_log(rtx)
    log.log(rtx.ILogger.Severity.INFO, "nothing much")
    for at in range(6):
        log.log(rtx.ILogger.Severity.ERROR, f"line {at}\n  of an error")
    assert log.lines == deque(f"line {at} of an error" for at in range(2, 6))


_REFUSES = """
import tensorrt_rtx as rtx
from ftforensics.engine.cuda.tensorrt_device import build_log
log = build_log(rtx)
runtime = rtx.Runtime(log)
print("refused" if runtime is None or runtime.deserialize_cuda_engine(b"no plan" * 100) is None else "taken")
print(len(log.lines))
"""


def test_bytes_that_are_no_plan_are_refused_with_a_reason() -> None:
    done = subprocess.run([sys.executable, "-c", _REFUSES], capture_output=True, text=True, timeout=120, check=True)
    answer, lines = done.stdout.split()
    assert answer == "refused"
    assert int(lines) >= 1


def plan(input_shape: tuple[int, ...], output_shape: tuple[int, ...], kind: object) -> SimpleNamespace:
    shapes = {"picture": input_shape, "planes": output_shape}
    modes = {"picture": rtx.TensorIOMode.INPUT, "planes": rtx.TensorIOMode.OUTPUT}
    return SimpleNamespace(
        num_io_tensors=2,
        get_tensor_name=lambda at: list(shapes)[at],
        get_tensor_mode=modes.__getitem__,
        get_tensor_shape=shapes.__getitem__,
        get_tensor_dtype=lambda name: kind,
    )


def test_a_plan_must_have_the_sizes_of_the_model(model_folder) -> None:  # type: ignore[no-untyped-def]
    card = load_card(model_folder)
    sizes = (-1, 3, card.input_px, card.input_px), (-1, 3, card.grid, card.grid)
    assert find_tensors(plan(*sizes, rtx.float32), rtx, card, "p") == ("picture", "planes")
    for wrong in (
        plan(*sizes, rtx.float16),
        plan((-1, 3, 64, 64), sizes[1], rtx.float32),
        plan(sizes[0], (-1, 1, card.grid, card.grid), rtx.float32),
    ):
        with pytest.raises(EngineError, match="other sizes"):
            find_tensors(wrong, rtx, card, "p")


def test_planes_are_filled_as_onnx_runtime_gets_them_and_nothing_old_stays() -> None:
    pictures = np.random.default_rng(3).integers(0, 256, (3, 6, 6, 3), dtype=np.uint8)
    buffer = np.full((4, 3, 6, 6), 7.0, dtype=np.float32)
    fill_planes(buffer, list(pictures), 4)
    np.testing.assert_array_equal(buffer[:3], pictures.transpose(0, 3, 1, 2) * np.float32(1.0 / 255.0))
    assert not buffer[3].any()


def test_a_kind_of_tensorrt_that_is_not_installed_says_what_to_install() -> None:
    assert import_library("tensorrt-rtx") is rtx
    if importlib.util.find_spec("tensorrt") is None:
        with pytest.raises(BackendUnavailable, match="tensorrt is not installed; install it"):
            import_library("tensorrt")


def test_pycuda_without_a_driver_says_what_to_do() -> None:
    if not check_driver().works:
        with pytest.raises(BackendUnavailable, match=r"PyCUDA .*; (install|build) PyCUDA"):
            import_pycuda()


@pytest.mark.gpu
def test_pycuda_has_every_name_that_is_used() -> None:
    pytest.importorskip("pycuda")
    driver = import_pycuda()
    for name in ("Device", "Stream", "Event", "event_flags", "mem_alloc", "pagelocked_zeros", "memcpy_htod_async"):
        assert hasattr(driver, name)


class DriverApi:
    """Answers as ``cuda.bindings.driver`` does, and keeps what was called."""

    class CUstreamCaptureMode:
        CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1

    def __init__(self, **codes: int) -> None:
        self.codes, self.calls = codes, []

    def CUstream(self, handle: int) -> str:
        return f"stream {handle}"

    def _answer(self, name: str, *values: object) -> tuple[object, ...]:
        self.calls.append(name)
        code = IntEnum("CUresult", {"CUDA_SUCCESS": 0, "CUDA_ERROR_UNKNOWN": 999})(self.codes.get(name, 0))
        return (code, *values)

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        values = {"cuStreamEndCapture": ("graph",), "cuGraphInstantiate": ("executable",)}.get(name, ())
        return lambda *arguments: self._answer(name, *values)


def test_a_graph_is_captured_once_and_launched_again_and_again() -> None:
    api = DriverApi()
    graph = CapturedGraph(api, 7, lambda: api.calls.append("work"))  # type: ignore[arg-type]
    graph.launch()
    graph.launch()
    graph.close()
    graph.close()
    assert api.calls == [
        "cuStreamBeginCapture",
        "work",
        "cuStreamEndCapture",
        "cuGraphInstantiate",
        "cuGraphDestroy",
        "cuGraphLaunch",
        "cuGraphLaunch",
        "cuGraphExecDestroy",
    ]


@pytest.mark.parametrize("name", ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate"])
def test_a_graph_that_cannot_be_captured_is_a_sentence_and_leaves_nothing(name: str) -> None:
    api = DriverApi(**{name: 999})
    with pytest.raises(EngineError, match="CUDA_ERROR_UNKNOWN"):
        CapturedGraph(api, 7, lambda: None)  # type: ignore[arg-type]
    assert ("cuGraphDestroy" in api.calls) == (name == "cuGraphInstantiate")


def test_the_driver_api_has_every_name_that_is_used_where_it_is_installed() -> None:
    api = import_driver_api()
    if api is not None:
        used = ("cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphLaunch")
        assert [name for name in (*used, "cuGraphExecDestroy", "cuGraphDestroy") if not hasattr(api, name)] == []
        assert int(api.CUstream(7)) == 7
        assert api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL.name
