"""Keys, records and rows for the tests of the trust room, all from fixed seeds."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import settings

from ftforensics.domain.record import BindingStatement, RecordCore, RegisteredRecord
from ftforensics.trust.keys import CarrierKey, SigningKey
from ftforensics.trust.record import record_sha256, sign_binding, sign_record, tag_id
from ftforensics.trust.trustlist import TrustList

# A busy machine must not fail a test.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

DESCRIPTORS = b"descriptors of the source"
PREVIEW = b"preview of the source"


@pytest.fixture(scope="session")
def issuer_key() -> SigningKey:
    return SigningKey.from_seed("herald", "issuer", hashlib.sha256(b"herald").digest())


@pytest.fixture(scope="session")
def other_key() -> SigningKey:
    return SigningKey.from_seed("mallory", "issuer", hashlib.sha256(b"mallory").digest())


@pytest.fixture(scope="session")
def carrier_key() -> CarrierKey:
    return CarrierKey.from_secret("herald-carrier", hashlib.sha256(b"carrier").digest())


@pytest.fixture(scope="session")
def core(issuer_key: SigningKey, carrier_key: CarrierKey) -> RecordCore:
    return RecordCore(
        issuer="The Herald",
        key_id=issuer_key.key_id,
        nonce="00112233445566778899aabbccddeeff",
        source_sha256=hashlib.sha256(b"source").hexdigest(),
        phash="0123456789abcdef",
        descriptors_sha256=hashlib.sha256(DESCRIPTORS).hexdigest(),
        preview_sha256=hashlib.sha256(PREVIEW).hexdigest(),
        width_px=1024,
        height_px=768,
        model_id="ft1",
        carrier_key_id=carrier_key.key_id,
        created="2026-03-01T10:00:00Z",
        rights="© The Herald",
        contact="desk@herald.example",
    )


@pytest.fixture(scope="session")
def row(core: RecordCore, issuer_key: SigningKey) -> RegisteredRecord:
    record = sign_record(core, issuer_key)
    tag = tag_id(record.payload)
    binding = BindingStatement(
        tag_id=tag,
        record_sha256=record_sha256(record.payload),
        tagged_sha256=hashlib.sha256(b"tagged").hexdigest(),
        tagged_phash="0123456789abcdee",
        media_type="image/jpeg",
        created="2026-03-01T10:00:02Z",
    )
    return RegisteredRecord(
        tag_id=tag,
        carrier_key_id=core.carrier_key_id,
        record=record,
        binding=sign_binding(binding, issuer_key),
        public_key=issuer_key.public_key,
        descriptors=DESCRIPTORS,
        preview=PREVIEW,
        log_index=7,
        logged_at="2026-03-01T10:00:05Z",
    )


@pytest.fixture
def trust(issuer_key: SigningKey) -> TrustList:
    return TrustList().pin("The Herald", issuer_key.key_id, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
