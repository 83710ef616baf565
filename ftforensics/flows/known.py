"""Records that a picture may come from, by its content: to be followed up, and to be read beside.

Enters: a picture and its features. Leaves: records whose content fits it, and where their sources lie in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from threading import Lock

from ftforensics.domain.link import Registration
from ftforensics.domain.record import RegisteredRecord
from ftforensics.domain.tag import MatchedTag
from ftforensics.engine.compared import KnownSource
from ftforensics.engine.tries import Nominee
from ftforensics.errors import LinkError
from ftforensics.flows.frames import follow
from ftforensics.flows.parts import cut_panels
from ftforensics.flows.recall import confine, find_frame, find_panel, keep_best, see_within
from ftforensics.flows.sources import RecordChecks, Sources
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import Pixels
from ftforensics.link import fingerprint, register
from ftforensics.link.features import Features, detect_features

LEADS = 4
# A panel is one picture, and there may be nine.
PANEL_LEADS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lead:
    """A record whose content registers to a picture."""

    row: RegisteredRecord
    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A record whose features fit a picture in a way that chance does not explain, confirmed or not."""

    row: RegisteredRecord
    attempt: register.Attempt
    frame: geometry.Affine


# A record, its preview, the frame of its source in a picture, and the part of the picture that shows it.
_Placed = tuple[RegisteredRecord, Pixels, geometry.Affine, geometry.Rectangle]


