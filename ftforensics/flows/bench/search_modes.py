"""What each search mode costs, finds and risks: direct, content, blind and deep, on pictures whose frame was moved.

The same manipulated pictures are read by ``TagReader`` in every mode, with the records, carrier key and hypotheses that
the mode is charged for. Only "content" is told where the picture's own source lies in it, as a registry that holds it
would suggest, and "compared" also reads beside its preview, placed as a scan places it; "blind" and "deep" show what
they find by themselves. Times are of untagged pictures, in one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np

from ftforensics.domain.tag import Placement, SearchMode
from ftforensics.engine.hints import Hints
from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.flows.bench.beside import KeptSource, Previews
from ftforensics.flows.bench.false_positives import needed_z
from ftforensics.flows.bench.identities import leads_with, names_another
from ftforensics.flows.bench.manipulations import BATTERY, Means, apply_manipulation, draw_random
from ftforensics.flows.bench.paired import PairedSetup, PairedTask, measure_paired
from ftforensics.flows.bench.pictures import PictureSet
from ftforensics.flows.bench.results import Column, Row, interval_columns
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.statistics import estimate_rate, upper_bound
from ftforensics.flows.bench.tagging import load_exhibit
from ftforensics.flows.frames import frame_of
from ftforensics.flows.known import LazyFeatures
from ftforensics.flows.tag import READ_PX
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import Pixels, fit_within

MODES: tuple[Placement, ...] = get_args(Placement)
MOVED = (
    "none",
    "crop to 75 %",
    "crop to 50 %",
    "mirror",
    "rotation 10°",
    "rotation 90°",
    "screenshot, rescaled",
    "collage of four",
    "swap, crop to 70 %, 480 px, JPEG 60",
)
UNTAGGED_VIEWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRead:
    """One read. ``manipulation`` is None for an untagged view, of which ``ms`` is the time.

    ``right`` and ``wrong`` are those of ``robustness.Read``: further regions can only make a read wrong.
    """

    mode: str
    manipulation: str | None
    right: bool
    wrong: bool
    ms: float


class SearchWorker:
    """Reads the moved and the untagged views of one picture after another in every mode."""

    def __init__(self, setup: PairedSetup) -> None:
        self._bench = Bench(setup.setup)
        book = setup.book.open(self._bench.key)
        self._key_id = book.key.key_id
        reader, pairs = self._bench.reader, self._bench.pairs
        self._readers = {mode: TagReader(reader, [book], pairs=pairs, budget=budget_of(mode)) for mode in MODES}

    def __call__(self, task: PairedTask) -> list[ModeRead] | None:
        """All reads; None where ``ftf tag`` would have refused the picture."""
        tagged = self._bench.tag(task.picture)
        if tagged is None:
            return None
        untagged, donor = load_exhibit(task.picture.path), load_exhibit(task.donor.path)
        previews = Previews(self._key_id, {tagged.tag_id: task.picture.path})
        reads = []
        for name, pixels in self._move(MOVED, task, tagged.pixels, donor):
            reads += self._read_all(pixels, previews, tagged.tag_id, name)
        for _, pixels in self._move(MOVED[:UNTAGGED_VIEWS], task, untagged, donor):
            reads += self._read_all(pixels, previews, tagged.tag_id, None)
        return reads

    def _move(self, names: Sequence[str], task: PairedTask, pixels: Pixels, donor: Pixels) -> list[tuple[str, Pixels]]:
        chosen = {one.name: one for one in BATTERY}
        moved = []
        for name in names:
            random = draw_random(self._bench.setup.seed, task.picture.sha256, name, 0)
            means = Means(donor=donor, regenerate=self._bench.regenerate, random=random)
            moved.append((name, apply_manipulation(chosen[name], pixels, means)))
        return moved

    def _read_all(self, pixels: Pixels, previews: Previews, tag_id: str, name: str | None) -> list[ModeRead]:
        seen = np.ascontiguousarray(fit_within(pixels, READ_PX))
        previews.prepare()
        source, reads = previews.source(tag_id), []
        for mode, reader in self._readers.items():
            started = time.perf_counter()
            features = LazyFeatures(seen)
            frames = suggest(seen, source, features) if mode in ("content", "compared") else ()
            recall = previews.recall(seen, features) if mode == "compared" else None
            hints = Hints(suggest=partial(_as_is, frames), recall=recall)
            reading = reader.identify(seen, reader.residuals([seen])[0], hints)
            ms = 1000.0 * (time.perf_counter() - started)
            true = None if name is None else tag_id
            right, wrong = name is not None and leads_with(reading, tag_id), names_another(reading, true)
            reads.append(ModeRead(mode=mode, manipulation=name, right=right, wrong=wrong, ms=ms))
        return reads


def budget_of(mode: Placement) -> SearchBudget:
    """What a mode may try; reading beside a source goes with what content suggests."""
    allowed: SearchMode = "content" if mode == "compared" else mode
    return SearchBudget(mode=allowed)


def _as_is(frames: Sequence[geometry.Affine]) -> Sequence[geometry.Affine]:
    return frames


def suggest(pixels: Pixels, source: KeptSource, features: LazyFeatures) -> Sequence[geometry.Affine]:
    """The frame in which the source's content lies in a picture, if it registers, as a scan suggests it."""
    registration = source.attempt(pixels, features.get()).registration
    return () if registration is None else (frame_of(registration),)


