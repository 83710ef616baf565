"""From a reading to facts: the record behind a tag, its signature, and what the source's content says.

Enters: a part of an exhibit and what was read in it. Leaves: the facts that a verdict is made from, and the pictures
that go with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec import channel
from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.domain.link import Registration, SignatureCheck, SourceRef, Survival
from ftforensics.domain.record import RegisteredRecord
from ftforensics.domain.tag import DEFAULT_PSNR_DB, MatchedTag, TagOutcome
from ftforensics.engine.compared import KnownSource
from ftforensics.engine.reader import Localiser
from ftforensics.engine.reading import Reading, TagReader
from ftforensics.engine.ring import RingKey
from ftforensics.engine.tries import Nominee
from ftforensics.errors import LinkError
from ftforensics.flows.apart import read_apart
from ftforensics.flows.frames import follow, turn_upright
from ftforensics.flows.parts import Part, cut_panels
from ftforensics.flows.pictures import Picture, as_png, stored_jpeg
from ftforensics.flows.recall import find_frame, find_panel, keep_best, see_within
from ftforensics.flows.sources import RecordChecks, Sources, source_phash
from ftforensics.imaging import geometry
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.imaging.resample import Pixels
from ftforensics.link import difference, fingerprint, register, render, survival, verdict
from ftforensics.link.features import Features, detect_features
from ftforensics.link.replaced import find_replaced

LEADS = 4
# A panel is one picture, and there may be nine.
PANEL_LEADS = 2
RIVAL_BITS = 10
RIVALS_KEPT = 256


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Linked:
    """What lining up with one source gave."""

    registration: Registration | None = None
    survival: Survival | None = None
    suspect_features: int = 0
    source_features: int = 0
    common_geometry: bool = False
    coarse_distance_bits: int | None = None
    change_similarity: float | None = None
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Mapped:
    """The tag that was read, where it is left and where it is gone, and the picture that shows it."""

    expected: NDArray[np.float32]
    local: survival.SurvivalMap
    seen: NDArray[np.bool_] | None
    holes: survival.Holes | None
    overlay: Picture


# A record, its preview, the frame of its source in a picture, and the part of the picture that shows it.
_Placed = tuple[RegisteredRecord, Pixels, geometry.Affine, geometry.Rectangle]
_RowCheck = tuple[RegisteredRecord, SignatureCheck, SourceRef | None]


class Linker:
    """Makes facts; may be used from several threads at once.

    Args:
        tag_reader: Has read the exhibits.
        keys: The ring, for re-encoding a tag that was read.
        sources: The registries.
        checks: Checks records against the trust list.
        localiser: Says where tags were replaced; None where the model has none.
    """

    def __init__(
        self,
        *,
        tag_reader: TagReader,
        keys: Sequence[RingKey],
        sources: Sources,
        checks: RecordChecks,
        localiser: Localiser | None,
    ) -> None:
        self._reader, self._sources, self._checks = tag_reader, sources, checks
        self._localiser = localiser
        self._keys = {key.key_id: key for key in keys}
        self._content_rivals = lru_cache(maxsize=RIVALS_KEPT)(self._find_content_rivals)
        self._source_survival = lru_cache(maxsize=RIVALS_KEPT)(self._measure_source)
        self._sync = build_sync_carrier(tag_reader.reader.card.model_id)

    def look(self, pixels: Pixels, features: LazyFeatures, *, limit: int = LEADS) -> list[Candidate]:
        """Records whose content fits the picture as a whole, or as a part of theirs; confirmed and best ones first."""
        near = {row.record.payload: row for row in self._sources.near(pixels, limit=limit)}
        near |= {row.record.payload: row for row in self._sources.near_parts(features.get, limit=limit)}
        found = []
        for row in near.values():
            attempt = _attempt(pixels, row, features)
            if attempt.matrix is not None:
                found.append(Candidate(row=row, attempt=attempt, frame=follow(attempt.matrix)))
        return sorted(found, key=lambda one: (one.attempt.registration is None, -one.attempt.inliers, one.row.tag_id))

    def matched(
        self, part: Part, features: LazyFeatures, reading: Reading, tag: MatchedTag, acquired_at: str | None
    ) -> tuple[verdict.Facts, tuple[Picture, ...]]:
        """Facts about a tag that matched a record.

        Args:
            part: What shows the tag's frame.
            features: Of the part's pixels.
            reading: What was read there.
            tag: Its outcome.
            acquired_at: When the exhibit was in hand, as stated.

        Returns:
            The facts, places in them in unit coordinates of the whole exhibit, and pictures of the part.
        """
        rows = self._sources.find(tag.tag_id, tag.carrier_key_id)
        with ThreadPoolExecutor(2, thread_name_prefix="beside") as beside:
            checking = beside.submit(self._check_all, rows)
            # A single record need not wait for its check to be lined up; of several, the check says which.
            row = rows[0] if len(rows) == 1 else checking.result()[0][0]
            linked = self._link(part, features, row, reading, tag, beside)
            checks = checking.result()
        _, check, source = checks[0]
        rivals = self._rivals(row, reading, tag) + tuple(
            other for _, status, other in checks[1:] if status.status == "verified" and other is not None
        )
        facts = verdict.Facts(
            tag=tag,
            signature=check,
            source=source,
            acquired_at=acquired_at,
            logged_at=row.logged_at,
            registration=linked.registration,
            suspect_features=linked.suspect_features,
            source_features=linked.source_features,
            common_geometry=linked.common_geometry,
            coarse_distance_bits=linked.coarse_distance_bits,
            change_similarity=linked.change_similarity,
            survival=linked.survival,
            rivals=rivals,
            region=part.region,
        )
        return facts, linked.pictures

    def recall(
        self,
        pixels: Pixels,
        features: LazyFeatures,
        candidates: Sequence[Candidate],
        nominees: Sequence[Nominee] | None,
        panels: Sequence[geometry.Rectangle],
    ) -> Iterator[KnownSource]:
        """Sources to read a picture beside, see ``engine.search.Recall``.

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
            preview = _preview_of(one.row)
            if preview is not None:
                yield one.row, preview, frame, see_within(pixels, preview, frame, panel)

    def _in_the_whole(
        self, pixels: Pixels, candidates: Sequence[Candidate], panels: Sequence[geometry.Rectangle]
    ) -> Iterator[_Placed]:
        """Candidates, and where their sources lie."""
        for one in candidates:
            preview = _preview_of(one.row)
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
                preview = _preview_of(row)
                if preview is None:
                    continue
                attempt = partial(_attempt, pixels, row, features)
                found = find_frame(pixels, preview, nominee.frame, attempt, panels)
                if found is not None:
                    yield row, preview, *found

    def check(self, lead: Lead) -> None:
        """Have a lead's record checked before it is asked for; the result is remembered."""
        self._checks.of(lead.row)

    def _check_all(self, rows: Sequence[RegisteredRecord]) -> list[_RowCheck]:
        """Records with their checks; the best-founded one first, for it speaks: a forged copy must not silence it."""
        checks = [(row, *self._checks.of(row)) for row in rows]
        return sorted(checks, key=lambda item: (_STANDING[item[1].status], item[0].log_index))

    def unmatched(
        self, pixels: Pixels, reading: Reading, leads: Sequence[Lead]
    ) -> tuple[verdict.Facts, tuple[Picture, ...]]:
        """Facts where no record matched: with a content lead, if one verifies."""
        outcome: TagOutcome = reading.outcome
        for lead in leads:
            check, source = self._checks.of(lead.row)
            # Only a record that verifies under a pinned key is worth following up.
            if check.status == "verified" and source is not None:
                registration, pictures, _ = _measure(pixels, lead.row, lead.registration)
                facts = verdict.Facts(tag=outcome, lead=registration, lead_source=source)
                return facts, pictures
        return verdict.Facts(tag=outcome), ()

    def _link(
        self,
        part: Part,
        features: LazyFeatures,
        row: RegisteredRecord,
        reading: Reading,
        tag: MatchedTag,
        beside: Executor,
    ) -> _Linked:
        pixels, frame = part.pixels, part.inward(np.asarray(tag.geometry.matrix).reshape(2, 3))
        mapping = beside.submit(self._map_survival, pixels, frame, row, reading, tag)
        attempt = _attempt(pixels, row, features)
        plain, mirrored = fingerprint.phash_pair(turn_upright(pixels, frame))
        core_phash = int(source_phash(row), 16)
        coarse = min((plain ^ core_phash).bit_count(), (mirrored ^ core_phash).bit_count())
        registration = attempt.registration
        pictures: tuple[Picture, ...] = ()
        changed: NDArray[np.bool_] | None = None
        similarity: float | None = None
        mapped = mapping.result()
        if registration is not None:
            registration, pictures, measured = _measure(pixels, row, registration, mapped.holes, frame)
            if measured is not None:
                similarity = measured.similarity
                changed = difference.project_to_source(measured.changed, registration, reading.residual.shape[-1])
        elif row.preview is not None:
            pictures = (stored_jpeg(row.preview),)
        summary = survival.summarise(mapped.local, changed, mapped.seen, mapped.holes)
        if self._localiser is not None and mapped.holes is not None and mapped.holes.by_network:
            summary = replace(summary, localiser_sha256=self._localiser.sha256)
        if changed is not None and changed.any():
            view = self._reader.view(pixels, None if tag.geometry.mode == "direct" else frame)
            apart = read_apart(view, changed, mapped.seen, mapped.expected, self._reader.reader)
            inside, outside, error = (None,) * 3 if apart is None else (apart.inside, apart.outside, apart.error)
            summary = replace(summary, inside=inside, outside=outside, inside_error=error)
        return _Linked(
            registration=None if registration is None else part.place(registration),
            survival=summary,
            suspect_features=attempt.suspect_features,
            source_features=attempt.source_features,
            common_geometry=attempt.reason == "not_confirmed",
            coarse_distance_bits=coarse,
            change_similarity=similarity,
            pictures=(*pictures, mapped.overlay),
        )

    def _map_survival(
        self, pixels: Pixels, frame: geometry.Affine, row: RegisteredRecord, reading: Reading, tag: MatchedTag
    ) -> _Mapped:
        """Where the tag is left, which does not depend on whether the picture lines up with its source."""
        expected = self._tag_planes(tag.tag_id, tag.carrier_key_id)
        local = survival.build_survival(reading.residual, expected)
        seen = None if tag.geometry.mode == "direct" else geometry.seen_cells(frame, local.correlation.shape[0])
        source = self._source_survival(row, tag.tag_id, tag.carrier_key_id)
        holes = None if source is None else locate_holes(self._localiser, local, source, expected, seen)
        matrix = geometry.homogeneous(frame)
        overlay = as_png("survival", render.render_survival(pixels, local, matrix, holes))
        return _Mapped(expected=expected, local=local, seen=seen, holes=holes, overlay=overlay)

    def _tag_planes(self, tag_id: str, carrier_key_id: str) -> NDArray[np.float32]:
        key = self._keys[carrier_key_id]
        return build_tag_planes(channel.encode(tag_id, key.channel), key.carriers, self._sync)

    def _measure_source(self, row: RegisteredRecord, tag_id: str, carrier_key_id: str) -> survival.SurvivalMap | None:
        """Where the tag shows in the source's preview, tagged anew; None without one. Remembered as the rivals are."""
        preview = _preview_of(row)
        if preview is None:
            return None
        planes = self._tag_planes(tag_id, carrier_key_id)
        tagged = add_residual(preview, planes, build_mask(preview), DEFAULT_PSNR_DB)
        return survival.build_survival(self._reader.residuals([tagged])[0], planes)

    def _rivals(self, row: RegisteredRecord, reading: Reading, tag: MatchedTag) -> tuple[SourceRef, ...]:
        """Other verified records that claim this picture: a second tag in its pixels, or the same source content."""
        rivals: dict[str, SourceRef] = {}
        for other in reading.others:
            for found in self._sources.find(other.tag_id, other.carrier_key_id):
                check, source = self._checks.of(found)
                if check.status == "verified" and source is not None:
                    rivals[source.record_sha256] = source
        rivals |= {source.record_sha256: source for source in self._content_rivals(row, tag.tag_id, tag.carrier_key_id)}
        return tuple(sorted(rivals.values(), key=lambda source: (source.logged_at, source.tag_id)))

    def _find_content_rivals(self, row: RegisteredRecord, tag_id: str, carrier_key_id: str) -> tuple[SourceRef, ...]:
        """Other verified records of the same content as a source; remembered, for many suspects can share a source."""
        preview = _preview_of(row)
        if preview is None:
            return ()
        rivals: list[SourceRef] = []
        features = LazyFeatures(preview)
        for near in self._sources.near(preview, limit=LEADS, max_distance_bits=RIVAL_BITS):
            if near.tag_id == tag_id and near.carrier_key_id == carrier_key_id:
                continue
            check, source = self._checks.of(near)
            if check.status != "verified" or source is None:
                continue
            if _attempt(preview, near, features).registration is not None:
                rivals.append(source)
        return tuple(rivals)


