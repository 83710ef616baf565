"""The tables of bench/gpu.sh that are no part of ``ftf engine bench``: resident pixels, slots, leak, JPEG, TensorRT.

In: a folder of photographs, and what became of building TensorRT plans (``--tried FLAVOUR:PRECISION=OUTCOME``;
``@FILE`` takes the outcome from a file). Out: tables in the results file, each as soon as it is measured, and the
roofline as SVG.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftforensics import __version__
from ftforensics.cli.engine_bench import describe_machine_with_gpus
from ftforensics.engine.models import find_model, load_card
from ftforensics.errors import FtfError
from ftforensics.flows.bench import gpu_speed
from ftforensics.flows.bench.gpu_roofline import measure_gpu_roofline
from ftforensics.flows.bench.pictures import PictureSet, load_set
from ftforensics.flows.bench.results import Column, Row, Table, save_tables
from ftforensics.flows.bench.roofline import ROOFLINE_COLUMNS, summarise_roofline
from ftforensics.flows.bench.roofline_plot import render_svg

TABLES = ("gpu-resident", "gpu-roofline", "gpu-slots", "gpu-jpeg", "gpu-leak", "gpu-tensorrt")
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
    parser.add_argument("--only", action="append", choices=TABLES, help="only these tables")
    parser.add_argument("--model", type=Path, help="a model folder; the one that came with the program if left out")
    parser.add_argument("--plot", type=Path, help="write the roofline here, as SVG")
    given = parser.parse_args(arguments)
    try:
        gpu_speed.require_gpu()
        pictures = load_set(given.images, 100)
        measuring = Measuring(given, pictures, given.model or find_model())
        for name in given.only or TABLES:
            save_tables(given.out, [measuring.table(name)])
    except FtfError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


class Measuring:
    """One run: its arguments, its pictures, and the model that is measured."""

    def __init__(self, given: argparse.Namespace, pictures: PictureSet, folder: Path) -> None:
        self.given, self.pictures, self.folder = given, pictures, folder
        self._resident: tuple[Row, ...] | None = None

    def table(self, name: str) -> Table:
        """Measure one table."""
        makers: dict[str, tuple[str, tuple[Column, ...], Callable[[], tuple[Row, ...]]]] = {
            "gpu-resident": ("Pixels that lie on the GPU", gpu_speed.RESIDENT_COLUMNS, self.resident),
            "gpu-roofline": ("How far from what the GPU can do", ROOFLINE_COLUMNS, self.roofline),
            "gpu-slots": ("Slots and batches", gpu_speed.SLOT_COLUMNS, lambda: gpu_speed.measure_slots(self.folder)),
            "gpu-jpeg": ("Decoding JPEG on the GPU", gpu_speed.JPEG_COLUMNS, self.jpeg),
            "gpu-leak": ("Memory after many batches", gpu_speed.LEAK_COLUMNS, self.leak),
            "gpu-tensorrt": ("Building TensorRT plans", TRIED_COLUMNS, lambda: list_tried(self.given.tried)),
        }
        title, columns, make = makers[name]
        shared: dict[str, Any] = {
            "command": "bench/gpu.sh DIR",
            "seed": 1,
            "data": self.pictures.data,
            "tool_version": __version__,
            "weights_sha256": load_card(self.folder).reader_sha256,
        }
        rows = make()
        return Table(name=name, title=title, columns=columns, rows=rows, machine=describe_machine_with_gpus(), **shared)

    def resident(self) -> tuple[Row, ...]:
        """Measured once: the roofline takes its figures from here."""
        if self._resident is None:
            self._resident = gpu_speed.measure_resident(self.folder)
        return self._resident

    def roofline(self) -> tuple[Row, ...]:
        """The rows, and the drawing where one is wanted."""
        standings = measure_gpu_roofline(self.folder, self.resident())
        if self.given.plot is not None:
            drawn = render_svg(standings, "What reading reaches of what the GPU can do")
            self.given.plot.write_text(drawn, encoding="utf-8")
        return summarise_roofline(standings)

    def jpeg(self) -> tuple[Row, ...]:
        """On all JPEG files among the pictures."""
        files = [picture.path.read_bytes() for picture in self.pictures.pictures]
        jpegs = [data for data in files if data.startswith(b"\xff\xd8")]
        if not jpegs:
            return ({"batch": None, "outcome": "not measured: there is no JPEG file among the pictures"},)
        return gpu_speed.measure_jpeg(jpegs)

    def leak(self) -> tuple[Row, ...]:
        """After so many batches as were asked for."""
        return gpu_speed.measure_leak(self.folder, batches=self.given.leak_batches)


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
