"""What each verdict is called, what it means, and the one sentence that opens a finding.

Enters: a Finding. Leaves: plain sentences that claim no more than the verdict does. A link proves kinship, not
direction, so no sentence here says that one picture was made from another.
"""

from __future__ import annotations

from dataclasses import dataclass

from ftforensics.domain.link import Finding, SourceRef, Verdict
from ftforensics.domain.tag import TagAbsence
from ftforensics.report.quantities import percent, plural, utc


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictText:
    """How a verdict is shown: ``mark`` names its shape and colour, both defined in the templates."""

    label: str
    mark: str
    meaning: str
    not_meaning: str


VERDICT_TEXTS: dict[Verdict, VerdictText] = {
    Verdict.VERIFIED_DERIVATIVE: VerdictText(
        label="Verified derivative",
        mark="derivative",
        meaning="A tag was read, its record verifies under a pinned issuer, the content lines up with the registered "
        "photograph, and at least one region of it differs, or was moved and its tag with it.",
        not_meaning="Which of the two pictures came first, or who made the change.",
    ),
    Verdict.VERIFIED_MATCH: VerdictText(
        label="Verified match",
        mark="match",
        meaning="A tag was read, its record verifies under a pinned issuer, the content lines up with the registered "
        "photograph, and no changed region was found.",
        not_meaning="That the scene in the photograph is true, or that no change too small to measure was made.",
    ),
    Verdict.TAG_TRANSPLANT_SUSPECTED: VerdictText(
        label="Tag transplant suspected",
        mark="transplant",
        meaning="A tag was read, but the content contradicts its record, or the tag holds inside the replaced "
        "region nearly as it does outside, or lies as if content that was moved had not been. The exhibit is "
        "attributed to nobody.",
        not_meaning="That the issuer of the record has anything to do with this picture.",
    ),
    Verdict.RECORD_POSTDATES_EXHIBIT: VerdictText(
        label="Record postdates exhibit",
        mark="postdates",
        meaning="The record was logged after the exhibit was in hand, so it may have been made to fit it. The exhibit "
        "is attributed to nobody.",
        not_meaning="That the issuer acted in bad faith: photographs are also registered late for honest reasons.",
    ),
    Verdict.CONFLICT: VerdictText(
        label="Conflicting records",
        mark="conflict",
        meaning="Two or more records claim this picture. All are shown with the time at which the log took them in.",
        not_meaning="That the earlier record is the true one: no winner is declared.",
    ),
    Verdict.TAG_UNCONFIRMED: VerdictText(
        label="Tag unconfirmed",
        mark="unconfirmed",
        meaning="Tag and record verify, but too little of the picture could be lined up with the registered photograph "
        "(a tight crop, a plain wall, a full regeneration). The tag is identified; the picture is not.",
        not_meaning="That the picture shows what the registered photograph shows.",
    ),
    Verdict.ISSUER_UNTRUSTED: VerdictText(
        label="Issuer untrusted",
        mark="untrusted",
        meaning="The record's signature holds under the key that came with it, but nobody has pinned that key.",
        not_meaning="That the record was issued by whoever it names.",
    ),
    Verdict.KEY_REVOKED: VerdictText(
        label="Key revoked",
        mark="revoked",
        meaning="The record was signed with a key that has been revoked, and no trusted time saves the signature.",
        not_meaning="That the record is false: it only cannot be relied upon.",
    ),
    Verdict.SIGNATURE_INVALID: VerdictText(
        label="Signature invalid",
        mark="invalid",
        meaning="The signature of the record that the tag points to does not verify. The record proves nothing.",
        not_meaning="Who altered the record, or why.",
    ),
    Verdict.TAG_UNREGISTERED: VerdictText(
        label="Tag unregistered",
        mark="unregistered",
        meaning="A tag was read in full, within the stated bound on false reads, and is in no registry at hand.",
        not_meaning="That no such record exists anywhere.",
    ),
    Verdict.CONTENT_LEAD: VerdictText(
        label="Content lead",
        mark="lead",
        meaning="No tag was read, but the content lines up with a registered photograph. A lead to follow.",
        not_meaning="An identification: another frame of the same scene lines up as well.",
    ),
    Verdict.NO_TAG_READ: VerdictText(
        label="No tag read",
        mark="none",
        meaning="No tag could be read and no registered photograph lined up.",
        not_meaning="That the picture is real, authentic or was never tagged: tags can be destroyed.",
    ),
    Verdict.UNREADABLE: VerdictText(
        label="Unreadable",
        mark="unreadable",
        meaning="The file could not be opened as a picture. It was not examined.",
        not_meaning="Anything about what the file shows or where it comes from.",
    ),
}

