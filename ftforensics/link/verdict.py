"""From facts to a verdict with its reasons and its limits. A pure function: the same facts give the same words.

In: ``Facts``, everything that was measured or checked about one exhibit. Out: ``Judgement``.

Order of precedence, strictest first: unreadable; no accepted tag (a content lead, or nothing); tag in no registry;
signature invalid, key revoked, issuer untrusted; record younger than the exhibit; conflicting claims; transplant; then
what the picture itself shows: derivative, match, or unconfirmed. Nothing is attributed before every stricter question
is settled.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ftforensics.domain.evidence import IntakeFailure
from ftforensics.domain.link import Registration, SourceRef, Verdict
from ftforensics.domain.tag import LINK_E_LIMIT, DecodedTag, MatchedTag, TagAbsence, TagOutcome
from ftforensics.link import sentences as say
from ftforensics.link.facts import Facts, Judgement

__all__ = ["Facts", "Judgement", "judge"]

ENOUGH_FEATURES = 60
COARSE_LIKENESS_BITS = 12
# Of the region's correlation to that of the rest, each read by itself, and how many of its errors the region's must lie
# above that: a small region shows a third by accident. See docs/adr/0003 for what honest swaps and overlays showed.
TRANSPLANT_RATIO = 0.25
TRANSPLANT_ERRORS = 2.0
TRANSPLANT_MIN_OUTSIDE = 0.15
# Where less is read around it, the region's must be surely so much: that a tag cannot be read in what was left of a
# source is no excuse for one on what replaced the rest.
TRANSPLANT_MIN_INSIDE = 0.2
MAX_CHANGED_FRACTION = 0.60
# Where little of a source confirms it, the tag must show in that, and in the rest surely at most so much of it.
KEPT_MIN_OUTSIDE = 0.12
KEPT_RATIO = 0.5
PART_TRANSPLANT_RATIO = 0.6


def judge(facts: Facts) -> Judgement:
    """Weigh the facts.

    Returns:
        The judgement. ``VERIFIED_MATCH`` and ``VERIFIED_DERIVATIVE`` need a matched tag with ``e_case`` of at most
        1e-6, a verified signature and a registration, and nothing stricter against them. No verdict establishes that a
        picture is genuine.
    """
    return _placed(_weigh(facts), facts)


def _weigh(facts: Facts) -> Judgement:
    if facts.failure is not None:
        return _unreadable(facts.failure)
    if isinstance(facts.tag, DecodedTag) and facts.tag.false_accept_p <= LINK_E_LIMIT and facts.signature is None:
        return _unregistered(facts, facts.tag)
    if not isinstance(facts.tag, MatchedTag) or not facts.tag.e_case <= LINK_E_LIMIT:
        return _without_tag(facts)
    for rule in _RULES:
        judgement = rule(facts, facts.tag)
        if judgement is not None:
            return judgement
    return _unconfirmed(facts, facts.tag)


def _placed(judgement: Judgement, facts: Facts) -> Judgement:
    """The judgement with how the tag was read, where in the exhibit it holds, and what else is there."""
    reasons, limitations = judgement.reasons, judgement.limitations
    if isinstance(facts.tag, MatchedTag) and facts.tag.geometry.mode == "compared":
        limitations = (*limitations, say.BESIDE_PREVIEW)
    if facts.frames > 1:
        limitations = (*limitations, say.describe_frames(facts.frames))
    if facts.region is not None:
        reasons = (*reasons, say.describe_region(facts.region))
        limitations = (*limitations, say.describe_rest(facts.region))
    if facts.further_tags:
        reasons = (*reasons, say.describe_further(facts.further_tags))
    return Judgement(verdict=judgement.verdict, reasons=reasons, limitations=limitations)


def _unreadable(failure: IntakeFailure) -> Judgement:
    return Judgement(
        verdict=Verdict.UNREADABLE,
        reasons=(f"The file could not be read as a picture (stage {failure.stage}): {_sentence(failure.message)}",),
        limitations=("Nothing was examined, so nothing is said about what the file shows or where it comes from.",),
    )


def _unregistered(facts: Facts, tag: DecodedTag) -> Judgement:
    reasons: tuple[str, ...] = (
        f"A complete tag was decoded from the picture ({tag.tag_id}), with a probability of at most "
        f"{tag.false_accept_p:.1e} of decoding one by chance.",
        "No record with this tag is in any registry at hand.",
    )
    limitations: tuple[str, ...] = (
        "Without the signed record nothing is known about the source or about who tagged it; another registry may "
        "hold it.",
        say.TAG_IS_COPYABLE,
    )
    if facts.lead is not None:
        reasons = (*reasons, say.ANOTHER_BY_CONTENT, *_lead_reasons(facts, facts.lead))
        limitations = (*limitations, say.LEAD_ONLY, say.KINSHIP)
    return Judgement(verdict=Verdict.TAG_UNREGISTERED, reasons=reasons, limitations=limitations)


def _without_tag(facts: Facts) -> Judgement:
    reasons = (_why_no_tag(facts.tag),)
    if facts.lead is not None:
        return Judgement(
            verdict=Verdict.CONTENT_LEAD,
            reasons=(*reasons, *_lead_reasons(facts, facts.lead)),
            limitations=(say.LEAD_ONLY, say.KINSHIP, say.NOT_AUTHENTIC),
        )
    return Judgement(verdict=Verdict.NO_TAG_READ, reasons=reasons, limitations=(say.NOT_AUTHENTIC,))


def _lead_reasons(facts: Facts, lead: Registration) -> tuple[str, ...]:
    """What content alone says: how the pictures line up, what differs, and whose the record is."""
    named = () if facts.lead_source is None else (say.describe_claim(facts.lead_source),)
    change = (say.describe_change(lead),) if lead.changed_regions else ()
    others = tuple(say.describe_claim(rival) for rival in facts.rivals)
    return (say.describe_registration(lead), *change, *named, *others)


def _why_no_tag(tag: TagOutcome | None) -> str:
    if isinstance(tag, MatchedTag):
        return (
            f"The best match among {tag.records} records is not accepted: by chance up to {tag.e_case:.1e} such "
            f"matches are expected in the whole case, and at most {LINK_E_LIMIT:.0e} is allowed."
        )
    if isinstance(tag, DecodedTag):
        return (
            f"A tag was decoded, but the probability of decoding one by chance is up to {tag.false_accept_p:.1e}, and "
            "it was not confirmed by a match against the registry; it is not accepted."
        )
    reason = tag.reason if isinstance(tag, TagAbsence) else "not_read"
    return {
        "not_present": "No sign of a tag was found in the picture with the search that was made.",
        "present_unreadable": "There are signs of a tag, but its message could not be read.",
        "no_carrier_key": "No carrier key was at hand, so no tag could have been read.",
        "not_read": "The picture was not examined for a tag.",
    }[reason]


def _signature_invalid(facts: Facts, tag: MatchedTag) -> Judgement | None:
    status = "missing" if facts.signature is None else facts.signature.status
    if status in {"verified", "issuer_untrusted", "key_revoked"}:
        return None
    detail = "no checked signature was found with it" if facts.signature is None else "its signature does not verify"
    reasons = [say.describe_match(tag), f"The record was rejected because {detail}."]
    if facts.signature is not None and facts.signature.message:
        reasons.append(f"The check says: {_sentence(facts.signature.message)}")
    return Judgement(
        verdict=Verdict.SIGNATURE_INVALID,
        reasons=tuple(reasons),
        limitations=(
            "A record whose signature does not verify is evidence of nothing but a damaged or forged registry; the "
            "picture is not attributed.",
            say.TAG_IS_COPYABLE,
        ),
    )


def _key_revoked(facts: Facts, tag: MatchedTag) -> Judgement | None:
    if facts.signature is None or facts.signature.status != "key_revoked":
        return None
    return Judgement(
        verdict=Verdict.KEY_REVOKED,
        reasons=(
            say.describe_match(tag),
            f"The record is signed with a key of {facts.signature.issuer or 'its issuer'} that was revoked, and no "
            "trusted time shows that the signature is older than the revocation.",
        ),
        limitations=(
            "Whoever holds a compromised key can sign and backdate records; the picture is not attributed.",
            say.TAG_IS_COPYABLE,
        ),
    )


def _issuer_untrusted(facts: Facts, tag: MatchedTag) -> Judgement | None:
    if facts.signature is None or facts.signature.status != "issuer_untrusted":
        return None
    return Judgement(
        verdict=Verdict.ISSUER_UNTRUSTED,
        reasons=(
            say.describe_match(tag),
            f"The record's signature verifies under key {facts.signature.key_id or 'unknown'}, but nobody has pinned "
            "that key for this name and time.",
        ),
        limitations=(say.UNPINNED, say.TAG_IS_COPYABLE),
    )


def _postdates(facts: Facts, tag: MatchedTag) -> Judgement | None:
    """The record is younger than the exhibit, by the word of a log or by the signed word of its own issuer."""
    made_at = None if facts.source is None else facts.source.created
    acquired, made, logged = (_instant(text) for text in (facts.acquired_at, made_at, facts.logged_at))
    # As an entry of its log, so that the clause about the log reads on.
    entry = "" if facts.source is None else f" as entry {facts.source.log_index}{say.name_log(facts.source)}"
    after = f"after the exhibit was acquired at {facts.acquired_at}."
    late = []
    if acquired is not None and made is not None and made > acquired:
        late.append(f"The record itself says, under its issuer's signature, that it was made at {made_at}, {after}")
    if acquired is not None and logged is not None and logged > acquired:
        late.append(f"The record was logged at {facts.logged_at}{entry}, {after}")
    if not late:
        return None
    return Judgement(
        verdict=Verdict.RECORD_POSTDATES_EXHIBIT,
        reasons=(say.describe_match(tag), *late),
        limitations=(
            "A record made after the exhibit can have been made from the exhibit: somebody may have registered a fake "
            "as the source and copied its tag. The picture is not attributed.",
            say.KINSHIP,
            say.LOG_CLAIM,
            *_log_limitations(facts),
        ),
    )


def _conflict(facts: Facts, tag: MatchedTag) -> Judgement | None:
    disputing = _disputing(facts)
    if not disputing:
        return None
    own = () if facts.source is None else (facts.source,)
    claims = sorted((*own, *disputing), key=say.claim_order)
    return Judgement(
        verdict=Verdict.CONFLICT,
        reasons=(
            f"This picture is claimed by {len(disputing) + 1} verified records of different issuers.",
            *(say.describe_claim(claim) for claim in claims),
            say.describe_match(tag),
        ),
        limitations=(
            "No winner is declared: the earlier log time is not proof of authorship, and the claims have to be "
            "settled by people.",
            say.KINSHIP,
            say.LOG_CLAIM,
        ),
    )


def _disputing(facts: Facts) -> tuple[SourceRef, ...]:
    """Rivals of other issuers. One issuer's several records of one scene (a burst of frames) are no dispute."""
    if facts.source is None:
        return facts.rivals
    return tuple(rival for rival in facts.rivals if rival.issuer != facts.source.issuer)


