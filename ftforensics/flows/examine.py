"""One exhibit: from its pixels and residual map to a finding with its pictures.

Steps: identify the tag (direct, through frames that content suggests, blind); find the record in every registry; verify
its signature against the trust list; line the picture up with its source; map what changed and where the tag survived;
look for other records that claim the picture; judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec import channel
from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.domain.evidence import IntakeFailure
from ftforensics.domain.link import Finding, ReadingInfo, Registration, SignatureCheck, SourceRef, Survival
from ftforensics.domain.record import RegisteredRecord
from ftforensics.domain.tag import DEFAULT_PSNR_DB, MatchedTag, TagOutcome
from ftforensics.engine.reading import Reading, TagReader
from ftforensics.engine.ring import RingKey
from ftforensics.errors import FtfError, LinkError
from ftforensics.flows.apart import read_apart
from ftforensics.flows.frames import frame_of, seen_cells, tag_frame
from ftforensics.flows.pictures import Picture, as_jpeg, as_png, stored_jpeg
from ftforensics.flows.sources import RecordChecks, Sources, source_phash
from ftforensics.imaging import geometry
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.imaging.resample import Pixels, resize
from ftforensics.link import difference, fingerprint, register, render, survival, verdict
from ftforensics.link.features import Features, detect_features
from ftforensics.media.intake import IntakeResult
from ftforensics.trust.trustlist import TrustList

LEADS = 4
SHOWN_PX = 768
RIVAL_BITS = 10
RIVALS_KEPT = 256
# The room that links pictures refuses smaller ones.
LEAST_PX = 8
_MESSAGE_CHARS = 300


_RowCheck = tuple[RegisteredRecord, SignatureCheck, SourceRef | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which exhibit of which case a finding is about."""

    seq: int
    case_id: str
    exhibit_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A finding and the pictures that go with it."""

    finding: Finding
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lead:
    row: RegisteredRecord
    registration: Registration


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


class Examiner:
    """Makes findings; may be used from several threads at once.

    Args:
        tag_reader: Identifies tags.
        keys: The ring, for re-encoding a tag that was read.
        sources: The registries.
        trust: Whom the investigator trusts.
        checked_at: When signatures are checked, UTC.
    """

    def __init__(
        self,
        *,
        tag_reader: TagReader,
        keys: Sequence[RingKey],
        sources: Sources,
        trust: TrustList,
        checked_at: str,
    ) -> None:
        self._reader, self._sources = tag_reader, sources
        self._checks = RecordChecks(trust, checked_at)
        self._keys = {key.key_id: key for key in keys}
        self._content_rivals = lru_cache(maxsize=RIVALS_KEPT)(self._find_content_rivals)
        self._source_survival = lru_cache(maxsize=RIVALS_KEPT)(self._measure_source)
        self._sync = build_sync_carrier(tag_reader.reader.card.model_id)

    def unreadable(self, result: IntakeResult, place: Place) -> Examined:
        """The finding of an input whose pixels cannot be had."""
        failure = result.failure or IntakeFailure(stage="decode", type="NoPixels", message="no pixels were decoded")
        judged = verdict.judge(verdict.Facts(failure=failure))
        finding = Finding(
            seq=place.seq,
            case_id=place.case_id,
            exhibit_id=place.exhibit_id,
            evidence=result.item,
            verdict=judged.verdict,
            reasons=judged.reasons,
            limitations=judged.limitations,
            error=failure,
            extra={"skipped": True} if result.source.is_skipped else {},
        )
        return Examined(finding=finding)

    def examine_or_say_why(self, result: IntakeResult, residual: NDArray[np.float32], place: Place) -> Examined:
        """As ``examine``, but an exhibit on which a library fails becomes unreadable.

        Raises:
            FtfError: What fails is not about this exhibit alone.
        """
        try:
            return self.examine(result, residual, place)
        except FtfError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever one picture does to a library, the others are examined
            message = f"examining it failed, which is a fault of the program: {exc}"[:_MESSAGE_CHARS]
            failure = IntakeFailure(stage="read", type=type(exc).__name__, message=message)
            return self.unreadable(replace(result, failure=failure), place)

    def examine(self, result: IntakeResult, residual: NDArray[np.float32], place: Place) -> Examined:
        """The finding of a decoded picture."""
        if result.pixels is None:
            raise ValueError("examine needs pixels; use unreadable")
        pixels = _enlarge_to(LEAST_PX, result.pixels)
        features = _Lazy(pixels)
        leads: list[_Lead] = []

        with ThreadPoolExecutor(1, thread_name_prefix="beside") as beside:

            def suggest() -> list[geometry.Affine]:
                leads.extend(self._leads(pixels, features))
                if leads:  # found by tag or by content alone, this record will be asked for
                    beside.submit(self._checks.of, leads[0].row)
                return [frame_of(lead.registration) for lead in leads]

            reading = self._reader.identify(pixels, residual, suggest)
        thumbnail = as_jpeg(result.pixels)
        if isinstance(reading.outcome, MatchedTag):
            facts, more = self._matched(pixels, features, reading, reading.outcome, result)
        else:
            facts, more = self._unmatched(pixels, reading, leads)
        judged = verdict.judge(facts)
        finding = Finding(
            seq=place.seq,
            case_id=place.case_id,
            exhibit_id=place.exhibit_id,
            evidence=result.item,
            verdict=judged.verdict,
            reasons=judged.reasons,
            limitations=judged.limitations,
            reading=self._info(reading),
            tag=reading.outcome,
            signature=facts.signature,
            source=facts.source if facts.source is not None else facts.lead_source,
            other_sources=facts.rivals,
            registration=facts.registration if facts.registration is not None else facts.lead,
            survival=facts.survival,
            error=result.failure,
        )
        return Examined(finding=finding, pictures=(thumbnail, *more))

    def _info(self, reading: Reading) -> ReadingInfo:
        backend = self._reader.reader
        return ReadingInfo(
            model=backend.card.model_id,
            weights_sha256=backend.card.reader_sha256,
            backend=backend.backend,
            precision=backend.precision,
            presence=reading.presence,
            sync_peak=reading.sync_peak,
            search=self._reader.budget.mode,
            engine_sha256=backend.engine_sha256,
        )

    def _leads(self, pixels: Pixels, features: _Lazy) -> list[_Lead]:
        """Records whose content registers to the picture, best first."""
        leads = []
        for row in self._sources.near(pixels, limit=LEADS):
            registration = _attempt(pixels, row, features).registration
            if registration is not None:
                leads.append(_Lead(row=row, registration=registration))
        return sorted(leads, key=lambda lead: (-lead.registration.inliers, lead.row.tag_id))

    def _matched(
        self, pixels: Pixels, features: _Lazy, reading: Reading, tag: MatchedTag, result: IntakeResult
    ) -> tuple[verdict.Facts, tuple[Picture, ...]]:
        rows = self._sources.find(tag)
        with ThreadPoolExecutor(2, thread_name_prefix="beside") as beside:
            checking = beside.submit(self._check_all, rows)
            # A single record need not wait for its check to be lined up; of several, the check says which.
            row = rows[0] if len(rows) == 1 else checking.result()[0][0]
            linked = self._link(pixels, features, row, reading, tag, beside)
            checks = checking.result()
        _, check, source = checks[0]
        rivals = self._rivals(row, reading, tag) + tuple(
            other for _, status, other in checks[1:] if status.status == "verified" and other is not None
        )
        facts = verdict.Facts(
            tag=tag,
            signature=check,
            source=source,
            acquired_at=result.item.acquired_at,
            logged_at=row.logged_at,
            registration=linked.registration,
            suspect_features=linked.suspect_features,
            source_features=linked.source_features,
            common_geometry=linked.common_geometry,
            coarse_distance_bits=linked.coarse_distance_bits,
            change_similarity=linked.change_similarity,
            survival=linked.survival,
            rivals=rivals,
        )
        return facts, linked.pictures

    def _check_all(
        self, rows: Sequence[RegisteredRecord]
    ) -> list[tuple[RegisteredRecord, SignatureCheck, SourceRef | None]]:
        """Records with their checks; the best-founded one first, for it speaks: a forged copy must not silence it."""
        checks = [(row, *self._checks.of(row)) for row in rows]
        return sorted(checks, key=lambda item: (_STANDING[item[1].status], item[0].log_index))

    def _unmatched(
        self, pixels: Pixels, reading: Reading, leads: Sequence[_Lead]
    ) -> tuple[verdict.Facts, tuple[Picture, ...]]:
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
        pixels: Pixels,
        features: _Lazy,
        row: RegisteredRecord,
        reading: Reading,
        tag: MatchedTag,
        beside: Executor,
    ) -> _Linked:
        mapping = beside.submit(self._map_survival, pixels, row, reading, tag)
        attempt = _attempt(pixels, row, features)
        plain, mirrored = fingerprint.phash_pair(pixels)
        core_phash = int(source_phash(row), 16)
        coarse = min((plain ^ core_phash).bit_count(), (mirrored ^ core_phash).bit_count())
        registration = attempt.registration
        pictures: tuple[Picture, ...] = ()
        changed: NDArray[np.bool_] | None = None
        similarity: float | None = None
        if registration is not None:
            registration, pictures, measured = _measure(pixels, row, registration)
            if measured is not None:
                similarity = measured.similarity
                changed = difference.project_to_source(measured.changed, registration, reading.residual.shape[-1])
        elif row.preview is not None:
            pictures = (stored_jpeg(row.preview),)
        mapped = mapping.result()
        summary = survival.summarise(mapped.local, changed, mapped.seen, mapped.holes)
        if changed is not None and changed.any():
            view = self._reader.view(pixels, tag_frame(tag))
            inside, outside = read_apart(view, changed, mapped.seen, mapped.expected, self._reader.reader)
            summary = replace(summary, inside=inside, outside=outside)
        return _Linked(
            registration=registration,
            survival=summary,
            suspect_features=attempt.suspect_features,
            source_features=attempt.source_features,
            common_geometry=attempt.reason == "not_confirmed",
            coarse_distance_bits=coarse,
            change_similarity=similarity,
            pictures=(*pictures, mapped.overlay),
        )

    def _map_survival(self, pixels: Pixels, row: RegisteredRecord, reading: Reading, tag: MatchedTag) -> _Mapped:
        """Where the tag is left, which does not depend on whether the picture lines up with its source."""
        expected = self._tag_planes(tag.tag_id, tag.carrier_key_id)
        local = survival.build_survival(reading.residual, expected)
        seen = seen_cells(reading, local.correlation.shape[0])
        source = self._source_survival(row, tag.tag_id, tag.carrier_key_id)
        holes = None if source is None else survival.find_holes(local, source, seen)
        frame = np.vstack([np.asarray(tag.geometry.matrix).reshape(2, 3), [0.0, 0.0, 1.0]])
        overlay = as_png("survival", render.render_survival(pixels, local, frame, holes))
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
            for found in self._sources.find(other):
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
        features = _Lazy(preview)
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


class _Lazy:
    """Features of one picture, detected at most once."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        self._features: Features | None = None

    def get(self) -> Features:
        """Detect on first use."""
        if self._features is None:
            self._features = detect_features(self._pixels)
        return self._features


