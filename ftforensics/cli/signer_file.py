"""Keys that stay elsewhere: a file in the key folder that names the command which signs with such a key.

The file ``<name>.signer`` is canonical JSON: format, name, role, public key, and the command as a list of arguments.
Whoever can write it decides what program is run, so one that others than its owner could change is refused.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ftforensics.errors import TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.fields import Fields
from ftforensics.trust.keys import KeyRole, fingerprint
from ftforensics.trust.private_file import load_bounded, save_private_file
from ftforensics.trust.signing_key import check_key_name

SUFFIX = ".signer"
MAX_ARGUMENTS = 64
_FORMAT = "ftf-signer-v1"
_NAMES = frozenset({"argv", "format", "name", "public_key", "role"})
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")
_ROLE = re.compile(r"issuer|examiner")
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerFile:
    """A key whose private half is elsewhere, and the command that signs with it."""

    name: str
    role: KeyRole
    public_key: bytes
    argv: tuple[str, ...]

    @property
    def key_id(self) -> str:
        """Fingerprint of the public key."""
        return fingerprint(self.public_key)


def save_signer_file(path: Path, signer: SignerFile) -> None:
    """Write the file with mode 0600.

    Raises:
        AlreadyExists: Something is at ``path``.
        TrustError: A field is malformed.
        WriteFailed: Disk full, or not permitted.
    """
    data = canonical_json(
        {
            "argv": list(signer.argv),
            "format": _FORMAT,
            "name": signer.name,
            "public_key": signer.public_key.hex(),
            "role": signer.role,
        }
    )
    parse_signer_file(data, subject=str(path))
    save_private_file(path, data)


def load_signer_file(path: Path) -> SignerFile:
    """Read the file.

    Raises:
        KeyUnknown: There is no such file.
        TrustError: Others may write to it, or it is malformed.
    """
    data = load_bounded(path, what="signer file")
    if path.stat().st_mode & _OTHERS_MAY_WRITE:
        raise TrustError(
            "signer file names a program to run and may be changed by other users",
            subject=str(path),
            remedy="look at what it names, then run 'chmod 600' on it",
        )
    return parse_signer_file(data, subject=str(path))


def parse_signer_file(data: bytes, *, subject: str) -> SignerFile:
    """Read the file's bytes.

    Raises:
        TrustError: Not canonical JSON, or a field is missing, unknown or malformed.
    """
    fields = Fields(parse_canonical(data, subject=subject), _NAMES, subject=f"signer file {subject}")
    fields.match("format", re.compile(_FORMAT))
    argv = fields.list_of("argv", max_items=MAX_ARGUMENTS)
    if not argv or not argv[0] or not all(isinstance(one, str) and "\0" not in one for one in argv):
        raise TrustError("signer file does not name a command", subject=subject, remedy="make it with 'ftf key new'")
    public_key = bytes.fromhex(fields.match("public_key", _PUBLIC_KEY))
    try:
        fingerprint(public_key)
    except TrustError as exc:
        raise TrustError(exc.what, subject=subject, remedy="make it again with 'ftf key new'") from exc
    return SignerFile(
        name=check_key_name(fields.text("name", max_chars=64)),
        role="issuer" if fields.match("role", _ROLE) == "issuer" else "examiner",
        public_key=public_key,
        argv=tuple(argv),
    )
