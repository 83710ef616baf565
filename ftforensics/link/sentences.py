"""The full sentences a finding is explained with, for a reader in court who does not know the program.

In: facts. Out: text without clocks, paths or markup. Kept apart from ``verdict`` so that the rules can be read as
rules.
"""

from __future__ import annotations

from ftforensics.domain.link import TAG_FRAME, Box, Movement, Registration, SourceRef, Survival
from ftforensics.domain.tag import MatchedTag

KINSHIP = (
    "A link proves kinship, not direction: the picture and the registered photograph share an origin, but the link "
    "alone does not show which of them came first. Direction comes from trusted times and from people."
)
SAME_SCENE = (
    "A tag moved to another photograph of the same scene, for instance another frame from the same tripod, or bent to "
    "fit one from elsewhere, registers too and cannot be told apart by this method."
)
NOT_AUTHENTIC = (
    "That no tag was read does not show that the picture is genuine, unaltered or was never tagged: tags can be "
    "removed, damaged or made with a key that was not at hand."
)
TAG_IS_COPYABLE = "A tag can be read from one picture and embedded in another, so a tag by itself attributes nothing."
BESIDE_PREVIEW = (
    "The tag could not be read from the picture alone. It was read beside the preview that the record keeps of the "
    "source; whoever repeats the reading needs that preview too."
)
LEAD_ONLY = (
    "A content lead is a starting point for enquiries, not an identification: no tag confirms it, and pictures of the "
    "same scene or copies of a common original register as well."
)
ANOTHER_BY_CONTENT = (
    "By content alone, another photograph lines up with the picture; its record holds another tag than the one decoded."
)
LOG_CLAIM = (
    "The log time is the statement of the registry's operator unless an independent time stamp or witness supports it."
)
NO_ACQUISITION_TIME = (
    "No usable acquisition time of the exhibit was given, so it was not checked whether the record is older than the "
    "exhibit."
)
NO_RECORD_TIME = (
    "No usable time of the record is at hand, so it was not checked whether the record is older than the exhibit."
)
NO_PREVIEW = (
    "The record keeps no preview of the source, so the pictures were not compared pixel by pixel and the report "
    "cannot show the source."
)
MOVED_LIMITS = (
    "Displacements of less than half a percent of the longer side are not measured, and content that was moved so far "
    "that it was not found again counts as changed. Why content was moved is not told: expression transfer, a lens "
    "correction and a retouching hand look alike."
)
LEFT_BEHIND_LIMITS = (
    "Whether a tag was moved along is a statistical judgement that rests on the displacements found; where content was "
    "made anew rather than moved, it can err."
)
NOTHING_ELSE = "Besides, no changed region was found in the shared area."
LATE_TAG_UNJUDGED = (
    "It could not be judged whether the tag lies in what was replaced as well, as one does that was embedded "
    "afterwards: too little of the changed area is surely new content, or too little of the tag is read around it."
)
FITS_LOOSELY = (
    "The picture fits its source loosely at most, or only once content is moved, and the tag rather lies as if nothing "
    "had been moved; so it is not confirmed that the tag came with this content."
)
MOVED_ALONE = "Once that is undone, no other change was found in the shared area."
PART_LIMITS = (
    "The link rests on that part. A tag can be copied: one that somebody laid over this part alone, after it had been "
    "put into the picture, looks the same."
)
PART_ALONE = (
    "That is too little to confirm that the picture comes from this source: it is not sure that the tag keeps to that "
    "part and is missing in the rest."
)
MISPLACED = (
    "The picture registers to the source, but the tag lies elsewhere in it than the content that it belongs to; it did "
    "not come into the picture with that."
)
CHANGE_LIMITS = (
    "The comparison sees changes of structure; a change of colour or light alone, or one smaller than about half a "
    "percent of the picture, can go unnoticed."
)
NOT_CHANGED_LIMITS = (
    "That no changed region was found means none was found by this comparison; it does not exclude small or purely "
    "tonal edits, or displacements of about half a percent of the picture; and a picture that a network made anew, "
    "true to its source, is not told from a compressed one."
)
UNPINNED = (
    "A key that merely comes with a registry proves nothing about who holds it; the examiner has to pin it out of band."
)


def describe_match(tag: MatchedTag) -> str:
    """The statistic, in words."""
    return (
        f"The tag {tag.tag_id} was matched among {tag.records} records; the number of such matches expected by chance "
        f"in the whole case is at most {tag.e_case:.1e}."
    )


def describe_registration(registration: Registration) -> str:
    """The geometry, in words."""
    share = "" if registration.agreement is None else f" in {percent(registration.agreement)} of what has texture"
    shows = f"shows {percent(registration.overlap_fraction)} of the source's frame"
    if registration.against == TAG_FRAME:
        return (
            f"Not by matching points, but laid where the tag was read and aligned from there, the source's preview "
            f"agrees with the picture{share}; the picture {shows}."
        )
    source = "preview" if registration.against == "preview" else "stored features"
    points = f"{registration.inliers} separate points"
    points += "" if registration.agreement is None else f", agrees{share}"
    return f"The picture registers to the source's {source} on {points}, and {shows}."


def describe_part(registration: Registration) -> str:
    """The geometry of a part, in words."""
    agrees = percent(registration.agreement or 0.0)
    return (
        f"A part of the source's preview lies in the picture exactly, on {registration.inliers} separate points; of "
        f"all that has texture {agrees} agrees with the source."
    )


