"""How fast a scan is, and where its time goes, beside the least that any examination costs.

The floor is what nobody can leave out: read every file, hash it, decode it. It is measured in the same run, before and
after the scan, with as many threads as the scan has workers. Shares are of the wall time of all threads of the main
process added up, each stage without what is measured inside it; a thread that waits for its turn at a processor counts.
Intake in workers goes on meanwhile, so its share is only what had to be waited for; so does what is done beside an
examination in threads of its own. Pictures are written several at a time, each with a clock of its own.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ftforensics.engine.hints import Hints
from ftforensics.engine.reader import Reader
from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.tag import READ_PX
from ftforensics.imaging.resample import Pixels, fit_within, resize

WARM_UP = 1
FLOOR_RUNS = 3


class Stopwatch:
    """Adds up wall time by stage, of all threads; a stage inside another stops the outer one's clock in its thread."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._thread = _Running()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Everything in the block is this stage's, but for the stages inside it."""
        self._switch()
        self._thread.stages.append(name)
        try:
            yield
        finally:
            self._switch()
            self._thread.stages.pop()

    @property
    def current(self) -> str | None:
        """The innermost stage that is running in this thread."""
        return self._thread.stages[-1] if self._thread.stages else None

    def _switch(self) -> None:
        now, running = self._clock(), self._thread
        if running.stages:
            with self._lock:
                stage = running.stages[-1]
                self.seconds[stage] = self.seconds.get(stage, 0.0) + now - running.since
        running.since = now


class _Running(threading.local):
    """The stages that are running in one thread, and since when the innermost is."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.since = 0.0


class Timed:
    """Stands for another object and gives time to stages while its methods run.

    Args:
        target: What it stands for; everything else about it is passed through.
        watch: Where time is added up.
        stages: Method name to stage.
        inner: Method name to the stage of the functions that are handed to it.
    """

    def __init__(
        self, target: Any, watch: Stopwatch, stages: dict[str, str], inner: dict[str, str] | None = None
    ) -> None:
        self._target, self._watch, self._stages, self._inner = target, watch, stages, inner or {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        stage = self._stages.get(name)
        return value if stage is None else self._wrap(value, stage, self._inner.get(name))

    def _wrap(self, function: Callable[..., Any], stage: str, inner: str | None) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if inner is not None:
                arguments = tuple(self._wrap_handed(one, inner) for one in arguments)
            with self._watch.stage(stage):
                return function(*arguments, **named)

        return call

    def _wrap_handed(self, handed: Any, stage: str) -> Any:
        """A function, or hints with all functions in them, that give their time to a stage; all else as it is."""
        if isinstance(handed, Hints):
            asked = {one.name: getattr(handed, one.name) for one in fields(handed)}
            return Hints(**{name: self._wrap_handed(function, stage) for name, function in asked.items()})
        return self._wrap(handed, stage, None) if callable(handed) else handed


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanTiming:
    """One timed scan of ``pictures`` pictures. ``stages`` are seconds of the main process's threads, added up."""

    label: str
    pictures: int
    scan_s: float
    floor_s: float
    search_ms: float
    stages: dict[str, float] = field(default_factory=dict)


def measure_floor(paths: Sequence[Path], threads: int) -> list[float]:
    """Seconds to read, hash (SHA-256) and decode all files at full size, three times over.

    Raises:
        EvidenceUnreadable: A file cannot be read.
    """
    spent: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(FLOOR_RUNS):
            started = time.perf_counter()
            for _ in pool.map(_read_hash_decode, paths):
                pass
            spent.append(time.perf_counter() - started)
    return spent


def _read_hash_decode(path: Path) -> int:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise EvidenceUnreadable(f"the file cannot be read ({exc.strerror})", subject=str(path)) from exc
    hashlib.sha256(data).hexdigest()
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    return 0 if pixels is None else int(pixels.size)


def measure_search(reader: Reader, pictures: Sequence[Pixels]) -> float:
    """Milliseconds a picture of all that a failed direct read costs: correlation, refinement, reading anew.

    Matching is not in it: it depends on the registry.
    """
    search = TagReader(reader, [], budget=SearchBudget(mode="blind"))
    side = reader.card.input_px
    seen = [fit_within(picture, READ_PX) for picture in pictures]
    residuals = reader.read(np.stack([resize(picture, side, side) for picture in seen]))
    spent: list[float] = []
    for picture, residual in zip(seen, residuals, strict=True):
        started = time.perf_counter()
        search.identify(picture, residual)
        spent.append(time.perf_counter() - started)
    # The first pays for the grids, which a scan builds once.
    kept = spent[WARM_UP:] or spent
    return float(np.median(kept)) * 1000.0


SCAN_COLUMNS: tuple[Column, ...] = (
    Column(key="evidence", label="evidence"),
    Column(key="floor_ratio", label="share of the floor's speed", kind="rate", digits=1),
    Column(key="times_floor", label="time, in floors", kind="number", digits=1, unit="x"),
    Column(key="images_per_s", label="scan, images/s", kind="number", digits=1),
    Column(key="floor_images_per_s", label="floor, images/s", kind="number", digits=1),
    Column(key="ms_per_image", label="ms an image", kind="number", digits=0),
    Column(key="search_ms", label="blind search alone, ms a picture", kind="number", digits=0),
    Column(key="pictures", label="pictures", kind="count"),
)

STAGE_COLUMNS: tuple[Column, ...] = (
    Column(key="evidence", label="evidence"),
    Column(key="stage", label="stage"),
    Column(key="share", label="share of the time", kind="rate", digits=1),
    Column(key="ms_per_image", label="ms an image", kind="number", digits=1),
)


def summarise_speed(timings: Sequence[ScanTiming]) -> tuple[Row, ...]:
    """One row a kind of evidence."""
    return tuple(
        {
            "evidence": timing.label,
            "floor_ratio": timing.floor_s / timing.scan_s,
            "times_floor": timing.scan_s / timing.floor_s,
            "images_per_s": timing.pictures / timing.scan_s,
            "floor_images_per_s": timing.pictures / timing.floor_s,
            "ms_per_image": 1000.0 * timing.scan_s / timing.pictures,
            "search_ms": timing.search_ms,
            "pictures": timing.pictures,
        }
        for timing in timings
    )


def summarise_stages(timings: Sequence[ScanTiming]) -> tuple[Row, ...]:
    """One row a stage, in the order of a scan as ``ScanTiming.stages`` has them; shares are of all stages together."""
    return tuple(
        {
            "evidence": timing.label,
            "stage": stage,
            "share": seconds / sum(timing.stages.values()),
            "ms_per_image": 1000.0 * seconds / timing.pictures,
        }
        for timing in timings
        for stage, seconds in timing.stages.items()
    )
