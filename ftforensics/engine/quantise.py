"""Static int8 quantisation of the reader, as far as its answers allow it.

Enters: the float32 graph and pictures to calibrate on. Leaves: a graph with Q/DQ nodes around the convolutions that can
stand it, activations uint8 a tensor, weights int8 a channel (Jacob et al., 2018; Nagel et al., 2021). Which ones can is
found out, not assumed: a tag is one or two levels of 255, so layers that carry the picture's own resolution lose it in
eight bits. Nothing here says that the result agrees with the float32 graph on other pictures: that is for
``flows.bench.parity`` on held-out ones.

Needs the package onnx, which is an extra.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftforensics.engine.onnx import build_session
from ftforensics.engine.quantised import QUANTISED_FILE
from ftforensics.errors import EngineError

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRun:
    """Convolutions that follow each other at one resolution. ``nodes`` are their names in the graph."""

    label: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What quantising some runs did to the signs of soft bits on the pictures that choices are made on."""

    runs: tuple[str, ...]
    sign_agreement: float
    relative_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The graph found, or None where no run can be quantised; and what was tried, in order."""

    graph: bytes | None
    runs: tuple[str, ...]
    trials: tuple[Trial, ...]


def list_runs(graph: bytes) -> list[LayerRun]:
    """The runs of a reader's graph, in its order.

    Raises:
        EngineError: The package onnx is missing, or the graph is none.
    """
    onnx = _import_onnx()
    try:
        model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(graph), data_prop=True)
    except Exception as exc:  # protobuf and onnx raise unrelated classes
        raise EngineError("the graph cannot be read", remedy="check that it is an ONNX model") from exc
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output)
    }
    runs: list[tuple[int, list[str]]] = []
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        side = int(shapes.get(node.output[0], [0])[-1])
        if not runs or runs[-1][0] != side:
            runs.append((side, []))
        runs[-1][1].append(node.name)
    return [
        LayerRun(label=f"run {at} ({side} px, {len(nodes)} convolutions)", nodes=tuple(nodes))
        for at, (side, nodes) in enumerate(runs)
    ]


def quantise_graph(graph: bytes, calibration: Pixels, nodes: Sequence[str]) -> bytes:
    """The graph with these convolutions in eight bits.

    Args:
        graph: A float32 reader.
        calibration: Views uint8 (N, P, P, 3) whose activations set the ranges (their extremes).
        nodes: Names of convolutions.

    Raises:
        EngineError: The package onnx is missing, or quantisation fails.
    """
    onnx = _import_onnx()
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="ftf-quantise-") as folder, _quiet():
        path = Path(folder) / QUANTISED_FILE
        try:
            quantize_static(
                onnx.load_model_from_string(graph),
                str(path),
                _Calibration(calibration),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=list(nodes),
            )
        except Exception as exc:  # whatever onnxruntime's tools raise
            raise EngineError("the reader cannot be quantised", remedy="see the cause with --verbose") from exc
        return _without_traces(onnx.load(str(path)))


def choose_graph(
    graph: bytes,
    *,
    calibration: Pixels,
    check: Pixels,
    rows: Rows,
    least_agreement: float,
    report: Callable[[Trial], None] = lambda _: None,
) -> Choice:
    """Quantise as many runs as the signs of soft bits allow, least harmful first.

    Every run is tried alone; then they are joined in the order of their error until too many signs change. If even all
    together keep the signs, all are taken.

    Args:
        graph: The float32 reader.
        calibration: Views uint8 (N, P, P, 3) to set ranges by.
        check: Tagged views uint8 (M, P, P, 3) to choose by, which are not held out.
        rows: Carriers (K, 12288) on which a map is projected; signs of projections stand for those of soft bits.
        least_agreement: Share of signs that must stay, in [0, 1].
        report: Told of every trial.

    Raises:
        EngineError: As ``quantise_graph``.
    """
    runs = list_runs(graph)
    wanted = _run_graph(graph, check)
    trials: list[Trial] = []

    def attempt(chosen: Sequence[LayerRun]) -> tuple[bytes, Trial]:
        made = quantise_graph(graph, calibration, [node for run in chosen for node in run.nodes])
        trial = _compare(tuple(run.label for run in chosen), wanted, _run_graph(made, check), rows)
        trials.append(trial)
        report(trial)
        return made, trial

    whole, everything = attempt(runs)
    if everything.sign_agreement >= least_agreement:
        return Choice(graph=whole, runs=everything.runs, trials=tuple(trials))
    alone = [attempt([run]) for run in runs]
    order = sorted(range(len(runs)), key=lambda at: alone[at][1].relative_error)
    best: tuple[bytes | None, tuple[str, ...]] = (None, ())
    for count in range(1, len(runs)):
        joined = sorted(order[:count])
        made, trial = alone[joined[0]] if count == 1 else attempt([runs[at] for at in joined])
        if trial.sign_agreement < least_agreement:
            break
        best = (made, trial.runs)
    return Choice(graph=best[0], runs=best[1], trials=tuple(trials))


class _Calibration:
    """Feeds views one by one, as onnxruntime's calibrators ask for them."""

    def __init__(self, views: Pixels) -> None:
        self._views = iter(views)

    def get_next(self) -> dict[str, Floats] | None:
        """The next input, or None at the end."""
        view = next(self._views, None)
        return None if view is None else {"picture": _as_input(view)}


def _as_input(view: Pixels) -> Floats:
    return np.ascontiguousarray(view.transpose(2, 0, 1)[None] * np.float32(1.0 / 255.0))


def _run_graph(graph: bytes, views: Pixels) -> Floats:
    session = build_session(graph, "a quantised reader", 1)
    return np.concatenate([session.run(None, {"picture": _as_input(view)})[0] for view in views])


def _compare(runs: tuple[str, ...], wanted: Floats, found: Floats, rows: Rows) -> Trial:
    signs = [(maps.reshape(len(maps), -1) @ rows.T) > 0 for maps in (wanted, found)]
    return Trial(
        runs=runs,
        sign_agreement=float(np.mean(signs[0] == signs[1])),
        relative_error=float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted)),
    )


def _without_traces(model: Any) -> bytes:
    """The model's bytes without anything of the machine or folder that it was made in."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:]
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice to the root logger from standard error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _import_onnx() -> Any:
    try:
        import onnx
    except ImportError as exc:
        raise EngineError("quantisation needs the package onnx", remedy="pip install 'ftforensics[speed]'") from exc
    return onnx
