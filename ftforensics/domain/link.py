"""Linking a suspect to its source, and the verdict with its reasons and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ftforensics.domain.evidence import EvidenceItem, IntakeFailure
from ftforensics.domain.tag import DecodedTag, MatchedTag, TagOutcome

# So much better, or worse, is beyond accident; see docs/adr/0021 for what was seen on held-out photographs.
FOLLOWING_ERRORS = 3.0
# So much is no proof, but no help to a link either.
LEANING_ERRORS = 1.0
# Of ``Registration.against``: the preview, laid where the tag was read, without any matching points.
TAG_FRAME = "tag frame"
# Once displacements are undone, unrelated pictures reached 0.41 and bent ones, a third replaced, kept 0.52.
MOVED_AGREEMENT = 0.5


class Verdict(StrEnum):
    """The program's answer about one exhibit; meanings in the user guide."""

    VERIFIED_MATCH = "VERIFIED_MATCH"
    VERIFIED_DERIVATIVE = "VERIFIED_DERIVATIVE"
    TAG_UNCONFIRMED = "TAG_UNCONFIRMED"
    TAG_TRANSPLANT_SUSPECTED = "TAG_TRANSPLANT_SUSPECTED"
    RECORD_POSTDATES_EXHIBIT = "RECORD_POSTDATES_EXHIBIT"
    ISSUER_UNTRUSTED = "ISSUER_UNTRUSTED"
    KEY_REVOKED = "KEY_REVOKED"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    CONFLICT = "CONFLICT"
    TAG_UNREGISTERED = "TAG_UNREGISTERED"
    CONTENT_LEAD = "CONTENT_LEAD"
    NO_TAG_READ = "NO_TAG_READ"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in unit coordinates of the picture it belongs to."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How the suspect's content lies on the source's.

    ``homography`` is row-major 3x3 from unit coordinates of the source to unit coordinates of the suspect.
    ``against`` says what stood in for the source: its preview, only its descriptors, or "tag frame" for its preview
    where the tag says it lies, without any matching points. ``changed_fraction`` is the share of the overlap whose
    content differs, None when there was no preview to compare with; ``overlap_fraction`` the share of the source seen
    in the suspect; ``agreement`` the share of what has texture that agrees, None without a preview and in older
    findings. ``changed_regions`` are boxes in the suspect, largest first.
    """

    inliers: int
    matches: int
    inlier_ratio: float
    homography: tuple[float, ...]
    against: str
    overlap_fraction: float
    changed_fraction: float | None
    changed_regions: tuple[Box, ...] = ()
    agreement: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """Local correlation of the residual map with the re-encoded tag.

    ``inside`` and ``outside`` are mean correlations in and out of what was replaced, each read by itself, None where
    nothing was replaced or too little to judge by (older findings have them of all that was changed); ``inside_error``
    is the root mean square of what ``inside`` would be for tags that are not there, larger the smaller the region, None
    where that was not measured. ``surviving_fraction`` is the share of the part of the frame
    in which a tag can be seen where this one is; ``visible_fraction`` says how much of the frame that part is, None
    where the source is not known well enough to tell (then ``surviving_fraction`` is of the whole frame, and a hole in
    it shows nothing). ``localiser_sha256`` is that of the graph which outlined where the tag is gone, None where no
    graph did.
    """

    surviving_fraction: float
    inside: float | None
    outside: float | None
    visible_fraction: float | None = None
    inside_error: float | None = None
    localiser_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How the source's content was moved within the suspect, beyond one plane map of the whole.

    ``moved_fraction`` is the share of what both show whose content agrees with the source only once small, smooth
    displacements are undone; ``shift`` how far it lies from where it was, in shares of the longer side (one place in
    twenty may be farther off); ``agreement`` the share of the textured overlap that agrees then. ``following`` says by
    how many standard errors what was read fits the tag moved along with the content better than the tag at rest:
    positive if the picture was bent after it was tagged, negative if the tag came later; None where too little was
    moved to tell. ``undone`` says whether everything else was measured with the displacements undone: where the tag
    surely was moved along and most agrees then.
    """

    moved_fraction: float
    shift: float
    agreement: float
    following: float | None
    undone: bool

    @property
    def is_followed(self) -> bool:
        """Whether the tag surely was moved along."""
        return self._agrees and self.following is not None and self.following >= FOLLOWING_ERRORS

    @property
    def is_left_behind(self) -> bool:
        """Whether the tag surely lies as if nothing had been moved."""
        return self._agrees and self.following is not None and self.following <= -FOLLOWING_ERRORS

    @property
    def seems_late(self) -> bool:
        """Whether the tag rather lies as if nothing had been moved; even in doubt, that helps no link."""
        return self.following is not None and self.following <= -LEANING_ERRORS

    @property
    def _agrees(self) -> bool:
        """Without this much agreement the displacements themselves are in doubt, and nothing follows from them."""
        return self.agreement >= MOVED_AGREEMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """The record an exhibit was linked to, as shown to people.

    ``log_index`` and ``logged_at`` are the word of the log ``log_name``, which signs with ``log_key_id``;
    ``log_standing`` says what that word is worth, as ``trust.log_times.LogStanding`` does. All three are empty in older
    findings.
    """

    tag_id: str
    issuer: str
    key_id: str
    record_sha256: str
    source_sha256: str
    tagged_sha256: str | None
    log_index: int
    logged_at: str
    created: str
    rights: str = ""
    contact: str = ""
    log_name: str = ""
    log_key_id: str = ""
    log_standing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureCheck:
    """What checking the record's signature gave; ``status`` is one of domain.record.SignatureStatus."""

    status: str
    issuer: str | None
    key_id: str | None
    record_sha256: str | None
    log_index: int | None
    time: str | None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingInfo:
    """Which model read the picture, on what, and how sure it is that any tag is there.

    ``engine_sha256`` is that of the built engine that was run, None where it was the model's own graph.
    ``pair_reader_sha256`` is that of the graph that read the picture, or a part of it, beside the source that it is
    linked to, ``simulator_sha256`` that of the generator at hand then: where most of the frame shows the source, what
    it makes of the source was taken out as well. None where all was read by itself, or where the model has none.
    """

    model: str
    weights_sha256: str
    backend: str
    precision: str
    presence: float
    sync_peak: float | None
    search: str
    engine_sha256: str | None = None
    pair_reader_sha256: str | None = None
    simulator_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherTag:
    """A tag in another region of an exhibit than the one that its verdict is about, judged by itself.

    ``region`` is in unit coordinates of the exhibit, as the changed regions of ``registration`` are. ``presence`` is
    that of ``ReadingInfo``, measured here.
    """

    region: Box
    tag: MatchedTag | DecodedTag
    presence: float
    verdict: Verdict
    reasons: tuple[str, ...]
    limitations: tuple[str, ...]
    signature: SignatureCheck | None = None
    source: SourceRef | None = None
    other_sources: tuple[SourceRef, ...] = ()
    registration: Registration | None = None
    survival: Survival | None = None
    movement: Movement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A picture made by the program and kept in the case, named by its content hash."""

    role: str
    sha256: str
    media_type: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Everything the program says about one exhibit. No clock and no run id: two runs are byte-identical.

    ``region`` is the part of the exhibit that the verdict is about, None where that is all of it. ``further_tags`` were
    read in other parts, strongest first.
    """

    seq: int
    case_id: str
    exhibit_id: str
    evidence: EvidenceItem
    verdict: Verdict
    reasons: tuple[str, ...]
    limitations: tuple[str, ...]
    reading: ReadingInfo | None = None
    tag: TagOutcome | None = None
    signature: SignatureCheck | None = None
    source: SourceRef | None = None
    other_sources: tuple[SourceRef, ...] = ()
    registration: Registration | None = None
    survival: Survival | None = None
    movement: Movement | None = None
    region: Box | None = None
    further_tags: tuple[FurtherTag, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    error: IntakeFailure | None = None
    extra: dict[str, Any] = field(default_factory=dict)
