"""Small signed records for the registry's tests; tag ids are derived for real only where asked."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ftforensics.domain.record import BindingStatement, RecordCore
from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.record import record_sha256, sign_binding, sign_record, tag_id

AT = "2026-03-01T12:00:00Z"
LATER = "2026-03-02T12:00:00Z"
CARRIER = "carrier:" + "a1" * 16
ISSUER = SigningKey.from_seed("agency", "issuer", b"i" * 32)
OTHER = SigningKey.from_seed("other", "issuer", b"o" * 32)


def make_submission(
    number: int,
    *,
    signer: SigningKey = ISSUER,
    carrier: str = CARRIER,
    real_tag_id: bool = False,
    bound: bool = True,
    preview: bytes | None = b"preview",
) -> RecordSubmission:
    descriptors = b"descriptors %d" % number
    core = RecordCore(
        issuer="Press Agency",
        key_id=signer.key_id,
        nonce=f"{number:032x}",
        source_sha256=hashlib.sha256(b"source %d" % number).hexdigest(),
        phash=hashlib.sha256(b"phash %d" % number).hexdigest()[:16],
        descriptors_sha256=hashlib.sha256(descriptors).hexdigest(),
        preview_sha256=None if preview is None else hashlib.sha256(preview).hexdigest(),
        width_px=640,
        height_px=480,
        model_id="test-1",
        carrier_key_id=carrier,
        created=AT,
    )
    record = sign_record(core, signer)
    digest = record_sha256(record.payload)
    tag = tag_id(record.payload) if real_tag_id else digest[:16]
    statement = BindingStatement(
        tag_id=tag,
        record_sha256=digest,
        tagged_sha256=hashlib.sha256(b"tagged %d" % number).hexdigest(),
        tagged_phash="0" * 16,
        media_type="image/jpeg",
        created=AT,
    )
    return RecordSubmission(
        tag_id=tag,
        carrier_key_id=carrier,
        record=record,
        binding=sign_binding(statement, signer) if bound else None,
        public_key=signer.public_key,
        descriptors=descriptors,
        preview=preview,
    )


def make_registry(path: Path, count: int, *, real_tag_ids: bool = False, log_name: str = "agency-2026") -> Registry:
    """A registry of ``count`` records under two checkpoints (the first after half of them), open for writing."""
    registry = Registry.create(path, log_name, signer=ISSUER, at=AT)
    submissions = [make_submission(number, real_tag_id=real_tag_ids) for number in range(count)]
    half = count // 2
    for part in (submissions[:half], submissions[half:]):
        registry.append(part, signer=ISSUER, at=AT, check_tag_ids=real_tag_ids)
    return registry
