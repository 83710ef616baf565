"""How far from what the machine can do: measured ceilings and where a network stands under them.

The model is that of Williams, Waterman and Patterson (2009): a program that does I operations a byte can do at most
min(peak, I x bandwidth) operations a second. The peak is the best matrix product in the runtime, precision and with the
threads that read; the bandwidth is a copy of arrays that no cache holds. Bytes are those of ``graph_cost``: all that
nodes take in and give out. A runtime that fuses nodes moves fewer, so the roof shown is on the low side where
bandwidth binds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ftforensics.errors import BackendUnavailable, EngineError
from ftforensics.flows.bench.graph_cost import GraphCost
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.bench.runtimes import ONNX_RUNTIME, Runtime

# The largest product is not the fastest: caches end somewhere. The best of them is the ceiling.
SIDES = (256, 512, 1024)
COPY_BYTES = 1 << 26
REPEATS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """What one device reached: operations a second of a matrix product, bytes a second (read and written) of a copy."""

    device: str
    precision: str
    operations_per_s: float
    bytes_per_s: float

    def roof(self, intensity: float) -> float:
        """Operations a second that a program of this many operations a byte can reach at most."""
        return min(self.operations_per_s, intensity * self.bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A network under a roof."""

    name: str
    cost: GraphCost
    images_per_s: float
    ceilings: Ceilings

    @property
    def operations_per_s(self) -> float:
        """What it reached."""
        return self.cost.operations * self.images_per_s

    @property
    def share(self) -> float:
        """Of the roof over its intensity."""
        return self.operations_per_s / self.ceilings.roof(self.cost.intensity)


def measure_processor(threads: int, *, runtime: Runtime = ONNX_RUNTIME, repeats: int = REPEATS) -> Ceilings:
    """Ceilings of the processor with so many threads; the best of some repeats.

    One thread is timed by the processor's own time, as ``peers.race_graphs`` does.

    Raises:
        EngineError: The package onnx, which draws the matrix product's graph, is missing.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    peak = 0.0
    for side in SIDES:
        run = runtime.open_graph(_product_graph(side), "a matrix product", threads)
        left = np.random.default_rng(1).standard_normal((side, side), dtype=np.float32)
        fastest = _fastest(partial(run, left), repeats, clock)
        peak = max(peak, 2.0 * side**3 / fastest)
    count = COPY_BYTES // 4 // threads
    arrays = [(np.ones(count, np.float32), np.zeros(count, np.float32)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        copied = _fastest(lambda: list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), arrays)), repeats, clock)
    return Ceilings(
        device=f"processor, {threads} thread{'s' if threads > 1 else ''}, {runtime.name}",
        precision=runtime.precision,
        operations_per_s=peak,
        bytes_per_s=2.0 * 4 * count * threads / copied,
    )


def measure_gpu(precision: str, *, side: int = 8192, repeats: int = REPEATS) -> Ceilings:
    """Ceilings of the first GPU, by torch: a square matrix product and a copy on the device.

    Args:
        precision: fp32 (without TF32), fp16 or bf16.
        side: Of the matrices.
        repeats: The best of so many.

    Raises:
        BackendUnavailable: torch is not installed or sees no GPU.
    """
    try:
        import torch
    except ImportError as exc:
        raise BackendUnavailable("torch is not installed", remedy="see 'ftf doctor'") from exc
    if not torch.cuda.is_available():
        raise BackendUnavailable("torch sees no GPU", remedy="see 'ftf doctor'")
    kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    left = torch.randn(side, side, device="cuda", dtype=kind)
    source = torch.ones(1 << 28, device="cuda", dtype=torch.float32)
    target = torch.empty_like(source)

    def waiting(run: Callable[[], Any]) -> Callable[[], None]:
        def timed() -> None:
            run()
            torch.cuda.synchronize()

        return timed

    product = _fastest(waiting(lambda: left @ left), repeats)
    copied = _fastest(waiting(lambda: target.copy_(source)), repeats)
    return Ceilings(
        device=torch.cuda.get_device_name(0),
        precision=precision,
        operations_per_s=2.0 * side**3 / product,
        bytes_per_s=2.0 * source.numel() * 4 / copied,
    )


ROOFLINE_COLUMNS: tuple[Column, ...] = (
    Column(key="network", label="network"),
    Column(key="device", label="on"),
    Column(key="gmac", label="GMAC a picture", kind="number", digits=2),
    Column(key="intensity", label="operations a byte", kind="number", digits=1),
    Column(key="images_per_s", label="images/s", kind="number", digits=1),
    Column(key="gflops", label="GFLOP/s reached", kind="number", digits=1),
    Column(key="roof_gflops", label="GFLOP/s at most", kind="number", digits=1),
    Column(key="share", label="share of the roof", kind="rate", digits=0),
    Column(key="peak_gflops", label="matrix product, GFLOP/s", kind="number", digits=1),
    Column(key="copy_gb_s", label="copy, GB/s", kind="number", digits=1),
)


def summarise_roofline(standings: Sequence[Standing]) -> tuple[Row, ...]:
    """One row a network and device."""
    return tuple(
        {
            "network": standing.name,
            "device": f"{standing.ceilings.device}, {standing.ceilings.precision}",
            "gmac": standing.cost.macs / 1e9,
            "intensity": standing.cost.intensity,
            "images_per_s": standing.images_per_s,
            "gflops": standing.operations_per_s / 1e9,
            "roof_gflops": standing.ceilings.roof(standing.cost.intensity) / 1e9,
            "share": standing.share,
            "peak_gflops": standing.ceilings.operations_per_s / 1e9,
            "copy_gb_s": standing.ceilings.bytes_per_s / 1e9,
        }
        for standing in standings
    )


def _fastest(run: Callable[[], Any], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    run()
    spent: list[float] = []
    for _ in range(repeats):
        started = clock()
        run()
        spent.append(clock() - started)
    return min(spent)


def _product_graph(side: int) -> bytes:
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as exc:
        raise EngineError(
            "measuring the processor's ceiling needs the package onnx", remedy="pip install 'ftforensics[speed]'"
        ) from exc
    right = np.random.default_rng(2).standard_normal((side, side), dtype=np.float32)
    made = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [side, side])],
        [numpy_helper.from_array(right, "w")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())
