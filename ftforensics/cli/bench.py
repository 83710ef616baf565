"""``ftf bench``: measure robustness, false positives, visibility and speed on a folder of pictures."""

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
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.errors import COMPLETE
from ftforensics.cli.opening import find_model_folder, machine_facts
from ftforensics.cli.options import JobsOption
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
READS = 10_000
BLIND_READS = 500


@command(
    app,
    "robustness",
    examples=("ftf bench robustness --images photos/", "ftf bench robustness --images photos/ --limit 20 --work work/"),
)
def robustness(
    settings: Settings,
    output: Output,
    images: ImagesOption,
    limit: LimitOption = None,
    records: RecordsOption = RECORDS,
    psnr: PsnrOption = DEFAULT_PSNR_DB,
    fast: FastOption = False,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    work: WorkOption = None,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Tag pictures, manipulate them in every way of the battery, and read them back.

    Counts bits, right and wrong identities among the registry's records, with 95 % intervals over the pictures.
    """
    from ftforensics.flows.bench import robustness as flow

    run = _Run(settings, output, "robustness", images, limit=limit, seed=seed, jobs=jobs, work=work, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup), run.progress(len(pictures.pictures)) as advance:
        results = flow.measure_robustness(pictures, setup, records=records, jobs=run.jobs, advance=advance)
    notes = (
        flow.describe_tagging(results),
        f"read as a scan of one picture reads it, blind search included, against {records:,} records under one carrier "
        "key: identified means the right record at E <= 1e-6",
        "those records are random and have no content, so frames that content suggests, which a real scan tries before "
        "the blind search, are not measured here",
        "95 % intervals by bootstrap over pictures; where all pictures agree, the exact bound on pictures",
        "the worst picture is the one read back least often, then with the fewest bits",
    )
    options = {"--records": _changed(records, RECORDS), "--psnr": _changed(psnr, DEFAULT_PSNR_DB), "--fast": fast}
    title = f"What survives at {psnr:g} dB{', plain tags' if fast else ''}"
    shared = _Shared(pictures=pictures, setup=setup, options=options, notes=notes)
    tables = [
        run.table(
            "robustness" + ("-fast" if fast else ""),
            title,
            flow.ROBUSTNESS_COLUMNS,
            flow.summarise_robustness(results, seed),
            shared,
        )
    ]
    if len(pictures.data.folders) > 1:
        rows = flow.summarise_folders(results, seed)
        name = "robustness-by-folder" + ("-fast" if fast else "")
        tables.append(run.table(name, f"{title}, by kind of picture", flow.FOLDER_COLUMNS, rows, shared))
    return run.finish(tables)


@command(app, "false-positives", examples=("ftf bench false-positives --images photos/ --reads 10000",))
def false_positives(
    settings: Settings,
    output: Output,
    images: ImagesOption,
    limit: LimitOption = None,
    reads: Annotated[
        int, typer.Option("--reads", min=10, metavar="N", help="Direct reads of untagged views.")
    ] = 10_000,
    blind_limit: Annotated[
        int, typer.Option("--blind-limit", min=0, metavar="N", help="How many of them are searched blind as well.")
    ] = 500,
    records: RecordsOption = RECORDS,
    psnr: PsnrOption = DEFAULT_PSNR_DB,
    fast: FastOption = False,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    work: WorkOption = None,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Read pictures that hold no tag, or none that the registry knows, and count what is wrongly found."""
    from ftforensics.flows.bench import false_positives as flow

    run = _Run(settings, output, "false-positives", images, limit=limit, seed=seed, jobs=jobs, work=work, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup), run.progress(len(pictures.pictures)) as advance:
        results = flow.measure_false_positives(
            pictures,
            setup,
            reads=reads,
            blind_reads=blind_limit,
            records=records,
            jobs=run.jobs,
            advance=advance,
        )
    notes = (
        "views: the picture itself, then draws of it: 50 to 100 % of each side kept, a half mirrored, a third turned "
        "by up to 15°, a third shrunk to 200 to 640 px, a half compressed as JPEG 30 to 95",
        f"each view is read as a scan of one picture reads it, against {records:,} random records of one carrier key",
        "upper bounds are exact (Clopper-Pearson, one-sided, 95 %) and take reads as independent, which views of one "
        "picture are not: the number of pictures is the more careful count",
        "in tagged pictures the synchronisation carrier is there, so 'tag present' is right of them; a blind decode "
        "counts only where it is not the tag that is in the picture",
    )
    options = {
        "--reads": _changed(reads, READS),
        "--blind-limit": _changed(blind_limit, BLIND_READS),
        "--records": _changed(records, RECORDS),
        "--psnr": _changed(psnr, DEFAULT_PSNR_DB),
        "--fast": fast,
    }
    table = run.table(
        "false-positives",
        "What is found where nothing is to be found",
        flow.FALSE_POSITIVE_COLUMNS,
        flow.summarise_false_positives(results, records),
        _Shared(pictures=pictures, setup=setup, options=options, notes=notes),
    )
    return run.finish([table])


@command(
    app, "quality", examples=("ftf bench quality --images photos/", "ftf bench quality --images photos/ --psnr 42")
)
def quality(
    settings: Settings,
    output: Output,
    images: ImagesOption,
    limit: LimitOption = None,
    psnr: PsnrOption = DEFAULT_PSNR_DB,
    fast: FastOption = False,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    work: WorkOption = None,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Tag pictures and measure how much of it can be seen: PSNR, SSIM and CIEDE2000, worst pictures included."""
    from ftforensics.flows.bench import quality as flow

    run = _Run(settings, output, "quality", images, limit=limit, seed=seed, jobs=jobs, work=work, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup), run.progress(len(pictures.pictures)) as advance:
        results = flow.measure_quality(pictures, setup, jobs=run.jobs, advance=advance)
    notes = (
        "SSIM of lumas, Gaussian window; CIEDE2000 about 1 is just noticeable side by side",
        f"pictures that 'ftf tag' would refuse, left out here: {sum(not result.stages for result in results)}; "
        f"embedded 1.5 or 3 dB stronger than asked: {sum(result.stronger_db > 0 for result in results)}",
    )
    options = {"--psnr": _changed(psnr, DEFAULT_PSNR_DB), "--fast": fast}
    table = run.table(
        "quality" + ("-fast" if fast else ""),
        f"How visible tags are at {psnr:g} dB{', plain tags' if fast else ''}",
        flow.QUALITY_COLUMNS,
        flow.summarise_quality(results),
        _Shared(pictures=pictures, setup=setup, options=options, notes=notes),
    )
    return run.finish([table])


@command(app, "scan", examples=("ftf bench scan --images photos/ --limit 60",))
def scan(
    settings: Settings,
    output: Output,
    images: ImagesOption,
    limit: LimitOption = None,
    records: RecordsOption = RECORDS,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Scan pictures as 'ftf scan' does, tagged and untagged, beside the floor: reading, hashing and decoding them."""
    from ftforensics.cli.bench_scan import time_scans
    from ftforensics.flows.bench import scan_speed as flow

    run = _Run(settings, output, "scan", images, limit=limit, seed=seed, jobs=jobs, work=None, out=out)
    with (
        run.prepare(psnr=DEFAULT_PSNR_DB, fast=True) as (pictures, setup),
        run.progress(3 * len(pictures.pictures)) as advance,
    ):
        timings = time_scans(pictures, setup, records=records, jobs=run.jobs, now=settings.now_utc, advance=advance)
    notes = (
        "floor: every file read, hashed (SHA-256) and decoded at full size, in as many threads as the scan has "
        "workers; median of three runs before and three after the scan",
        f"the scan is the real one: intake in {run.jobs} isolated workers, reading, identification against {records:,} "
        "records with blind search, content leads, linking, pictures and signed records of the case, evidence hashed "
        "again at the end; as many pictures are examined at once as there are workers; start of workers included",
        "untagged pictures are the common and the dear case: every one is searched for in vain",
    )
    options = {"--records": _changed(records, RECORDS)}
    shared = _Shared(pictures=pictures, setup=setup, options=options, notes=notes)
    tables = [
        run.table("scan-speed", "How fast a scan is", flow.SCAN_COLUMNS, flow.summarise_speed(timings), shared),
        run.table(
            "scan-stages",
            "Where a scan's time goes",
            flow.STAGE_COLUMNS,
            flow.summarise_stages(timings),
            shared,
        ),
    ]
    return run.finish(tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What the tables of one run have in common. ``options`` that are None or False were not given."""

    pictures: PictureSet
    setup: Setup
    options: dict[str, Any]
    notes: tuple[str, ...]


class _Run:
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
        shared: _Shared,
    ) -> Table:
        """A table of this run."""
        from ftforensics.flows.bench.results import Table

        given = {"--limit": self._limit, **shared.options, "--seed": _changed(self._seed, 1)}
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
            settings={"model": self._card.model_id, "jobs": self.jobs, "psnr_db": shared.setup.psnr_db},
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


def _changed(value: Any, default: Any) -> Any:
    """The value for the command line of the table, or None where it is the default."""
    return None if value == default else value