class KnownSources:
    """Finds them; may be used from several threads at once.

    Args:
        sources: The registries.
        checks: Checks records against the trust list.
    """

    def __init__(self, sources: Sources, checks: RecordChecks) -> None:
        self._sources, self._checks = sources, checks

    def look(self, pixels: Pixels, features: LazyFeatures, *, limit: int = LEADS) -> list[Candidate]:
        """Records whose content fits the picture as a whole, or as a part of theirs; confirmed and best ones first."""
        rows = (*self._sources.near(pixels, limit=limit), *self._sources.near_parts(features.get, limit=limit))
        # A copy under a tag id that does not follow from it must not silence the genuine record.
        near = {(row.tag_id, row.record.payload): row for row in rows}
        found = []
        for row in near.values():
            attempt = attempt_registration(pixels, row, features)
            if attempt.matrix is not None:
                found.append(Candidate(row=row, attempt=attempt, frame=follow(attempt.matrix)))
        return sorted(found, key=lambda one: (one.attempt.registration is None, -one.attempt.inliers, one.row.tag_id))

    def recall(
        self,
        pixels: Pixels,
        features: LazyFeatures,
        candidates: Sequence[Candidate],
        nominees: Sequence[Nominee] | None,
        panels: Sequence[geometry.Rectangle],
    ) -> Iterator[KnownSource]:
        """Sources to read a picture beside, see ``engine.hints.Hints``.

        Those that the content of a panel suggests, those that its own content suggests, and those that its tag came
        near. Panels come first, found tags or not: where a source is placed never depends on what was read.

        Only of records that are what was signed: the bound on chance needs a preview that the tag id follows from. Each
        record is given once, in one frame, for its hypotheses are counted so. What tells records apart is what was
        signed, not the tag id, which a forged row may claim as well: it must not silence the record that it copies.
        """
        given: set[bytes] = set()
        placed: Iterable[_Placed] = self._in_panels(pixels, panels)
        if nominees is not None:
            suggested = self._in_the_whole(pixels, candidates, panels)
            placed = chain(placed, suggested, self._near(pixels, features, nominees, panels, given))
        for row, preview, frame, within in placed:
            if row.record.payload in given or self._is_forged(row):
                continue
            given.add(row.record.payload)
            yield KnownSource(
                tag_id=row.tag_id, carrier_key_id=row.carrier_key_id, preview=preview, frame=frame, within=within
            )

    def _is_forged(self, row: RegisteredRecord) -> bool:
        """Whether a row is not what was signed; such a row is never read beside."""
        return self._checks.of(row)[0].status == "signature_invalid"

    def _in_panels(self, pixels: Pixels, panels: Sequence[geometry.Rectangle]) -> Iterator[_Placed]:
        """Records whose content fits a panel, and where their sources lie in the picture."""
        found = [
            (one, part.outward(one.frame), panel)
            for panel, part in cut_panels(pixels, panels)
            for one in self.look(part.pixels, LazyFeatures(part.pixels), limit=PANEL_LEADS)
            # A copy that is never read beside must not take the place of the record that it copies.
            if one.row.preview is not None and not self._is_forged(one.row)
        ]
        for one, frame, panel in keep_best(found, lambda it: it[0].row.record.payload, lambda it: it[0].attempt):
            preview = preview_of(one.row)
            if preview is not None:
                yield one.row, preview, frame, see_within(pixels, preview, frame, panel)

    def _in_the_whole(
        self, pixels: Pixels, candidates: Sequence[Candidate], panels: Sequence[geometry.Rectangle]
    ) -> Iterator[_Placed]:
        """Candidates, and where their sources lie."""
        for one in candidates:
            preview = preview_of(one.row)
            if preview is not None:
                panel = find_panel(one.attempt, panels)
                yield one.row, preview, one.frame, see_within(pixels, preview, one.frame, panel)

    def _near(
        self,
        pixels: Pixels,
        features: LazyFeatures,
        nominees: Sequence[Nominee],
        panels: Sequence[geometry.Rectangle],
        given: set[bytes],
    ) -> Iterator[_Placed]:
        """Nominated records but those whose payload was given already, and where their sources lie."""
        for nominee in nominees:
            for row in self._sources.find(nominee.tag_id, nominee.carrier_key_id):
                if row.record.payload in given:
                    continue
                preview = preview_of(row)
                if preview is None:
                    continue
                attempt = partial(attempt_registration, pixels, row, features)
                found = find_frame(pixels, preview, nominee.frame, attempt, panels)
                if found is not None:
                    yield row, preview, *found

    def confine(
        self, pixels: Pixels, tag: MatchedTag, frame: geometry.Affine, panels: Sequence[geometry.Rectangle]
    ) -> geometry.Rectangle:
        """The part of a picture in which a tag's source is seen, see ``engine.hints.Hints``.

        Where no record has a preview, what lies beyond the panel cannot be told, and the panel it is.
        """
        for row in self._sources.find(tag.tag_id, tag.carrier_key_id):
            preview = None if self._is_forged(row) else preview_of(row)
            if preview is not None:
                return confine(pixels, preview, frame, panels)
        return panels[0]

    def check(self, lead: Lead) -> None:
        """Have a lead's record checked before it is asked for; the result is remembered."""
        self._checks.of(lead.row)


class LazyFeatures:
    """Features of one picture, detected at most once; may be asked for from several threads."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels, self._lock = pixels, Lock()
        self._features: Features | None = None

    def get(self) -> Features:
        """Detect on first use."""
        with self._lock:
            if self._features is None:
                self._features = detect_features(self._pixels)
            return self._features


def preview_of(row: RegisteredRecord) -> Pixels | None:
    """The source as the record keeps it; None where it keeps none, or one that does not parse."""
    if row.preview is None:
        return None
    try:
        return fingerprint.decode_preview(row.preview)
    except LinkError:
        return None


def attempt_registration(pixels: Pixels, row: RegisteredRecord, features: LazyFeatures) -> register.Attempt:
    """Register a picture to a record's source; blobs that do not parse count as nothing to register to."""
    try:
        preview = fingerprint.decode_preview(row.preview) if row.preview is not None else None
        return register.attempt(pixels, preview, row.descriptors, suspect_features=features.get())
    except LinkError:
        return register.Attempt(
            registration=None, reason="few_source_features", suspect_features=features.get().distinct, source_features=0
        )


def confirmed(candidates: Sequence[Candidate]) -> list[Lead]:
    """Those that register."""
    return [
        Lead(row=one.row, registration=one.attempt.registration)
        for one in candidates
        if one.attempt.registration is not None
    ]
