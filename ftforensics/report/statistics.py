"""The numbers behind a finding, each with one line on what it says, and where its E-value lies on a scale.

The bound: for a picture made without the carrier key every record's word is uniform over the key's mask, so the chance
p of scoring z is the share of the 2^128 sign patterns that do (``codec.tails``), never above Hoeffding's exp(-z^2 / 2)
(JASA 58, 1963, theorem 2), and E = records x keys x the count of the hypothesis x p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ftforensics.domain.link import FOLLOWING_ERRORS, TAG_FRAME, Finding, Movement, Registration, Survival
from ftforensics.domain.tag import LINK_E_LIMIT, DecodedTag, Geometry, MatchedTag, TagAbsence
from ftforensics.report.quantities import count, decimal, percent, power_of_ten, scientific
from ftforensics.report.wording import SEARCH_TEXTS

CHANNEL_BITS = 128
Z_MAX = math.sqrt(CHANNEL_BITS)
# The smallest chance there is, that of one sign pattern, is 2^-128 or about 10^-38.5: every match lies on the scale.
_SCALE_WEAKEST, _SCALE_STRONGEST, _SCALE_WIDTH = 4.0, -40.0, 640.0
_TICKS = range(0, -37, -6)
_SMALLEST_LOG = -300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """One number as shown, and what it says."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceScale:
    """Where ``e_case`` of the two best records lies on a logarithmic scale; ``_x`` in 0..640 from weak to strong."""

    width: float
    limit_x: float
    best_x: float
    best: str
    runner_up_x: float
    runner_up: str
    passes: bool
    ticks: tuple[tuple[float, str], ...]


def build_statistics(finding: Finding) -> tuple[Statistic, ...]:
    """List every number the finding rests on, in the order in which it is used."""
    rows: list[Statistic] = []
    tag = finding.tag
    if isinstance(tag, MatchedTag):
        rows += [*_match_rows(tag), _search_row(tag.geometry), _frame_row(tag.geometry)]
    elif isinstance(tag, DecodedTag):
        rows += [*_decoded_rows(tag), _search_row(tag.geometry), _frame_row(tag.geometry)]
    elif isinstance(tag, TagAbsence) and tag.best_z is not None:
        meaning = "Agreement with the best-fitting registered record: not enough to identify it."
        rows.append(Statistic(name="Best z", value=_z(tag.best_z), meaning=meaning))
    if finding.reading is not None:
        meaning = "Strength of the public synchronisation carrier, in standard deviations. It identifies nothing."
        rows.append(Statistic(name="Presence", value=decimal(finding.reading.presence), meaning=meaning))
        if finding.reading.sync_peak is not None:
            meaning = "Height of the synchronisation pattern over the background, in standard deviations."
            rows.append(
                Statistic(name="Synchronisation peak", value=decimal(finding.reading.sync_peak, 1), meaning=meaning)
            )
    if finding.registration is not None:
        rows += _registration_rows(finding.registration)
    if finding.movement is not None:
        rows += _movement_rows(finding.movement)
    if finding.survival is not None:
        rows += _survival_rows(finding.survival)
    return tuple(rows)


def build_scale(finding: Finding) -> EvidenceScale | None:
    """Place the match and its runner-up on the E-value scale; None where nothing was matched."""
    tag = finding.tag
    if not isinstance(tag, MatchedTag) or not all(map(math.isfinite, (tag.e_case, tag.z, tag.runner_up_z))):
        return None
    best, runner_up = _log_e(tag.e_case), _log_runner_up(tag)
    return EvidenceScale(
        width=_SCALE_WIDTH,
        limit_x=_scale_x(math.log10(LINK_E_LIMIT)),
        best_x=_scale_x(best),
        best=scientific(tag.e_case),
        runner_up_x=_scale_x(runner_up),
        runner_up=scientific(10**runner_up) if abs(runner_up) < 300 else "beyond range",
        passes=tag.e_case <= LINK_E_LIMIT,
        ticks=tuple((_scale_x(log), power_of_ten(log)) for log in _TICKS),
    )


def e_case_text(finding: Finding) -> str:
    """The case-wide E-value for the summary, empty where nothing was matched."""
    return scientific(finding.tag.e_case) if isinstance(finding.tag, MatchedTag) else ""


