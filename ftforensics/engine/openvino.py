"""OpenVINO on the processor: the model's own graph in bfloat16, where the processor multiplies it, or in float32.

In: a model folder. Out: a Reader. Only what compiles and runs a graph is used of the package; nothing is kept on disk.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftforensics.engine.models import load_card, load_graph
from ftforensics.engine.processor import NO_BF16, NO_BF16_REMEDY, count_usable_cores
from ftforensics.errors import BackendUnavailable, EngineError

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

# As they are called here, and there.
PRECISIONS = {"bf16": "bf16", "fp32": "f32"}
_CPU = "CPU"
_TELEMETRY = "openvino_telemetry"


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


def compile_graph(data: bytes, subject: str, *, precision: str, streams: int, threads: int) -> Any:
    """A graph compiled for one picture at a time.

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
    core = openvino.Core()
    if precision not in PRECISIONS:
        raise BackendUnavailable(f"it does not read with {precision}", remedy="choose another --precision")
    if precision == "bf16" and "BF16" not in core.get_property(_CPU, "OPTIMIZATION_CAPABILITIES"):
        raise BackendUnavailable(NO_BF16, remedy=NO_BF16_REMEDY)
    wanted = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads,
        # Threads that are tied to a core wait there for whoever decodes the next picture.
        "ENABLE_CPU_PINNING": False,
    }
    try:
        model = core.read_model(data)
        shape = model.input(0).get_partial_shape()
        if shape.is_dynamic:
            shape[0] = 1
            model.reshape(shape)
        compiled = core.compile_model(model, _CPU, wanted)
    except RuntimeError as exc:  # openvino raises nothing narrower
        raise EngineError("OpenVINO cannot load this graph", subject=subject, remedy="choose --engine onnx") from exc
    if compiled.get_property("INFERENCE_PRECISION_HINT").to_string() != PRECISIONS[precision]:
        raise BackendUnavailable(f"OpenVINO does not compute in {precision} here", remedy="choose --engine onnx")
    return compiled


class OpenVinoReader:
    """The reader graph in OpenVINO, every picture by itself in one thread, as many at once as there are threads.

    So neither batches nor the number of cores have a say in what is read.

    Args:
        folder: A model folder.
        threads: Processor threads, and pictures at once; 0 for as many as this process may use.
        precision: bf16 or fp32.

    Raises:
        ModelMissing: Files are missing or do not fit the card.
        BackendUnavailable: The package is missing, or the processor does not compute in this precision.
        EngineError: OpenVINO does not take the graph.
    """

    backend = "openvino-cpu"
    engine_sha256: str | None = None

    def __init__(self, folder: Path, *, threads: int = 0, precision: str = "bf16") -> None:
        self.card = load_card(folder)
        self.precision = precision
        data = load_graph(folder, self.card.reader_file, self.card.reader_sha256)
        count = threads or count_usable_cores()
        compiled = compile_graph(
            data, str(folder / self.card.reader_file), precision=precision, streams=count, threads=count
        )
        at_once = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests = [compiled.create_infer_request() for _ in range(at_once)]

    def read(self, pictures: Pixels) -> Floats:
        """See ``engine.reader.Reader.read``.

        Raises:
            EngineError: OpenVINO fails.
        """
        planes = np.empty((len(pictures), 3, self.card.grid, self.card.grid), dtype=np.float32)
        at_once = len(self._requests)
        try:
            for at, picture in enumerate(pictures):
                if at >= at_once:
                    self._collect(at - at_once, planes)
                single = np.ascontiguousarray(picture.transpose(2, 0, 1)[None] * np.float32(1.0 / 255.0))
                self._requests[at % at_once].start_async({0: single}, share_inputs=False)
            for at in range(max(0, len(pictures) - at_once), len(pictures)):
                self._collect(at, planes)
        except RuntimeError as exc:
            for request in self._requests:
                request.cancel()
            raise EngineError("OpenVINO failed to read", subject=self.backend, remedy="choose --engine onnx") from exc
        return planes

    def _collect(self, at: int, planes: Floats) -> None:
        request = self._requests[at % len(self._requests)]
        request.wait()
        planes[at] = request.get_output_tensor(0).data[0]

    def close(self) -> None:
        """See ``engine.reader.Reader.close``: nothing is held that would not go by itself."""