ATTRIBUTED = frozenset({Verdict.VERIFIED_MATCH, Verdict.VERIFIED_DERIVATIVE})
NOT_ATTRIBUTED = frozenset(
    {
        Verdict.TAG_TRANSPLANT_SUSPECTED,
        Verdict.RECORD_POSTDATES_EXHIBIT,
        Verdict.ISSUER_UNTRUSTED,
        Verdict.KEY_REVOKED,
        Verdict.SIGNATURE_INVALID,
        Verdict.CONFLICT,
    }
)

SIGNATURE_TEXTS = {
    "verified": "Verified: signature, canonical form, tag id and pinned issuer all hold",
    "issuer_untrusted": "Holds under the key that came with the record, which nobody has pinned",
    "key_revoked": "Made with a revoked key, and no trusted time saves it",
    "signature_invalid": "Does not verify",
}

LOG_STANDINGS = {
    "issuer": "signed with a key that is pinned for the record's issuer",
    "pinned": "signed with a key that is pinned for somebody else",
    "unpinned": "signed with a key that nobody pinned: its time is a mere claim",
    "impossible": "its time lies before the record's own and was not used",
}

NOT_USED = "not used: before the record was made"

SEARCH_TEXTS = {
    "direct": "direct: the picture was read as it is",
    "content": "content: lined up with a candidate photograph first, then read there",
    "blind": "blind: small warps, scales, rotations and mirroring were tried within a time limit",
    "compared": "compared: read beside the registered preview of the photograph, which was taken out of the picture",
    "deep": "deep: small warps, scales, rotations and mirroring were tried without a short time limit",
}

STAGE_TEXTS = {
    "walk": "finding the file",
    "open": "opening the file",
    "hash": "hashing the file",
    "sniff": "recognising its type",
    "exif": "reading its EXIF metadata",
    "decode": "decoding the picture",
    "read": "reading the tag",
    "link": "lining it up with a photograph",
    "worker": "the isolated worker process",
}


def verdict_text(verdict: Verdict) -> VerdictText:
    """Look up how a verdict is shown."""
    return VERDICT_TEXTS[verdict]


def issuer_of(finding: Finding) -> str:
    """Name the issuer as the record has it, or say that there is none."""
    if finding.source is not None and finding.source.issuer:
        return finding.source.issuer
    if finding.signature is not None and finding.signature.issuer:
        return finding.signature.issuer
    return "an unnamed issuer"


def finding_sentence(finding: Finding) -> str:
    """Say in one or two plain sentences what was found, and claim nothing beyond the verdict."""
    issuer = issuer_of(finding)
    match finding.verdict:
        case Verdict.VERIFIED_DERIVATIVE:
            return (
                f"This exhibit carries the tag of a photograph registered by {issuer}. Its content lines up with that "
                f"photograph, and {_changed(finding)}."
            )
        case Verdict.VERIFIED_MATCH:
            return (
                f"This exhibit carries the tag of a photograph registered by {issuer}. Its content lines up with that "
                "photograph, and no changed region was found."
            )
        case Verdict.TAG_UNCONFIRMED:
            return (
                f"A tag registered by {issuer} was read from this exhibit, but too little of the picture could be "
                "lined up with the registered photograph. The tag is identified; the picture is not."
            )
        case Verdict.TAG_TRANSPLANT_SUSPECTED:
            return (
                f"The tag of a photograph registered by {issuer} was read from this exhibit, but the content does not "
                "bear it out: the tag may have been copied into another picture. The exhibit is attributed to nobody."
            )
        case Verdict.CONTENT_LEAD:
            return (
                f"No tag was read, but the content of this exhibit lines up with a photograph registered by {issuer}. "
                "This is a lead to follow, not an identification."
            )
        case _:
            return _unattributed_sentence(finding, issuer)