def _log_e(e_value: float) -> float:
    return math.log10(e_value) if e_value > 0 else _SMALLEST_LOG


def _log_runner_up(tag: MatchedTag) -> float:
    """Of the runner-up's E-value; both marks must be placed by the same bound, or their distance means nothing."""
    if tag.runner_up_e_case is not None and math.isfinite(tag.runner_up_e_case):
        return _log_e(tag.runner_up_e_case)
    return _log_e(tag.e_case) + (tag.z**2 - max(0.0, tag.runner_up_z) ** 2) / (2 * math.log(10))


def _scale_x(log10_e: float) -> float:
    share = (_SCALE_WEAKEST - log10_e) / (_SCALE_WEAKEST - _SCALE_STRONGEST)
    return round(_SCALE_WIDTH * min(1.0, max(0.0, share)), 1)


def _z(value: float) -> str:
    return f"{decimal(value)} of {decimal(Z_MAX, 1)}"


def _counted(times: int) -> str:
    """What the other places in which the frame might have been found cost this one."""
    return (
        "" if times == 1 else f", counted {count(times)} times over because other placements of the frame were allowed"
    )


def _match_rows(tag: MatchedTag) -> list[Statistic]:
    bits = round(tag.bit_agreement * CHANNEL_BITS)
    rows = [
        Statistic(
            name="z",
            value=_z(tag.z),
            meaning="Agreement of what was read with the registered record; the second figure is the largest possible.",
        ),
        Statistic(
            name="Runner-up z",
            value=_z(tag.runner_up_z),
            meaning="The same for the next-best record: the wider the gap, the clearer the identification.",
        ),
        Statistic(
            name="E-value",
            value=scientific(tag.e_value),
            meaning=f"False matches expected by chance from this picture alone, among {count(tag.records)} records"
            f"{_counted(tag.hypotheses)}.",
        ),
        Statistic(
            name="e_case",
            value=scientific(tag.e_case),
            meaning="The same for all pictures read in this case together. A link needs 10⁻⁶ or less.",
        ),
        Statistic(
            name="Bits agreeing",
            value=f"{bits} of {CHANNEL_BITS}",
            meaning="Bits of the tag that read as the record says, before any correction. Chance gives about half.",
        ),
    ]
    if tag.symbols_corrected is not None:
        rows.append(_corrected_row(tag.symbols_corrected))
    if tag.erasures is not None:
        rows.append(_erasures_row(tag.erasures))
    return rows


def _decoded_rows(tag: DecodedTag) -> list[Statistic]:
    rows = [_corrected_row(tag.symbols_corrected)]
    if tag.z is None:  # of before bits were weighed: symbols were erased
        rows.append(_erasures_row(tag.erasures))
    else:
        meaning = "Agreement of the soft values read with the word that was decoded; the most there can be is 11.3."
        rows.append(Statistic(name="z", value=_z(tag.z), meaning=meaning))
    if tag.runner_up_z is not None:
        meaning = "Agreement with the next-best word that was found; the further below z, the clearer."
        rows.append(Statistic(name="Runner-up z", value=_z(tag.runner_up_z), meaning=meaning))
    return [
        *rows,
        Statistic(
            name="False-read bound",
            value=scientific(tag.false_accept_p),
            meaning="Probability that a picture with no tag would decode like this by chance.",
        ),
    ]


def _corrected_row(symbols: int) -> Statistic:
    meaning = "Symbols of the tag that were read wrong and mended by the error-correcting code."
    return Statistic(name="Symbols corrected", value=f"{symbols} of 16", meaning=meaning)


def _erasures_row(erasures: int) -> Statistic:
    meaning = "Symbols too faint to read that were treated as missing (up to 8)."
    return Statistic(name="Erasures", value=f"{erasures} of 16", meaning=meaning)


def _search_row(geometry: Geometry) -> Statistic:
    mode, _, how = SEARCH_TEXTS.get(geometry.mode, geometry.mode).partition(": ")
    return Statistic(name="Search mode", value=mode, meaning=f"How the tag was found: {how or mode}.")


