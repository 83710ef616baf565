"""Signed envelopes (DSSE). In: payload, its type, a signer or a public key. Out: an envelope, or the payload.

The signature covers the payload's type and exact bytes, so a statement of one kind cannot be passed off as another.
Source: DSSE 1.0 (secure-systems-lab/dsse), with one signature and canonical JSON, which DSSE leaves open.
"""

from __future__ import annotations

import base64
import binascii
import re

from ftforensics.domain.record import SignedEnvelope
from ftforensics.errors import SignatureInvalid, TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.fields import KEY_ID, Fields
from ftforensics.trust.keys import Signer
from ftforensics.trust.public_key import SIGNATURE_BYTES, fingerprint, verify_signature

_PAYLOAD_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+-]{1,120}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_ENVELOPE = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE = frozenset({"keyid", "sig"})


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: DSSE's PAE of type and payload, each with its length in front."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign_envelope(payload_type: str, payload: bytes, signer: Signer) -> SignedEnvelope:
    """Sign payload bytes.

    Args:
        payload_type: Media type of the payload, part of what is signed.
        payload: The exact bytes.
        signer: A key of ours, or a command that holds one.

    Raises:
        TrustError: The type is malformed, or the signer failed.
    """
    if _PAYLOAD_TYPE.fullmatch(payload_type) is None:
        raise TrustError(f"payload type is not a media type: {payload_type[:80]!a}")
    signature = signer.sign(pre_authentication_encoding(payload_type, payload))
    return SignedEnvelope(payload_type=payload_type, payload=payload, key_id=signer.key_id, signature=signature)


def verify_envelope(envelope: SignedEnvelope, public_key: bytes, expected_type: str) -> bytes:
    """Check an envelope's signature, type and key id.

    Args:
        envelope: From anywhere.
        public_key: 32 raw bytes of the key that is supposed to have signed.
        expected_type: The payload type asked for.

    Returns:
        The payload, byte for byte as signed.

    Raises:
        SignatureInvalid: Another type, another key, or a signature that does not fit.

    Does not establish that the key may be trusted, that the payload is well formed, nor when it was signed.
    """
    if envelope.payload_type != expected_type:
        raise SignatureInvalid(f"payload type is {envelope.payload_type[:80]!a}, not {expected_type}")
    try:
        key_id = fingerprint(public_key)
    except TrustError as exc:
        raise SignatureInvalid(exc.what) from exc
    if envelope.key_id != key_id:
        raise SignatureInvalid(f"envelope names the key {envelope.key_id[:80]!a}, but the key at hand is {key_id}")
    verify_signature(
        public_key, envelope.signature, pre_authentication_encoding(envelope.payload_type, envelope.payload)
    )
    return envelope.payload


def envelope_to_json(envelope: SignedEnvelope) -> bytes:
    """Write an envelope as canonical DSSE JSON."""
    return canonical_json(
        {
            "payload": base64.b64encode(envelope.payload).decode("ascii"),
            "payloadType": envelope.payload_type,
            "signatures": [
                {"keyid": envelope.key_id, "sig": base64.b64encode(envelope.signature).decode("ascii")},
            ],
        }
    )


def parse_envelope(data: bytes, *, subject: str = "envelope") -> SignedEnvelope:
    """Read an envelope from canonical DSSE JSON. Nothing is verified.

    Raises:
        TrustError: Not canonical JSON, other fields than DSSE's, more or fewer than one signature, or bad base64.
    """
    outer = Fields(parse_canonical(data, subject=subject), _ENVELOPE, subject=subject)
    signatures = outer.list_of("signatures", max_items=1)
    if len(signatures) != 1:
        raise TrustError(f"{subject} carries no signature", remedy="get a signed copy from whoever issued it")
    inner = Fields(signatures[0], _SIGNATURE, subject=f"signature of {subject}")
    signature = _decode_base64(inner.match("sig", _BASE64), subject=subject)
    if len(signature) != SIGNATURE_BYTES:
        raise TrustError(f"signature of {subject} has {len(signature)} bytes, not {SIGNATURE_BYTES}")
    return SignedEnvelope(
        payload_type=outer.match("payloadType", _PAYLOAD_TYPE),
        payload=_decode_base64(outer.match("payload", _BASE64), subject=subject),
        key_id=inner.match("keyid", KEY_ID),
        signature=signature,
    )


def _decode_base64(text: str, *, subject: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise TrustError(f"{subject} holds malformed base64") from exc
    if base64.b64encode(data).decode("ascii") != text:
        raise TrustError(f"{subject} holds base64 that is not in its one canonical spelling")
    return data
