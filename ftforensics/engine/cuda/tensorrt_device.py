"""A verified TensorRT plan on one GPU, of either kind of TensorRT. A ``slots.Device``.

Enter: ``VerifiedPlan``; nothing else is ever deserialised. Input and output of a plan are float32 whatever it computes
in. Every slot has an execution context, a stream and buffers of its own, all at one batch shape.
Source: TensorRT and TensorRT for RTX developer guides, Python API.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy as np

from ftforensics.domain.model import ModelCard
from ftforensics.engine.cuda.graphs import CapturedGraph, import_driver_api
from ftforensics.engine.cuda.pycuda_context import PrimaryContext, SlotBuffers
from ftforensics.engine.cuda.slots import Floats, OutOfDeviceMemory, Pixels, Slot
from ftforensics.engine.plans.flavours import FLAVOURS
from ftforensics.engine.plans.verified import VerifiedPlan
from ftforensics.errors import BackendUnavailable, EngineError

_GREY_LEVEL = np.float32(1.0 / 255.0)
_KEPT_LINES = 4


class TensorRTDevice:
    """A plan on one GPU.

    Args:
        plan: Verified; made for this GPU and this release, which the caller has checked.
        card: The model's, for the sizes that the plan must have.
        ordinal: Of the GPU.
    """

    def __init__(self, plan: VerifiedPlan, card: ModelCard, *, ordinal: int) -> None:
        self._plan, self._card = plan, card
        self.name = f"GPU {ordinal}"
        self._context = PrimaryContext(ordinal)
        self._library: Any = None
        self._log: Any = None
        self._runtime: Any = None
        self._engine: Any = None
        self._cache: Any = None

    def open(self) -> None:
        """See ``slots.Device.open``."""
        self._context.open()
        self._library = import_library(self._plan.manifest.request.flavour)
        self._log = build_log(self._library)
        self._runtime = self._library.Runtime(self._log)
        if self._runtime is None:
            raise self._failure("TensorRT does not start")
        self._engine = self._runtime.deserialize_cuda_engine(self._plan.plan)
        if self._engine is None:
            raise self._failure("TensorRT refuses the plan")
        self.input, self.output = find_tensors(self._engine, self._library, self._card, self._plan.name)
        least, _, most = self._engine.get_tensor_profile_shape(self.input, 0)
        self.least, self.most = int(least[0]), int(most[0])

    def open_slot(self, capacity: int) -> Slot:
        """See ``slots.Device.open_slot``."""
        batch = max(self.least, capacity)
        if batch > self.most:
            raise EngineError(f"the plan takes {self.most} pictures at most, not {batch}", subject=self._plan.name)
        context, has_graphs = self._execution_context()
        if context is None:  # the one thing a good plan lacks here is memory for its activations
            raise OutOfDeviceMemory(f"no execution context ({self._said()})", subject=self.name)
        side, grid = self._card.input_px, self._card.grid
        buffers = SlotBuffers(self._context, (batch, 3, side, side), (batch, 3, grid, grid))
        slot = TensorRTSlot(self, context, buffers)
        try:
            slot.prepare(capture=not has_graphs)
        except EngineError:
            slot.close()
            raise
        return slot

    def close(self) -> None:
        """See ``slots.Device.close``."""
        # In this order: each needs the one after it to be there still.
        self._cache = None
        self._engine = None
        self._runtime = None
        self._context.close()

    def _execution_context(self) -> tuple[Any, bool]:
        """A context, and whether it captures graphs by itself."""
        if not hasattr(self._library, "CudaGraphStrategy"):
            return self._engine.create_execution_context(), False
        config = self._engine.create_runtime_config()
        config.cuda_graph_strategy = self._library.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        # The lazy strategy starts with other kernels and changes over when it has compiled: maps would depend on time.
        strategies = self._library.DynamicShapesKernelSpecializationStrategy
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        if self._cache is None:
            self._cache = config.create_runtime_cache()
        config.set_runtime_cache(self._cache)
        return self._engine.create_execution_context(config), True

    def _failure(self, what: str) -> EngineError:
        return EngineError(
            f"{what} ({self._said()})", subject=self._plan.name, remedy="build the plan again with 'ftf engine build'"
        )

    def _said(self) -> str:
        return "; ".join(self._log.lines)[:300] or "it gave no reason"


class TensorRTSlot:
    """One execution context with its stream and buffers."""

    def __init__(self, device: TensorRTDevice, context: Any, buffers: SlotBuffers) -> None:
        self._device, self._context, self._buffers = device, context, buffers
        self._graph: CapturedGraph | None = None
        self._filled = 0

    def prepare(self, *, capture: bool) -> None:
        """Bind shapes and addresses, run once, and capture that run where the driver's graphs are to be used.

        Raises:
            EngineError: TensorRT refuses the shape, the addresses or the run.
        """
        buffers, device = self._buffers, self._device
        bound = (
            self._context.set_input_shape(device.input, buffers.host_in.shape)
            and self._context.set_tensor_address(device.input, int(buffers.device_in))
            and self._context.set_tensor_address(device.output, int(buffers.device_out))
        )
        if not bound:
            raise EngineError(f"TensorRT refuses a batch of {len(buffers.host_in)}", subject=device.name)
        buffers.start_input()
        self._enqueue()
        buffers.start_output()
        buffers.wait()
        api = import_driver_api() if capture else None
        if api is not None:
            self._graph = CapturedGraph(api, int(buffers.stream.handle), self._enqueue)

    def submit(self, pictures: Sequence[Pixels]) -> None:
        """See ``slots.Slot.submit``."""
        fill_planes(self._buffers.host_in, pictures, self._filled)
        self._filled = len(pictures)
        self._buffers.start_input()
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()
        self._buffers.start_output()

    def collect(self) -> Floats:
        """See ``slots.Slot.collect``."""
        self._buffers.wait()
        return self._buffers.host_out[: self._filled].copy()

    def close(self) -> None:
        """See ``slots.Slot.close``."""
        with suppress(Exception):
            self._buffers.stream.synchronize()
        if self._graph is not None:
            self._graph.close()
        self._context = None
        self._buffers.close()

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(int(self._buffers.stream.handle)):
            raise EngineError("TensorRT did not start a batch", subject=self._device.name, remedy="run 'ftf doctor'")


def import_library(flavour: str) -> ModuleType:
    """The Python module of a kind of TensorRT.

    Raises:
        BackendUnavailable: It is not installed, or one of its shared libraries is missing.
    """
    facts = FLAVOURS[flavour]
    try:
        return importlib.import_module(facts.module)
    except ModuleNotFoundError as exc:
        raise BackendUnavailable(f"{flavour} is not installed", remedy=facts.install) from exc
    except (ImportError, OSError, RuntimeError) as exc:
        raise BackendUnavailable(f"{flavour} cannot be imported ({exc})", remedy=facts.install) from exc


def build_log(library: Any) -> Any:
    """A TensorRT logger that keeps the last errors in ``lines``, for the sentence that tells why something failed."""
    error = library.ILogger.Severity.ERROR

    class Log(library.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.lines: deque[str] = deque(maxlen=_KEPT_LINES)

        def log(self, severity: Any, message: str) -> None:
            if int(severity) <= int(error):
                self.lines.append(" ".join(message.split()))

    return Log()


def find_tensors(engine: Any, library: Any, card: ModelCard, subject: str) -> tuple[str, str]:
    """Names of input and output of a plan.

    Raises:
        EngineError: The plan is not of a reader of this model's sizes, or not float32 outside.
    """
    names = [engine.get_tensor_name(at) for at in range(engine.num_io_tensors)]
    modes = {engine.get_tensor_mode(name): name for name in names}
    found = modes.get(library.TensorIOMode.INPUT), modes.get(library.TensorIOMode.OUTPUT)
    if len(names) != 2 or found[0] is None or found[1] is None:
        raise EngineError("the plan is not that of a reader", subject=subject, remedy="build it again")
    wanted = {found[0]: (3, card.input_px, card.input_px), found[1]: (3, card.grid, card.grid)}
    for name, shape in wanted.items():
        if tuple(engine.get_tensor_shape(name))[1:] != shape or engine.get_tensor_dtype(name) != library.float32:
            raise EngineError("the plan has other sizes than the model", subject=subject, remedy="build it again")
    return found[0], found[1]


def fill_planes(buffer: Floats, pictures: Sequence[Pixels], filled: int) -> None:
    """Write pictures uint8 (P, P, 3) as float32 planes in [0, 1] to the front; nothing of an earlier batch stays."""
    for at, picture in enumerate(pictures):
        np.multiply(picture.transpose(2, 0, 1), _GREY_LEVEL, out=buffer[at])
    buffer[len(pictures) : filled] = 0.0
