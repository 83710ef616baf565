"""PyCUDA: the primary context of one GPU, and the buffers and stream of one slot.

The primary context is the one that torch and the CUDA runtime use too, so they can share a process. It is retained
here per GPU, as ``pycuda.autoprimaryctx`` does for the first; ``pycuda.autoinit``, which makes another, is never used.
Source: PyCUDA documentation, "Device Interface Reference".
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftforensics.engine.cuda.slots import Floats, OutOfDeviceMemory
from ftforensics.errors import BackendUnavailable, EngineError

INSTALL = "install PyCUDA as docs/guide.md, 'Engines for GPUs', says"


def import_pycuda() -> ModuleType:
    """The module ``pycuda.driver``; it needs the driver's library to be imported at all.

    Raises:
        BackendUnavailable: It is not installed, or does not fit the driver.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of where it cannot be imported, the error says too
            import pycuda.driver as driver
    except ModuleNotFoundError as exc:
        raise BackendUnavailable("PyCUDA is not installed", remedy=INSTALL) from exc
    except (ImportError, OSError) as exc:
        raise BackendUnavailable(
            f"PyCUDA does not fit this machine's driver ({exc})", remedy="build PyCUDA again on this machine"
        ) from exc
    module: ModuleType = driver
    return module


@contextmanager
def translated(driver: ModuleType, device: str) -> Iterator[None]:
    """Turn PyCUDA's errors into ours."""
    try:
        yield
    except driver.MemoryError as exc:
        raise OutOfDeviceMemory(f"no memory left ({exc})", subject=device) from exc
    except (driver.Error, driver.RuntimeError, driver.LogicError, driver.LaunchError) as exc:
        raise EngineError(
            f"the GPU failed ({str(exc)[:200]})", subject=device, remedy="run 'ftf doctor', or choose --engine onnx"
        ) from exc


class PrimaryContext:
    """A GPU's primary context, current in the thread that opened it until it is closed there.

    Args:
        ordinal: Of the GPU, as the driver counts.
    """

    def __init__(self, ordinal: int) -> None:
        self.driver = import_pycuda()
        self.name = f"GPU {ordinal}"
        self._ordinal = ordinal
        self._context: Any = None

    def open(self) -> None:
        """Retain it and make it current. Raises EngineError where the GPU refuses."""
        with translated(self.driver, self.name):
            self.driver.init()
            context = self.driver.Device(self._ordinal).retain_primary_context()
            context.push()
            self._context = context

    def close(self) -> None:
        """Make it no longer current and release it. Never raises."""
        context, self._context = self._context, None
        if context is not None:
            with suppress(Exception):
                context.pop()
            with suppress(Exception):
                context.detach()


class SlotBuffers:
    """Stream, event, pinned host buffers and device buffers for one batch; float32 both ways.

    Args:
        context: Open, in this thread.
        input_shape: Of the device's input, batch first.
        output_shape: Of its output.

    Raises:
        OutOfDeviceMemory: They do not fit.
    """

    def __init__(self, context: PrimaryContext, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
        self._driver, self._name = context.driver, context.name
        self._owned: list[Any] = []
        self.stream: Any = None
        self._done: Any = None
        try:
            with translated(self._driver, self._name):
                self.stream = self._driver.Stream()
                # Blocking: a thread that waits for a GPU leaves the processor to those who decode pictures.
                flags = self._driver.event_flags
                self._done = self._driver.Event(flags.BLOCKING_SYNC | flags.DISABLE_TIMING)
                self.host_in, self.device_in = self._allocate(input_shape)
                self.host_out, self.device_out = self._allocate(output_shape)
        except EngineError:
            self.close()
            raise

    def start_input(self) -> None:
        """Copy the whole host input to the device, in the stream's order."""
        with translated(self._driver, self._name):
            self._driver.memcpy_htod_async(self.device_in, self.host_in, self.stream)

    def start_output(self) -> None:
        """Copy the whole device output back, in the stream's order, and mark its end."""
        with translated(self._driver, self._name):
            self._driver.memcpy_dtoh_async(self.host_out, self.device_out, self.stream)
            self._done.record(self.stream)

    def wait(self) -> None:
        """Wait for the end that ``start_output`` marked."""
        with translated(self._driver, self._name):
            self._done.synchronize()

    def close(self) -> None:
        """Wait for the stream and free everything. Never raises."""
        with suppress(Exception):
            self.stream.synchronize()
        while self._owned:
            with suppress(Exception):
                self._owned.pop().free()
        self.stream = self._done = None  # their last references, while the context is there still

    def _allocate(self, shape: tuple[int, ...]) -> tuple[Floats, Any]:
        host: NDArray[np.float32] = self._driver.pagelocked_zeros(shape, np.float32)
        self._owned.append(host.base)
        device = self._driver.mem_alloc(host.nbytes)
        self._owned.append(device)
        return host, device