def measure_search(
    pictures: PictureSet, setup: Setup, *, records: int, jobs: int, advance: Callable[[], None]
) -> list[list[ModeRead] | None]:
    """Reads picture by picture; None for one that ``ftf tag`` would have refused.

    Raises:
        FtfError: A picture, the model or the folder for work cannot be used.
    """
    return measure_paired(SearchWorker, pictures, setup, records=records, jobs=jobs, advance=advance)


def _key(name: str) -> str:
    return f"identified_{MOVED.index(name)}"


SEARCH_COLUMNS: tuple[Column, ...] = (
    Column(key="mode", label="search"),
    Column(key="hypotheses", label="hypotheses allowed", kind="count"),
    Column(key="needed_z", label="z needed, bits equally loud", kind="number", digits=2),
    Column(key="median_ms", label="untagged, median ms", kind="number", digits=0),
    Column(key="p95_ms", label="95 % within, ms", kind="number", digits=0),
    *(column for name in MOVED for column in interval_columns(_key(name), f"right record: {name}", "rate", digits=0)),
    Column(key="wrong", label="wrong identities and decodes", kind="count"),
    Column(key="reads", label="of all reads", kind="count"),
    Column(key="wrong_upper", label="at most, 95 %", kind="rate", digits=2),
)


def summarise_search(results: Sequence[Sequence[ModeRead] | None], records: int, seed: int) -> tuple[Row, ...]:
    """One row a mode."""
    reads = [read for result in results if result for read in result]
    rows: list[Row] = []
    for mode in MODES:
        part = [read for read in reads if read.mode == mode]
        if not part:
            continue
        times = [read.ms for read in part if read.manipulation is None]
        hypotheses, wrong = budget_of(mode).hypotheses, sum(read.wrong for read in part)
        row: Row = {
            "mode": mode,
            "hypotheses": hypotheses,
            "needed_z": needed_z(records, budget_of(mode).counts(mode)),
            "median_ms": float(np.median(times)),
            "p95_ms": float(np.percentile(times, 95.0)),
            "wrong": wrong,
            "reads": len(part),
            "wrong_upper": upper_bound(wrong, len(part)),
        }
        for name in MOVED:
            right = np.asarray([read.right for read in part if read.manipulation == name], dtype=np.float64)
            found = estimate_rate(right, seed)
            key = _key(name)
            row |= {key: found.mean, f"{key}_low": found.low, f"{key}_high": found.high}
        rows.append(row)
    return tuple(rows)
