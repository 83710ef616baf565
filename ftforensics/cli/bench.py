"""``ftf bench``: measure robustness, false positives, visibility and speed on a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftforensics.cli import bench_attackers, bench_beside, bench_maps, bench_verdicts  # noqa: F401 - their commands join the group
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
    at_strength,
    changed,
    name_of,
    tagging_options,
)
from ftforensics.cli.commands import command
from ftforensics.cli.options import JobsOption
from ftforensics.cli.output import Output
from ftforensics.cli.settings import Settings
from ftforensics.domain.tag import DEFAULT_PSNR_DB

READS = 100_000
BLIND_READS = 2_000


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
    from ftforensics.flows.bench.message import MESSAGE_COLUMNS, MESSAGE_NOTES

    run = Run(settings, output, "robustness", images, limit=limit, seed=seed, jobs=jobs, work=work, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup), run.progress(len(pictures.pictures)) as advance:
        results = flow.measure_robustness(pictures, setup, records=records, jobs=run.jobs, advance=advance)
    notes = (
        flow.describe_tagging(results),
        f"read as a scan of one picture reads it, blind search included, against {records:,} records under one carrier "
        "key: identified means the right record at E <= 1e-6",
        "those records are random and have no content, so frames that content suggests, which a real scan tries before "
        "the blind search, are not measured here",
        "with previews at hand, pictures that were not identified by themselves are read beside the previews of this "
        "set's pictures whose local features fit, or whose tag came nearest and which look alike: the same bound on "
        "chance, one hypothesis a record more; the random records have no previews",
        "wrong identities count both ways of reading; every column that does not name the previews else is of the "
        "picture alone",
        "95 % intervals by bootstrap over pictures; where all pictures agree, the exact bound on pictures",
        "the worst picture is the one read back least often, then with the fewest bits",
    )
    options = {"--records": changed(records, RECORDS), **tagging_options(psnr, fast)}
    title = at_strength("What survives", psnr, fast)
    shared = Shared(pictures=pictures, setup=setup, options=options, notes=notes)
    tables = [
        run.table(
            name_of("robustness", fast),
            title,
            flow.ROBUSTNESS_COLUMNS,
            flow.summarise_robustness(results, seed, setup.generator_cards()),
            shared,
        )
    ]
    tables.append(
        run.table(
            name_of("message", fast),
            at_strength("What the channel decoder alone gives", psnr, fast),
            MESSAGE_COLUMNS,
            flow.summarise_message(results, seed),
            Shared(pictures=pictures, setup=setup, options=options, notes=MESSAGE_NOTES),
        )
    )
    if len(pictures.data.folders) > 1:
        rows = flow.summarise_folders(results, seed)
        name = name_of("robustness-by-folder", fast)
        tables.append(run.table(name, f"{title}, by kind of picture", flow.FOLDER_COLUMNS, rows, shared))
    return run.finish(tables)


@command(app, "false-positives", examples=("ftf bench false-positives --images photos/ --work work/",))
def false_positives(
    settings: Settings,
    output: Output,
    images: ImagesOption,
    limit: LimitOption = None,
    reads: Annotated[
        int,
        typer.Option("--reads", min=10, metavar="N", help="Direct reads of untagged views; a tenth of tagged ones."),
    ] = READS,
    blind_limit: Annotated[
        int, typer.Option("--blind-limit", min=0, metavar="N", help="How many of them are searched blind as well.")
    ] = BLIND_READS,
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

    run = Run(settings, output, "false-positives", images, limit=limit, seed=seed, jobs=jobs, work=work, out=out)
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
        "--reads": changed(reads, READS),
        "--blind-limit": changed(blind_limit, BLIND_READS),
        "--records": changed(records, RECORDS),
        **tagging_options(psnr, fast),
    }
    table = run.table(
        "false-positives",
        "What is found where nothing is to be found",
        flow.FALSE_POSITIVE_COLUMNS,
        flow.summarise_false_positives(results, records),
        Shared(pictures=pictures, setup=setup, options=options, notes=notes),
    )
    return run.finish([table])


@command(
    app,
    "quality",
    examples=(
        "ftf bench quality --images photos/",
        "ftf bench quality --images photos/ --psnr 42",
        "ftf bench quality --images photos/ --flicker worst.png",
    ),
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
    flicker: Annotated[
        Path | None,
        typer.Option(
            "--flicker",
            metavar="FILE",
            help="Write the ten most visible tags here, source and tagged picture in turn, as an animated PNG.",
            show_default=False,
        ),
    ] = None,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Tag pictures and measure how much of it can be seen: PSNR, SSIM and CIEDE2000, worst pictures included."""
    from ftforensics.flows.bench import quality as flow
    from ftforensics.flows.bench.flicker import pick_worst, show_worst
    from ftforensics.media.writing import atomic_write

    run = Run(settings, output, "quality", images, limit=limit, seed=seed, jobs=jobs, work=work, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup), run.progress(len(pictures.pictures)) as advance:
        results = flow.measure_quality(pictures, setup, jobs=run.jobs, advance=advance)
        if flicker is not None:
            names = pick_worst(results)
            if names:
                atomic_write(flicker, show_worst(setup, pictures.pictures, names), clobber=True)
                output.note(f"In {flicker}, from the upper left: {', '.join(names)}.")
            else:
                output.warn(f"No picture was tagged, so {flicker} was not written.")
    notes = (
        "SSIM of lumas, Gaussian window; CIEDE2000 about 1 is just noticeable side by side",
        f"pictures that 'ftf tag' would refuse, left out here: {sum(not result.stages for result in results)}; "
        f"embedded 1.5 or 3 dB stronger than asked: {sum(result.stronger_db > 0 for result in results)}",
    )
    options = tagging_options(psnr, fast)
    table = run.table(
        name_of("quality", fast),
        at_strength("How visible tags are", psnr, fast),
        flow.QUALITY_COLUMNS,
        flow.summarise_quality(results),
        Shared(pictures=pictures, setup=setup, options=options, notes=notes),
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
    """Scan pictures as 'ftf scan' does, beside the floor: reading, hashing and decoding them."""
    from ftforensics.cli.bench_scan import time_scans
    from ftforensics.flows.bench import scan_speed as flow

    run = Run(settings, output, "scan", images, limit=limit, seed=seed, jobs=jobs, work=None, out=out)
    with (
        run.prepare(psnr=DEFAULT_PSNR_DB, fast=True) as (pictures, setup),
        run.progress(3 * len(pictures.pictures) + (len(pictures.pictures) + 1) // 2) as advance,
    ):
        timings = time_scans(pictures, setup, records=records, jobs=run.jobs, now=settings.now_utc, advance=advance)
    notes = (
        "floor: every file read, hashed (SHA-256) and decoded at full size, in as many threads as the scan has "
        "workers; median of three runs before and three after the scan",
        f"the scan is the real one: intake in {run.jobs} isolated workers, reading, identification against {records:,} "
        "records with blind search, content leads, linking, pictures and signed records of the case, evidence hashed "
        "again at the end; as many pictures are examined at once as there are workers; start of workers included",
        "unknown pictures are the common case: no registry has a preview of them (every second picture, against a "
        "registry of the others), and every one is searched for in vain; untagged copies of registered photographs are "
        "the dear one: each is also read beside its preview, in vain, and linked as a lead",
    )
    options = {"--records": changed(records, RECORDS)}
    shared = Shared(pictures=pictures, setup=setup, options=options, notes=notes)
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
