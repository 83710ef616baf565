"""``ftf bench survival`` and ``ftf bench search``: the report's outlines, and what each search mode is worth."""

from __future__ import annotations

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


@command(
    app,
    "survival",
    examples=("ftf bench survival --images photos/", "ftf bench survival --images photos/ --limit 20 --work work/"),
)
def survival(
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
    """Paste regions into tagged pictures, or none, and hold the outlines of a report against what was pasted."""
    from ftforensics.flows.bench import survival as flow

    run = Run(settings, output, "survival", images, limit=limit, seed=seed, jobs=jobs, work=work, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup), run.progress(len(pictures.pictures)) as advance:
        results = flow.measure_survival(pictures, setup, records=records, jobs=run.jobs, advance=advance)
    notes = (
        "the outlines are at the size of the report's pictures: where the tag is gone (survival map, which rests on "
        "the tag alone; a trained network's estimate), where content differs from the registered preview (difference "
        "map), and what both make likely when they are weighed together; the truth is where more than half of a pixel "
        "was replaced",
        "F1 and IoU are means over pictures against the whole pasted region, places included in which no tag could be "
        "seen even in the source; a picture that is not identified or does not register has no outline and counts as "
        "0; where one map is missing, both maps are the other",
        "own content, untagged: nothing differs, so that both maps outline nothing and only the survival map can tell",
        f"pictures that 'ftf tag' would refuse, left out here: {sum(result is None for result in results)}",
        "95 % intervals by bootstrap over pictures; where all pictures agree on an identity, the exact bound on them",
    )
    intact_notes = (
        "whole tagged pictures after one manipulation, its first draw: where the survival map outlines anything it is "
        "wrong; a warp moves content, and a paste that was tagged anew differs, so that both maps may rightly outline",
        "share of pictures in which anything is outlined, and mean share of the picture that is; pictures that are not "
        "identified have no outline of the survival map",
    )
    options = {"--records": changed(records, RECORDS), **tagging_options(psnr, fast)}
    table = run.table(
        name_of("survival", fast),
        at_strength("How well outlines fit what was pasted,", psnr, fast),
        flow.SURVIVAL_COLUMNS,
        flow.summarise_survival(results, seed),
        Shared(pictures=pictures, setup=setup, options=options, notes=notes),
    )
    intact = run.table(
        name_of("survival-intact", fast),
        at_strength("What is outlined where no tag is missing,", psnr, fast),
        flow.INTACT_COLUMNS,
        flow.summarise_intact(results, seed),
        Shared(pictures=pictures, setup=setup, options=options, notes=intact_notes),
    )
    return run.finish([table, intact])


@command(
    app,
    "search",
    examples=("ftf bench search --images photos/", "ftf bench search --images photos/ --limit 20 --work work/"),
)
def search(
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
    """Read moved pictures in every search mode: what each costs, finds and risks."""
    from ftforensics.flows.bench import search_modes as flow

    run = Run(settings, output, "search", images, limit=limit, seed=seed, jobs=jobs, work=work, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup), run.progress(len(pictures.pictures)) as advance:
        results = flow.measure_search(pictures, setup, records=records, jobs=run.jobs, advance=advance)
    notes = (
        f"each mode reads the same pictures, against {records:,} records under one carrier key; all hypotheses that it "
        "allows count, used or not, so that more search needs a larger z through a found frame for the same chance "
        "of a wrong identity (E <= 1e-6)",
        "content is told the frame in which the picture registers to its own source, where it does, as a scan whose "
        "registry holds that source is; blind and deep are told nothing here, while a scan in these modes tries what "
        "content suggests first, and so finds what either finds",
        "compared is content, and where that does not match, the picture is read beside its source's preview, placed "
        "as a scan places it whose registry holds this one record",
        f"times: the whole read of {flow.UNTAGGED_VIEWS} untagged views a picture, for content with registration, one "
        f"thread each, {run.jobs} processes at once",
        "upper bounds are exact (one-sided, 95 %) and take reads as independent",
    )
    options = {"--records": changed(records, RECORDS), **tagging_options(psnr, fast)}
    table = run.table(
        name_of("search", fast),
        "What each search mode costs, finds and risks",
        flow.SEARCH_COLUMNS,
        flow.summarise_search(results, records, seed),
        Shared(pictures=pictures, setup=setup, options=options, notes=notes),
    )
    return run.finish([table])
