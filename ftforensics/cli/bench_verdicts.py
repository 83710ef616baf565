"""``ftf bench verdicts``: what real scans say of honest copies, of fakes, and of pictures that were tagged too late."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

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
    app,
    at_strength,
    changed,
    name_of,
    tagging_options,
)
from ftforensics.cli.commands import command
from ftforensics.cli.output import Output
from ftforensics.cli.settings import Settings
from ftforensics.domain.tag import DEFAULT_PSNR_DB

if TYPE_CHECKING:
    from ftforensics.cli.bench_newsroom import Newsroom
    from ftforensics.flows.bench.pictures import PictureSet
    from ftforensics.flows.bench.verdicts import Outcome


@command(
    app,
    "verdicts",
    examples=("ftf bench verdicts --images photos/", "ftf bench verdicts --images photos/ --limit 10"),
)
def verdicts(
    settings: Settings,
    output: Output,
    images: ImagesOption,
    limit: LimitOption = None,
    records: RecordsOption = RECORDS,
    psnr: PsnrOption = DEFAULT_PSNR_DB,
    fast: FastOption = False,
    seed: SeedOption = 1,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Scan copies and fakes of registered pictures, tagged in time and too late, and count the verdicts."""
    from ftforensics.cli.bench_newsroom import Newsroom
    from ftforensics.flows.bench import verdicts as flow

    run = Run(settings, output, "verdicts", images, limit=limit, seed=seed, jobs=1, work=None, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup), run.progress(2 * len(pictures.pictures)) as advance:
        room = Newsroom(setup, records=records, now=settings.now_utc)
        try:
            outcomes = _scan_all(room, pictures, seed, advance)
        finally:
            room.close()
    options = {"--records": changed(records, RECORDS), **tagging_options(psnr, fast)}
    tables = [
        run.table(
            name_of(name, fast),
            at_strength(title, psnr, fast),
            columns,
            flow.summarise(outcomes, seed, late=late),
            Shared(pictures=pictures, setup=setup, options=options, notes=(*notes, *_NOTES)),
        )
        for name, title, columns, late, notes in (
            ("verdicts", "Verdicts on registered photographs,", flow.VERDICT_COLUMNS, False, _HONEST),
            ("verdicts-late", "Verdicts on pictures that were tagged too late,", flow.LATE_COLUMNS, True, _LATE),
        )
    ]
    return run.finish(tables)


_HONEST = (
    "tagged and registered by 'ftf tag', manipulated, and scanned for real with the default search: signed records, "
    "previews, trust list, a million records; all rates are of all scans, whether the tag was read or not",
)
_LATE = (
    "the photograph is manipulated untagged and is then given the very tag of its record, as an attacker would who "
    "can tag like the issuer; only what was done to the content tells it from an honest fake",
)
_NOTES = (
    "moved all over: smooth displacements of about so much of the side, as 'reenactment warp' among the manipulations; "
    "a face moved: the same within a face-like ellipse of half the width",
    "movement found: 3 % of what both show and more was displaced by half a percent of the side and more; tag moved "
    "along: by how many standard errors the reading fits the tag displaced with the content better than the tag at "
    "rest (+3 and more: bent after it was tagged; -3 and less: tagged after it was bent)",
)


def _scan_all(room: Newsroom, pictures: PictureSet, seed: int, advance: Callable[[], None]) -> list[Outcome]:
    """Register all pictures, then scan every case of every one."""
    from ftforensics.flows.bench import verdicts as flow
    from ftforensics.flows.bench.manipulations import Means, draw_random
    from ftforensics.flows.bench.tagging import load_exhibit

    registered = []
    for at, picture in enumerate(pictures.pictures):
        victim = room.register(picture, twice=False)
        if victim is not None:
            registered.append((at, victim))
        advance()
    room.open()
    found = []
    for at, victim in registered:
        donor = load_exhibit(pictures.donor_of(at, seed).path)
        for case in flow.CASES:
            random = draw_random(seed, victim.picture.sha256, f"verdicts {case.name}", 0)
            means = Means(donor=donor, regenerate=room.bench.regenerate, random=random)
            made = case.apply(victim.untagged if case.late else victim.tagged, means)
            made = room.tag_again(made, victim.tag_id) if case.late else made
            found.append(flow.judge(case, room.scan(0, made, case.label), victim.tag_id))
        advance()
    return found
