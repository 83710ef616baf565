"""Tags in other parts of an exhibit than the one that its verdict is about, as the report shows them.

Enters: a finding's further tags and its pictures by role. Leaves: a block for each, ready for the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ftforensics.domain.link import Box, Finding, FurtherTag
from ftforensics.domain.tag import MatchedTag
from ftforensics.report.facts import Fact, fact, present, sentences
from ftforensics.report.pictures import Picture
from ftforensics.report.quantities import count, decimal, percent, scientific, utc
from ftforensics.report.wording import SIGNATURE_TEXTS, VerdictText, log_text, log_time_note, verdict_text


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherBlock:
    """One further tag. ``number`` counts the exhibit's tags; the first is its verdict's."""

    number: int
    verdict: str
    text: VerdictText
    facts: tuple[Fact, ...]
    reasons: tuple[str, ...]
    limitations: tuple[str, ...]
    pictures: tuple[tuple[str, Picture], ...]


def build_further(finding: Finding, pictures: Mapping[str, Picture]) -> tuple[FurtherBlock, ...]:
    """Lay out the further tags of a finding, whose pictures are named by role and number."""
    return tuple(_block(number, one, pictures) for number, one in enumerate(finding.further_tags, start=2))


def region_text(box: Box) -> str:
    """A rectangle in words."""
    width, height = box.right - box.left, box.bottom - box.top
    return (
        f"{percent(width)} of the width by {percent(height)} of the height, its upper left corner {percent(box.left)} "
        f"from the left and {percent(box.top)} from the top"
    )


def _block(number: int, further: FurtherTag, pictures: Mapping[str, Picture]) -> FurtherBlock:
    shown = (
        ("Registered photograph", f"source-{number}"),
        ("What differs in this part", f"difference-{number}"),
        ("What was moved in this part", f"movement-{number}"),
        ("Where the tag survives in this part", f"survival-{number}"),
    )
    return FurtherBlock(
        number=number,
        verdict=str(further.verdict),
        text=verdict_text(further.verdict),
        facts=_facts(further),
        reasons=sentences(further.reasons),
        limitations=sentences(further.limitations),
        pictures=tuple((label, pictures[role]) for label, role in shown if role in pictures),
    )


def _facts(further: FurtherTag) -> tuple[Fact, ...]:
    tag, signature, source, registration = further.tag, further.signature, further.source, further.registration
    survival, movement = further.survival, further.movement
    changed = None if registration is None else registration.changed_fraction
    return present(
        fact("Place in the exhibit", region_text(further.region)),
        fact("Tag id", tag.tag_id, "hash"),
        fact("Carrier key", tag.carrier_key_id, "hash"),
        fact("False matches expected in the case", scientific(tag.e_case) if isinstance(tag, MatchedTag) else None),
        fact("Presence", decimal(further.presence)),
        fact("Signature", None if signature is None else SIGNATURE_TEXTS.get(signature.status, signature.status)),
        fact("Issuer", None if source is None else source.issuer, "raw"),
        fact("Key fingerprint", None if source is None else source.key_id, "hash"),
        fact("Log entry", None if source is None else count(source.log_index)),
        fact("Log time", None if source is None else utc(source.logged_at), note=log_time_note(source)),
        fact("Log", None if source is None else log_text(source), "raw"),
        fact("Log key fingerprint", None if source is None else source.log_key_id or None, "hash"),
        fact("Record SHA-256", None if source is None else source.record_sha256, "hash"),
        fact("Changed share of what is compared", None if changed is None else percent(changed)),
        fact("Moved share of what is compared", None if movement is None else percent(movement.moved_fraction)),
        fact("Localiser SHA-256", None if survival is None else survival.localiser_sha256, "hash"),
        fact("Other records of this part", count(len(further.other_sources)) if further.other_sources else None),
    )
