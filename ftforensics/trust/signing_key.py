"""Ed25519 signing keys and their files. In: a name, a role, a passphrase. Out: a key that signs, or a private file.

The file is a PKCS#8 PEM that OpenSSL reads too, with four lines in front of it that say what can be said without the
passphrase: format, name, role and public key. Source: RFC 8032, RFC 8410, RFC 5958, RFC 7468 (text before the PEM).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from ftforensics.errors import KeyLocked, TrustError
from ftforensics.trust.passphrase import lock_pkcs8, unlock_pkcs8
from ftforensics.trust.private_file import load_bounded, permission_warnings, save_private_file
from ftforensics.trust.public_key import fingerprint

KeyRole = Literal["issuer", "examiner"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEADER = re.compile(
    rb"ftf-signing-key: 1\n"
    rb"name: (?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63})\n"
    rb"role: (?P<role>issuer|examiner)\n"
    rb"public-key: (?P<public>[0-9a-f]{64})\n"
    rb"(?P<pem>-----BEGIN (?P<locked>ENCRYPTED )?PRIVATE KEY-----\n.*)",
    re.DOTALL,
)


class Signer(Protocol):
    """Whatever can sign bytes for one Ed25519 key: a key of ours, or a command that keeps it elsewhere."""

    @property
    def key_id(self) -> str:
        """Fingerprint of the public key."""

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over ``message``."""


def check_key_name(name: str) -> str:
    """Return the name if it can name a key.

    Raises:
        TrustError: Empty, over 64 characters, or with anything but letters, digits, dot, dash and underscore.
    """
    if _NAME.fullmatch(name) is None:
        raise TrustError(
            f"not a usable key name: {name[:80]!a}",
            remedy="use 1 to 64 letters, digits, dots, dashes or underscores, starting with a letter or digit",
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyHeader:
    """What a signing key's file says without its passphrase; a claim until the key has been unlocked."""

    name: str
    role: KeyRole
    public_key: bytes
    key_id: str
    locked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """An Ed25519 private key with its name and role. ``warnings`` are sentences about the file it was loaded from."""

    name: str
    role: KeyRole
    public_key: bytes
    key_id: str
    warnings: tuple[str, ...] = ()
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """The same as ``key_id``: what others pin."""
        return self.key_id

    @classmethod
    def generate(cls, name: str, role: KeyRole) -> SigningKey:
        """Make a new key from the operating system's random generator.

        Raises:
            TrustError: The name or role is malformed.
        """
        return _build(name, role, Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, name: str, role: KeyRole, seed: bytes) -> SigningKey:
        """Make the key of a 32-byte secret seed (RFC 8032's private key); anyone with the seed has the key.

        Raises:
            TrustError: The seed is not 32 bytes, or the name or role is malformed.
        """
        if len(seed) != 32:
            raise TrustError(f"seed of a signing key has {len(seed)} bytes, not 32")
        return _build(name, role, Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over ``message``."""
        return self._private.sign(message)

    def save(self, path: Path, passphrase: str | None) -> None:
        """Write the key to a new file with mode 0600.

        Args:
            path: Where; nothing may be there yet.
            passphrase: What locks the file; None leaves the key readable to whoever gets the file.

        Raises:
            AlreadyExists: Something is there.
            KeyLocked: The passphrase is empty.
            WriteFailed: Disk full, or not permitted.
        """
        encoding = Encoding.DER if passphrase is not None else Encoding.PEM
        secret = self._private.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())
        pem = secret if passphrase is None else lock_pkcs8(secret, passphrase)
        header = f"ftf-signing-key: 1\nname: {self.name}\nrole: {self.role}\npublic-key: {self.public_key.hex()}\n"
        save_private_file(path, header.encode("ascii") + pem)

    @classmethod
    def load(cls, path: Path, passphrase: str | None) -> SigningKey:
        """Read a key's file.

        Raises:
            KeyLocked: The file is locked and the passphrase is missing or wrong.
            TrustError: Not such a file, or its header names another public key than it holds.
        """
        data = load_bounded(path, what="key file")
        key = parse_signing_key(data, passphrase, subject=str(path))
        warnings = permission_warnings(path)
        if passphrase is not None and not parse_signing_key_header(data, subject=str(path)).locked:
            warnings += (f"key file is not locked, the passphrase was not needed: {path}.",)
        return _build(key.name, key.role, key._private, warnings)


def parse_signing_key_header(data: bytes, *, subject: str | None = None) -> SigningKeyHeader:
    """Read what a signing key's file says in the clear.

    Raises:
        TrustError: Not such a file.
    """
    found = _match_header(data, subject)
    public_key = bytes.fromhex(found["public"].decode("ascii"))
    return SigningKeyHeader(
        name=found["name"].decode("ascii"),
        role="issuer" if found["role"] == b"issuer" else "examiner",
        public_key=public_key,
        key_id=fingerprint(public_key),
        locked=found["locked"] is not None,
    )


def parse_signing_key(data: bytes, passphrase: str | None, *, subject: str | None = None) -> SigningKey:
    """Read a signing key from the bytes of its file.

    Raises:
        KeyLocked: Locked, and the passphrase is missing or wrong.
        TrustError: Not such a file, or its header names another public key than it holds.
    """
    header = parse_signing_key_header(data, subject=subject)
    if header.locked and passphrase is None:
        raise KeyLocked("key is locked", subject=subject, remedy="give its passphrase")
    pem = _match_header(data, subject)["pem"]
    try:
        if header.locked and passphrase is not None:
            private = load_der_private_key(unlock_pkcs8(pem, passphrase), None)
        else:
            private = load_pem_private_key(pem, None)
    except KeyLocked as exc:
        raise KeyLocked(exc.what, subject=subject, remedy=exc.remedy) from exc
    except TrustError as exc:
        raise TrustError(exc.what, subject=subject, remedy="restore it from a backup") from exc
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        if header.locked:
            raise KeyLocked("wrong passphrase, or the key is damaged", subject=subject, remedy="try again") from exc
        raise TrustError("key file is damaged", subject=subject, remedy="restore it from a backup") from exc
    if not isinstance(private, Ed25519PrivateKey):
        raise TrustError("key is not an Ed25519 key", subject=subject, remedy="make one with 'ftf key new'")
    key = _build(header.name, header.role, private)
    if key.public_key != header.public_key:
        raise TrustError(
            "key file names another public key than it holds", subject=subject, remedy="restore it from a backup"
        )
    return key


def _match_header(data: bytes, subject: str | None) -> re.Match[bytes]:
    found = _HEADER.fullmatch(data)
    if found is None:
        raise TrustError("not a signing key file", subject=subject, remedy="make one with 'ftf key new'")
    return found


def _build(name: str, role: KeyRole, private: Ed25519PrivateKey, warnings: tuple[str, ...] = ()) -> SigningKey:
    if role not in get_args(KeyRole):
        raise TrustError(f"not a key role: {str(role)[:40]!a}", remedy="use issuer or examiner")
    public_key = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return SigningKey(
        name=check_key_name(name),
        role=role,
        public_key=public_key,
        key_id=fingerprint(public_key),
        warnings=warnings,
        _private=private,
    )
