"""All that ``ftf engine bench`` measures, put together: readers, arrangements, stages, roofline and peers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from ftforensics.engine.models import load_card, load_graph
from ftforensics.engine.reader import Reader
from ftforensics.engine.ring import build_book
from ftforensics.errors import EngineError
from ftforensics.flows.bench import engine_speed, peers, roofline
from ftforensics.flows.bench.graph_cost import GraphCost, count_graph
from ftforensics.flows.bench.keys import draw_ids, draw_key
from ftforensics.flows.bench.pictures import PictureSet
from ftforensics.flows.bench.racing import Timing
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.bench.roofline import Ceilings, Standing
from ftforensics.flows.bench.roofline_plot import render_svg
from ftforensics.flows.bench.runtimes import Runtime, list_runtimes
from ftforensics.imaging.resample import Pixels

GPU_BATCHES = (1, 16, 64)
OURS = "the reader, {side} px"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTable:
    """A table without what all tables of a run have in common."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredEngines:
    """Tables, and the roofline as SVG where it could be counted."""

    tables: tuple[MeasuredTable, ...]
    plot: str | None


def measure_engines(
    folder: Path,
    readers: Mapping[str, Reader],
    pictures: PictureSet | None,
    *,
    rounds: int,
    threads: int,
    records: int,
    seed: int,
    with_peers: bool,
    advance: Callable[[], None] = lambda: None,
) -> MeasuredEngines:
    """Measure everything that can be measured here.

    Args:
        folder: The model folder.
        readers: By the name they get in the tables.
        pictures: For the stages of a read; None leaves that table out.
        rounds: How often everything is timed.
        threads: Of one run on the processor; 0 for all cores.
        records: To match with.
        seed: Keys and records are drawn from it.
        with_peers: Whether to time the peers too.
        advance: Called once a round or picture.

    Raises:
        EngineError: A reader fails, or peers are wanted and torch is missing.
        EvidenceUnreadable: A picture cannot be read.
    """
    card = load_card(folder)
    graph = load_graph(folder, card.reader_file, card.reader_sha256)
    largest = max(*engine_speed.BATCHES, *GPU_BATCHES)
    views = np.random.default_rng(seed).integers(0, 256, (largest, card.input_px, card.input_px, 3), dtype=np.uint8)
    tables = [_readers(readers, views, rounds, advance), _arrangements(graph, views, rounds, advance)]
    reference = next((reader for reader in readers.values() if reader.backend == "onnxruntime-cpu"), None)
    if pictures is not None and reference is not None:
        tables.append(_stages(reference, pictures, records, seed, advance))
    cores = threads or os.cpu_count() or 1
    contenders = {OURS.format(side=card.input_px): (graph, card.input_px)}
    if with_peers:
        contenders |= peers.list_peers()
    try:
        runtimes = list_runtimes(readers.values())
        placed, compared = _against_ceilings(contenders, runtimes, sorted({1, cores}), rounds, advance)
    except EngineError as exc:
        if with_peers:
            raise
        note = f"roofline not measured: {exc.sentence}"
        return MeasuredEngines(tables=(*tables[:-1], _noted(tables[-1], note)), plot=None)
    tables.append(_roofline(placed))
    if with_peers:
        tables.append(compared)
    return MeasuredEngines(tables=tuple(tables), plot=render_svg(placed, "What reading reaches of what is possible"))


def _readers(readers: Mapping[str, Reader], views: Pixels, rounds: int, advance: Callable[[], None]) -> MeasuredTable:
    on_gpu = any("cpu" not in reader.backend for reader in readers.values())
    batches = GPU_BATCHES if on_gpu else engine_speed.BATCHES
    speeds = engine_speed.measure_readers(readers, views, rounds=rounds, batches=batches, advance=advance)
    return MeasuredTable(
        name="engine-speed",
        title="How fast engines read",
        columns=engine_speed.READER_COLUMNS,
        rows=engine_speed.summarise_readers(speeds),
        notes=(
            "from pixels in memory to residual maps in memory; images/s of the least disturbed batch, percentiles of "
            f"all {rounds} rounds; engines and batches take turns",
            "process memory is the highest of the whole process, all engines together",
        ),
    )


