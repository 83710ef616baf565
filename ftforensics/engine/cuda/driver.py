"""Is there a GPU, and a driver that starts? Asked of the driver's own library, before anything else touches it.

Some runtimes end the process when they are used without a driver, so nothing of them is imported before this says yes.
In: the name of the driver's library. Out: what it says of itself and of its GPUs; never an exception.
Source: the CUDA Driver API, sections "Error handling", "Initialization", "Version management", "Device management".
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

DRIVER_LIBRARY = "libcuda.so.1"
MODULE_VERSION = Path("/sys/module/nvidia/version")

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
_NAME_BYTES = 256
_INSTALL = "install NVIDIA's driver, or give a container its GPUs ('--gpus all')"
_REMEDIES = {
    34: "take the toolkit's stub library off the library path, so that the driver's own is found",
    100: "check that a GPU is there and visible ('nvidia-smi', CUDA_VISIBLE_DEVICES)",
    802: "wait until the GPUs are ready, or start the fabric manager",
    803: "make the driver's library and kernel module the same version; a restart often does",
}


class DriverLibrary(Protocol):
    """The functions of the driver's library, as ``ctypes`` gives them."""

    def __getattr__(self, name: str) -> Callable[..., int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU, as its driver describes it. ``compute_capability`` is (major, minor); memory is all it has."""

    ordinal: int
    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverReport:
    """What the preflight found: ``works`` only where the driver started and has a GPU.

    ``cuda_version`` is the newest CUDA the driver knows, as "13.0"; ``driver_version`` that of its kernel module.
    """

    works: bool
    reason: str
    remedy: str | None = None
    cuda_version: str | None = None
    driver_version: str | None = None
    gpus: tuple[Gpu, ...] = ()


@lru_cache(maxsize=4)
def check_driver(library: str = DRIVER_LIBRARY) -> DriverReport:
    """Start the driver and ask for its GPUs; about a tenth of a millisecond where there is none. Asked once a process.

    Does not establish that a GPU has free memory or computes: for that, read a picture (``backends.self_test``).
    """
    try:
        loaded = ctypes.CDLL(library)
    except OSError:
        return DriverReport(works=False, reason="there is no NVIDIA driver on this machine", remedy=_INSTALL)
    return ask_driver(loaded)


def ask_driver(library: Any) -> DriverReport:
    """What a loaded driver library says. Anything unexpected in it is a reason, not an exception."""
    try:
        return _ask(library)
    except (AttributeError, OSError, ValueError, ctypes.ArgumentError) as exc:
        return DriverReport(
            works=False, reason=f"the library of the NVIDIA driver is not usable ({exc})", remedy=_INSTALL
        )


def _ask(library: DriverLibrary) -> DriverReport:
    code = library.cuInit(0)
    if code:
        return _refusal("the NVIDIA driver does not start", library, code)
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    code = library.cuDriverGetVersion(ctypes.byref(version)) or library.cuDeviceGetCount(ctypes.byref(count))
    if code:
        return _refusal("the NVIDIA driver does not answer", library, code)
    cuda_version = f"{version.value // 1000}.{version.value % 1000 // 10}"
    if count.value < 1:
        return DriverReport(
            works=False, reason="the NVIDIA driver shows no GPU", remedy=_REMEDIES[100], cuda_version=cuda_version
        )
    gpus = []
    for ordinal in range(count.value):
        gpu = _describe(library, ordinal)
        if isinstance(gpu, int):
            return _refusal(f"the NVIDIA driver cannot describe GPU {ordinal}", library, gpu)
        gpus.append(gpu)
    noun = "GPU" if len(gpus) == 1 else "GPUs"
    return DriverReport(
        works=True,
        reason=f"{len(gpus)} {noun}",
        cuda_version=cuda_version,
        driver_version=_module_version(),
        gpus=tuple(gpus),
    )


def _describe(library: DriverLibrary, ordinal: int) -> Gpu | int:
    """One GPU, or the code of the call that failed."""
    device, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    memory, name = ctypes.c_size_t(0), ctypes.create_string_buffer(_NAME_BYTES)
    code = (
        library.cuDeviceGet(ctypes.byref(device), ordinal)
        or library.cuDeviceGetName(name, _NAME_BYTES, device)
        or library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        or library.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
        or library.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    )
    if code:
        return code
    return Gpu(
        ordinal=ordinal,
        name=name.value.decode("utf-8", "replace"),
        compute_capability=(major.value, minor.value),
        memory_bytes=memory.value,
    )


def _refusal(what: str, library: DriverLibrary, code: int) -> DriverReport:
    text = ctypes.c_char_p()
    known = library.cuGetErrorString(code, ctypes.byref(text)) == 0 and text.value
    said = text.value.decode("utf-8", "replace") if known and text.value else "unknown error"
    return DriverReport(works=False, reason=f"{what}: {said} ({code})", remedy=_REMEDIES.get(code, _INSTALL))


def _module_version() -> str | None:
    try:
        return MODULE_VERSION.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None