def describe_change(registration: Registration, *, moved: bool = False) -> str:
    """How much was changed, in words; ``moved`` where that was measured with displacements undone."""
    count = len(registration.changed_regions)
    undone = "Once that is undone, the" if moved else "The"
    return (
        f"{undone} content differs from the source in {count} {'region' if count == 1 else 'regions'}, together "
        f"{percent(registration.changed_fraction or 0.0)} of the shared area; nothing was found to differ in the rest."
    )


def describe_movement(movement: Movement) -> str:
    """How far content was moved, and whether the tag went along, in words."""
    where = (
        f"In {percent(movement.moved_fraction)} of the shared area the content agrees with the source only once it is "
        f"moved, by up to {100.0 * movement.shift:.1f} % of the longer side of what is compared"
    )
    if movement.following is None:
        return f"{where}; that is too little to tell whether the tag was moved along."
    errors = f"({abs(movement.following):.1f} standard errors)"
    if movement.is_followed:
        return f"{where}; the tag was moved along {errors}, so the picture was bent after it had been tagged."
    if movement.is_left_behind:
        return f"{where}; the tag lies as if nothing had been moved {errors}, as one does that was embedded afterwards."
    lean = "it rather was" if movement.following >= 0.0 else "it rather was not"
    return f"{where}; whether the tag was moved along cannot be told: {lean} {errors}."


def describe_survival(survival: Survival) -> str:
    """Where the tag is left, in words."""
    present = percent(survival.surviving_fraction)
    if survival.visible_fraction is None:
        text = f"The tag shows in {present} of the frame; how much of the rest could show one is not known"
    elif not survival.visible_fraction:
        text = "Nowhere could it be measured whether the tag is missing"
    else:
        seen = percent(survival.visible_fraction)
        text = f"Where a tag can be seen at all, {seen} of the frame, it is present in {present}"
    if survival.inside is not None and survival.outside is not None:
        error = "" if survival.inside_error is None else f" (within {survival.inside_error:.2f} by chance alone)"
        levels = f"{survival.inside:.2f} where content was replaced{error} and {survival.outside:.2f} outside"
        text += f"; its local correlation is {levels}"
    return text + "."


def describe_claim(source: SourceRef) -> str:
    """One record's claim with its log time, and whose word that is."""
    claim = f"Record {source.tag_id} of {source.issuer} claims the picture"
    if source.log_standing == "impossible":
        return f"{claim}; it says itself that it was made at {source.created}, and no log gives it a possible time."
    unpinned = ", a key that nobody pinned" if source.log_standing == "unpinned" else ""
    return f"{claim}; it was logged at {source.logged_at} as entry {source.log_index}{name_log(source)}{unpinned}."


def claim_order(source: SourceRef) -> tuple[str, str]:
    """Claims by their log times, an impossible one by the record's own time; no order among them is a judgement."""
    return (source.created if source.log_standing == "impossible" else source.logged_at), source.tag_id


def name_log(source: SourceRef | None) -> str:
    """Of which log a time is, as the end of a clause; nothing where that is not known."""
    if source is None or not source.log_key_id:
        return ""
    return f' of the log "{source.log_name}", which signs with {source.log_key_id}'


def describe_signed_time_alone(made_at: str) -> str:
    """What was compared with the acquisition where no log time is of use."""
    return (
        f"Of the record's times only {made_at}, when it says under its issuer's signature that it was made, was "
        "compared with the acquisition of the exhibit. That is the issuer's own word. No usable log time of the record "
        "is at hand, so it was not checked whether the record is older than the exhibit by the word of a log as well."
    )


def describe_log_standing(source: SourceRef) -> tuple[str, ...]:
    """What is to be said against a log's word about the time, if anything."""
    if source.log_standing == "impossible":
        return (
            f"The log time {source.logged_at}{name_log(source)}, lies before {source.created}, when the record says "
            "under its issuer's signature that it was made. That cannot be, so the log time was not used.",
        )
    if source.log_standing == "unpinned":
        return (
            f"The log time {source.logged_at}{name_log(source)}, is a mere claim: nobody pinned that key, and anybody "
            "can write a published record into a log of his own with any time. Ask the issuer for a bundle of the log "
            "in which the record was first registered.",
        )
    if source.log_standing == "pinned":
        return (
            f"The log time {source.logged_at}{name_log(source)}, is not the word of the record's issuer: that key is "
            "pinned for somebody else.",
        )
    return ()


def describe_region(region: Box) -> str:
    """Where in the exhibit the tag lies, in words."""
    return (
        f"The tag lies in one part of the picture: from {percent(region.left)} to {percent(region.right)} of its width "
        f"and from {percent(region.top)} to {percent(region.bottom)} of its height. All that is said here is about "
        "that part."
    )


def describe_frames(frames: int) -> str:
    """What is not said about a file of several pictures."""
    return (
        f"The file holds {frames} pictures (frames or pages), and only the first was examined. Nothing is said about "
        "the others, nor were tags looked for in them."
    )


def describe_rest(region: Box) -> str:
    """What is not said about the rest of the exhibit."""
    share = percent(max(0.0, 1.0 - (region.right - region.left) * (region.bottom - region.top)))
    return (
        f"Around that part lies other material, {share} of the picture: a frame, text or other pictures. This verdict "
        "says nothing about it."
    )


def describe_further(count: int) -> str:
    """That other parts of the exhibit show tags too."""
    one = count == 1
    told = "Another tag was read in another part" if one else f"Further tags, {count} of them, were read in other parts"
    judged = "is judged by itself" if one else "are each judged by themselves"
    return f"{told} of the picture and {judged}, so the picture is put together from several."


def percent(fraction: float) -> str:
    """A share as a percentage that does not round something to nothing."""
    value = 100.0 * fraction
    if 0 < value < 1:
        return f"{value:.2g} %"
    return f"{value:.0f} %"
