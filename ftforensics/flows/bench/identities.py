"""Which tags a reading names, wherever in the picture it read them: the right one, and wrong identities.

A reading leads with one tag, with others that claim the same region beside it, and with tags that were read in other
regions, each of which may have rivals of its own. A scan reports them all, so each that is not in the picture is a
wrong identity.
"""

from __future__ import annotations

from ftforensics.domain.link import Finding, Verdict
from ftforensics.domain.tag import DecodedTag, MatchedTag
from ftforensics.engine.reading import Reading

VERIFIED = (Verdict.VERIFIED_MATCH, Verdict.VERIFIED_DERIVATIVE)


def named_tags(reading: Reading) -> list[MatchedTag | DecodedTag]:
    """Every tag that a reading names, the leading one first; none for an absence."""
    found = (tag for part in (reading, *reading.elsewhere) for tag in (part.outcome, *part.others))
    return [tag for tag in found if isinstance(tag, MatchedTag | DecodedTag)]


def names_another(reading: Reading, tag_id: str | None) -> bool:
    """Whether it names any tag but this one (None: any at all), matched or decoded, in any region."""
    return any(tag.tag_id != tag_id for tag in named_tags(reading))


def leads_with(reading: Reading, tag_id: str) -> bool:
    """Whether the leading tag is matched to this record.

    The right record in another region does not count while another tag leads: the verdict of a finding is about the
    leading tag, and would name the wrong photograph.
    """
    return isinstance(reading.outcome, MatchedTag) and reading.outcome.tag_id == tag_id


def gravest_verdict(finding: Finding) -> Verdict:
    """The finding's verdict, or that of a further tag where only that one is VERIFIED."""
    verdicts = [finding.verdict, *(further.verdict for further in finding.further_tags)]
    return next((verdict for verdict in verdicts if verdict in VERIFIED), finding.verdict)


def is_read(finding: Finding, tag_id: str) -> bool:
    """Whether a tag was matched to this record, in whatever region."""
    tags = [finding.tag, *(further.tag for further in finding.further_tags)]
    return any(isinstance(tag, MatchedTag) and tag.tag_id == tag_id for tag in tags)
