"""ONNX Runtime on the CPU: the default backend, and the reference the others are compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ftforensics.engine.models import load_card, load_graph
from ftforensics.engine.processor import count_usable_cores
from ftforensics.engine.quantised import load_quantised
from ftforensics.engine.reader import to_input
from ftforensics.engine.remembering import Remembered
from ftforensics.errors import EngineError, ModelMissing

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Precision = Literal["fp32", "int8"]

# How many pictures a scan reads and records together. The processor runs each by itself: that costs nothing there (see
# docs/adr/0009), and findings cannot depend on how pictures fell into batches.
BATCH = 8

# Sides that regenerating networks take are multiples of this.
FOLD = 8


def build_session(data: bytes, subject: str, threads: int) -> onnxruntime.InferenceSession:
    """A session on the processor, as everything here runs its graphs.

    Args:
        data: A serialised graph.
        subject: What it is, for the error.
        threads: Processor threads for one run; 0 lets the runtime choose.

    Raises:
        EngineError: ONNX Runtime does not take the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # A spinning pool takes the processor from whoever decodes the next picture.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime raises its own unrelated classes
        raise EngineError("ONNX Runtime cannot load this graph", subject=subject, remedy="reinstall the model") from exc


class OnnxReader:
    """The reader graph in ONNX Runtime, float32 unless the model ships an int8 reader and that is asked for.

    Args:
        folder: A model folder.
        threads: Processor threads for one run; 0 lets the runtime choose.
        precision: fp32 or int8.

    Raises:
        ModelMissing: Files are missing or do not fit the card, or there is no int8 reader.
        EngineError: ONNX Runtime does not take the graph.
    """

    backend = "onnxruntime-cpu"
    engine_sha256: str | None = None

    def __init__(self, folder: Path, *, threads: int = 0, precision: Precision = "fp32") -> None:
        self.card = load_card(folder)
        self.precision: str = precision
        if precision == "int8":
            data = load_quantised(folder)
            self.engine_sha256 = hashlib.sha256(data).hexdigest()
        else:
            data = load_graph(folder, self.card.reader_file, self.card.reader_sha256)
        self._session = build_session(data, str(folder / self.card.reader_file), threads)
        # Several pictures at once, each by itself: one leaves cores idle between its layers. The bytes are the same.
        self._pool = ThreadPoolExecutor(threads or count_usable_cores())
        self._is_closed = False

    def read(self, pictures: Pixels) -> Floats:
        """See ``engine.reader.Reader.read``.

        Raises:
            EngineError: It was closed.
        """
        if self._is_closed:
            raise EngineError("this reader was closed", subject=self.backend, remedy="open it again")
        planes = np.empty((len(pictures), 3, self.card.grid, self.card.grid), dtype=np.float32)
        run = map if len(pictures) < 2 else self._pool.map
        for at, residual in enumerate(run(self._read_one, pictures)):
            planes[at] = residual
        return planes

    def _read_one(self, picture: Pixels) -> Floats:
        residual: Floats = self._session.run(None, {"picture": to_input(picture)})[0][0]
        return residual

    def close(self) -> None:
        """See ``engine.reader.Reader.close``."""
        self._is_closed = True
        self._pool.shutdown()


class OnnxPairReader:
    """The graph that reads pictures beside their sources, in ONNX Runtime, whatever backend reads pictures alone.

    Its bytes are checked at once; the session is built when it is first needed, as most scans never do.

    Args:
        folder: A model folder.
        threads: Processor threads for one run; 0 lets the runtime choose.

    Raises:
        ModelMissing: The model has none, or its file or the simulator's does not fit the card.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        card = load_card(folder)
        if card.pair_reader_file is None or card.pair_reader_sha256 is None:
            raise ModelMissing("this model ships no pair reader", subject=str(folder), remedy="choose another model")
        self.sha256, self.simulator_sha256 = card.pair_reader_sha256, card.simulator_sha256
        self._data = load_graph(folder, card.pair_reader_file, self.sha256)
        self._subject, self._threads = str(folder / card.pair_reader_file), threads
        generator = _open_generator(folder, threads)
        self.regenerate = None if generator is None else Remembered(generator)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return build_session(self._data, self._subject, self._threads)

    def read(self, pairs: Floats) -> Floats:
        """See ``engine.reader.PairReader``.

        Raises:
            EngineError: ONNX Runtime does not take the graph.
        """
        maps = [self._session.run(None, {"pair": pair[None]})[0][0] for pair in pairs]
        return np.stack(maps).astype(np.float32)


def open_pair_reader(folder: Path, *, threads: int = 0) -> OnnxPairReader | None:
    """The pair reader of a model folder; None where the model has none.

    Raises:
        ModelMissing: Its file does not fit the card.
    """
    return None if load_card(folder).pair_reader_file is None else OnnxPairReader(folder, threads=threads)


class OnnxLocaliser:
    """The graph that says where a tag was replaced, in ONNX Runtime, whatever backend reads.

    Its bytes are checked at once; the session is built when it is first needed.

    Args:
        folder: A model folder.
        threads: Processor threads for one run; 0 lets the runtime choose.

    Raises:
        ModelMissing: The model has none, or its file does not fit the card.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        card = load_card(folder)
        if card.localiser_file is None or card.localiser_sha256 is None:
            raise ModelMissing("this model ships no localiser", subject=str(folder), remedy="choose another model")
        self.sha256 = card.localiser_sha256
        self._data = load_graph(folder, card.localiser_file, self.sha256)
        self._subject, self._threads = str(folder / card.localiser_file), threads

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return build_session(self._data, self._subject, self._threads)

    def locate(self, residual: Floats, tag: Floats, source: Floats, seen: NDArray[np.bool_]) -> Floats:
        """See ``engine.reader.Localiser.locate``.

        Raises:
            EngineError: ONNX Runtime does not take the graph, or it does not give a number for every place.
        """
        maps = np.concatenate([residual, tag, source, seen[None]], dtype=np.float32)
        session = self._session
        try:
            evidence: Floats = np.asarray(session.run(["evidence"], {"maps": maps[None]})[0][0])
        except Exception as exc:  # onnxruntime raises its own unrelated classes
            raise EngineError(
                "this graph does not run as a localiser", subject=self._subject, remedy="reinstall the model"
            ) from exc
        if evidence.shape != seen.shape or not np.isfinite(evidence).all():
            raise EngineError(
                f"the localiser gave no number for each of {seen.size} places",
                subject=self._subject,
                remedy="look at this machine with ftf doctor",
            )
        return evidence


