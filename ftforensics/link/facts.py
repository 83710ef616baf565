"""What a verdict is made from, and what it is made of: frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from ftforensics.domain.evidence import IntakeFailure
from ftforensics.domain.link import Box, Movement, Registration, SignatureCheck, SourceRef, Survival, Verdict
from ftforensics.domain.tag import TagOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about one exhibit.

    Attributes:
        failure: Why the picture could not be read, or None. Failures of later stages do not belong here.
        tag: What was read from the pixels, or None where nothing was tried.
        signature: The check of the matched record; None where no record was found.
        source: The matched record as shown to people.
        acquired_at: When the investigator had the exhibit in hand (ISO 8601 with offset), or None.
        logged_at: When the record was logged, as the log in ``source`` says, or None where no log time is of use.
        time_trusted: Whether an independent time stamp or witness supports ``logged_at``.
        registration: The suspect on the matched record's source, or None.
        in_part: Whether that rests on a part of the source alone, which confirms it only if the tag keeps to that part.
        misplaced: Whether the content registers, but the tag lies elsewhere in the picture than it puts it.
        suspect_features: Distinct features of the suspect (``register.Attempt``).
        source_features: Distinct features of the source.
        common_geometry: Whether a failed registration found a common geometry that it could not confirm (reason
            ``not_confirmed`` of ``register.Attempt``): too little to link, too much to call the content a
            contradiction.
        coarse_distance_bits: Smaller Hamming distance of the suspect's or its mirror image's perceptual hash to the
            record's, or None where it was not measured. A near hash beside a failed registration points to
            regeneration, not to another picture.
        survival: Summary of the survival map, or None.
        movement: How content was moved within the picture, or None where none was. Everything else was measured with
            that undone if ``Movement.undone`` says so.
        rivals: Other records, verified under pinned keys, to which the picture's content or a second tag leads.
        lead: Registration to ``lead_source`` found by content alone, or None.
        lead_source: The record of that lead.
        region: The part of the exhibit that all this is about, in its unit coordinates, or None for all of it.
        frames: How many frames or pages the exhibit has; only the first was examined.
        further_tags: How many other parts of the exhibit show tags of their own.
    """

    failure: IntakeFailure | None = None
    tag: TagOutcome | None = None
    signature: SignatureCheck | None = None
    source: SourceRef | None = None
    acquired_at: str | None = None
    logged_at: str | None = None
    time_trusted: bool = False
    registration: Registration | None = None
    in_part: bool = False
    misplaced: bool = False
    suspect_features: int = 0
    source_features: int = 0
    common_geometry: bool = False
    coarse_distance_bits: int | None = None
    survival: Survival | None = None
    movement: Movement | None = None
    rivals: tuple[SourceRef, ...] = ()
    lead: Registration | None = None
    lead_source: SourceRef | None = None
    region: Box | None = None
    frames: int = 1
    further_tags: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict with full sentences for and against it. Every verdict has at least one of each."""

    verdict: Verdict
    reasons: tuple[str, ...]
    limitations: tuple[str, ...]