_STANDING = {"verified": 0, "key_revoked": 1, "issuer_untrusted": 2, "signature_invalid": 3}


class LazyFeatures:
    """Features of one picture, detected at most once."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        self._features: Features | None = None

    def get(self) -> Features:
        """Detect on first use."""
        if self._features is None:
            self._features = detect_features(self._pixels)
        return self._features


def _preview_of(row: RegisteredRecord) -> Pixels | None:
    """The source as the record keeps it; None where it keeps none, or one that does not parse."""
    if row.preview is None:
        return None
    try:
        return fingerprint.decode_preview(row.preview)
    except LinkError:
        return None


def _attempt(pixels: Pixels, row: RegisteredRecord, features: LazyFeatures) -> register.Attempt:
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


def locate_holes(
    localiser: Localiser | None,
    local: survival.SurvivalMap,
    source: survival.SurvivalMap,
    expected: NDArray[np.float32],
    seen: NDArray[np.bool_] | None,
) -> survival.Holes:
    """Where a tag is gone, as ``survival.find_holes`` says, by a localiser's evidence where there is one."""
    if localiser is None:
        return survival.find_holes(local, source, seen)
    frame = np.ones(local.correlation.shape, np.bool_) if seen is None else seen
    odds = localiser.locate(local.residual, expected, source.residual, frame)
    return survival.find_holes(local, source, seen, odds)


def _measure(
    pixels: Pixels,
    row: RegisteredRecord,
    registration: Registration,
    holes: survival.Holes | None = None,
    frame: geometry.Affine | None = None,
) -> tuple[Registration, tuple[Picture, ...], difference.Difference | None]:
    """What changed between source and picture, where the record keeps a preview.

    ``holes``, where the tag is gone, in ``frame``, sharpen the outline that is drawn; nothing else rests on them.
    """
    if row.preview is None:
        return registration, (), None
    preview = fingerprint.decode_preview(row.preview)
    measured = difference.compare(pixels, preview, registration)
    replaced = None
    if holes is not None and frame is not None and measured.changed.any():
        replaced = find_replaced(measured, holes, geometry.homogeneous(frame))
    pictures = (
        stored_jpeg(row.preview),
        as_png("difference", render.render_difference(pixels, measured, replaced)),
    )
    return difference.measured(registration, measured), pictures, measured