def open_localiser(folder: Path, *, threads: int = 0) -> OnnxLocaliser | None:
    """The localiser of a model folder; None where the model has none.

    Raises:
        ModelMissing: Its file does not fit the card.
    """
    return None if load_card(folder).localiser_file is None else OnnxLocaliser(folder, threads=threads)


class OnnxEmbedder:
    """The gradient graph in ONNX Runtime."""

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        self._folder, self._threads = folder, threads
        self.card = load_card(folder)
        data = load_graph(folder, self.card.gradient_file, self.card.gradient_sha256)
        self._session = build_session(data, str(folder / self.card.gradient_file), threads)

    def gradient(
        self, pictures: Floats, carriers: Floats, weights: Floats, margin: float, sharpness: float
    ) -> tuple[Floats, Floats]:
        """See ``engine.reader.Embedder.gradient``."""
        inputs = {
            "picture": pictures,
            "carriers": carriers,
            "weights": weights,
            "margin": np.asarray(margin, dtype=np.float32),
            "sharpness": np.asarray(sharpness, dtype=np.float32),
        }
        soft, gradient = self._session.run(["soft", "gradient"], inputs)
        return soft, gradient

    @cached_property
    def regenerate(self) -> Callable[[Pixels], Pixels] | None:
        """See ``engine.reader.Embedder.regenerate``."""
        return _open_generator(self._folder, self._threads)


class OnnxSimulator:
    """The GAN simulator in ONNX Runtime: regenerates pictures, for tagging, reading beside sources, demo and bench.

    Its bytes are checked at once; the session is built when it is first needed.

    Raises:
        ModelMissing: The model has none, or its file does not fit the card.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        card = load_card(folder)
        if card.simulator_file is None or card.simulator_sha256 is None:
            raise ModelMissing("this model ships no simulator", subject=str(folder), remedy="choose another model")
        self._data = load_graph(folder, card.simulator_file, card.simulator_sha256)
        self._subject, self._threads = str(folder / card.simulator_file), threads

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return build_session(self._data, self._subject, self._threads)

    def regenerate(self, picture: Pixels) -> Pixels:
        """The picture through the simulator's latent, same size; sides are padded by reflection to multiples of 8.

        Raises:
            EngineError: ONNX Runtime does not take the graph, or it gives values that are no numbers.
        """
        return run_padded(picture, lambda batch: np.asarray(self._session.run(None, {"picture": batch})[0]))


def _open_generator(folder: Path, threads: int) -> Callable[[Pixels], Pixels] | None:
    """What the model's generator does to a picture; None where it has none."""
    if load_card(folder).simulator_file is None:
        return None
    return OnnxSimulator(folder, threads=threads).regenerate


def run_padded(picture: Pixels, run: Callable[[Floats], Floats]) -> Pixels:
    """A picture (H, W, 3) through ``run``, float32 (1, 3, H', W') in [0, 1] to the same, sides multiples of 8.

    Raises:
        EngineError: ``run`` gives values that are no numbers.
    """
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, -height % FOLD), (0, -width % FOLD), (0, 0)), mode="reflect")
    batch = padded.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255.0)
    output = run(np.ascontiguousarray(batch))[0].transpose(1, 2, 0)
    if not np.isfinite(output).all():
        raise EngineError(
            "a generator gave values that are no numbers",
            subject="ONNX Runtime",
            remedy="look at this machine with ftf doctor",
        )
    return np.asarray(np.clip(np.rint(output * 255.0), 0, 255), dtype=np.uint8)[:height, :width]
