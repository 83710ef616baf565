"""The preflight of the NVIDIA driver: every answer of it is a sentence, never an exception."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import pytest

from ftforensics.engine.cuda.driver import DriverReport, ask_driver, check_driver


class Driver:
    """Answers as libcuda does, through the same pointers: two GPUs, unless a function is told to fail."""

    def __init__(self, count: int = 2, **codes: int) -> None:
        self.count, self.codes = count, codes

    def cuInit(self, flags: int) -> int:
        return self.codes.get("cuInit", 0)

    def cuDriverGetVersion(self, version: Any) -> int:
        ctypes.cast(version, ctypes.POINTER(ctypes.c_int))[0] = 12080
        return self.codes.get("cuDriverGetVersion", 0)

    def cuDeviceGetCount(self, count: Any) -> int:
        ctypes.cast(count, ctypes.POINTER(ctypes.c_int))[0] = self.count
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:
        ctypes.cast(device, ctypes.POINTER(ctypes.c_int))[0] = ordinal
        return self.codes.get("cuDeviceGet", 0)

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = f"GPU of test {device.value} \u00e9".encode("latin-1")
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:
        ctypes.cast(memory, ctypes.POINTER(ctypes.c_size_t))[0] = (24 << 30) + device.value
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:
        ctypes.cast(value, ctypes.POINTER(ctypes.c_int))[0] = {75: 8, 76: 9}[attribute]
        return 0

    def cuGetErrorString(self, code: int, text: Any) -> int:
        if code == 4242:
            return 1
        ctypes.cast(text, ctypes.POINTER(ctypes.c_char_p))[0] = b"what the driver says"
        return 0


def test_a_driver_tells_of_its_gpus() -> None:
    report = ask_driver(Driver())
    assert report.works
    assert report.reason == "2 GPUs"
    assert report.cuda_version == "12.8"
    assert [(gpu.ordinal, gpu.compute_capability, gpu.memory_bytes) for gpu in report.gpus] == [
        (0, (8, 9), 24 << 30),
        (1, (8, 9), (24 << 30) + 1),
    ]
    assert report.gpus[1].name == "GPU of test 1 �"


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(34, "stub"), (100, "CUDA_VISIBLE_DEVICES"), (802, "wait"), (803, "same version"), (999, "install"), (4242, "")],
)
def test_a_driver_that_does_not_start_says_why(code: int, remedy: str) -> None:
    report = ask_driver(Driver(cuInit=code))
    assert not report.works
    assert report.gpus == ()
    assert report.reason.endswith(f"{'unknown error' if code == 4242 else 'what the driver says'} ({code})")
    assert report.remedy is not None
    assert remedy in report.remedy


@pytest.mark.parametrize("function", ["cuDriverGetVersion", "cuDeviceGet"])
def test_a_driver_that_fails_later_is_refused_too(function: str) -> None:
    report = ask_driver(Driver(**{function: 999}))
    assert not report.works
    assert "(999)" in report.reason


def test_a_driver_without_gpus_does_not_work() -> None:
    assert ask_driver(Driver(count=0)) == DriverReport(
        works=False,
        reason="the NVIDIA driver shows no GPU",
        remedy="check that a GPU is there and visible ('nvidia-smi', CUDA_VISIBLE_DEVICES)",
        cuda_version="12.8",
    )


def test_no_library_is_no_driver_and_is_told_at_once() -> None:
    check_driver.cache_clear()
    started_s = time.perf_counter()
    report = check_driver("libcuda-of-no-machine.so.1")
    assert time.perf_counter() - started_s < 0.5
    assert (report.works, report.reason) == (False, "there is no NVIDIA driver on this machine")
    assert report.remedy


def test_a_library_that_is_no_driver_is_refused() -> None:
    report = check_driver("libc.so.6")
    assert not report.works
    assert "cuInit" in report.reason


@pytest.mark.gpu
def test_the_driver_of_this_machine_tells_of_its_gpus() -> None:
    report = check_driver()
    assert report.works
    assert report.gpus
    assert all(gpu.memory_bytes > 1 << 30 and gpu.compute_capability >= (7, 0) for gpu in report.gpus)
