"""OpenVINO on the processor: the model's own graph, most of it in bfloat16 where the processor has that, or in float32.

In: a model folder. Out: a Reader. Only what compiles and runs a graph is used of the package; nothing is kept on disk.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftforensics.engine.models import load_card, load_graph
from ftforensics.engine.processor import NO_BF16, NO_BF16_REMEDY, count_usable_cores
from ftforensics.engine.reader import to_input
from ftforensics.errors import BackendUnavailable, EngineError

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

# As they are called here, and there.
PRECISIONS = {"bf16": "bf16", "fp32": "f32"}
_CPU = "CPU"
_TELEMETRY = "openvino_telemetry"
_FIRST_USE = Lock()


def import_openvino() -> Any:
    """The package, without what it would tell its makers: importing it must neither write a file nor open a socket.

    By itself it sends an event for every import and leaves an identifier in the home folder, unless its telemetry
    package cannot be imported; so that is made so for this process, before the first import.

    Raises:
        BackendUnavailable: It is not installed, or cannot be imported.
    """
    if "openvino" not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # the import system takes None for "not there"
    try:
        return importlib.import_module("openvino")
    except ImportError as exc:
        raise BackendUnavailable("openvino cannot be imported", remedy="pip install 'ftforensics[openvino]'") from exc


def compile_graph(data: bytes, subject: str, *, precision: str, streams: int, threads: int) -> tuple[Any, ...]:
    """A graph compiled for one picture at a time, in pieces that are run one after the other.

    In bf16 all up to the first residual sum at the picture's own scale is a piece of its own, in fp32: there a tag of
    one grey level stands beside the whole picture, and rounding to eight bits of mantissa takes it for noise.

    Args:
        data: A serialised ONNX graph, whose hash was checked; a batch of unknown size becomes one.
        subject: What it is, for the error.
        precision: bf16 or fp32.
        streams: How many pictures are run at once.
        threads: Processor threads of all streams together.

    Raises:
        BackendUnavailable: The package is missing, or the processor does not compute in this precision.
        EngineError: OpenVINO does not take the graph.
    """
    openvino = import_openvino()
    if precision not in PRECISIONS:
        raise BackendUnavailable(f"it does not read with {precision}", remedy="choose another --precision")
    try:
        core = openvino.Core()
    except RuntimeError as exc:
        raise EngineError("OpenVINO does not start here", subject=subject, remedy="choose --engine onnx") from exc
    if precision == "bf16" and "BF16" not in core.get_property(_CPU, "OPTIMIZATION_CAPABILITIES"):
        raise BackendUnavailable(NO_BF16, remedy=NO_BF16_REMEDY)
    # Threads that are tied to a core wait there for whoever decodes the next picture.
    shared = {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    try:
        whole = _read_graph(core, data)
        pieces = [(whole, precision)]
        if precision == "bf16" and _first_sum(whole) is not None:
            pieces = [(_front_of(openvino, whole), "fp32"), (_back_of(openvino, _read_graph(core, data)), precision)]
        compiled = tuple(
            core.compile_model(piece, _CPU, shared | {"INFERENCE_PRECISION_HINT": PRECISIONS[kind]})
            for piece, kind in pieces
        )
    except RuntimeError as exc:  # openvino raises nothing narrower
        raise EngineError("OpenVINO cannot load this graph", subject=subject, remedy="choose --engine onnx") from exc
    if compiled[-1].get_property("INFERENCE_PRECISION_HINT").to_string() != PRECISIONS[precision]:
        raise BackendUnavailable(f"OpenVINO does not compute in {precision} here", remedy="choose --engine onnx")
    return compiled


def run_pieces(requests: Sequence[Any], values: Floats) -> Floats:
    """One picture through the requests of all pieces of a graph; the array is overwritten by the next.

    Raises:
        RuntimeError: OpenVINO fails, or the picture has another size.
    """
    for request in requests:
        request.infer({0: values})
        values = request.get_output_tensor(0).data
    return values


class OpenVinoReader:
    """The reader graph in OpenVINO, every picture by itself in one thread, as many at once as there are threads.

    So neither batches nor the number of cores have a say in what is read.

    Args:
        folder: A model folder.
        threads: Processor threads, and pictures at once; 0 for as many as this process may use.
        precision: bf16 or fp32.

    Raises:
        ModelMissing: Files are missing or do not fit the card.
        BackendUnavailable: The package is missing, the processor does not compute in this precision, or the graph has
            no part that bf16 needs in fp32.
        EngineError: OpenVINO does not take the graph.
    """

    backend = "openvino-cpu"
    engine_sha256: str | None = None

    def __init__(self, folder: Path, *, threads: int = 0, precision: str = "bf16") -> None:
        self.card = load_card(folder)
        self.precision = precision
        data = load_graph(folder, self.card.reader_file, self.card.reader_sha256)
        count = threads or count_usable_cores()
        subject = str(folder / self.card.reader_file)
        pieces = compile_graph(data, subject, precision=precision, streams=count, threads=count)
        if precision == "bf16" and len(pieces) == 1:
            # All of it in bf16 reads too coarsely (docs/adr/0014); that must not go unsaid.
            raise BackendUnavailable(
                "this reader has no first block that could be kept in fp32", remedy="choose --precision fp32"
            )
        self._idle: SimpleQueue[list[Any]] = SimpleQueue()
        for _ in range(count):
            self._idle.put([piece.create_infer_request() for piece in pieces])
        # The bindings prepare themselves for NumPy at their first use, and two threads that do so at once wait for each
        # other for ever. So the first use is here, by one.
        nothing = np.zeros((self.card.input_px, self.card.input_px, 3), dtype=np.uint8)
        try:
            with _FIRST_USE:
                for _ in range(count):
                    self._read_one(nothing)
        except RuntimeError as exc:
            raise EngineError("OpenVINO cannot run this graph", subject=subject, remedy="choose --engine onnx") from exc
        self._pool = ThreadPoolExecutor(count)

    def read(self, pictures: Pixels) -> Floats:
        """See ``engine.reader.Reader.read``.

        Raises:
            EngineError: OpenVINO fails.
        """
        planes = np.empty((len(pictures), 3, self.card.grid, self.card.grid), dtype=np.float32)
        try:
            for at, residual in enumerate(self._pool.map(self._read_one, pictures)):
                planes[at] = residual
        except RuntimeError as exc:
            raise EngineError("OpenVINO failed to read", subject=self.backend, remedy="choose --engine onnx") from exc
        return planes

    def _read_one(self, picture: Pixels) -> Floats:
        requests = self._idle.get()
        try:
            residual: Floats = run_pieces(requests, to_input(picture))[0].copy()
        finally:
            self._idle.put(requests)
        return residual

    def close(self) -> None:
        """See ``engine.reader.Reader.close``."""
        self._pool.shutdown()


def _read_graph(core: Any, data: bytes) -> Any:
    model = core.read_model(data)
    shape = model.input(0).get_partial_shape()
    if shape.is_dynamic:
        shape[0] = 1
        model.reshape(shape)
    return model


def _first_sum(model: Any) -> Any:
    """What the first residual block gives, after its activation; None where the picture is halved before that."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution" and max(node.get_attributes()["strides"]) > 1:
            return None
        if node.get_type_name() == "Add":
            one, other = (node.input_value(at).get_partial_shape() for at in (0, 1))
            if one == other:  # a bias has another shape
                readers = [reader.get_node() for reader in node.output(0).get_target_inputs()]
                activated = len(readers) == 1 and readers[0].get_type_name() == "Relu"
                return (readers[0] if activated else node).output(0)
    return None


def _front_of(openvino: Any, model: Any) -> Any:
    return openvino.Model([_first_sum(model)], model.get_parameters(), "front")


def _back_of(openvino: Any, model: Any) -> Any:
    """All that comes after the first residual sum, with that as the only input; changes ``model``."""
    source = _first_sum(model)
    taken = openvino.op.Parameter(openvino.Type.f32, source.get_partial_shape())
    for reader in source.get_target_inputs():
        reader.replace_source_output(taken.output(0))
    return openvino.Model(model.get_results(), [taken], "back")
