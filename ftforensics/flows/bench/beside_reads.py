"""What is found beside a preview where nothing is to be found, and what it costs to look.

Every view of a picture is read beside the preview of the very photograph that it was made from, where that fits, and
matched with all records of a registry that holds no record of it. A scan would compare it with the photograph's own
record alone; this gives chance as many opportunities as there are records. Half of the views, and the kinds of
pictures, are those of ``false_positives``, most of which are parts. The other half are whole pictures that went through
something, for those are what ``imaging.explain`` works on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from ftforensics.engine.compared import KnownSource
from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.flows.bench.beside import KeptSource, as_kept
from ftforensics.flows.bench.false_positives import (
    OTHER_KEY,
    POPULATIONS,
    UNREGISTERED,
    UNTAGGED,
    draw_views,
    needed_z,
)
from ftforensics.flows.bench.keys import BookFile, draw_ids, save_book
from ftforensics.flows.bench.manipulations import BATTERY, Means, apply_manipulation, draw_random
from ftforensics.flows.bench.pictures import BenchPicture, PictureSet
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.statistics import upper_bound
from ftforensics.flows.bench.tagging import load_exhibit
from ftforensics.flows.bench.workers import collect
from ftforensics.flows.frames import follow
from ftforensics.flows.tag import READ_PX
from ftforensics.imaging.resample import Pixels, fit_within

# What whole pictures go through, by the names of ``manipulations``.
REWORKED = ("GAN simulator", "generator B (black box)", "JPEG 30", "noise 5 %")
_BY_NAME = {one.name: one for one in BATTERY}


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideRead:
    """One view: ``placed`` where the photograph fits it; only then the others mean anything.

    ``wrong`` means that a record matched; ``z`` is the largest of any. ``ms`` is the time of lining up and reading.
    ``explained`` is that of ``Try``.
    """

    population: str
    placed: bool
    wrong: bool
    z: float
    ms: float
    explained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideSetup:
    """For one worker: two registries of random records, and how many views of a picture are read."""

    setup: Setup
    issuer_book: BookFile
    other_book: BookFile
    views: int


class BesideWorker:
    """Reads views of one picture after another."""

    def __init__(self, setup: BesideSetup) -> None:
        self._setup, self._bench = setup, Bench(setup.setup)
        own, other = setup.issuer_book.open(self._bench.key), setup.other_book.open(self._bench.other_key)
        reader, pairs = self._bench.reader, self._bench.pairs
        self._readers = {
            UNTAGGED: TagReader(reader, [own], pairs=pairs),
            OTHER_KEY: TagReader(reader, [other], pairs=pairs),
            UNREGISTERED: TagReader(reader, [own], pairs=pairs),
        }

    def __call__(self, task: BenchPicture) -> list[BesideRead]:
        """All reads of a picture, of all three kinds."""
        source, untagged, tagged = as_kept(task.path), load_exhibit(task.path), self._bench.tag(task)
        reads = self._read(UNTAGGED, task, untagged, source)
        if tagged is not None:
            for kind in (OTHER_KEY, UNREGISTERED):
                reads += self._read(kind, task, tagged.pixels, source)
        return reads

    def _read(self, kind: str, task: BenchPicture, pixels: Pixels, source: KeptSource) -> list[BesideRead]:
        whole = self._setup.views // 2
        views = draw_views(pixels, self._setup.views - whole, self._setup.setup.seed, task.sha256)
        reworked = rework(pixels, whole, self._bench, task.sha256)
        return [read_view(self._readers[kind], view, source, kind) for view in chain(views, reworked)]


def rework(pixels: Pixels, count: int, bench: Bench, sha256: str) -> Iterator[Pixels]:
    """A picture in drawn tones, then in turn through each of what whole pictures go through."""
    for at in range(count):
        random = draw_random(bench.setup.seed, sha256, "reworked", at)
        means = Means(donor=pixels, regenerate=bench.regenerate, random=random)
        toned = apply_manipulation(_BY_NAME["tone"], pixels, means)
        view = apply_manipulation(_BY_NAME[REWORKED[at % len(REWORKED)]], toned, means)
        yield np.ascontiguousarray(fit_within(view, READ_PX))


def read_view(tag_reader: TagReader, view: Pixels, source: KeptSource, population: str) -> BesideRead:
    """A view beside its own source, matched with every record at hand."""
    started = time.perf_counter()
    matrix = source.attempt(view).matrix
    if matrix is None:
        return BesideRead(population=population, placed=False, wrong=False, z=0.0, ms=0.0)
    known = KnownSource(tag_id="", carrier_key_id="", preview=source.preview, frame=follow(matrix))
    tried, tags = tag_reader.compare(view, known)
    ms = 1000.0 * (time.perf_counter() - started)
    return BesideRead(
        population=population,
        placed=True,
        wrong=bool(tags),
        z=tried.best_z or 0.0,
        ms=ms,
        explained=tried.explained,
    )


def measure_beside(
    pictures: PictureSet, setup: Setup, *, reads: int, records: int, jobs: int, advance: Callable[[], None]
) -> list[list[BesideRead]]:
    """Reads picture by picture; ``reads`` at least of each kind.

    Raises:
        FtfError: A picture, the model or the folder for work cannot be used.
    """
    bench, ids = Bench(setup), draw_ids(setup.seed, records, [])
    worker_setup = BesideSetup(
        setup=setup,
        issuer_book=save_book(setup.work, "issuer", bench.key, ids),
        other_book=save_book(setup.work, "other issuer", bench.other_key, ids),
        views=-(-reads // len(pictures.pictures)),
    )
    return collect(BesideWorker, worker_setup, pictures.pictures, jobs, advance)


BESIDE_COLUMNS: tuple[Column, ...] = (
    Column(key="population", label="pictures"),
    Column(key="pictures", label="pictures", kind="count"),
    Column(key="views", label="views", kind="count"),
    Column(key="reads", label="read beside their source", kind="count"),
    Column(key="explained", label="of them explained as a whole", kind="count"),
    Column(key="wrong", label="wrong identities", kind="count"),
    Column(key="wrong_upper", label="at most, 95 %", kind="rate", digits=3),
    Column(key="largest_z", label="largest z", kind="number", digits=2),
    Column(key="needed_z", label="z needed, bits equally loud", kind="number", digits=2),
    Column(key="median_ms", label="median ms", kind="number", digits=0),
)


def summarise_beside(results: Sequence[Sequence[BesideRead]], records: int) -> tuple[Row, ...]:
    """One row a kind of picture."""
    rows: list[Row] = []
    for population in POPULATIONS:
        by_picture = [[read for read in part if read.population == population] for part in results]
        views = [read for part in by_picture for read in part]
        reads = [read for read in views if read.placed]
        if not reads:
            continue
        wrong = sum(read.wrong for read in reads)
        rows.append(
            {
                "population": population,
                "pictures": sum(any(read.placed for read in part) for part in by_picture),
                "views": len(views),
                "reads": len(reads),
                "explained": sum(read.explained for read in reads),
                "wrong": wrong,
                "wrong_upper": upper_bound(wrong, len(reads)),
                "largest_z": max(read.z for read in reads),
                "needed_z": needed_z(records, SearchBudget().counts("compared")),
                "median_ms": float(np.median([read.ms for read in reads])),
            }
        )
    return tuple(rows)