def _enlarge_to(least_px: int, pixels: Pixels) -> Pixels:
    """The picture with no side under ``least_px``; frames and regions are in unit coordinates and stay as they are."""
    height, width = pixels.shape[:2]
    if min(height, width) >= least_px:
        return pixels
    return np.asarray(resize(pixels, max(width, least_px), max(height, least_px)))


def _preview_of(row: RegisteredRecord) -> Pixels | None:
    """The source as the record keeps it; None where it keeps none, or one that does not parse."""
    if row.preview is None:
        return None
    try:
        return fingerprint.decode_preview(row.preview)
    except LinkError:
        return None


def _attempt(pixels: Pixels, row: RegisteredRecord, features: _Lazy) -> register.Attempt:
    """Register a picture to a record's source; blobs that do not parse count as nothing to register to."""
    try:
        preview = fingerprint.decode_preview(row.preview) if row.preview is not None else None
        return register.attempt(pixels, preview, row.descriptors, suspect_features=features.get())
    except LinkError:
        return register.Attempt(
            registration=None, reason="few_source_features", suspect_features=features.get().distinct, source_features=0
        )


def _measure(
    pixels: Pixels, row: RegisteredRecord, registration: Registration
) -> tuple[Registration, tuple[Picture, ...], difference.Difference | None]:
    """What changed between source and picture, where the record keeps a preview."""
    if row.preview is None:
        return registration, (), None
    preview = fingerprint.decode_preview(row.preview)
    measured = difference.compare(pixels, preview, registration)
    pictures = (
        stored_jpeg(row.preview),
        as_png("difference", render.render_difference(pixels, measured)),
    )
    return difference.measured(registration, measured), pictures, measured
