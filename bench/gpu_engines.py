"""The tables of bench/gpu.sh that are no part of ``ftf engine bench``: resident pixels, slots, leak, JPEG, TensorRT.

In: a folder of photographs, and what became of building TensorRT plans (``--tried FLAVOUR:PRECISION=OUTCOME``;
``@FILE`` takes the outcome from a file). Out: tables in the results file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ftforensics import __version__
from ftforensics.cli.engine_bench import describe_machine_with_gpus
from ftforensics.engine.models import find_model, load_card
from ftforensics.errors import FtfError
from ftforensics.flows.bench import gpu_speed
from ftforensics.flows.bench.gpu_roofline import GPU_ROOFLINE_COLUMNS, measure_gpu_roofline
from ftforensics.flows.bench.pictures import PictureSet, load_set
from ftforensics.flows.bench.results import Column, Row, Table, save_tables

TRIED_COLUMNS = (
    Column(key="flavour", label="TensorRT"),
    Column(key="precision", label="precision"),
    Column(key="outcome", label="building a plan here"),
)


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; 1 with a sentence where there is no GPU."""
    parser = argparse.ArgumentParser(description="Measure what needs a GPU.")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tried", action="append", default=[])
    parser.add_argument("--leak-batches", type=int, default=gpu_speed.LEAK_BATCHES)
    given = parser.parse_args(arguments)
    try:
        pictures = load_set(given.images, 100)
        save_tables(given.out, measure(pictures, given.tried, given.leak_batches))
    except FtfError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def measure(pictures: PictureSet, tried: list[str], leak_batches: int) -> list[Table]:
    """All tables."""
    gpu_speed.require_gpu()
    folder = find_model()
    files = [picture.path.read_bytes() for picture in pictures.pictures]
    jpegs = [data for data in files if data.startswith(b"\xff\xd8")]
    resident = gpu_speed.measure_resident(folder)
    made: list[tuple[str, str, tuple[Column, ...], tuple[Row, ...]]] = [
        ("gpu-resident", "Pixels that lie on the GPU", gpu_speed.RESIDENT_COLUMNS, resident),
        (
            "gpu-roofline",
            "How far from what the GPU can do",
            GPU_ROOFLINE_COLUMNS,
            measure_gpu_roofline(folder, resident),
        ),
        ("gpu-slots", "Slots and batches", gpu_speed.SLOT_COLUMNS, gpu_speed.measure_slots(folder)),
        (
            "gpu-leak",
            "Memory after many batches",
            gpu_speed.LEAK_COLUMNS,
            gpu_speed.measure_leak(folder, batches=leak_batches),
        ),
        ("gpu-tensorrt", "Building TensorRT plans", TRIED_COLUMNS, list_tried(tried)),
    ]
    if jpegs:
        made.append(("gpu-jpeg", "Decoding JPEG on the GPU", gpu_speed.JPEG_COLUMNS, gpu_speed.measure_jpeg(jpegs)))
    card = load_card(folder)
    shared: dict[str, Any] = {
        "command": "bench/gpu.sh DIR",
        "seed": 1,
        "data": pictures.data,
        "machine": describe_machine_with_gpus(),
        "tool_version": __version__,
        "weights_sha256": card.reader_sha256,
    }
    return [Table(name=name, title=title, columns=columns, rows=rows, **shared) for name, title, columns, rows in made]


def list_tried(tried: list[str]) -> tuple[Row, ...]:
    """Rows of ``FLAVOUR:PRECISION=OUTCOME``."""
    rows: list[Row] = []
    for one in tried:
        name, _, outcome = one.partition("=")
        flavour, _, precision = name.partition(":")
        if outcome.startswith("@"):
            text = Path(outcome[1:]).read_text(encoding="utf-8", errors="replace").strip()
            outcome = f"not built: {text or 'no reason given'}"
        rows.append({"flavour": flavour, "precision": precision, "outcome": outcome})
    return tuple(rows)


if __name__ == "__main__":
    sys.exit(main())
