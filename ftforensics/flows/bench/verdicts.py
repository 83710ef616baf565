"""What verdicts scans give: of honest copies and fakes of registered photographs, and of pictures tagged too late.

In: findings of real scans (``cli/bench_verdicts.py``). Out: rows of a table. An honest case was tagged first and
manipulated then, and a VERIFIED verdict is right. In a late case the manipulated picture was given the tag of the
photograph it was made from, as an attacker would who can tag like the issuer, and a VERIFIED verdict is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ftforensics.attacks import colour, handling, regions, warps
from ftforensics.domain.link import Finding, Verdict
from ftforensics.flows.bench.attackers import rate
from ftforensics.flows.bench.identities import VERIFIED, gravest_verdict, is_read
from ftforensics.flows.bench.manipulations import BATTERY, Means, ellipse
from ftforensics.flows.bench.results import Column, Row, interval_columns
from ftforensics.flows.bench.statistics import upper_bound
from ftforensics.imaging.resample import Pixels, fit_within

Apply = Callable[[Pixels, Means], Pixels]
NOTHING = "nothing"
FACE_SHARE = 0.5
KEPT_SHARE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row. ``late``: the tag comes after the manipulation. ``generator`` is a black box that it uses."""

    name: str
    apply: Apply
    late: bool = False
    generator: str | None = None

    @property
    def label(self) -> str:
        """As the table shows it."""
        return f"{self.name}, tagged afterwards" if self.late else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One scan: whether the right tag was read, the verdict, what was moved, and whether the tag was moved along."""

    case: str
    read: bool
    verdict: Verdict
    moved: float
    following: float | None


def _move_all(shift: float) -> Apply:
    return lambda picture, means: warps.reenact(picture, shift, means.random)


def _move_face(shift: float) -> Apply:
    def apply(picture: Pixels, means: Means) -> Pixels:
        return warps.reenact(picture, shift, means.random, ellipse(picture, FACE_SHARE, means.random))

    return apply


def _swap_then_move(picture: Pixels, means: Means) -> Pixels:
    return _move_all(0.02)(_KNOWN["face-like swap, 30 %"].apply(picture, means), means)


def _caption_and_share(picture: Pixels, means: Means) -> Pixels:
    return handling.jpeg(fit_within(_KNOWN["caption"].apply(picture, means), 480), 60)


def _swap_and_light(picture: Pixels, means: Means) -> Pixels:
    """Another light over the whole fake is noise to whoever compares it with the source."""
    return colour.relight(_KNOWN["face-like swap, 50 %"].apply(picture, means), 1.0, means.random)


def _another_background(picture: Pixels, means: Means) -> Pixels:
    """A face-like ellipse is kept, and all around it is another picture, as where somebody was cut out."""
    around = np.float32(1.0) - ellipse(picture, KEPT_SHARE, means.random)
    return regions.swap_region(picture, means.donor, around, colour_matched=False)[0]


_BACKGROUND = "another background"
_LIT = "face-like swap, 50 %, then another light"
_KNOWN = {one.name: one for one in BATTERY}
MOVED: tuple[tuple[str, Apply], ...] = (
    *((f"moved all over, {100 * shift:g} %", _move_all(shift)) for shift in (0.005, 0.01, 0.02, 0.03, 0.05)),
    *((f"a face moved, {100 * shift:g} %", _move_face(shift)) for shift in (0.02, 0.03, 0.06)),
)
_TAKEN = (
    "JPEG 50 at 640 px",
    "JPEG 30",
    "tone",
    "crop to 75 %",
    "rotation 10°",
    "face-like swap, 30 %",
    "face-like swap, 50 %",
    "Poisson swap, 50 %",
    "swap, 480 px, JPEG 60",
    "attribute edit: light on the face",
    "attribute edit: ageing",
    "attribute edit: glasses",
    "caption",
    "watermark",
    "pixelated face",
    "GAN simulator",
    "generator A (black box)",
    "generator B (black box)",
)
_LATE = ("face-like swap, 30 %", "face-like swap, 50 %")
CASES: tuple[Case, ...] = (
    Case(name=NOTHING, apply=lambda picture, _: picture),
    *(Case(name=name, apply=_KNOWN[name].apply, generator=_KNOWN[name].generator) for name in _TAKEN),
    Case(name="caption, 480 px, JPEG 60", apply=_caption_and_share),
    *(Case(name=name, apply=apply) for name, apply in MOVED),
    Case(name=_BACKGROUND, apply=_another_background),
    Case(name=_LIT, apply=_swap_and_light),
    Case(name="face-like swap, 30 %, then moved all over, 2 %", apply=_swap_then_move),
    *(Case(name=name, apply=_KNOWN[name].apply, late=True) for name in _LATE),
    Case(name=_BACKGROUND, apply=_another_background, late=True),
    Case(name=_LIT, apply=_swap_and_light, late=True),
    *(Case(name=name, apply=apply, late=True) for name, apply in MOVED),
)


def judge(case: Case, finding: Finding, tag_id: str) -> Outcome:
    """What a finding says of a case made from the photograph with this tag."""
    movement = finding.movement
    return Outcome(
        case=case.label,
        read=is_read(finding, tag_id),
        verdict=gravest_verdict(finding),
        moved=0.0 if movement is None else movement.moved_fraction,
        following=None if movement is None else movement.following,
    )


VERDICT_COLUMNS: tuple[Column, ...] = (
    Column(key="case", label="made"),
    Column(key="pictures", label="scans", kind="count"),
    *interval_columns("read", "tag read", "rate"),
    *interval_columns("verified", "VERIFIED", "rate"),
    *interval_columns("suspected", "transplant suspected", "rate"),
    *interval_columns("moved", "movement found", "rate"),
    Column(key="least", label="tag moved along: least", kind="number", digits=1),
    Column(key="median", label="median", kind="number", digits=1),
    Column(key="most", label="most", kind="number", digits=1),
    Column(key="verdicts", label="verdicts"),
)
LATE_COLUMNS: tuple[Column, ...] = (
    *VERDICT_COLUMNS[:2],
    *interval_columns("read", "tag read", "rate"),
    Column(key="verified", label="VERIFIED", kind="count"),
    Column(key="verified_upper", label="at most, 95 %", kind="rate"),
    *VERDICT_COLUMNS[8:],
)


def summarise(outcomes: Sequence[Outcome], seed: int, *, late: bool) -> tuple[Row, ...]:
    """One row a case, of those that were tagged in time or of those that were not; rates are of all scans."""
    rows: list[Row] = []
    for case in CASES:
        part = [one for one in outcomes if one.case == case.label]
        if case.late != late or not part:
            continue
        counted = Counter(str(one.verdict) for one in part)
        verified = [one.verdict in VERIFIED for one in part]
        row: Row = {"case": case.name, "pictures": len(part)}
        row |= {"verdicts": ", ".join(f"{name} {count}" for name, count in counted.most_common())}
        row |= _following([one.following for one in part if one.following is not None])
        row |= rate("read", [one.read for one in part], seed)
        row |= rate("suspected", [one.verdict is Verdict.TAG_TRANSPLANT_SUSPECTED for one in part], seed)
        row |= rate("moved", [one.moved > 0.0 for one in part], seed)
        if late:
            row |= {"verified": sum(verified), "verified_upper": upper_bound(sum(verified), len(part))}
        else:
            row |= rate("verified", verified, seed)
        rows.append(row)
    return tuple(rows)


def _following(values: Sequence[float]) -> Row:
    if not values:
        return {"least": None, "median": None, "most": None}
    return {"least": min(values), "median": float(np.median(values)), "most": max(values)}
