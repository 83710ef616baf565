"""Where the reader stands under the GPU's measured ceilings, at the largest batch whose pixels lie on the GPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftforensics.engine.models import load_card, load_graph
from ftforensics.flows.bench.graph_cost import count_graph
from ftforensics.flows.bench.results import Row
from ftforensics.flows.bench.roofline import ROOFLINE_COLUMNS, Standing, measure_gpu, summarise_roofline

GPU_ROOFLINE_COLUMNS = ROOFLINE_COLUMNS


def measure_gpu_roofline(folder: Path, resident: Sequence[Row]) -> tuple[Row, ...]:
    """Rows of every precision, from the rows of ``gpu_speed.measure_resident``.

    Half precisions move half the bytes, which the counted ones are halved for.

    Raises:
        BackendUnavailable: No GPU.
        EngineError: The graph cannot be counted.
    """
    card = load_card(folder)
    graph = load_graph(folder, card.reader_file, card.reader_sha256)
    best: dict[str, Row] = {}
    for row in resident:
        precision = str(row["precision"])
        if precision not in best or _rate(row) > _rate(best[precision]):
            best[precision] = row
    standings = []
    for precision, row in best.items():
        batch = row["batch"]
        cost = count_graph(graph, batch=int(batch) if isinstance(batch, int) else 1)
        if precision != "fp32":
            cost = cost.at_half_width()
        standings.append(
            Standing(
                name=f"the reader, batch {batch}",
                cost=cost,
                images_per_s=_rate(row),
                ceilings=measure_gpu(precision),
            )
        )
    return summarise_roofline(standings)


def _rate(row: Row) -> float:
    rate = row["images_per_s"]
    return float(rate) if isinstance(rate, int | float) else 0.0
