"""Carrier keys: the secret from which an issuer's carriers are drawn. In: a passphrase. Out: derived bytes, a file.

Source: RFC 5869 (HKDF with SHA-256); the file is JSON sealed with ChaCha20-Poly1305 (RFC 8439) under scrypt (RFC 7914).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ftforensics.errors import KeyLocked, TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.fields import CARRIER_KEY_ID, Fields
from ftforensics.trust.passphrase import SALT_BYTES, stretch
from ftforensics.trust.private_file import load_bounded, permission_warnings, save_private_file
from ftforensics.trust.signing_key import check_key_name

SECRET_BYTES = 32
MAX_DERIVED_BYTES = 255 * 32

_FORMAT = "ftf-carrier-key-v1"
_NONCE_BYTES = 12
_SEALED_BYTES = SECRET_BYTES + 16
_HEADER_NAMES = frozenset({"format", "key_id", "name", "protection"})
_NAMES = _HEADER_NAMES | {"nonce", "salt", "secret"}
_PROTECTION = re.compile(r"none|scrypt-16384-8-5\+chacha20poly1305")
_LOCKED = "scrypt-16384-8-5+chacha20poly1305"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierKey:
    """A 32-byte secret with a name. ``key_id`` tells nothing of the secret; ``warnings`` are about its file."""

    name: str
    key_id: str
    warnings: tuple[str, ...] = ()
    _secret: bytes = field(repr=False, compare=False)

    @classmethod
    def generate(cls, name: str) -> CarrierKey:
        """Make a new key from the operating system's random generator.

        Raises:
            TrustError: The name is malformed.
        """
        return cls.from_secret(name, os.urandom(SECRET_BYTES))

    @classmethod
    def from_secret(cls, name: str, secret: bytes) -> CarrierKey:
        """Make the key of a 32-byte secret.

        Raises:
            TrustError: The secret is not 32 bytes, or the name is malformed.
        """
        if len(secret) != SECRET_BYTES:
            raise TrustError(f"secret of a carrier key has {len(secret)} bytes, not {SECRET_BYTES}")
        key_id = "carrier:" + _expand(secret, b"ftf-carrier-v1/key-id", 16).hex()
        return cls(name=check_key_name(name), key_id=key_id, _secret=secret)

    def derive(self, label: str, length: int) -> bytes:
        """Derive bytes for one purpose; other labels give independent bytes.

        Args:
            label: What the bytes are for; not secret.
            length: 1 to 8160 bytes.

        Returns:
            HKDF-SHA256 of the secret, the same every time.

        Raises:
            TrustError: The length is out of range, or the label is not text that UTF-8 can carry.
        """
        if not 1 <= length <= MAX_DERIVED_BYTES:
            raise TrustError(f"cannot derive {length} bytes from a carrier key", remedy="ask for 1 to 8160 bytes")
        try:
            purpose = label.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise TrustError("label of a derived key is not valid text") from exc
        return _expand(self._secret, b"ftf-carrier-v1/derive/" + purpose, length)

    def save(self, path: Path, passphrase: str | None) -> None:
        """Write the key to a new file with mode 0600.

        Args:
            path: Where; nothing may be there yet.
            passphrase: What locks the file; None leaves the secret readable to whoever gets the file.

        Raises:
            AlreadyExists: Something is there.
            KeyLocked: The passphrase is empty.
            WriteFailed: Disk full, or not permitted.
        """
        header = {
            "format": _FORMAT,
            "key_id": self.key_id,
            "name": self.name,
            "protection": "none" if passphrase is None else _LOCKED,
        }
        if passphrase is None:
            body = {"nonce": "", "salt": "", "secret": self._secret.hex()}
        else:
            salt, nonce = os.urandom(SALT_BYTES), os.urandom(_NONCE_BYTES)
            cipher = ChaCha20Poly1305(stretch(passphrase, salt, 32))
            sealed = cipher.encrypt(nonce, self._secret, canonical_json(header))
            body = {"nonce": nonce.hex(), "salt": salt.hex(), "secret": sealed.hex()}
        save_private_file(path, canonical_json(header | body))

    @classmethod
    def load(cls, path: Path, passphrase: str | None) -> CarrierKey:
        """Read a key's file.

        Raises:
            KeyLocked: The file is locked and the passphrase is missing or wrong.
            TrustError: Not such a file, or its key id is not that of its secret.
        """
        data = load_bounded(path, what="carrier key file")
        key = parse_carrier_key(data, passphrase, subject=str(path))
        warnings = permission_warnings(path)
        if passphrase is not None and not parse_carrier_key_header(data, subject=str(path)).locked:
            warnings += (f"key file is not locked, the passphrase was not needed: {path}.",)
        return cls(name=key.name, key_id=key.key_id, warnings=warnings, _secret=key._secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierKeyHeader:
    """What a carrier key's file says without its passphrase; a claim until the key has been unlocked."""

    name: str
    key_id: str
    locked: bool


def parse_carrier_key_header(data: bytes, *, subject: str | None = None) -> CarrierKeyHeader:
    """Read what a carrier key's file says in the clear.

    Raises:
        TrustError: Not such a file.
    """
    fields = _read_fields(data, subject)
    return CarrierKeyHeader(
        name=check_key_name(fields.text("name", max_chars=64)),
        key_id=fields.match("key_id", CARRIER_KEY_ID),
        locked=fields.match("protection", _PROTECTION) == _LOCKED,
    )


def parse_carrier_key(data: bytes, passphrase: str | None, *, subject: str | None = None) -> CarrierKey:
    """Read a carrier key from the bytes of its file.

    Raises:
        KeyLocked: Locked, and the passphrase is missing or wrong.
        TrustError: Not such a file, or its key id is not that of its secret.
    """
    header = parse_carrier_key_header(data, subject=subject)
    fields = _read_fields(data, subject)
    if header.locked:
        salt = _hex_bytes(fields, "salt", SALT_BYTES)
        nonce = _hex_bytes(fields, "nonce", _NONCE_BYTES)
        sealed = _hex_bytes(fields, "secret", _SEALED_BYTES)
        if passphrase is None:
            raise KeyLocked("carrier key is locked", subject=subject, remedy="give its passphrase")
        clear = {"format": _FORMAT, "key_id": header.key_id, "name": header.name, "protection": _LOCKED}
        try:
            cipher = ChaCha20Poly1305(stretch(passphrase, salt, 32))
            secret = cipher.decrypt(nonce, sealed, canonical_json(clear))
        except InvalidTag as exc:
            raise KeyLocked(
                "wrong passphrase, or the carrier key is damaged",
                subject=subject,
                remedy="try again",
            ) from exc
    else:
        _hex_bytes(fields, "salt", 0)
        _hex_bytes(fields, "nonce", 0)
        secret = _hex_bytes(fields, "secret", SECRET_BYTES)
    key = CarrierKey.from_secret(header.name, secret)
    if key.key_id != header.key_id:
        raise TrustError(
            "carrier key file names another key than it holds", subject=subject, remedy="restore it from a backup"
        )
    return key


def _read_fields(data: bytes, subject: str | None) -> Fields:
    fields = Fields(parse_canonical(data, subject=subject), _NAMES, subject=f"carrier key file {subject or ''}".strip())
    fields.match("format", re.compile(re.escape(_FORMAT)))
    return fields


def _hex_bytes(fields: Fields, name: str, size_bytes: int) -> bytes:
    return bytes.fromhex(fields.match(name, re.compile(rf"[0-9a-f]{{{2 * size_bytes}}}")))


def _expand(secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