def _frame_row(geometry: Geometry) -> Statistic:
    a, b, c, d, e, f = geometry.matrix
    area = a * e - b * d
    identity = max(abs(a - 1), abs(b), abs(c), abs(d), abs(e - 1), abs(f)) < 1e-3
    value = "the whole picture" if identity else f"{decimal(abs(area))} ×"
    if area < 0:
        value += ", mirrored"
    meaning = "Area of the tagged frame over the picture's: above 1 in a crop, below 1 where a border surrounds it."
    return Statistic(name="Tagged frame", value=value, meaning=meaning)


def _registration_rows(registration: Registration) -> list[Statistic]:
    rows = [
        _points_row(registration),
        *_agreement_rows(registration.agreement),
        Statistic(
            name="Overlap",
            value=percent(registration.overlap_fraction),
            meaning="Share of the registered photograph that is seen in the exhibit.",
        ),
    ]
    changed = registration.changed_fraction
    meaning = (
        "Share of the overlap whose content differs."
        if changed is not None
        else "Not measured: the record keeps no preview of the photograph to compare with."
    )
    rows.append(Statistic(name="Changed area", value="–" if changed is None else percent(changed), meaning=meaning))
    return rows


def _points_row(registration: Registration) -> Statistic:
    if registration.against == TAG_FRAME:
        meaning = "The photograph was laid where the tag was read, and aligned from there, not by matching details."
        return Statistic(name="Matching points", value="not used", meaning=meaning)
    against = registration.against.strip() or "fingerprint"
    return Statistic(
        name="Matching points",
        value=f"{count(registration.inliers)} of {count(registration.matches)}, {percent(registration.inlier_ratio)}",
        meaning=f"Details of the exhibit that lie where one plane mapping of the photograph ({against}) puts them.",
    )


def _agreement_rows(agreement: float | None) -> list[Statistic]:
    if agreement is None:
        return []
    meaning = (
        "Share of what has texture that is alike in exhibit and photograph when one is laid over the other as a whole, "
        "whatever the light."
    )
    return [Statistic(name="Agreeing content", value=percent(agreement), meaning=meaning)]


def _movement_rows(movement: Movement) -> list[Statistic]:
    rows = [
        Statistic(
            name="Moved area",
            value=f"{percent(movement.moved_fraction)}, by up to {percent(movement.shift)}",
            meaning="Share of the overlap that agrees with the photograph only once it is moved, and how far, in "
            f"shares of the longer side. With that undone, {percent(movement.agreement)} of what has texture agrees.",
        )
    ]
    if movement.following is not None:
        errors = f"{'+' if movement.following >= 0 else '−'}{decimal(abs(movement.following), 1)}"
        meaning = (
            "By how many standard errors what was read fits the tag moved along with the content better than the tag "
            f"at rest. From +{decimal(FOLLOWING_ERRORS, 0)} the tag was in the picture when it was bent, to "
            f"−{decimal(FOLLOWING_ERRORS, 0)} it seems to have come later, if half of the texture agrees."
        )
        rows.append(Statistic(name="Tag moved along", value=errors, meaning=meaning))
    return rows


def _survival_meaning(survival: Survival) -> str:
    if survival.visible_fraction is None:
        return "Share of the tagged frame in which the tag shows. How much of the rest could show one is not known."
    return (
        "Share that still shows the tag, of the part of the frame in which the registered photograph itself would show "
        f"one ({percent(survival.visible_fraction)} of it)."
    )


def _scatter(survival: Survival) -> str:
    return "" if survival.inside_error is None else f" ± {decimal(survival.inside_error)}"


def _survival_rows(survival: Survival) -> list[Statistic]:
    rows = [
        Statistic(
            name="Tag surviving",
            value=percent(survival.surviving_fraction),
            meaning=_survival_meaning(survival),
        )
    ]
    if survival.inside is not None and survival.outside is not None:
        rows.append(
            Statistic(
                name="Tag inside / outside",
                value=f"{decimal(survival.inside)}{_scatter(survival)} / {decimal(survival.outside)}",
                meaning="Correlation with the tag inside and outside what was replaced. Replaced pixels should carry "
                "none; a good part of it inside speaks for a copied tag. What stands behind ± is how far tags that are "
                "not there reach inside.",
            )
        )
    return rows
