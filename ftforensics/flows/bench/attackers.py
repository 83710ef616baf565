"""What attackers get: forged and copied tags, tags over tags, and tags subtracted; each as rows of a table.

In: outcomes of scans of attacked pictures, made by ``cli/bench_attackers.py`` with real registries, records and
verdicts. A forgery has succeeded where a verdict says VERIFIED of a picture that is not the record's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ftforensics.domain.link import Verdict
from ftforensics.engine.reader import Reader
from ftforensics.flows.bench.identities import VERIFIED
from ftforensics.flows.bench.results import Column, Row, interval_columns
from ftforensics.flows.bench.statistics import estimate_mean, estimate_rate, upper_bound
from ftforensics.imaging.perceptual import build_mask, round_pixels, scaled_residual
from ftforensics.imaging.resample import Floats, Pixels, resize

FORGED_PSNR_DB = 38.0
HELD = (30, 100, 300, 1000)
TIMES = (0.5, 1.0, 1.5, 2.0, 4.0)

KNOWN, UNMIXED = "code words known", "nothing known (unmixed)"
FORGED_KNOWN = "a chosen tag, carriers fitted with known code words"
FORGED_UNMIXED = "a picture's tag, cleaned along unmixed carriers"
COPIED_READ = "a picture's tag, as the public reader estimates it"
COPIED_EXACT = "a picture's tag, tagged less untagged photograph"
ATTACKS = (FORGED_KNOWN, FORGED_UNMIXED, COPIED_READ, COPIED_EXACT)
TWICE = "once, then what is read after that"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CarrierEstimate:
    """How like the true carriers an attacker's are: ``likeness`` (128,), 0 to 1. ``span`` is None where not asked."""

    held: int
    knowledge: str
    likeness: np.ndarray
    span: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """One scan of a picture with a forged or copied tag.

    ``read`` means that the tag was matched at E <= 1e-6, in whatever region; ``verdict`` is a further tag's where only
    that one is VERIFIED.
    """

    attack: str
    read: bool
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Retagged:
    """One picture that two issuers tagged in turn: whose tags are read, and the verdict of a scan with both keys."""

    first: bool
    second: bool
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One picture from which a multiple of what is read was subtracted; ``psnr_db`` is against the tagged one.

    ``wrong`` means that any other tag was named, matched or decoded, in whatever region.
    """

    how: str
    identified: bool
    wrong: bool
    psnr_db: float


def lay_over(picture: Pixels, planes: Floats, psnr_db: float = FORGED_PSNR_DB) -> Pixels:
    """A picture with planes (3, 64, 64) added as a tagger would, through the picture's own mask."""
    return add_planes(picture, planes, psnr_db, 1.0)


def add_planes(picture: Pixels, planes: Floats, psnr_db: float, times: float) -> Pixels:
    """A picture with ``times`` the residual added that planes of mean square 1 make at ``psnr_db``."""
    residual = scaled_residual(picture, planes, build_mask(picture), psnr_db)
    changed: Floats = np.asarray(picture + residual * np.float32(255.0 * times), dtype=np.float32)
    return round_pixels(changed)


def read_planes(picture: Pixels, reader: Reader) -> Floats:
    """What anybody can read: the public reader's map (3, 64, 64), scaled to mean square 1."""
    side = reader.card.input_px
    residual = reader.read(resize(picture, side, side)[None])[0]
    return np.asarray(residual / max(1e-9, float(np.sqrt(np.mean(residual * residual)))), dtype=np.float32)


def subtract(picture: Pixels, reader: Reader, psnr_db: float, times: float) -> Pixels:
    """A picture less ``times`` what is read from it, taken to lie at the strength ``psnr_db``."""
    return add_planes(picture, read_planes(picture, reader), psnr_db, -times)


def carry_over(tagged: Pixels, untagged: Pixels, host: Pixels) -> Pixels:
    """A host picture with the very difference of a tagged and an untagged photograph added, twice as strong."""
    difference = tagged.astype(np.float32) - untagged.astype(np.float32)
    moved: Floats = resize(difference, host.shape[1], host.shape[0])
    changed: Floats = np.asarray(host + np.float32(2.0) * moved, dtype=np.float32)
    return round_pixels(changed)