def _transplant(facts: Facts, tag: MatchedTag) -> Judgement | None:
    why = _tag_left_behind(facts)
    if why is None:
        why = _contradiction(facts) if facts.registration is None else _tag_over_replacement(facts)
    if why is None:
        return None
    left_behind = facts.movement is not None and facts.movement.is_left_behind
    moved = () if left_behind else _movement_reason(facts)
    return Judgement(
        verdict=Verdict.TAG_TRANSPLANT_SUSPECTED,
        reasons=(say.describe_match(tag), *_geometry_reason(facts), why, *moved),
        limitations=(
            *((say.LEFT_BEHIND_LIMITS,) if left_behind else ()),
            "The picture is not attributed to the record. The suspicion concerns the tag; it does not show who moved "
            "it or why.",
            "A picture that was made anew from top to bottom, for instance by a generative model, could look like a "
            "transplant.",
            say.TAG_IS_COPYABLE,
        ),
    )


def _contradiction(facts: Facts) -> str | None:
    """Plenty to go by on both sides, nothing in common, and no likeness even from afar."""
    if (
        facts.common_geometry
        or facts.misplaced
        or facts.movement is not None
        or min(facts.suspect_features, facts.source_features) < ENOUGH_FEATURES
    ):
        return None
    if facts.coarse_distance_bits is not None and facts.coarse_distance_bits <= COARSE_LIKENESS_BITS:
        return None
    return (
        f"The content contradicts the record: the picture has {facts.suspect_features} distinct features and the "
        f"source {facts.source_features}, yet they share no common geometry."
    )


