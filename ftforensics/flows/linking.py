"""From a reading to facts: the record behind a tag, its signature, and what the source's content says.

Enters: a part of an exhibit and what was read in it. Leaves: the facts that a verdict is made from, and the pictures
that go with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from ftforensics.domain.link import Registration, SignatureCheck, SourceRef
from ftforensics.domain.record import RegisteredRecord
from ftforensics.domain.tag import MatchedTag, TagOutcome
from ftforensics.engine.reader import Localiser
from ftforensics.engine.reading import Reading, TagReader
from ftforensics.engine.ring import RingKey
from ftforensics.errors import ChainBroken
from ftforensics.flows.comparing import Comparer
from ftforensics.flows.known import LEADS, LazyFeatures, Lead, attempt_registration, preview_of
from ftforensics.flows.parts import Part
from ftforensics.flows.pictures import Picture
from ftforensics.flows.sources import RecordChecks, Sources
from ftforensics.link import verdict
from ftforensics.link.sentences import claim_order

RIVAL_BITS = 10
RIVALS_KEPT = 256

# What differs between a picture and the source of a lead.
ShowLead = Callable[[Lead], tuple[Registration, tuple[Picture, ...]]]
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
        self._sources, self._checks = sources, checks
        self._comparer = Comparer(tag_reader=tag_reader, keys=keys, localiser=localiser)
        self._content_rivals = lru_cache(maxsize=RIVALS_KEPT)(self._find_content_rivals)

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

        Raises:
            ChainBroken: The registries know the tag and have no record of it.
        """
        rows = self._sources.find(tag.tag_id, tag.carrier_key_id)
        if not rows:
            raise ChainBroken(
                "A registry lists this tag and has no record of it: its search index does not fit its records",
                subject=f"tag id {tag.tag_id}",
                remedy="check each registry with 'ftf registry verify', and get a sound copy of the damaged one",
            )
        with ThreadPoolExecutor(2, thread_name_prefix="beside") as beside:
            checking = beside.submit(self._check_all, rows)
            # A single record need not wait for its check to be lined up; of several, the check says which.
            row = rows[0] if len(rows) == 1 else checking.result()[0][0]
            linked = self._comparer.compare(part, features, row, reading, tag, beside)
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
            logged_at=None if source is not None and source.log_standing == "impossible" else row.logged_at,
            registration=linked.registration,
            in_part=linked.in_part,
            misplaced=linked.misplaced,
            suspect_features=linked.suspect_features,
            source_features=linked.source_features,
            common_geometry=linked.common_geometry,
            coarse_distance_bits=linked.coarse_distance_bits,
            survival=linked.survival,
            movement=linked.movement,
            rivals=rivals,
            region=part.region,
        )
        return facts, linked.pictures

    def _check_all(self, rows: Sequence[RegisteredRecord]) -> list[_RowCheck]:
        """Records with their checks; the best-founded one first, for it speaks: a forged copy must not silence it."""
        checks = [(row, *self._checks.of(row)) for row in rows]
        return sorted(checks, key=lambda item: (_STANDING[item[1].status], item[0].log_index))

    def unmatched(
        self, reading: Reading, leads: Sequence[Lead], show: ShowLead
    ) -> tuple[verdict.Facts, tuple[Picture, ...]]:
        """Facts where no record matched: with a content lead, if one verifies, and what ``show`` makes of it."""
        outcome: TagOutcome = reading.outcome
        for lead in leads:
            check, source = self._checks.of(lead.row)
            # Only a record that verifies under a pinned key is worth following up.
            if check.status == "verified" and source is not None:
                registration, pictures = show(lead)
                facts = verdict.Facts(tag=outcome, lead=registration, lead_source=source)
                return facts, pictures
        return verdict.Facts(tag=outcome), ()

    def _rivals(self, row: RegisteredRecord, reading: Reading, tag: MatchedTag) -> tuple[SourceRef, ...]:
        """Other verified records that claim this picture: a second tag in its pixels, or the same source content."""
        rivals: dict[str, SourceRef] = {}
        for other in reading.others:
            for found in self._sources.find(other.tag_id, other.carrier_key_id):
                check, source = self._checks.of(found)
                if check.status == "verified" and source is not None:
                    rivals[source.record_sha256] = source
        rivals |= {source.record_sha256: source for source in self._content_rivals(row, tag.tag_id, tag.carrier_key_id)}
        return tuple(sorted(rivals.values(), key=claim_order))

    def _find_content_rivals(self, row: RegisteredRecord, tag_id: str, carrier_key_id: str) -> tuple[SourceRef, ...]:
        """Other verified records of the same content as a source; remembered, for many suspects can share a source."""
        preview = preview_of(row)
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
            if attempt_registration(preview, near, features).registration is not None:
                rivals.append(source)
        return tuple(rivals)


_STANDING = {"verified": 0, "key_revoked": 1, "issuer_untrusted": 2, "signature_invalid": 3}
