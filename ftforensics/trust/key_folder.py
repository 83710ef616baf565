"""A folder of keys. In: its path. Out: what keys are there, and each of them by name, key id or file path.

Signing keys lie in ``<name>.pem``, carrier keys in ``<name>.carrier``. A name belongs to one key, whatever its kind and
capitals, so that a name typed at the prompt can mean only one thing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftforensics.errors import AlreadyExists, FtfError, KeyUnknown, TrustError, WriteFailed
from ftforensics.trust.carrier_key import CarrierKey, parse_carrier_key_header
from ftforensics.trust.private_file import load_bounded, permission_warnings
from ftforensics.trust.signing_key import KeyRole, SigningKey, parse_signing_key_header

KeyKind = Literal["signing", "carrier"]
_SUFFIXES: dict[str, KeyKind] = {".pem": "signing", ".carrier": "carrier"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """One key of a folder, as its file describes itself. ``role`` and ``public_key`` are None for carrier keys."""

    name: str
    kind: KeyKind
    role: KeyRole | None
    key_id: str
    public_key: bytes | None
    locked: bool
    path: Path
    warnings: tuple[str, ...]


class KeyFolder:
    """The keys of one folder, which is made with mode 0700 when the first key is saved.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def list(self) -> tuple[KeyEntry, ...]:
        """All readable keys, by name. Files that are no keys are told by ``problems``.

        Raises:
            TrustError: The folder is there but cannot be listed.
        """
        return self._read()[0]

    def problems(self) -> tuple[str, ...]:
        """One sentence for each ``.pem`` or ``.carrier`` file that is not a readable key.

        Raises:
            TrustError: The folder is there but cannot be listed.
        """
        return self._read()[1]

    def save(self, key: SigningKey | CarrierKey, passphrase: str | None) -> KeyEntry:
        """Add a key under its name.

        Raises:
            AlreadyExists: A key of that name is there.
            KeyLocked: The passphrase is empty.
            WriteFailed: Disk full, or not permitted.
        """
        suffix = ".pem" if isinstance(key, SigningKey) else ".carrier"
        taken = {path.stem.casefold() for path in self._files()}
        if key.name.casefold() in taken:
            raise AlreadyExists("a key of that name is there already", subject=key.name, remedy="choose another name")
        try:
            self.path.mkdir(parents=True, mode=0o700, exist_ok=True)
        except OSError as exc:
            raise WriteFailed(
                f"cannot make the key folder ({exc.strerror})", subject=str(self.path), remedy="check its permissions"
            ) from exc
        path = self.path / f"{key.name}{suffix}"
        key.save(path, passphrase)
        return _read_entry(path)

    def find(self, reference: str, kind: KeyKind | None = None) -> KeyEntry:
        """Find a key by name, full key id, or path of its file.

        Args:
            reference: ``alice``, ``ed25519:…``, ``carrier:…`` or ``some/where/alice.pem``.
            kind: Which kind of key it must be; None for either.

        Raises:
            KeyUnknown: No such key of that kind.
            TrustError: The file at that path is not a key.
        """
        found = [entry for entry in self.list() if reference in (entry.name, entry.key_id)]
        if not found and _names_a_file(reference):
            found = [_read_entry(Path(reference))]
        if not found or kind not in (None, found[0].kind):
            wanted = "key" if kind is None else f"{kind} key"
            raise KeyUnknown(
                f"no such {wanted}: {reference[:200]!a}, looked in",
                subject=str(self.path),
                remedy="see 'ftf key list', or make one with 'ftf key new'",
            )
        return found[0]

    def load_signing(self, reference: str, passphrase: str | None) -> SigningKey:
        """Load a signing key by name, key id or path.

        Raises:
            KeyUnknown: No such signing key.
            KeyLocked: The passphrase is missing or wrong.
            TrustError: The file is damaged.
        """
        return SigningKey.load(self.find(reference, "signing").path, passphrase)

    def load_carrier(self, reference: str, passphrase: str | None) -> CarrierKey:
        """Load a carrier key by name, key id or path.

        Raises:
            KeyUnknown: No such carrier key.
            KeyLocked: The passphrase is missing or wrong.
            TrustError: The file is damaged.
        """
        return CarrierKey.load(self.find(reference, "carrier").path, passphrase)

    def _read(self) -> tuple[tuple[KeyEntry, ...], tuple[str, ...]]:
        entries, problems = [], []
        for path in self._files():
            try:
                entries.append(_read_entry(path))
            except FtfError as exc:
                problems.append(exc.sentence)
        return tuple(entries), tuple(problems)

    def _files(self) -> tuple[Path, ...]:
        try:
            names = sorted(os.listdir(self.path))  # noqa: PTH208 - iterdir would not raise until it is walked
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise TrustError(
                f"key folder cannot be read ({exc.strerror})", subject=str(self.path), remedy="check its permissions"
            ) from exc
        return tuple(self.path / name for name in names if Path(name).suffix in _SUFFIXES)


def _names_a_file(reference: str) -> bool:
    try:
        return (os.sep in reference or Path(reference).suffix in _SUFFIXES) and Path(reference).is_file()
    except (OSError, ValueError):
        return False


def _read_entry(path: Path) -> KeyEntry:
    data = load_bounded(path, what="key file")
    if _SUFFIXES.get(path.suffix) == "carrier":
        carrier = parse_carrier_key_header(data, subject=str(path))
        return KeyEntry(
            name=carrier.name,
            kind="carrier",
            role=None,
            key_id=carrier.key_id,
            public_key=None,
            locked=carrier.locked,
            path=path,
            warnings=permission_warnings(path),
        )
    signing = parse_signing_key_header(data, subject=str(path))
    return KeyEntry(
        name=signing.name,
        kind="signing",
        role=signing.role,
        key_id=signing.key_id,
        public_key=signing.public_key,
        locked=signing.locked,
        path=path,
        warnings=permission_warnings(path),
    )