def _tag_left_behind(facts: Facts) -> str | None:
    """The content was moved, and the tag lies as if it had not been: it was put on afterwards."""
    if facts.movement is None or not facts.movement.is_left_behind:
        return None
    return say.describe_movement(facts.movement)


def _tag_over_replacement(facts: Facts) -> str | None:
    """A good part of the tag where content was replaced, beyond accident: it was put on afterwards.

    Where the old content was only reworked there is no ``inside``: the tag may well have come through.
    """
    survival, registration = facts.survival, facts.registration
    if survival is None or survival.inside is None or survival.outside is None or registration is None:
        return None
    if not registration.changed_regions:
        return None
    least = _least_suspicious(survival.outside)
    if _rests_on_part(facts):  # where much was painted over, the old tag may shine through what counts as replaced
        least = max(least, PART_TRANSPLANT_RATIO * survival.outside)
    if survival.inside - TRANSPLANT_ERRORS * (survival.inside_error or 0.0) < least:
        return None
    return (
        f"The tag is in the region whose content was replaced (correlation {survival.inside:.2f}) as well as "
        f"outside it ({survival.outside:.2f}); a replacement would have taken the tag with it, so the tag was "
        "embedded afterwards."
    )


def _least_suspicious(outside: float) -> float:
    """How much of the tag a replaced region must surely show to be suspected, beside so much around it."""
    return TRANSPLANT_MIN_INSIDE if outside < TRANSPLANT_MIN_OUTSIDE else TRANSPLANT_RATIO * outside