def _arrangements(graph: bytes, views: Pixels, rounds: int, advance: Callable[[], None]) -> MeasuredTable:
    chosen = views[: engine_speed.VIEWS]
    return MeasuredTable(
        name="engine-arrangements",
        title="Batches, threads and sessions on the processor",
        columns=engine_speed.ARRANGEMENT_COLUMNS,
        rows=engine_speed.measure_arrangements(graph, chosen, rounds=rounds, advance=advance),
        notes=(f"{len(chosen)} pictures a round; times as fast as one by one in one thread, of the fastest rounds",),
    )


def _stages(
    reader: Reader, pictures: PictureSet, records: int, seed: int, advance: Callable[[], None]
) -> MeasuredTable:
    key = draw_key(seed, "bench", reader.card.model_id)
    book = build_book(key, draw_ids(seed, records, []))
    paths = [picture.path for picture in pictures.pictures]
    return MeasuredTable(
        name="engine-stages",
        title="Where the time of a direct read goes",
        columns=engine_speed.READ_STAGE_COLUMNS,
        rows=engine_speed.measure_stages(paths, reader, book, advance=advance),
        notes=(
            f"medians over {len(paths)} pictures, each decoded as intake does it, in this process; matched with "
            f"{records:,} records under one key; {reader.backend} {reader.precision}",
        ),
    )


def _against_ceilings(
    contenders: Mapping[str, tuple[bytes, int]],
    runtimes: Sequence[Runtime],
    threads: list[int],
    rounds: int,
    advance: Callable[[], None],
) -> tuple[list[Standing], MeasuredTable]:
    """Standings of all contenders in every runtime and at every number of threads, and the table of peers."""
    ours = next(iter(contenders))
    standings: list[Standing] = []
    rows: list[Row] = []
    costs: dict[str, GraphCost] = {name: count_graph(graph) for name, (graph, _) in contenders.items()}
    for runtime, count in product(runtimes, threads):
        before: Ceilings = roofline.measure_processor(count, runtime=runtime)
        timings: dict[str, Timing]
        timings, _ = peers.race_graphs(
            contenders, threads=count, rounds=rounds, runtime=runtime, counted=False, advance=advance
        )
        after = roofline.measure_processor(count, runtime=runtime)
        ceilings = max(before, after, key=lambda one: one.operations_per_s)
        moved = {name: cost if runtime.precision == "fp32" else cost.at_half_width() for name, cost in costs.items()}
        standings += [
            Standing(name=name, cost=moved[name], images_per_s=1.0 / timing.fastest_s, ceilings=ceilings)
            for name, timing in timings.items()
        ]
        rows += peers.summarise_peers(timings, costs, ours=ours, threads=count, engine=runtime.label)
    table = MeasuredTable(
        name="engine-peers",
        title="Beside networks of the size of published readers",
        columns=peers.PEER_COLUMNS,
        rows=tuple(rows),
        notes=(
            "one picture at a time, networks in one engine turn by turn; every speed-up is over the peer in the same "
            "engine and precision, of the fastest rounds; brackets hold the middle half of the ratios within rounds",
            "with one thread, times are the processor's own, which other work on the machine does not lengthen; with "
            "more they are the clock's",
            "peers are the published architectures with random weights: what is compared is the cost, not the reading",
        ),
    )
    return standings, table


def _roofline(standings: list[Standing]) -> MeasuredTable:
    return MeasuredTable(
        name="engine-roofline",
        title="How far from what the machine can do",
        columns=roofline.ROOFLINE_COLUMNS,
        rows=roofline.summarise_roofline(standings),
        notes=(
            "at most: the lesser of the measured matrix product and of bandwidth times operations a byte (Williams, "
            "Waterman and Patterson, 2009); operations and bytes are counted from the graph, unfused",
            "ceilings are measured before and after, the better one counts",
        ),
    )


def _noted(table: MeasuredTable, note: str) -> MeasuredTable:
    return MeasuredTable(
        name=table.name, title=table.title, columns=table.columns, rows=table.rows, notes=(*table.notes, note)
    )
