"""What every measurement of ``ftf bench`` has in common: its options, its folder for work, its tables."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftforensics import __version__
from ftforensics.cli.commands import new_app
from ftforensics.cli.errors import COMPLETE
from ftforensics.cli.opening import find_model_folder, machine_facts
from ftforensics.cli.output import Output
from ftforensics.cli.settings import Settings
from ftforensics.domain.tag import DEFAULT_PSNR_DB

if TYPE_CHECKING:
    from ftforensics.flows.bench.pictures import PictureSet
    from ftforensics.flows.bench.results import Table
    from ftforensics.flows.bench.setup import Setup

app = new_app("Measure how well tags survive, how invisible they are, and how fast they are read.")

ImagesOption = Annotated[
    Path, typer.Option("--images", metavar="DIR", help="Photographs to measure on, sub-folders included.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=2, metavar="N", help="Only so many of them, evenly spread.")
]
OutOption = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="FILE", help="Results file; tables of other names in it stay."),
]
WorkOption = Annotated[
    Path | None,
    typer.Option("--work", metavar="DIR", help="Keep tagged pictures here, so that a stopped run goes on."),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, metavar="S", help="What everything is drawn from.")]
PsnrOption = Annotated[float, typer.Option("--psnr", min=36.0, max=60.0, metavar="DB", help="As of 'ftf tag'.")]
FastOption = Annotated[bool, typer.Option("--fast", help="Plain tags, as 'ftf tag --fast' makes them.")]
RecordsOption = Annotated[
    int, typer.Option("--records", min=1000, metavar="N", help="Records of the registry that is searched.")
]

RESULTS_FILE = Path("bench.json")
RECORDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the tables of one run have in common. ``options`` that are None or False were not given."""

    pictures: PictureSet
    setup: Setup
    options: dict[str, Any]
    notes: tuple[str, ...]


class Run:
    """One measurement: what is common to all of them."""

    def __init__(
        self,
        settings: Settings,
        output: Output,
        name: str,
        images: Path,
        *,
        limit: int | None,
        seed: int,
        jobs: int | None,
        work: Path | None,
        out: Path,
    ) -> None:
        self._settings, self._output, self._name, self._images = settings, output, name, images
        self._limit, self._seed, self._work, self._out = limit, seed, work, out
        self.jobs = jobs or os.cpu_count() or 1

    @contextmanager
    def prepare(self, *, psnr: float, fast: bool) -> Iterator[tuple[PictureSet, Setup]]:
        """The pictures and what workers need; the folder for work is there as long as the block."""
        from ftforensics.engine.informed import InformedSettings
        from ftforensics.engine.models import load_card
        from ftforensics.flows.bench.pictures import load_set
        from ftforensics.flows.bench.results import load_tables
        from ftforensics.flows.bench.setup import Setup

        if self._out.exists():
            load_tables(self._out)  # an hour's work must not end at a file that cannot be added to
        # Every process of the pool is one thread wide; these are read when its libraries are loaded.
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, "1")
        pictures = load_set(self._images, self._limit)
        with tempfile.TemporaryDirectory(prefix="ftf-bench-") as temporary:
            model = find_model_folder(self._settings)
            self._card = load_card(model)
            setup = Setup(
                model=model,
                work=self._work or Path(temporary),
                seed=self._seed,
                psnr_db=psnr,
                informed=None if fast else InformedSettings(),
            )
            yield pictures, setup

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[], None]]:
        """A bar of so many steps."""
        with self._output.progress("Measuring", total=total) as ticker:
            yield ticker.advance

    def table(
        self,
        name: str,
        title: str,
        columns: Sequence[Any],
        rows: Sequence[Any],
        shared: Shared,
    ) -> Table:
        """A table of this run."""
        from ftforensics.flows.bench.results import Table

        given = {"--limit": self._limit, **shared.options, "--seed": changed(self._seed, 1)}
        words = [f"{key} {value}" if value is not True else key for key, value in given.items() if value]
        return Table(
            name=name,
            title=title,
            columns=tuple(columns),
            rows=tuple(rows),
            command=" ".join([f"ftf bench {self._name} --images DIR", *words]),
            seed=self._seed,
            data=shared.pictures.data,
            machine=describe_machine(),
            tool_version=__version__,
            weights_sha256=self._card.reader_sha256,
            settings={
                "model": self._card.model_id,
                "jobs": self.jobs,
                "psnr_db": shared.setup.psnr_db,
                "localiser_sha256": self._card.localiser_sha256,
                "pair_reader_sha256": self._card.pair_reader_sha256,
            },
            notes=shared.notes,
        )

    def finish(self, tables: Sequence[Table]) -> int:
        """Write the results file and show the tables."""
        from ftforensics.flows.bench.results import render_markdown, save_tables

        save_tables(self._out, tables)
        for table in tables:
            self._output.raw(render_markdown(table) + "\n")
        self._output.note(f"Results are in {self._out}.")
        return COMPLETE


def describe_machine() -> dict[str, str]:
    """Processor, cores and the versions of what computes."""
    import cv2
    import numpy as np

    facts = machine_facts()
    return {
        "processor": _processor() or facts["processor"],
        "cores": f"{os.cpu_count() or 1} cores",
        "system": platform.system(),
        "python": f"Python {facts['python']}",
        "onnxruntime": f"ONNX Runtime {facts['onnxruntime']}",
        "numpy": f"NumPy {np.__version__}",
        "opencv": f"OpenCV {cv2.__version__}",
    }


def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def changed(value: Any, default: Any) -> Any:
    """The value for the command line of the table, or None where it is the default."""
    return None if value == default else value


def tagging_options(psnr: float, fast: bool) -> dict[str, Any]:
    """How pictures were tagged, for the command line of the table."""
    return {"--psnr": changed(psnr, DEFAULT_PSNR_DB), "--fast": fast}


def name_of(table: str, fast: bool) -> str:
    """A table's name; plainly tagged pictures have a table of their own."""
    return table + ("-fast" if fast else "")


def at_strength(title: str, psnr: float, fast: bool) -> str:
    """A title that says how pictures were tagged."""
    return f"{title} at {psnr:g} dB{', plain tags' if fast else ''}"
