"""The reader in torch on one GPU, batches replayed as CUDA graphs, or on the processor. A ``slots.Device``.

On a GPU each slot has a stream, pinned host buffers, device buffers and a graph captured once at the slot's one batch
shape, of the kernels that ``torch_fused`` finds to work there. Reduced precision begins after the first layer and ends
before the last: a tag is one grey level deep, and bfloat16 has no room for that between 128 and 255.
Source: PyTorch documentation, "CUDA semantics", sections "CUDA Graphs" and "Use pinned memory buffers".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from traceback import clear_frames
from typing import Any

import torch
from torch import Tensor

from ftforensics.domain.model import ModelCard
from ftforensics.engine.cuda.slots import Floats, OutOfDeviceMemory, Pixels, Slot
from ftforensics.engine.cuda.torch_fused import GREY_LEVEL, Forward, find_forward, is_no_memory
from ftforensics.engine.cuda.torch_weights import load_folded_reader
from ftforensics.errors import EngineError
from ftforensics.nets.folded import FoldedReader

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
WARM_UP_RUNS = 3


class TorchDevice:
    """The model on one device.

    Args:
        graph: The reader's ONNX graph, checked.
        card: Its card.
        device: As torch names it: "cpu", "cuda:0".
        precision: fp32, fp16 or bf16, between first and last layer.
        threads: Processor threads; 0 leaves torch's own choice.
        subject: The graph's file, for errors.
    """

    def __init__(
        self, graph: bytes, card: ModelCard, *, device: str, precision: str, threads: int = 0, subject: str = ""
    ) -> None:
        self.name = device
        self._graph, self._card, self._subject = graph, card, subject
        self._type = PRECISIONS[precision]
        self._threads = threads
        self._net: FoldedReader | None = None
        self._found: dict[int, Forward] = {}

    def open(self) -> None:
        """See ``slots.Device.open``."""
        if self._threads and self.name == "cpu":
            torch.set_num_threads(self._threads)
        try:
            if self.name != "cpu":
                torch.cuda.set_device(torch.device(self.name))
            net = lower_precision(load_folded_reader(self._graph, subject=self._subject), self._type)
            self._net = net.to(self.name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        except (RuntimeError, AssertionError, AttributeError) as exc:
            raise EngineError(
                f"torch cannot use this device ({_first_line(exc)})",
                subject=self.name,
                remedy="run 'ftf doctor', or choose --engine onnx",
            ) from exc

    def open_slot(self, capacity: int) -> Slot:
        """See ``slots.Device.open_slot``."""
        if self._net is None:
            raise EngineError("the device was closed", subject=self.name, remedy="open it again")
        shape = (capacity, self._card.input_px, self._card.input_px, 3)
        with translated(self.name), torch.inference_mode(), exact_kernels(self.name):
            forward = self.find_forward(capacity)
            return CpuSlot(forward, shape) if self.name == "cpu" else CudaSlot(forward, shape, self.name)

    def find_forward(self, capacity: int) -> Forward:
        """What computes batches of this many pictures: always the same for the same number, as slots must agree.

        Raises:
            EngineError: The device is closed.
        """
        if self.name == "cpu":
            return self._forward
        if self._net is None:
            raise EngineError("the device was closed", subject=self.name, remedy="open it again")
        if capacity not in self._found:
            shape = (capacity, self._card.input_px, self._card.input_px, 3)
            self._found[capacity] = find_forward(self._net, self._type, self._forward, shape, self.name)
            torch.cuda.empty_cache()  # what the trials took, which captured graphs cannot use
        return self._found[capacity]

    def close(self) -> None:
        """See ``slots.Device.close``."""
        self._net = None
        self._found.clear()
        if self.name != "cpu" and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()

    def _forward(self, pictures: Tensor) -> Tensor:
        """Planes float32 of pictures uint8 (B, P, P, 3), all on the device."""
        net = self._net
        if net is None:
            raise EngineError("the device was closed", subject=self.name, remedy="open it again")
        planes: Tensor = net(pictures.permute(0, 3, 1, 2).to(torch.float32) * GREY_LEVEL)
        return planes.contiguous()


class CpuSlot:
    """Buffers for one batch on the processor: there is nothing to overlap, so a batch is computed when it is given."""

    def __init__(self, forward: Forward, shape: tuple[int, ...]) -> None:
        self._forward = forward
        self._input = torch.zeros(shape, dtype=torch.uint8)
        self._filled, self._planes = 0, torch.zeros(0)

    def submit(self, pictures: Sequence[Pixels]) -> None:
        """See ``slots.Slot.submit``."""
        _fill(self._input.numpy(), pictures, self._filled)
        self._filled = len(pictures)
        with translated("cpu"), torch.inference_mode():
            self._planes = self._forward(self._input)

    def collect(self) -> Floats:
        """See ``slots.Slot.collect``."""
        return self._planes[: self._filled].numpy().copy()

    def close(self) -> None:
        """See ``slots.Slot.close``."""
        self._input, self._planes = torch.zeros(0), torch.zeros(0)


class CudaSlot:
    """Stream, buffers and captured graph for one batch on a GPU."""

    def __init__(self, forward: Forward, shape: tuple[int, ...], device: str) -> None:
        self._name, self._filled = device, 0
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._host_in = torch.zeros(shape, dtype=torch.uint8, pin_memory=True)
        self._input = torch.zeros(shape, dtype=torch.uint8, device=device)
        self._graph: Any = torch.cuda.CUDAGraph()
        self._stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP_RUNS):
                forward(self._input)
        self._stream.synchronize()
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            self._output = forward(self._input)
        self._host_out = torch.zeros(self._output.shape, dtype=torch.float32, pin_memory=True)

    def submit(self, pictures: Sequence[Pixels]) -> None:
        """See ``slots.Slot.submit``."""
        _fill(self._host_in.numpy(), pictures, self._filled)
        self._filled = len(pictures)
        with translated(self._name), torch.cuda.stream(self._stream), torch.inference_mode():
            self._input.copy_(self._host_in, non_blocking=True)
            self._graph.replay()
            self._host_out.copy_(self._output, non_blocking=True)
            self._done.record(self._stream)

    def collect(self) -> Floats:
        """See ``slots.Slot.collect``."""
        with translated(self._name):
            self._done.synchronize()
        return self._host_out[: self._filled].numpy().copy()

    def close(self) -> None:
        """See ``slots.Slot.close``."""
        with ExitStack() as stack:
            stack.callback(self.__dict__.clear)
            stack.push(lambda *_: True)  # a device that has failed may refuse these too
            self._stream.synchronize()
            self._graph.reset()


def lower_precision(net: FoldedReader, kind: torch.dtype) -> FoldedReader:
    """Convert all layers but the first and the last, and convert features on the way in and out."""
    if kind is torch.float32:
        return net
    for name, child in net.named_children():
        if name not in ("stem", "head"):
            child.to(kind)
    net.get_submodule("stem").register_forward_hook(lambda _module, _inputs, features: features.to(kind))
    net.get_submodule("head").register_forward_pre_hook(lambda _module, inputs: (inputs[0].to(torch.float32),))
    return net


@contextmanager
def translated(device: str) -> Iterator[None]:
    """Turn torch's errors into ours."""
    try:
        yield
    except (RuntimeError, MemoryError) as exc:
        error = _translate(exc, device)
        if isinstance(error, OutOfDeviceMemory):
            _let_go(exc)
        raise error from exc


def _let_go(error: BaseException) -> None:
    """Drop what the frames of a failed attempt still hold, so that a smaller one finds that memory free.

    An error keeps its frames alive, and they keep every tensor that the attempt had made.
    """
    for cause in _causes(error):
        clear_frames(cause.__traceback__)
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, latest first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _translate(error: BaseException, device: str) -> EngineError:
    for cause in _causes(error):  # while a graph is captured, another error comes of too little memory
        if is_no_memory(cause):
            return OutOfDeviceMemory(f"no memory left ({_first_line(cause)})", subject=device)
    return EngineError(f"torch failed ({_first_line(error)})", subject=device, remedy="choose --engine onnx")


def exact_kernels(device: str) -> AbstractContextManager[object]:
    """Deterministic kernels without TF32, chosen by rule and not by a race: the same kernels in every run."""
    if device == "cpu":
        return ExitStack()
    flags: AbstractContextManager[object] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags


def _fill(buffer: Pixels, pictures: Sequence[Pixels], filled: int) -> None:
    """Copy pictures to the front; nothing of an earlier batch stays behind them."""
    for at, picture in enumerate(pictures):
        buffer[at] = picture
    buffer[len(pictures) : filled] = 0


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
