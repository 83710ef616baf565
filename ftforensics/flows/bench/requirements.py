"""What the numbers are held against: each requirement, what was measured, and whether it is met.

In: the tables of a results file. Out: Markdown. A requirement that no table answers is shown as not measured, never
left out; a figure is met by its point estimate, and its interval stands beside it for whoever wants more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ftforensics.flows.bench.attackers import ATTACKS
from ftforensics.flows.bench.message import FAMILIES, MEAN
from ftforensics.flows.bench.results import Row, Table
from ftforensics.flows.bench.survival import AFTER, PASTES

_KINDS = {
    "bits": "bits right",
    "identified": "right record, picture alone",
    "beside": "right record, previews at hand",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One figure: the cell ``key`` of the row whose ``where`` hold in the table ``table``, and what it must be."""

    label: str
    table: str
    where: tuple[tuple[str, str], ...]
    key: str
    sense: Literal["at least", "at most"]
    limit: float
    rate: bool = False
    unit: str = ""
    digits: int = 1


def _survives(manipulation: str, key: str, limit: float) -> Requirement:
    return Requirement(
        label=f"{manipulation}: {_KINDS[key]}",
        table="robustness",
        where=(("manipulation", manipulation),),
        key=key,
        sense="at least",
        limit=limit,
        rate=True,
    )


def _identified(manipulation: str, limit: float) -> tuple[Requirement, Requirement]:
    """By the picture alone, and as a scan does whose registry keeps previews."""
    return _survives(manipulation, "identified", limit), _survives(manipulation, "beside", limit)


def _none(label: str, table: str, where: tuple[tuple[str, str], ...], key: str) -> Requirement:
    """A count that must be 0."""
    return Requirement(label=label, table=table, where=where, key=key, sense="at most", limit=0.0, digits=0)


def _never(population: str, mode: str, key: str, label: str) -> Requirement:
    where = (("population", population), ("mode", mode))
    return _none(f"{population}, {mode} read: {label}", "false-positives", where, key)


_HANDLED = ("none", "JPEG 50 at 640 px", "resize to 256 px", "noise 5 %", "face-like swap, 50 %", "box splice, 50 %")
_COLOUR = ("tone", "colour cast", "relight")
_MOVED = ("crop to 75 %", "mirror", "rotation 10°")

REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        label="PSNR of the tag, worst picture",
        table="quality",
        where=(("compared", "tag alone, before the file is coded"), ("statistic", "worst")),
        key="psnr_db",
        sense="at least",
        limit=45.0,
        unit=" dB",
        digits=2,
    ),
    *(_survives(name, "bits", 0.995) for name in _HANDLED),
    *(one for name in (*_HANDLED, *_COLOUR) for one in _identified(name, 0.995)),
    *_identified("GAN simulator", 0.97),
    *(one for name in _MOVED for one in _identified(name, 0.95)),
    *(
        _never(population, mode, key, label)
        for population in ("untagged", "tagged under another key", "tagged, record in no registry")
        for mode in ("direct", "blind")
        for key, label in (("wrong", "wrong identities"), ("decoded", "blind decodes accepted"))
    ),
    *(
        _none(
            f"{population}, read beside their source: wrong identities",
            "beside",
            (("population", population),),
            "wrong",
        )
        for population in ("untagged", "tagged under another key", "tagged, record in no registry")
    ),
    *(_never("untagged", mode, "present", "'tag present, unreadable'") for mode in ("direct", "blind")),
    Requirement(
        label="blind search, unknown pictures",
        table="scan-speed",
        where=(("evidence", "unknown pictures"),),
        key="search_ms",
        sense="at most",
        limit=100.0,
        unit=" ms a picture",
    ),
)


# The second block: what the tag, the maps and the attackers are held against.
_KEPT = (
    *(name for name in _HANDLED if "50 %" not in name),
    "JPEG 30",
    "WebP 40",
    "AVIF 40",
    "blur",
    *_COLOUR,
    "super-resolution x3",
    "social pipeline",
    "caption",
    "watermark",
    "reenactment warp",
    "attribute edit: hair colour",
    "attribute edit: skin colour",
    "attribute edit: ageing",
    "attribute edit: glasses",
    "attribute edit: light on the face",
    "generator A (black box)",
    "generator B (black box)",
)


def _of(table: str, where: tuple[tuple[str, str], ...], key: str, limit: float, label: str) -> Requirement:
    """A share that must be at least so large."""
    return Requirement(label=label, table=table, where=where, key=key, sense="at least", limit=limit, rate=True)


