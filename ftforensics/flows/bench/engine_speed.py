"""How fast pictures are read: images a second, latencies, memory, and where the time of a read goes.

Enters: readers and views, or files. Leaves: rows of tables. Everything that is compared is timed turn by turn in one
process (``racing``): on a busy machine the ratios hold, the absolute figures are a lower bound.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftforensics.codec import matching
from ftforensics.engine.onnx import build_session
from ftforensics.engine.reader import Reader
from ftforensics.engine.reading import soft_bits
from ftforensics.engine.ring import Book
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench.racing import Timing, race
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.tag import READ_PX
from ftforensics.imaging.resample import Floats, Pixels, resize
from ftforensics.media.decode import decode_for_reading
from ftforensics.media.sniff import HEAD_BYTES, sniff_media_type

VIEWS = 16
BATCHES = (1, 4, 8, 16)
THREADS = (1, 2)
STAGES = ("decode", "resize", "read", "project", "match")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSpeed:
    """One reader at one batch size. Times are of whole batches."""

    engine: str
    batch: int
    timing: Timing
    device_bytes: int | None

    @property
    def images_per_s(self) -> float:
        """Of the least disturbed batch."""
        return self.batch / self.timing.fastest_s


def measure_readers(
    readers: Mapping[str, Reader],
    views: Pixels,
    *,
    rounds: int,
    batches: Sequence[int] = BATCHES,
    advance: Callable[[], None] = lambda: None,
) -> list[ReaderSpeed]:
    """Every reader at every batch size, side by side.

    Args:
        readers: By the name they get in the table.
        views: uint8 (N, P, P, 3), at least as many as the largest batch.
        rounds: How often each is timed.
        batches: Pictures at a time.
        advance: Called once a round.

    Raises:
        EngineError: A reader fails.
    """
    contestants: dict[str, Callable[[], object]] = {}
    named: dict[str, tuple[str, int]] = {}
    for name, reader in readers.items():
        for batch in batches:
            key = f"{name} x{batch}"
            named[key] = (name, batch)
            contestants[key] = _reading(reader, np.ascontiguousarray(views[:batch]))
    timings = race(contestants, rounds=rounds, advance=advance)
    return [
        ReaderSpeed(engine=name, batch=batch, timing=timings[key], device_bytes=device_bytes(readers[name]))
        for key, (name, batch) in named.items()
    ]


def measure_arrangements(
    graph: bytes, views: Pixels, *, rounds: int, advance: Callable[[], None] = lambda: None
) -> tuple[Row, ...]:
    """Batch, threads and sessions on the processor, each reading the same views once a round.

    Rows give milliseconds a picture and how many times as fast as one by one in one thread. Several sessions of one
    thread read different pictures at once.

    Raises:
        EngineError: ONNX Runtime does not take the graph.
    """
    inputs = np.ascontiguousarray(views.transpose(0, 3, 1, 2) * np.float32(1.0 / 255.0))
    sessions = {threads: build_session(graph, "the reader", threads) for threads in THREADS}

    def batched(threads: int, batch: int) -> Callable[[], object]:
        return lambda: [
            sessions[threads].run(None, {"picture": inputs[at : at + batch]}) for at in range(0, len(inputs), batch)
        ]

    many = max(THREADS)
    with ThreadPoolExecutor(many) as pool:

        def apart() -> object:
            runs = pool.map(lambda at: sessions[1].run(None, {"picture": inputs[at : at + 1]}), range(len(inputs)))
            return list(runs)

        contestants: dict[tuple[int, int, int], Callable[[], object]] = {
            (batch, threads, 1): batched(threads, batch) for threads in THREADS for batch in BATCHES
        }
        contestants[1, 1, many] = apart
        found = race({str(key): run for key, run in contestants.items()}, rounds=rounds, advance=advance)
    base = found[str((1, 1, 1))].fastest_s
    return tuple(
        {
            "batch": batch,
            "threads": threads,
            "sessions": count,
            "ms": 1000.0 * timing.fastest_s / len(inputs),
            "median_ms": 1000.0 * timing.median_s / len(inputs),
            "speed_up": base / timing.fastest_s,
        }
        for batch, threads, count in contestants
        for timing in [found[str((batch, threads, count))]]
    )


def measure_stages(
    paths: Sequence[Path],
    reader: Reader,
    book: Book,
    *,
    clock: Callable[[], float] = time.perf_counter,
    advance: Callable[[], None] = lambda: None,
) -> tuple[Row, ...]:
    """Where the time of a direct read goes, from the file's bytes to the best record; median milliseconds a picture.

    Raises:
        EvidenceUnreadable: A file cannot be read or decoded.
    """
    spent: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for path in paths:
        marks = [clock()]
        picture = _decode(path)
        marks.append(clock())
        view = np.asarray(resize(picture, reader.card.input_px, reader.card.input_px))
        marks.append(clock())
        residual = reader.read(view[None])[0]
        marks.append(clock())
        soft = soft_bits(residual, book)
        marks.append(clock())
        matching.match(soft, book.words)
        marks.append(clock())
        for stage, seconds in zip(STAGES, np.diff(marks), strict=True):
            spent[stage].append(float(seconds))
        advance()
    medians = {stage: float(np.median(values)) for stage, values in spent.items()}
    whole = sum(medians.values())
    return tuple(
        {"stage": stage, "ms": 1000.0 * seconds, "share": seconds / max(whole, 1e-12)}
        for stage, seconds in medians.items()
    )


READER_COLUMNS: tuple[Column, ...] = (
    Column(key="engine", label="engine"),
    Column(key="batch", label="batch", kind="count"),
    Column(key="images_per_s", label="images/s", kind="number", digits=1),
    Column(key="p50_ms", label="batch, median ms", kind="number", digits=2),
    Column(key="p95_ms", label="95 % within, ms", kind="number", digits=2),
    Column(key="p99_ms", label="99 % within, ms", kind="number", digits=2),
    Column(key="memory_mb", label="process memory, MB", kind="number", digits=0),
    Column(key="device_mb", label="device memory, MB", kind="number", digits=0),
)
ARRANGEMENT_COLUMNS: tuple[Column, ...] = (
    Column(key="batch", label="batch", kind="count"),
    Column(key="threads", label="threads a session", kind="count"),
    Column(key="sessions", label="at once", kind="count"),
    Column(key="ms", label="ms a picture", kind="number", digits=2),
    Column(key="median_ms", label="median ms", kind="number", digits=2),
    Column(key="speed_up", label="times as fast", kind="number", digits=2, unit="x"),
)
READ_STAGE_COLUMNS: tuple[Column, ...] = (
    Column(key="stage", label="stage"),
    Column(key="ms", label="ms a picture", kind="number", digits=2),
    Column(key="share", label="share", kind="rate", digits=1),
)


def summarise_readers(speeds: Sequence[ReaderSpeed]) -> tuple[Row, ...]:
    """One row a reader and batch size."""
    memory = process_bytes() / 1e6
    rows: list[Row] = []
    for speed in speeds:
        middle, high, highest = np.percentile(np.asarray(speed.timing.rounds_s) * 1000.0, [50.0, 95.0, 99.0])
        rows.append(
            {
                "engine": speed.engine,
                "batch": speed.batch,
                "images_per_s": speed.images_per_s,
                "p50_ms": float(middle),
                "p95_ms": float(high),
                "p99_ms": float(highest),
                "memory_mb": memory,
                "device_mb": None if speed.device_bytes is None else speed.device_bytes / 1e6,
            }
        )
    return tuple(rows)


def process_bytes() -> int:
    """Resident memory of this process at its highest."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)


def device_bytes(reader: Reader) -> int | None:
    """Memory of the GPU that torch holds for this process; None where nothing of it is known."""
    torch = sys.modules.get("torch")
    if torch is None or "cpu" in reader.backend or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_reserved())


def load_views(paths: Sequence[Path], side_px: int) -> Pixels:
    """The reader's views uint8 (N, P, P, 3) of files.

    Raises:
        EvidenceUnreadable: A file cannot be read or decoded.
    """
    return np.stack([np.asarray(resize(_decode(path), side_px, side_px)) for path in paths])


def _reading(reader: Reader, views: Pixels) -> Callable[[], Floats]:
    return lambda: reader.read(views)


def _decode(path: Path) -> Pixels:
    """A file as intake decodes it, without the isolated worker."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise EvidenceUnreadable(f"the file cannot be read ({exc.strerror})", subject=str(path)) from exc
    made = decode_for_reading(data, sniff_media_type(data[:HEAD_BYTES]), max_px=READ_PX)
    return np.frombuffer(made.rgb, dtype=np.uint8).reshape(made.height_px, made.width_px, 3)
