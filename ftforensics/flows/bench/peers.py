"""The reader beside networks of the size that published readers have, on one machine, in one runtime and precision.

Peers have random weights and read nothing: what is compared is what reading costs. TrustMark decodes with a ResNet-50
and VideoSeal with a ConvNeXt-tiny, both from 256 px; accuracy is compared elsewhere, and not by this.

Needs torch and the packages that export it (the extra ``train``).
"""

from __future__ import annotations

import io
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np

from ftforensics.errors import EngineError
from ftforensics.flows.bench.graph_cost import GraphCost, count_graph
from ftforensics.flows.bench.racing import Timing, race, ratio, ratio_spread
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.bench.runtimes import ONNX_RUNTIME, Run, Runtime
from ftforensics.imaging.resample import Floats

PEERS = {
    "resnet50": "ResNet-50, 256 px (TrustMark's size)",
    "convnext-tiny": "ConvNeXt-tiny, 256 px (VideoSeal's size)",
}
SIDE_PX = 256


def export_peer(name: str, *, side_px: int = SIDE_PX, seed: int = 1) -> bytes:
    """The ONNX graph of a peer for one picture (1, 3, P, P).

    Raises:
        EngineError: torch or its exporter is missing.
    """
    try:
        import onnxscript  # noqa: F401 - torch's exporter needs it and says so only in a traceback
        import torch

        from ftforensics.nets.peers import build_peer
    except ImportError as exc:
        raise EngineError(
            "peers are drawn with torch and its exporter", remedy="pip install 'ftforensics[train]'"
        ) from exc
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                build_peer(name, seed),
                (torch.rand(1, 3, side_px, side_px),),
                input_names=["picture"],
                output_names=["values"],
                dynamo=True,
                verbose=False,
            )
        return bytes(program.model_proto.SerializeToString())
    finally:
        logging.disable(before)


def race_graphs(
    graphs: Mapping[str, tuple[bytes, int]],
    *,
    threads: int,
    rounds: int,
    runtime: Runtime = ONNX_RUNTIME,
    counted: bool = True,
    advance: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Timing], dict[str, GraphCost]]:
    """Time graphs side by side, one picture at a time, and count them; one thread by processor time, more by the clock.

    Args:
        graphs: Name to graph and the side of its input in pixels.
        threads: Processor threads of every session.
        rounds: How often each is timed.
        runtime: What runs all of them.
        counted: Whether their costs are counted too; there are none otherwise.
        advance: Called once a round.

    Raises:
        EngineError: A graph is not usable.
    """
    random = np.random.default_rng(1)
    contestants: dict[str, Callable[[], object]] = {}
    for name, (graph, side_px) in graphs.items():
        picture = random.random((1, 3, side_px, side_px), dtype=np.float32)
        contestants[name] = _running(runtime.open_graph(graph, name, threads), picture)
    # One thread's processor time does not see what else the machine does; several threads' would count their waiting.
    clock = time.process_time if threads == 1 else time.perf_counter
    timings = race(contestants, rounds=rounds, clock=clock, advance=advance)
    return timings, {name: count_graph(graph) for name, (graph, _) in graphs.items() if counted}


PEER_COLUMNS: tuple[Column, ...] = (
    Column(key="network", label="network"),
    Column(key="engine", label="engine"),
    Column(key="threads", label="threads", kind="count"),
    Column(key="gmac", label="GMAC a picture", kind="number", digits=2),
    Column(key="ms", label="ms a picture", kind="number", digits=2),
    Column(key="images_per_s", label="images/s", kind="number", digits=1),
    Column(key="ratio", label="reader's speed-up", kind="number", digits=1, unit="x", low="low", high="high"),
    Column(key="low", label="low", kind="number", digits=1, unit="x", hidden=True),
    Column(key="high", label="high", kind="number", digits=1, unit="x", hidden=True),
)


def summarise_peers(
    timings: Mapping[str, Timing], costs: Mapping[str, GraphCost], *, ours: str, threads: int, engine: str
) -> tuple[Row, ...]:
    """One row a network, all timed in one engine; brackets hold the middle half of the ratios within rounds."""
    rows: list[Row] = []
    for name, timing in timings.items():
        low, high = ratio_spread(timing, timings[ours])
        rows.append(
            {
                "network": name,
                "engine": engine,
                "threads": threads,
                "gmac": costs[name].macs / 1e9,
                "ms": 1000.0 * timing.fastest_s,
                "images_per_s": 1.0 / timing.fastest_s,
                "ratio": None if name == ours else ratio(timing, timings[ours]),
                "low": None if name == ours else low,
                "high": None if name == ours else high,
            }
        )
    return tuple(rows)


def list_peers(chosen: Sequence[str] = tuple(PEERS)) -> dict[str, tuple[bytes, int]]:
    """Label to graph and side of the chosen peers."""
    return {PEERS[name]: (export_peer(name), SIDE_PX) for name in chosen}


def _running(run: Run, picture: Floats) -> Callable[[], object]:
    return lambda: run(picture)