CARRIER_COLUMNS: tuple[Column, ...] = (
    Column(key="held", label="tagged pictures held", kind="count"),
    Column(key="knowledge", label="attacker knows"),
    *interval_columns("likeness", "carrier correlation, mean", "number", digits=3),
    Column(key="weakest", label="least of 128", kind="number", digits=3),
    Column(key="strongest", label="largest of 128", kind="number", digits=3),
    Column(key="span", label="carriers' energy in 128 components", kind="rate"),
)
FORGERY_COLUMNS: tuple[Column, ...] = (
    Column(key="attack", label="laid over another picture"),
    Column(key="pictures", label="scans", kind="count"),
    *interval_columns("read", "tag read", "rate"),
    Column(key="verified", label="VERIFIED verdicts", kind="count"),
    Column(key="verified_upper", label="at most, 95 %", kind="rate"),
    Column(key="verdicts", label="verdicts"),
)
RETAG_COLUMNS: tuple[Column, ...] = (
    Column(key="pictures", label="pictures", kind="count"),
    *interval_columns("both", "both tags read", "rate"),
    *interval_columns("first", "only the first", "rate"),
    *interval_columns("second", "only the second", "rate"),
    *interval_columns("neither", "neither", "rate"),
    Column(key="verdicts", label="verdicts"),
)
REMOVAL_COLUMNS: tuple[Column, ...] = (
    Column(key="how", label="subtracted"),
    Column(key="pictures", label="pictures", kind="count"),
    *interval_columns("identified", "right record of all", "rate"),
    Column(key="wrong", label="wrong identities", kind="count"),
    *interval_columns("psnr_db", "PSNR to the tagged picture", "number", unit="dB"),
)


def summarise_carriers(estimates: Sequence[CarrierEstimate], seed: int) -> tuple[Row, ...]:
    """One row a number of pictures and what is known; the interval is over carriers."""
    rows: list[Row] = []
    for one in estimates:
        found = estimate_mean(one.likeness, seed)
        rows.append(
            {
                "held": one.held,
                "knowledge": one.knowledge,
                "likeness": found.mean,
                "likeness_low": found.low,
                "likeness_high": found.high,
                "weakest": float(one.likeness.min()),
                "strongest": float(one.likeness.max()),
                "span": one.span,
            }
        )
    return tuple(rows)


def summarise_forgeries(forgeries: Sequence[Forgery], seed: int) -> tuple[Row, ...]:
    """One row an attack."""
    rows: list[Row] = []
    for attack in ATTACKS:
        part = [one for one in forgeries if one.attack == attack]
        if not part:
            continue
        verified = sum(one.verdict in VERIFIED for one in part)
        row: Row = {"attack": attack, "pictures": len(part), "verified": verified}
        row |= {"verified_upper": upper_bound(verified, len(part)), "verdicts": _count(part)}
        rows.append(row | rate("read", [one.read for one in part], seed))
    return tuple(rows)


def summarise_retagging(results: Sequence[Retagged], seed: int) -> tuple[Row, ...]:
    """One row: whose tags are left."""
    if not results:
        return ()
    row: Row = {"pictures": len(results), "verdicts": _count(results)}
    row |= rate("both", [one.first and one.second for one in results], seed)
    row |= rate("first", [one.first and not one.second for one in results], seed)
    row |= rate("second", [one.second and not one.first for one in results], seed)
    return (row | rate("neither", [not one.first and not one.second for one in results], seed),)


def summarise_removal(results: Sequence[Removal], seed: int) -> tuple[Row, ...]:
    """One row a way of subtracting, in the order in which they were tried."""
    rows: list[Row] = []
    for how in dict.fromkeys(one.how for one in results):
        part = [one for one in results if one.how == how]
        losses = np.asarray([one.psnr_db for one in part])
        row: Row = {"how": how, "pictures": len(part), "wrong": sum(one.wrong for one in part)}
        if np.isfinite(losses).all():
            psnr = estimate_mean(losses, seed)
            row |= {"psnr_db": psnr.mean, "psnr_db_low": psnr.low, "psnr_db_high": psnr.high}
        rows.append(row | rate("identified", [one.identified for one in part], seed))
    return tuple(rows)


def rate(key: str, seen: Sequence[bool], seed: int) -> Row:
    """Three columns: the rate and the ends of its interval."""
    found = estimate_rate(np.asarray(seen, dtype=np.float64), seed)
    return {key: found.mean, f"{key}_low": found.low, f"{key}_high": found.high}


def _count(part: Sequence[Forgery] | Sequence[Retagged]) -> str:
    counted = Counter(str(one.verdict) for one in part)
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items(), key=lambda item: (-item[1], item[0])))