def _derivative(facts: Facts, tag: MatchedTag) -> Judgement | None:
    registration = facts.registration
    if registration is None:
        return None
    # A tag that is missing somewhere does not show a change by itself: readers miss it in untouched pictures too.
    if registration.changed_fraction is None or not (registration.changed_regions or facts.movement is not None):
        return None
    rests_on_part = _rests_on_part(facts)
    if rests_on_part and not _tag_keeps_to_content(facts):
        return None
    return Judgement(
        verdict=Verdict.VERIFIED_DERIVATIVE,
        reasons=(
            *_verified_reasons(facts, tag),
            *_movement_reason(facts),
            *_change_reason(facts, registration),
            *((_kept_reason(facts),) if rests_on_part else ()),
            *_survival_reason(facts),
        ),
        limitations=(
            *_verified_limitations(facts),
            *_movement_limits(facts),
            *_judgement_limits(facts, registration),
            *((say.PART_LIMITS,) if rests_on_part else ()),
            say.CHANGE_LIMITS,
        ),
    )


def _rests_on_part(facts: Facts) -> bool:
    """Whether little of the source is left: it confirms nothing by itself."""
    registration = facts.registration
    changed = 0.0 if registration is None else registration.changed_fraction or 0.0
    return facts.in_part or changed > MAX_CHANGED_FRACTION


def _tag_keeps_to_content(facts: Facts) -> bool:
    """The tag shows where the content agrees, and surely less where it was replaced: it came with the content."""
    survival = facts.survival
    if survival is None or survival.inside is None or survival.outside is None or survival.inside_error is None:
        return False
    at_most = survival.inside + TRANSPLANT_ERRORS * survival.inside_error
    return survival.outside >= KEPT_MIN_OUTSIDE and at_most <= KEPT_RATIO * survival.outside


def _kept_reason(facts: Facts) -> str:
    survival = facts.survival
    assert survival is not None
    return (
        f"The tag is where the content agrees (correlation {survival.outside:.2f}) and not where it was replaced "
        f"({survival.inside:.2f}), as when both came into the picture with that part of the source."
    )


def _match(facts: Facts, tag: MatchedTag) -> Judgement | None:
    registration = facts.registration
    if facts.in_part or registration is None or registration.changed_fraction is None or registration.changed_regions:
        return None
    return Judgement(
        verdict=Verdict.VERIFIED_MATCH,
        reasons=(
            *_verified_reasons(facts, tag),
            "No changed region was found in the shared area.",
            *_survival_reason(facts),
        ),
        limitations=(*_verified_limitations(facts), say.NOT_CHANGED_LIMITS),
    )


def _unconfirmed(facts: Facts, tag: MatchedTag) -> Judgement:
    why: tuple[str, ...]
    if facts.misplaced:
        why = (say.MISPLACED,)
    elif facts.in_part and facts.registration is not None:
        why = (say.describe_part(facts.registration), say.PART_ALONE)
    elif facts.registration is not None and facts.registration.changed_fraction is not None:
        why = (
            say.describe_registration(facts.registration),
            say.describe_change(facts.registration),
            "So much of the shared area differs that what is left, for instance a common frame or caption, does not "
            "confirm that the picture comes from this source.",
        )
    elif facts.registration is not None:
        why = (
            say.describe_registration(facts.registration),
            "Whether a region was changed could not be measured, because the record keeps no preview of the source.",
        )
    elif facts.movement is not None and facts.movement.seems_late:
        why = (say.FITS_LOOSELY,)
    elif facts.common_geometry:
        why = (
            "Features of the picture and of the source share a geometry, but too little around them agrees to confirm "
            "it.",
        )
    elif facts.coarse_distance_bits is not None and facts.coarse_distance_bits <= COARSE_LIKENESS_BITS:
        why = (
            "The picture resembles the source as a whole but shares no exact geometry with it, as after heavy "
            "regeneration.",
        )
    else:
        why = (
            f"There are too few features to line the picture up with its source ({facts.suspect_features} in the "
            f"picture, {facts.source_features} in the source).",
        )
    unmeasured = facts.registration is not None and facts.registration.changed_fraction is None
    preview = (say.NO_PREVIEW,) if unmeasured else ()
    return Judgement(
        verdict=Verdict.TAG_UNCONFIRMED,
        reasons=(
            say.describe_match(tag),
            _verified_signature(facts),
            *why,
            *_movement_reason(facts),
            *_survival_reason(facts),
        ),
        limitations=(
            "This identifies the tag, not the picture: whether the content comes from the source was not confirmed.",
            say.TAG_IS_COPYABLE,
            say.KINSHIP,
            *preview,
            *_time_limitations(facts),
        ),
    )


