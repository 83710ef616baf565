"""Attack: an issuer publishes a degenerate key under which one signature fits every message, to deny or to forge."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from signed_rows import make_row

from ftforensics.domain.record import RECORD_PAYLOAD_TYPE, SignedEnvelope
from ftforensics.errors import SignatureInvalid, TrustError
from ftforensics.trust.envelope import verify_envelope
from ftforensics.trust.keys import CommandSigner, fingerprint, verify_signature

NEUTRAL_POINT = b"\x01" + bytes(31)
FITS_EVERYTHING = NEUTRAL_POINT + bytes(32)


def test_the_attack_is_real_against_bare_ed25519():
    for message in (b"one", b"another"):
        Ed25519PublicKey.from_public_bytes(NEUTRAL_POINT).verify(FITS_EVERYTHING, message)


def test_such_a_key_verifies_nothing_here():
    with pytest.raises(SignatureInvalid, match="small order"):
        verify_signature(NEUTRAL_POINT, FITS_EVERYTHING, b"one")


def test_such_a_key_has_no_fingerprint_to_pin():
    with pytest.raises(TrustError, match="small order"):
        fingerprint(NEUTRAL_POINT)
    with pytest.raises(TrustError, match="small order"):
        CommandSigner(["true"], NEUTRAL_POINT)


def test_such_a_record_is_refused():
    from signed_rows import HERALD

    payload = make_row(HERALD).record.payload
    key_id = "ed25519:" + hashlib.sha256(NEUTRAL_POINT).hexdigest()
    envelope = SignedEnvelope(
        payload_type=RECORD_PAYLOAD_TYPE, payload=payload, key_id=key_id, signature=FITS_EVERYTHING
    )
    with pytest.raises(SignatureInvalid, match="small order"):
        verify_envelope(envelope, NEUTRAL_POINT, RECORD_PAYLOAD_TYPE)
