"""``ftf bench beside``: what is found beside a preview in pictures that hold no tag of any record at hand."""

from __future__ import annotations

from typing import Annotated

import typer

from ftforensics.cli.bench_run import (
    RECORDS,
    RESULTS_FILE,
    FastOption,
    ImagesOption,
    LimitOption,
    OutOption,
    PsnrOption,
    RecordsOption,
    Run,
    SeedOption,
    Shared,
    WorkOption,
    app,
    changed,
    name_of,
    tagging_options,
)
from ftforensics.cli.commands import command
from ftforensics.cli.options import JobsOption
from ftforensics.cli.output import Output
from ftforensics.cli.settings import Settings
from ftforensics.domain.tag import DEFAULT_PSNR_DB

READS = 2_000


@command(app, "beside", examples=("ftf bench beside --images photos/ --work work/",))
def beside(
    settings: Settings,
    output: Output,
    images: ImagesOption,
    limit: LimitOption = None,
    reads: Annotated[
        int, typer.Option("--reads", min=1, metavar="N", help="Views of untagged pictures, and as many of others.")
    ] = READS,
    records: RecordsOption = RECORDS,
    psnr: PsnrOption = DEFAULT_PSNR_DB,
    fast: FastOption = False,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    work: WorkOption = None,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Read pictures beside their own previews that hold no tag of any record at hand, and count what is found."""
    from ftforensics.flows.bench import beside_reads as flow

    run = Run(settings, output, "beside", images, limit=limit, seed=seed, jobs=jobs, work=work, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup), run.progress(len(pictures.pictures)) as advance:
        results = flow.measure_beside(pictures, setup, reads=reads, records=records, jobs=run.jobs, advance=advance)
    notes = (
        "half of the views are as for false positives: crops, mirrored, turned, shrunk and compressed; the others "
        f"are whole pictures with another tone and then, in turn, through: {', '.join(flow.REWORKED)}",
        "each is lined up with the preview of the very photograph that it was made from, and read beside it where that "
        "fits; where most of it is seen, the source is first explained as it went through the same",
        f"each read is matched with {records:,} random records of one carrier key, where a scan would compare it with "
        "the photograph's own record alone; a record that matches at E <= 1e-6 is wrong",
        "upper bounds are exact (Clopper-Pearson, one-sided, 95 %) and take reads as independent, which views of one "
        "picture are not: the number of pictures is the more careful count",
        f"times: of features, lining up, reading and matching, one thread each, {run.jobs} processes at once",
    )
    options = {
        "--reads": changed(reads, READS),
        "--records": changed(records, RECORDS),
        **tagging_options(psnr, fast),
    }
    table = run.table(
        name_of("beside", fast),
        "What is found beside a preview where nothing is to be found",
        flow.BESIDE_COLUMNS,
        flow.summarise_beside(results, records),
        Shared(pictures=pictures, setup=setup, options=options, notes=notes),
    )
    return run.finish([table])