def _quality(label: str, statistic: str, key: str, sense: Literal["at least", "at most"], limit: float) -> Requirement:
    where = (("compared", "tag alone, before the file is coded"), ("statistic", statistic))
    unit, digits = (" dB", 2) if key == "psnr_db" else ("", 3)
    return Requirement(
        label=label, table="quality", where=where, key=key, sense=sense, limit=limit, unit=unit, digits=digits
    )


def _unforged(attack: str) -> Requirement:
    return _none(f"forgery, {attack}: VERIFIED verdicts", "attackers-forgeries", (("attack", attack),), "verified")


FURTHER: tuple[Requirement, ...] = (
    _quality("PSNR of the tag, mean", "mean", "psnr_db", "at least", 47.0),
    _quality("SSIM of the tag, mean", "mean", "ssim", "at least", 0.995),
    _quality("CIEDE2000 of the tag, 99th percentile, mean", "mean", "ciede2000_p99", "at most", 2.0),
    *(one for name in _KEPT for one in _identified(name, 0.999)),
    *(
        one
        for name in ("face-like swap, 50 %", "box splice, 50 %", "Poisson swap, 50 %", "pixelated face")
        for one in _identified(name, 0.995)
    ),
    *(
        one
        for name in (
            "crop to 50 %",
            "rotation 15°",
            "rotation 90°",
            "screenshot border",
            "screenshot, rescaled",
            "collage of four",
        )
        for one in _identified(name, 0.99)
    ),
    *_identified("crop to 40 %", 0.8),
    *_identified("swap, crop to 70 %, 480 px, JPEG 60", 0.9),
    *(
        _of("message", (("family", family),), "message", 0.99, f"message bits after Reed-Solomon: {family}")
        for family in (*FAMILIES, MEAN)
    ),
    *(
        _of("survival", (("paste", paste), ("after", after)), key, 0.85, f"{label}, {paste}, {after}: F1")
        for key, label in (("f1", "survival map"), ("replaced_f1", "both maps weighed together"))
        for paste in PASTES
        for after in AFTER
    ),
    *(_unforged(attack) for attack in ATTACKS),
    Requirement(
        label="tagged by two issuers in turn: neither tag read",
        table="attackers-retagging",
        where=(),
        key="neither",
        sense="at most",
        limit=0.0,
        rate=True,
    ),
    Requirement(
        label="untagged, direct read: reads that were made",
        table="false-positives",
        where=(("population", "untagged"), ("mode", "direct")),
        key="reads",
        sense="at least",
        limit=100_000.0,
        digits=0,
    ),
)


def render_requirements(tables: Sequence[Table], requirements: Sequence[Requirement] = REQUIREMENTS) -> str:
    """A Markdown table: what is asked, what was measured, whether it is met."""
    by_name = {table.name: table for table in tables}
    lines = ["| what | asked | measured | 95 % interval | |", "| --- | ---: | ---: | ---: | --- |"]
    for one in requirements:
        row = _find(by_name.get(one.table), one)
        value = None if row is None else row.get(one.key)
        asked = f"{one.sense} {_show(one, one.limit)}"
        if row is None or not isinstance(value, int | float):
            lines.append(f"| {one.label} | {asked} | not measured | | **not measured** |")
            continue
        verdict = "met" if _is_met(one, value) else "**missed**"
        lines.append(f"| {one.label} | {asked} | {_show(one, value)} | {_interval(one, row)} | {verdict} |")
    return "\n".join(lines)


def count_met(tables: Sequence[Table], requirements: Sequence[Requirement] = REQUIREMENTS) -> int:
    """How many are met; one that was not measured is not."""
    by_name = {table.name: table for table in tables}
    rows = [(one, _find(by_name.get(one.table), one)) for one in requirements]
    values = [(one, None if row is None else row.get(one.key)) for one, row in rows]
    return sum(isinstance(value, int | float) and _is_met(one, value) for one, value in values)


def _is_met(one: Requirement, value: float) -> bool:
    return value >= one.limit if one.sense == "at least" else value <= one.limit


def _find(table: Table | None, one: Requirement) -> Row | None:
    rows = table.rows if table is not None else ()
    return next((row for row in rows if all(row.get(key) == value for key, value in one.where)), None)


def _show(one: Requirement, value: float) -> str:
    return f"{100.0 * value:.1f} %" if one.rate else f"{value:.{one.digits}f}{one.unit}"


def _interval(one: Requirement, row: Row) -> str:
    low, high = row.get(f"{one.key}_low"), row.get(f"{one.key}_high")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return f"{_show(one, low)} to {_show(one, high)}"
    upper = row.get(f"{one.key}_upper")
    return f"at most {100.0 * upper:.3f} % of reads" if isinstance(upper, int | float) else ""
