"""``ftf bench attackers``: attacks on a newsroom of its own, with real registries, records, scans and verdicts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    app,
    changed,
    tagging_options,
)
from ftforensics.cli.commands import command
from ftforensics.cli.output import Output
from ftforensics.cli.settings import Settings
from ftforensics.domain.tag import DEFAULT_PSNR_DB

if TYPE_CHECKING:
    from ftforensics.flows.bench.pictures import BenchPicture, PictureSet

HELD = 1000
VICTIMS = 40


@command(
    app,
    "attackers",
    examples=("ftf bench attackers --images photos/", "ftf bench attackers --images photos/ --held 300 --victims 10"),
)
def attackers(
    settings: Settings,
    output: Output,
    images: ImagesOption,
    limit: LimitOption = None,
    held: Annotated[
        int, typer.Option("--held", min=10, metavar="N", help="Tagged pictures that the attacker holds at most.")
    ] = HELD,
    victims: Annotated[
        int, typer.Option("--victims", min=1, metavar="N", help="Registered pictures that are attacked.")
    ] = VICTIMS,
    records: RecordsOption = RECORDS,
    psnr: PsnrOption = DEFAULT_PSNR_DB,
    fast: FastOption = False,
    seed: SeedOption = 1,
    out: OutOption = RESULTS_FILE,
) -> int:
    """Forge, copy, overwrite and subtract tags, and see what a scan makes of it."""
    from ftforensics.cli.bench_newsroom import Newsroom
    from ftforensics.flows.bench import attackers as flow

    run = Run(settings, output, "attackers", images, limit=limit, seed=seed, jobs=1, work=None, out=out)
    with run.prepare(psnr=psnr, fast=fast) as (pictures, setup):
        chosen, hosts = split(pictures, victims)
        with run.progress(2 * len(chosen)) as advance:
            room = Newsroom(setup, records=records, now=settings.now_utc)
            try:
                estimates, forgeries, retagged, removals = _attack(room, chosen, hosts, held, advance)
            finally:
                room.close()
    options = {
        "--held": changed(held, HELD),
        "--victims": changed(victims, VICTIMS),
        "--records": changed(records, RECORDS),
        **tagging_options(psnr, fast),
    }
    tables = []
    for name, title, columns, rows, notes in (
        (
            "attackers-carriers",
            "What tagged pictures tell of an issuer's carriers",
            flow.CARRIER_COLUMNS,
            flow.summarise_carriers(estimates, seed),
            _CARRIER_NOTES,
        ),
        (
            "attackers-forgeries",
            "What a scan says of forged and copied tags",
            flow.FORGERY_COLUMNS,
            flow.summarise_forgeries(forgeries, seed),
            _FORGERY_NOTES,
        ),
        (
            "attackers-retagging",
            "What is left when another issuer tags a tagged picture",
            flow.RETAG_COLUMNS,
            flow.summarise_retagging(retagged, seed),
            _RETAG_NOTES,
        ),
        (
            "attackers-removal",
            "What it costs to subtract a tag",
            flow.REMOVAL_COLUMNS,
            flow.summarise_removal(removals, seed),
            _REMOVAL_NOTES,
        ),
    ):
        shared = Shared(pictures=pictures, setup=setup, options=options, notes=notes)
        tables.append(run.table(name, title, columns, rows, shared))
    return run.finish(tables)


_CARRIER_NOTES = (
    "squares of 60 to 100 % of the short side cut from the pictures, 256 px, plainly tagged under one key with random "
    "words; plain tags are all alike but for the word, which helps the attacker",
    "he reads them with the public reader; with known code words he fits the carriers by least squares, otherwise he "
    "unmixes 128 principal components (FastICA)",
    "correlation of each true carrier with the estimate given to it, closest pairs first, order and sign free; the "
    "interval is over carriers; 128 random directions in the carriers' band give about 0.06",
)
_FORGERY_NOTES = (
    "laid over pictures that are in no registry, through their own perceptual mask, at 38 dB (the exact difference: "
    "twice its own strength); the carriers are those of the most pictures held",
    "the scan is the real one: signed records, trust list, registration to the source, verdict; the attacker cannot "
    "make a record",
    "tag read: matched to the record whose tag was forged or copied, at E <= 1e-6; upper bounds are exact, one-sided",
)
_RETAG_NOTES = (
    "the second issuer tags the first one's tagged file as 'ftf tag' does, at the same strength, and registers it",
    "read with both carrier keys, blind search included; both count where a scan names both; which tag is gone is "
    "known from what is read",
)
_REMOVAL_NOTES = (
    "the attacker subtracts a multiple of what the public reader reads from the tagged picture, at the strength that "
    "tags have by default and through the perceptual mask; no gradient is used",
    "read as a scan reads, blind search included",
)


def split(pictures: PictureSet, victims: int) -> tuple[list[BenchPicture], list[BenchPicture]]:
    """Pictures to register, evenly spread, and hosts in no registry: at least one of each, nearly half at most."""
    found = list(pictures.pictures)
    chosen = found[::2][: max(1, victims)]
    rest = [picture for picture in found if picture not in chosen]
    return chosen, rest


def _attack(
    room: Any,
    chosen: Sequence[BenchPicture],
    hosts: Sequence[BenchPicture],
    held: int,
    advance: Callable[[], None],
) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """All attacks: estimates of carriers, forgeries, pictures tagged twice, and removals."""
    victims = []
    for picture in chosen:
        victim = room.register(picture)
        if victim is not None:
            victims.append(victim)
        advance()
    room.open()
    estimates, carriers = room.estimate_carriers([*chosen, *hosts], held)
    forgeries, retagged, removals = [], [], []
    for at, victim in enumerate(victims):
        forgeries += room.forge(victim, hosts[at % len(hosts)], carriers)
        retagged += room.retag(victim)
        removals += room.remove(victim)
        advance()
    return estimates, forgeries, retagged, removals


def derive_seed(seed: int, label: str) -> bytes:
    """32 bytes for a throw-away signing key of a measurement."""
    return hashlib.sha256(f"ftf bench {seed} {label}".encode()).digest()


def place(folder: Path, picture: BenchPicture) -> Path:
    """Where a tagged copy of a picture lies."""
    return folder / f"{picture.sha256[:16]}{picture.path.suffix.lower()}"
