"""Signed registry rows for attacks on keys, signatures and logs; every key comes from a fixed seed."""

from __future__ import annotations

import hashlib

from ftforensics.domain.record import BindingStatement, RecordCore, RegisteredRecord
from ftforensics.trust.keys import CarrierKey, Signer, SigningKey
from ftforensics.trust.record import record_sha256, sign_binding, sign_record, tag_id

HERALD = SigningKey.from_seed("herald", "issuer", hashlib.sha256(b"hostile herald").digest())
MALLORY = SigningKey.from_seed("mallory", "issuer", hashlib.sha256(b"hostile mallory").digest())
EXAMINER = SigningKey.from_seed("ada", "examiner", hashlib.sha256(b"hostile ada").digest())
CARRIER = CarrierKey.from_secret("waves", hashlib.sha256(b"hostile waves").digest())


def make_core(
    signer: Signer, *, issuer: str = "The Herald", photograph: str = "photo", created: str = "2026-03-01T10:00:00Z"
) -> RecordCore:
    """The core of a record of an imagined photograph."""
    return RecordCore(
        issuer=issuer,
        key_id=signer.key_id,
        nonce=hashlib.sha256(photograph.encode()).hexdigest()[:32],
        source_sha256=hashlib.sha256(b"source of " + photograph.encode()).hexdigest(),
        phash=hashlib.sha256(b"phash of " + photograph.encode()).hexdigest()[:16],
        descriptors_sha256=hashlib.sha256(b"descriptors of " + photograph.encode()).hexdigest(),
        preview_sha256=hashlib.sha256(b"preview of " + photograph.encode()).hexdigest(),
        width_px=1024,
        height_px=768,
        model_id="ft1",
        carrier_key_id=CARRIER.key_id,
        created=created,
    )


def make_row(
    signer: Signer,
    *,
    issuer: str = "The Herald",
    photograph: str = "photo",
    created: str = "2026-03-01T10:00:00Z",
    logged_at: str = "2026-03-01T10:00:05Z",
    log_index: int = 0,
) -> RegisteredRecord:
    """A registry row that is whole in itself, whoever signed it."""
    record = sign_record(make_core(signer, issuer=issuer, photograph=photograph, created=created), signer)
    tag = tag_id(record.payload)
    binding = BindingStatement(
        tag_id=tag,
        record_sha256=record_sha256(record.payload),
        tagged_sha256=hashlib.sha256(b"tagged " + photograph.encode()).hexdigest(),
        tagged_phash=hashlib.sha256(b"phash of " + photograph.encode()).hexdigest()[:16],
        media_type="image/png",
        created=created,
    )
    return RegisteredRecord(
        tag_id=tag,
        carrier_key_id=CARRIER.key_id,
        record=record,
        binding=sign_binding(binding, signer),
        public_key=signer.public_key,
        descriptors=b"descriptors of " + photograph.encode(),
        preview=b"preview of " + photograph.encode(),
        log_index=log_index,
        logged_at=logged_at,
    )
