"""Where the reader stands under the GPU's measured ceilings: at one batch that is compared, and at the fastest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftforensics.engine.models import load_card, load_graph
from ftforensics.flows.bench.graph_cost import count_graph
from ftforensics.flows.bench.results import Row
from ftforensics.flows.bench.roofline import Standing, measure_gpu

COMPARED_BATCH = 256


def measure_gpu_roofline(folder: Path, resident: Sequence[Row]) -> list[Standing]:
    """Standings of every precision, from the rows of ``gpu_speed.measure_resident``.

    Half precisions move half the bytes, which the counted ones are halved for. ``roofline.summarise_roofline`` makes
    rows of them.

    Raises:
        BackendUnavailable: No GPU.
        EngineError: The graph cannot be counted.
    """
    card = load_card(folder)
    graph = load_graph(folder, card.reader_file, card.reader_sha256)
    standings = []
    for precision, rows in _choose(resident).items():
        ceilings = measure_gpu(precision)
        for row in rows:
            batch = row["batch"]
            cost = count_graph(graph, batch=int(batch) if isinstance(batch, int) else 1)
            standings.append(
                Standing(
                    name=f"the reader, batch {batch}",
                    cost=cost if precision == "fp32" else cost.at_half_width(),
                    images_per_s=_rate(row),
                    ceilings=ceilings,
                )
            )
    return standings


def _choose(resident: Sequence[Row]) -> dict[str, list[Row]]:
    """By precision: the row of the compared batch, and that of the fastest where it is another."""
    chosen: dict[str, list[Row]] = {}
    for precision in dict.fromkeys(str(row["precision"]) for row in resident):
        rows = [row for row in resident if row["precision"] == precision]
        best = max(rows, key=_rate)
        chosen[precision] = [row for row in rows if row["batch"] == COMPARED_BATCH or row is best]
    return chosen


def _rate(row: Row) -> float:
    rate = row["images_per_s"]
    return float(rate) if isinstance(rate, int | float) else 0.0
