"""What needs a GPU: reading pixels that are there already, slots and batches, leaks, and decoding JPEG there.

Enters: a model folder. Leaves: rows of tables. Everything runs through torch with CUDA graphs, the backend that runs on
any NVIDIA GPU. Every row is either measured or says why it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ftforensics.engine.models import load_card, load_graph
from ftforensics.errors import BackendUnavailable
from ftforensics.flows.bench.engine_speed import process_bytes
from ftforensics.flows.bench.racing import race
from ftforensics.flows.bench.results import Column, Row

RESIDENT_BATCHES = (1, 16, 64, 256, 1024)
SLOTS = (1, 2, 3, 4)
SLOT_BATCHES = (16, 64, 256)
PRECISIONS = ("fp32", "fp16", "bf16")
LEAK_BATCHES = 10_000
# Graphs are launched one after the other and waited for once: enough of them that the wait does not count.
REPLAYED_PICTURES, LEAST_REPLAYS, MOST_REPLAYS = 4096, 4, 50


def require_gpu() -> Any:
    """The module torch, with a GPU.

    Raises:
        BackendUnavailable: There is no torch, or it sees no GPU.
    """
    try:
        import torch
    except ImportError as exc:
        raise BackendUnavailable("torch is not installed", remedy="see 'ftf doctor'") from exc
    if not torch.cuda.is_available():
        raise BackendUnavailable("torch sees no GPU", remedy="see 'ftf doctor'")
    return torch


def measure_resident(folder: Path, *, rounds: int = 10) -> tuple[Row, ...]:
    """Images a second for pixels that lie on the GPU, by precision and batch: no copy in or out, one captured graph.

    Raises:
        BackendUnavailable: No GPU.
        EngineError: The reader fails.
    """
    torch = require_gpu()
    from ftforensics.engine.cuda.torch_device import TorchDevice, exact_kernels
    from ftforensics.engine.cuda.torch_fused import name_kernels

    card = load_card(folder)
    data = load_graph(folder, card.reader_file, card.reader_sha256)
    rows: list[Row] = []
    for precision in PRECISIONS:
        device = TorchDevice(data, card, device="cuda:0", precision=precision, subject=card.reader_file)
        device.open()
        for batch in RESIDENT_BATCHES:
            pixels = torch.randint(0, 256, (batch, card.input_px, card.input_px, 3), dtype=torch.uint8, device="cuda")
            replays = max(LEAST_REPLAYS, min(MOST_REPLAYS, REPLAYED_PICTURES // batch))
            with torch.inference_mode(), exact_kernels("cuda:0"):
                forward = device.find_forward(batch)
                replay = _capture(torch, forward, pixels, replays)
            timing = race({"replay": replay}, rounds=rounds)["replay"]
            rows.append(
                {
                    "precision": precision,
                    "batch": batch,
                    "kernels": name_kernels(forward),
                    "images_per_s": batch * replays / timing.fastest_s,
                    "ms": 1000.0 * timing.median_s / replays,
                    "device_mb": torch.cuda.max_memory_reserved() / 1e6,
                }
            )
        device.close()
    return tuple(rows)


def measure_slots(folder: Path, *, precision: str = "fp16", pictures: int = 8192, rounds: int = 3) -> tuple[Row, ...]:
    """Images a second from and to the processor's memory, by slots (each with its stream) and batch.

    Raises:
        BackendUnavailable: No GPU.
        EngineError: The reader fails.
    """
    require_gpu()
    from ftforensics.engine.cuda.torch_reader import TorchReader

    side = load_card(folder).input_px
    views = np.random.default_rng(1).integers(0, 256, (pictures, side, side, 3), dtype=np.uint8)
    rows: list[Row] = []
    for slots in SLOTS:
        for batch in SLOT_BATCHES:
            with TorchReader(folder, device="cuda:0", precision=precision, slots=slots, batch=batch) as reader:
                timing = race({"read": partial(reader.read, views)}, rounds=rounds)["read"]
            rows.append(
                {
                    "precision": precision,
                    "slots": slots,
                    "batch": batch,
                    "images_per_s": pictures / timing.fastest_s,
                }
            )
    return tuple(rows)


def measure_leak(folder: Path, *, batches: int = LEAK_BATCHES, batch: int = 64) -> tuple[Row, ...]:
    """Memory of process and GPU after a tenth of the batches and after all: what grows between the two leaks.

    Raises:
        BackendUnavailable: No GPU.
        EngineError: The reader fails.
    """
    torch = require_gpu()
    from ftforensics.engine.cuda.torch_reader import TorchReader

    side = load_card(folder).input_px
    views = np.random.default_rng(1).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    rows: list[Row] = []
    with TorchReader(folder, device="cuda:0", precision="fp16", batch=batch) as reader:
        first = reader.read(views).tobytes()
        for done in range(1, batches + 1):
            planes = reader.read(views)
            if done in (batches // 10, batches):
                free, total = torch.cuda.mem_get_info()
                rows.append(
                    {
                        "batches": done,
                        "memory_mb": process_bytes() / 1e6,
                        "device_mb": (total - free) / 1e6,
                        "same": "the same bytes as at first"
                        if planes.tobytes() == first
                        else "other bytes than at first",
                    }
                )
    return tuple(rows)


def measure_jpeg(files: Sequence[bytes], *, batches: Sequence[int] = (1, 16, 64), rounds: int = 5) -> tuple[Row, ...]:
    """Decoding JPEG on the GPU beside one thread of the processor, by batch; says why where it cannot be done.

    Raises:
        BackendUnavailable: No GPU.
    """
    torch = require_gpu()
    try:
        from torchvision.io import decode_jpeg  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except (ImportError, RuntimeError, OSError):
        return ({"batch": None, "outcome": "not measured: torchvision, which decodes JPEG on a GPU, is not installed"},)
    import cv2

    rows: list[Row] = []
    for batch in batches:
        chosen = [files[at % len(files)] for at in range(batch)]
        tensors = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in chosen]
        arrays = [np.frombuffer(data, dtype=np.uint8) for data in chosen]

        def on_gpu(tensors: list[Any] = tensors) -> None:
            decode_jpeg(tensors, device="cuda")
            torch.cuda.synchronize()

        def on_processor(arrays: list[Any] = arrays) -> None:
            for array in arrays:
                cv2.imdecode(array, cv2.IMREAD_COLOR)

        try:
            found = race({"gpu": on_gpu, "processor": on_processor}, rounds=rounds)
        except RuntimeError as exc:
            return ({"batch": batch, "outcome": f"not measured: {str(exc).splitlines()[0][:120]}"},)
        rows.append(
            {
                "batch": batch,
                "gpu_ms": 1000.0 * found["gpu"].fastest_s / batch,
                "processor_ms": 1000.0 * found["processor"].fastest_s / batch,
                "outcome": "measured",
            }
        )
    return tuple(rows)


RESIDENT_COLUMNS: tuple[Column, ...] = (
    Column(key="precision", label="precision"),
    Column(key="batch", label="batch", kind="count"),
    Column(key="kernels", label="convolutions"),
    Column(key="images_per_s", label="images/s", kind="number", digits=0),
    Column(key="ms", label="ms a batch, median", kind="number", digits=3),
    Column(key="device_mb", label="device memory so far, MB", kind="number", digits=0),
)
SLOT_COLUMNS: tuple[Column, ...] = (
    Column(key="precision", label="precision"),
    Column(key="slots", label="slots", kind="count"),
    Column(key="batch", label="batch", kind="count"),
    Column(key="images_per_s", label="images/s, host to host", kind="number", digits=0),
)
LEAK_COLUMNS: tuple[Column, ...] = (
    Column(key="batches", label="batches read", kind="count"),
    Column(key="memory_mb", label="process memory, MB", kind="number", digits=1),
    Column(key="device_mb", label="device memory, MB", kind="number", digits=1),
    Column(key="same", label="answers"),
)
JPEG_COLUMNS: tuple[Column, ...] = (
    Column(key="batch", label="files at once", kind="count"),
    Column(key="gpu_ms", label="GPU, ms a file", kind="number", digits=2),
    Column(key="processor_ms", label="one thread, ms a file", kind="number", digits=2),
    Column(key="outcome", label="outcome"),
)


def _capture(torch: Any, forward: Callable[[Any], Any], pixels: Any, replays: int) -> Callable[[], object]:
    """So many replays of one captured graph that reads pixels where they are, waited for."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            forward(pixels)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        planes = forward(pixels)

    def replay() -> Any:
        for _ in range(replays):
            graph.replay()
        torch.cuda.synchronize()
        return planes  # kept alive: the graph writes there

    return replay
