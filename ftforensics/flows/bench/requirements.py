"""What the numbers are held against: each requirement, what was measured, and whether it is met.

In: the tables of a results file. Out: Markdown. A requirement that no table answers is shown as not measured, never
left out; a figure is met by its point estimate, and its interval stands beside it for whoever wants more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ftforensics.flows.bench.results import Row, Table

_KINDS = {"bits": "bits right", "identified": "right record of all"}


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


def _never(population: str, mode: str, key: str, label: str) -> Requirement:
    return Requirement(
        label=f"{population}, {mode} read: {label}",
        table="false-positives",
        where=(("population", population), ("mode", mode)),
        key=key,
        sense="at most",
        limit=0.0,
        digits=0,
    )


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
    *(_survives(name, "identified", 0.995) for name in (*_HANDLED, *_COLOUR)),
    _survives("GAN simulator", "identified", 0.97),
    *(_survives(name, "identified", 0.95) for name in _MOVED),
    *(
        _never(population, mode, key, label)
        for population in ("untagged", "tagged under another key", "tagged, record in no registry")
        for mode in ("direct", "blind")
        for key, label in (("wrong", "wrong identities"), ("decoded", "blind decodes accepted"))
    ),
    *(_never("untagged", mode, "present", "'tag present, unreadable'") for mode in ("direct", "blind")),
    Requirement(
        label="blind search, untagged pictures",
        table="scan-speed",
        where=(("evidence", "untagged pictures"),),
        key="search_ms",
        sense="at most",
        limit=100.0,
        unit=" ms a picture",
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
        met = value >= one.limit if one.sense == "at least" else value <= one.limit
        verdict = "met" if met else "**missed**"
        lines.append(f"| {one.label} | {asked} | {_show(one, value)} | {_interval(one, row)} | {verdict} |")
    return "\n".join(lines)


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
