"""Records of a scan's registries: found by tag or by content, and checked against the trust list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache

from ftforensics.domain.link import SignatureCheck, SourceRef
from ftforensics.domain.record import RegisteredRecord, VerifiedRecord
from ftforensics.errors import IssuerUntrusted, KeyRevoked, SignatureInvalid, TrustError
from ftforensics.imaging.resample import Pixels
from ftforensics.link.feature_index import FeatureIndex
from ftforensics.link.features import Features
from ftforensics.link.index import ContentIndex
from ftforensics.store.registry import Registry
from ftforensics.trust.log_times import LogStanding, choose_entry, log_standing
from ftforensics.trust.record import parse_record_core, record_sha256, verify_record
from ftforensics.trust.trustlist import TrustList

_Name = tuple[str, bytes]
Checked = tuple[SignatureCheck, SourceRef | None]
# Registries of more records are not searched for parts of pictures: the index is in memory, up to 500 MB of it, and
# thrice that, with the descriptors, while it is made.
MOST_INDEXED = 40_000
# However many registries there are, a picture is lined up with so many times the records asked for, best ranks first.
MOST_REGISTRIES = 3
# A record has some 50 KB of descriptors and preview.
CHECKS_KEPT = 256


class Sources:
    """All registries of a scan: records by tag, and by content. May be used from several threads at once.

    Where several logs have a record, in one registry or in several, the trust list says which log's word counts, never
    their order: see ``trust.log_times``.

    Args:
        registries: Open for reading.
        trust: Whom the investigator trusts.
        checked_at: When that is asked, UTC.
    """

    def __init__(self, registries: Sequence[Registry], trust: TrustList, checked_at: str) -> None:
        self._registries = list(registries)
        self._trust, self._checked_at = trust, checked_at
        self._lock = threading.Lock()
        self._indexes = [ContentIndex(*registry.phash_index()) for registry in self._registries]
        self._parts: list[tuple[list[str], FeatureIndex]] | None = None

    def find(self, tag_id: str, carrier_key_id: str) -> list[RegisteredRecord]:
        """Every record with this tag id and carrier key, each distinct record once."""
        return [row for row in self._all_of(tag_id) if row.carrier_key_id == carrier_key_id]

    def near(self, pixels: Pixels, *, limit: int, max_distance_bits: int | None = None) -> list[RegisteredRecord]:
        """Records whose perceptual hash is near the picture's, nearest first."""
        found: dict[_Name, tuple[int, RegisteredRecord]] = {}
        for index in self._indexes:
            leads = (
                index.nearest(pixels, limit=limit)
                if max_distance_bits is None
                else index.nearest(pixels, limit=limit, max_distance_bits=max_distance_bits)
            )
            for lead in leads:
                for row in self._all_of(lead.tag_id):
                    known = found.get(_name(row))
                    if known is None or lead.distance_bits < known[0]:
                        found[_name(row)] = lead.distance_bits, row
        return [row for _, row in sorted(found.values(), key=lambda item: (item[0], _name(item[1])))][:limit]

    def near_parts(self, detect: Callable[[], Features], *, limit: int) -> list[RegisteredRecord]:
        """Records whose photograph shares local features with a picture, most likely first.

        The index is made when it is first asked for, which takes some seconds where there are thousands of records.
        Features are detected only if there is anything to compare them with.
        """
        with self._lock:
            if self._parts is None:
                self._parts = [_index_parts(registry) for registry in self._registries]
            parts = self._parts
        ranked: list[tuple[int, RegisteredRecord]] = []
        for tag_ids, index in parts:
            for rank, position in enumerate(index.nearest(detect(), limit=limit) if len(index) else ()):
                ranked += [(rank, row) for row in self._all_of(tag_ids[position])]
        found: dict[_Name, RegisteredRecord] = {}
        for _, row in sorted(ranked, key=lambda item: (item[0], _name(item[1]))):
            found.setdefault(_name(row), row)
        return list(found.values())[: MOST_REGISTRIES * limit]

    def _all_of(self, tag_id: str) -> list[RegisteredRecord]:
        """Every record with this tag id, under whatever carrier key, in an order of its own."""
        with self._lock:
            rows = [row for registry in self._registries for row in registry.all_of(tag_id)]
        entries: dict[tuple[str, bytes], list[RegisteredRecord]] = {}
        for row in rows:
            entries.setdefault((row.carrier_key_id, row.record.payload), []).append(row)
        return [choose_entry(entries[name], self._trust, self._checked_at) for name in sorted(entries)]