def _time_of_record(finding: Finding) -> str:
    """When the record was logged, or made where its log time cannot be."""
    if finding.source is None:
        return "logged"
    if finding.source.log_standing == "impossible":
        return f"made on {utc(finding.source.created)}"
    return f"logged on {utc(finding.source.logged_at)}"


def log_time_note(source: SourceRef | None) -> str:
    """What has to stand beside a log time that cannot be; nothing beside any other."""
    return NOT_USED if source is not None and source.log_standing == "impossible" else ""


def log_text(source: SourceRef) -> str | None:
    """Which log a log time comes from, and what its word is worth; None in findings that do not say."""
    if not source.log_key_id:
        return None
    return f"{source.log_name} ({LOG_STANDINGS.get(source.log_standing, source.log_standing)})"


def _unattributed_sentence(finding: Finding, issuer: str) -> str:
    match finding.verdict:
        case Verdict.RECORD_POSTDATES_EXHIBIT:
            logged = _time_of_record(finding)
            held = finding.evidence.acquired_at
            in_hand = f" (stated as {utc(held)})" if held else ""
            return (
                f"The tag read from this exhibit belongs to a record that was {logged}, after the exhibit was in "
                f"hand{in_hand}. The exhibit is not attributed to that record."
            )
        case Verdict.ISSUER_UNTRUSTED:
            return (
                f"The record behind the tag in this exhibit names {issuer} as its issuer, but nobody has pinned the "
                "key it is signed with. Who issued it is not established."
            )
        case Verdict.KEY_REVOKED:
            return (
                f"The record behind the tag in this exhibit was signed with a key of {issuer} that has been revoked, "
                "and no trusted time saves the signature. Nothing is attributed."
            )
        case Verdict.SIGNATURE_INVALID:
            return (
                "A tag was read from this exhibit, but the signature of the record it points to does not verify. The "
                "record proves nothing."
            )
        case Verdict.CONFLICT:
            claims = len(finding.other_sources) + (finding.source is not None)
            return (
                f"{claims if claims > 1 else 'Several'} registered records claim this picture. Each is shown below "
                "with its time in the log; no winner is declared."
            )
        case Verdict.TAG_UNREGISTERED:
            return (
                "A readable tag was decoded from this exhibit, but it is in no registry at hand. Nothing can be said "
                "about its source."
            )
        case Verdict.UNREADABLE:
            return "This file could not be examined. Nothing can be said about what it shows or where it comes from."
        case _:
            return _absence_sentence(finding)


def _absence_sentence(finding: Finding) -> str:
    seen = ""
    if isinstance(finding.tag, TagAbsence):
        seen = {
            "present_unreadable": " Something like a tag seems to be present, but it could not be read.",
            "no_carrier_key": " No carrier key was at hand to read with.",
            "not_read": " The reading was not carried out.",
        }.get(finding.tag.reason, "")
    limit = "This does not say that it is authentic, nor that it was never tagged."
    return f"No tag was read from this exhibit.{seen} {limit}"


def _changed(finding: Finding) -> str:
    registration = finding.registration
    if registration is None or registration.changed_fraction is None:
        return "part of it differs"
    regions = len(registration.changed_regions)
    share = f"{percent(registration.changed_fraction)} of the area that the two share"
    movement, moved = finding.movement, ""
    if movement is not None and movement.undone:
        moved = f"{percent(movement.moved_fraction)} of the area that the two share was moved, and its tag with it"
    if regions == 0:
        return moved or f"{share} differs"
    differs = f"{plural(regions, 'region')} covering {share} {'differs' if regions == 1 else 'differ'}"
    return f"{moved}; besides, {differs}" if moved else differs