def _verified_reasons(facts: Facts, tag: MatchedTag) -> tuple[str, ...]:
    return (say.describe_match(tag), _verified_signature(facts), *_geometry_reason(facts))


def _geometry_reason(facts: Facts) -> tuple[str, ...]:
    """How the picture lies on the source, or the part of it that was found."""
    describe = say.describe_part if facts.in_part else say.describe_registration
    return () if facts.registration is None else (describe(facts.registration),)


def _verified_signature(facts: Facts) -> str:
    issuer = facts.signature.issuer if facts.signature is not None else None
    return f"The record's signature verifies under a pinned key of {issuer or 'the issuer'}."


def _is_moved(facts: Facts) -> bool:
    """Whether content and tag were moved together, and everything else was measured with that undone."""
    return facts.movement is not None and facts.movement.undone


def _movement_reason(facts: Facts) -> tuple[str, ...]:
    return () if facts.movement is None else (say.describe_movement(facts.movement),)


def _movement_limits(facts: Facts) -> tuple[str, ...]:
    return () if facts.movement is None else (say.MOVED_LIMITS,)


def _change_reason(facts: Facts, registration: Registration) -> tuple[str, ...]:
    if not registration.changed_regions:
        return (say.MOVED_ALONE if _is_moved(facts) else say.NOTHING_ELSE,)
    return (say.describe_change(registration, moved=_is_moved(facts)),)


def _judgement_limits(facts: Facts, registration: Registration) -> tuple[str, ...]:
    """Where content differs and no level of the tag in it could be told, a late tag could not have been noticed."""
    survival = facts.survival
    if not registration.changed_regions:
        return ()
    if survival is None or survival.inside is None or survival.outside is None:
        return (say.LATE_TAG_UNJUDGED,)
    # Even one as strong there as around would not have been told.
    as_strong = survival.outside - TRANSPLANT_ERRORS * (survival.inside_error or 0.0)
    return (say.LATE_TAG_UNJUDGED,) if as_strong < _least_suspicious(survival.outside) else ()


def _survival_reason(facts: Facts) -> tuple[str, ...]:
    return () if facts.survival is None else (say.describe_survival(facts.survival),)


def _verified_limitations(facts: Facts) -> tuple[str, ...]:
    same_issuer = tuple(
        f"Record {rival.tag_id} of the same issuer registers to this picture too; it may be another frame of the scene."
        for rival in facts.rivals
    )
    return (say.KINSHIP, say.SAME_SCENE, *_time_limitations(facts), *same_issuer)


def _time_limitations(facts: Facts) -> tuple[str, ...]:
    if _instant(facts.acquired_at) is None:
        return (say.NO_ACQUISITION_TIME, *_log_limitations(facts))
    if _instant(facts.logged_at) is None:
        if facts.source is None or _instant(facts.source.created) is None:
            return (say.NO_RECORD_TIME, *_log_limitations(facts))
        return (say.describe_signed_time_alone(facts.source.created), *_log_limitations(facts))
    return () if facts.time_trusted else (say.LOG_CLAIM, *_log_limitations(facts))


def _log_limitations(facts: Facts) -> tuple[str, ...]:
    """What is to be said against the log time, beyond that it is its operator's statement."""
    if facts.source is None:
        return ()
    return say.describe_log_standing(facts.source)


def _instant(text: str | None) -> datetime | None:
    """A moment with a known offset; times without one are read as UTC; anything else as unknown."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _sentence(text: str) -> str:
    stripped = " ".join(text.split())
    return stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."


_RULES: tuple[Callable[[Facts, MatchedTag], Judgement | None], ...] = (
    _signature_invalid,
    _key_revoked,
    _issuer_untrusted,
    _postdates,
    _conflict,
    _transplant,
    _derivative,
    _match,
)