def _name(row: RegisteredRecord) -> _Name:
    """What tells records apart: a copy under a tag id that does not follow from it must not silence the genuine one."""
    return row.tag_id, row.record.payload


def has_too_many_parts(registry: Registry) -> bool:
    """Whether a registry is too large to be searched for the sources of parts of pictures."""
    return registry.count() > MOST_INDEXED


def _index_parts(registry: Registry) -> tuple[list[str], FeatureIndex]:
    pairs = [] if has_too_many_parts(registry) else sorted(zip(*registry.descriptor_index(), strict=True))
    return [tag_id for tag_id, _ in pairs], FeatureIndex([blob for _, blob in pairs])


class RecordChecks:
    """What checking a record says, made once for each distinct record of a scan: many suspects can share a source.

    The whole row is what is remembered by, so that a row that differs anywhere is checked by itself.
    """

    def __init__(self, trust: TrustList, checked_at: str) -> None:
        self._checked = lru_cache(maxsize=CHECKS_KEPT)(lambda row: check_record(row, trust, checked_at))

    def of(self, row: RegisteredRecord) -> Checked:
        """As ``check_record``."""
        return self._checked(row)


def check_record(row: RegisteredRecord, trust: TrustList, checked_at: str) -> Checked:
    """The signature's status, and the record as shown to people where at least its signature holds.

    It does not establish that the record's statements are true.
    """
    try:
        verified = verify_record(row, trust, checked_at)
    except (IssuerUntrusted, KeyRevoked) as exc:
        status = "key_revoked" if isinstance(exc, KeyRevoked) else "issuer_untrusted"
        source = _unverified_source(row, log_standing(row, parse_record_core(row.record.payload), trust, checked_at))
        return _failed_check(status, row, source, exc), source
    except (SignatureInvalid, TrustError) as exc:
        return _failed_check("signature_invalid", row, None, exc), None
    return _passed_check(verified), _verified_source(verified, row, log_standing(row, verified.core, trust, checked_at))


def source_phash(row: RegisteredRecord) -> str:
    """The source's perceptual hash as its record claims it; zeros where the record does not parse."""
    try:
        return parse_record_core(row.record.payload).phash
    except TrustError:
        return "0" * 16


def _passed_check(verified: VerifiedRecord) -> SignatureCheck:
    return SignatureCheck(
        status="verified",
        issuer=verified.issuer,
        key_id=verified.key_id,
        record_sha256=verified.record_sha256,
        log_index=verified.log_index,
        time=verified.logged_at,
    )


def _failed_check(status: str, row: RegisteredRecord, source: SourceRef | None, exc: TrustError) -> SignatureCheck:
    return SignatureCheck(
        status=status,
        issuer=source.issuer if source is not None else None,
        key_id=row.record.key_id,
        record_sha256=record_sha256(row.record.payload),
        log_index=row.log_index,
        time=row.logged_at,
        message=exc.sentence,
    )


def _verified_source(verified: VerifiedRecord, row: RegisteredRecord, standing: LogStanding) -> SourceRef:
    core = verified.core
    return SourceRef(
        tag_id=verified.tag_id,
        issuer=verified.issuer,
        key_id=verified.key_id,
        record_sha256=verified.record_sha256,
        source_sha256=core.source_sha256,
        tagged_sha256=verified.binding.tagged_sha256 if verified.binding is not None else None,
        log_index=verified.log_index,
        logged_at=verified.logged_at,
        created=core.created,
        rights=core.rights,
        contact=core.contact,
        log_name=row.log_name,
        log_key_id=row.log_key_id,
        log_standing=standing,
    )


def _unverified_source(row: RegisteredRecord, standing: LogStanding) -> SourceRef:
    """What a record says whose signature holds but whose key nobody vouches for."""
    core = parse_record_core(row.record.payload)
    return SourceRef(
        tag_id=row.tag_id,
        issuer=core.issuer,
        key_id=core.key_id,
        record_sha256=record_sha256(row.record.payload),
        source_sha256=core.source_sha256,
        tagged_sha256=None,
        log_index=row.log_index,
        logged_at=row.logged_at,
        created=core.created,
        rights=core.rights,
        contact=core.contact,
        log_name=row.log_name,
        log_key_id=row.log_key_id,
        log_standing=standing,
    )
