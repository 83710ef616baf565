"""Ed25519 public keys: fingerprints, PEM form, checking signatures. In: raw 32-byte keys. Out: key ids, or errors.

Source: RFC 8032 (Ed25519), RFC 8410 (its SubjectPublicKeyInfo).
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from ftforensics.errors import SignatureInvalid, TrustError

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

# Encodings of points of small order, sign bit cleared. Under such a key one signature fits many messages, so an issuer
# could deny what he signed. The list is checked against curve arithmetic in the tests.
_SMALL_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)


def fingerprint(public_key: bytes) -> str:
    """Key id of a raw public key: ``ed25519:`` and the lower-case hex SHA-256 of its 32 bytes.

    Raises:
        TrustError: The key is not 32 bytes long or is a point of small order.
    """
    _check_public_key(public_key)
    return "ed25519:" + hashlib.sha256(public_key).hexdigest()


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Check one Ed25519 signature.

    Args:
        public_key: 32 raw bytes.
        signature: 64 raw bytes.
        message: The exact bytes that were signed.

    Raises:
        SignatureInvalid: The signature does not fit the message and the key, or either is malformed.

    Does not establish whose key it is, nor when the signature was made.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureInvalid(f"signature has {len(signature)} bytes, not {SIGNATURE_BYTES}")
    try:
        _check_public_key(public_key)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature as exc:
        raise SignatureInvalid("signature does not fit the signed bytes and the key") from exc
    except TrustError as exc:
        raise SignatureInvalid(exc.what) from exc
    except ValueError as exc:
        raise SignatureInvalid("public key is not a point of the curve") from exc


def public_key_pem(public_key: bytes) -> bytes:
    """Write a raw public key as a SubjectPublicKeyInfo PEM file, readable by OpenSSL.

    Raises:
        TrustError: The key is malformed.
    """
    _check_public_key(public_key)
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def parse_public_key(data: bytes, *, subject: str | None = None) -> bytes:
    """Read a public key from PEM bytes.

    Returns:
        The 32 raw bytes.

    Raises:
        TrustError: Not the PEM of an Ed25519 public key.
    """
    remedy = "export it with 'ftf key export' or 'openssl pkey -pubout'"
    try:
        key = load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise TrustError("not a public key in PEM form", subject=subject, remedy=remedy) from exc
    if not isinstance(key, Ed25519PublicKey):
        raise TrustError("public key is not an Ed25519 key", subject=subject, remedy=remedy)
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    _check_public_key(raw)
    return raw


def _check_public_key(public_key: bytes) -> None:
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise TrustError(f"Ed25519 public key has {len(public_key)} bytes, not {PUBLIC_KEY_BYTES}")
    if public_key[:-1] + bytes([public_key[-1] & 0x7F]) in _SMALL_ORDER:
        raise TrustError("Ed25519 public key is a point of small order, under which one signature fits many messages")
