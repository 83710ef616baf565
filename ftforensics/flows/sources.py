"""Records of a scan's registries: found by tag or by content, and checked against the trust list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache

from ftforensics.domain.link import SignatureCheck, SourceRef
from ftforensics.domain.record import RegisteredRecord, VerifiedRecord
from ftforensics.errors import IssuerUntrusted, KeyRevoked, NotFound, SignatureInvalid, TrustError
from ftforensics.imaging.resample import Pixels
from ftforensics.link.feature_index import FeatureIndex
from ftforensics.link.features import Features
from ftforensics.link.index import ContentIndex
from ftforensics.store.registry import Registry
from ftforensics.trust.record import parse_record_core, record_sha256, verify_record
from ftforensics.trust.trustlist import TrustList

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

    Args:
        registries: Open for reading; earlier ones win where two hold the same record.
    """

    def __init__(self, registries: Sequence[Registry]) -> None:
        self._registries = list(registries)
        self._lock = threading.Lock()
        self._indexes = [ContentIndex(*registry.phash_index()) for registry in self._registries]
        self._parts: list[tuple[list[str], FeatureIndex]] | None = None

    def find(self, tag_id: str, carrier_key_id: str) -> list[RegisteredRecord]:
        """Every record with this tag id and carrier key, each distinct record once."""
        rows: dict[bytes, RegisteredRecord] = {}
        for registry in self._registries:
            try:
                row = self._get(registry, tag_id, carrier_key_id)
            except NotFound:
                continue
            known = rows.get(row.record.payload)
            # Of two copies of a record, the one that shows the photograph says more.
            if known is None or (known.preview is None and row.preview is not None):
                rows[row.record.payload] = row
        return list(rows.values())

    def near(self, pixels: Pixels, *, limit: int, max_distance_bits: int | None = None) -> list[RegisteredRecord]:
        """Records whose perceptual hash is near the picture's, nearest first."""
        found: dict[bytes, tuple[int, RegisteredRecord]] = {}
        for registry, index in zip(self._registries, self._indexes, strict=True):
            leads = (
                index.nearest(pixels, limit=limit)
                if max_distance_bits is None
                else index.nearest(pixels, limit=limit, max_distance_bits=max_distance_bits)
            )
            for lead in leads:
                for row in self._all_of(registry, lead.tag_id):
                    found.setdefault(row.record.payload, (lead.distance_bits, row))
        return [row for _, row in sorted(found.values(), key=lambda item: (item[0], item[1].tag_id))][:limit]

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
        for registry, (tag_ids, index) in zip(self._registries, parts, strict=True):
            for rank, position in enumerate(index.nearest(detect(), limit=limit) if len(index) else ()):
                ranked += [(rank, row) for row in self._all_of(registry, tag_ids[position])]
        found: dict[bytes, RegisteredRecord] = {}
        for _, row in sorted(ranked, key=lambda item: item[0]):
            found.setdefault(row.record.payload, row)
        return list(found.values())[: MOST_REGISTRIES * limit]

    def _all_of(self, registry: Registry, tag_id: str) -> list[RegisteredRecord]:
        with self._lock:
            return registry.all_of(tag_id)

    def _get(self, registry: Registry, tag_id: str, carrier_key_id: str | None = None) -> RegisteredRecord:
        with self._lock:
            return registry.get(tag_id, carrier_key_id)


def has_too_many_parts(registry: Registry) -> bool:
    """Whether a registry is too large to be searched for the sources of parts of pictures."""
    return registry.count() > MOST_INDEXED


def _index_parts(registry: Registry) -> tuple[list[str], FeatureIndex]:
    tag_ids, blobs = ([], []) if has_too_many_parts(registry) else registry.descriptor_index()
    return tag_ids, FeatureIndex(blobs)


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
    except IssuerUntrusted as exc:
        return _failed_check("issuer_untrusted", row, exc), _unverified_source(row)
    except KeyRevoked as exc:
        return _failed_check("key_revoked", row, exc), _unverified_source(row)
    except (SignatureInvalid, TrustError) as exc:
        return _failed_check("signature_invalid", row, exc), None
    return _passed_check(verified), _verified_source(verified)


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


def _failed_check(status: str, row: RegisteredRecord, exc: TrustError) -> SignatureCheck:
    source = None if status == "signature_invalid" else _unverified_source(row)
    return SignatureCheck(
        status=status,
        issuer=source.issuer if source is not None else None,
        key_id=row.record.key_id,
        record_sha256=record_sha256(row.record.payload),
        log_index=row.log_index,
        time=row.logged_at,
        message=exc.sentence,
    )


def _verified_source(verified: VerifiedRecord) -> SourceRef:
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
    )


def _unverified_source(row: RegisteredRecord) -> SourceRef:
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
    )
