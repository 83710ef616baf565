"""What runs a graph on the processor, for comparing networks like with like: one runtime, one precision.

In: the readers that are measured. Out: runtimes, each of which opens a graph as its reader would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from ftforensics.engine.onnx import build_session
from ftforensics.engine.openvino import compile_graph, run_pieces
from ftforensics.engine.reader import Reader
from ftforensics.imaging.resample import Floats

Run = Callable[[Floats], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """``name`` and ``precision`` as of the reader that runs in it.

    ``open_graph`` takes a serialised ONNX graph of one input, what it is, and processor threads; what it gives runs one
    picture float32 (1, 3, P, P), or what else the graph takes. It raises EngineError where the graph cannot be run.
    """

    name: str
    precision: str
    open_graph: Callable[[bytes, str, int], Run]

    @property
    def label(self) -> str:
        """As tables name engines."""
        return f"{self.name} {self.precision}"


def _open_in_onnx_runtime(graph: bytes, subject: str, threads: int) -> Run:
    session = build_session(graph, subject, threads)
    (taken,) = session.get_inputs()
    return lambda values: session.run(None, {taken.name: values})


def _open_in_openvino(precision: str, graph: bytes, subject: str, threads: int) -> Run:
    pieces = compile_graph(graph, subject, precision=precision, streams=1, threads=threads)
    requests = [piece.create_infer_request() for piece in pieces]
    return lambda values: run_pieces(requests, values)


ONNX_RUNTIME = Runtime(name="onnxruntime-cpu", precision="fp32", open_graph=_open_in_onnx_runtime)


def list_runtimes(readers: Iterable[Reader]) -> tuple[Runtime, ...]:
    """ONNX Runtime in float32, then OpenVINO in every precision that a reader among these has."""
    precisions = dict.fromkeys(reader.precision for reader in readers if reader.backend == "openvino-cpu")
    others = [
        Runtime(name="openvino-cpu", precision=precision, open_graph=partial(_open_in_openvino, precision))
        for precision in precisions
    ]
    return (ONNX_RUNTIME, *others)
