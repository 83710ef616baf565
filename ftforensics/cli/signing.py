"""Finding and opening keys for a command. In: what ``--key`` and its kin said. Out: a signer, or a carrier key.

A key is found by name, fingerprint or file. It may be a key file of ours, or a command that signs with a key kept
elsewhere: named on the command line, or registered once with ``ftf key new --signer-command``.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from ftforensics.cli.output import Output
from ftforensics.cli.passphrase import PassphraseSource
from ftforensics.cli.settings import Settings
from ftforensics.cli.signer_file import SUFFIX, SignerFile, load_signer_file
from ftforensics.errors import FtfError, KeyUnknown, UsageError
from ftforensics.trust.keys import (
    CarrierKey,
    CommandSigner,
    KeyEntry,
    KeyFolder,
    KeyRole,
    Signer,
    SigningKey,
    parse_public_key,
)
from ftforensics.trust.private_file import load_bounded, permission_warnings

KeyKind = Literal["signing", "carrier", "command"]
_SIGNING: tuple[KeyKind, ...] = ("signing", "command")
_CARRYING: tuple[KeyKind, ...] = ("carrier",)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """What can be said of a key without opening it.

    ``role`` and ``public_key`` are None for carrier keys; ``argv`` is the command of a key that is kept elsewhere.
    """

    name: str
    kind: KeyKind
    role: KeyRole | None
    key_id: str
    public_key: bytes | None
    locked: bool
    path: Path
    warnings: tuple[str, ...]
    argv: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSigner:
    """A signer with the name it goes by in cases and records; it is a ``Signer`` itself.

    ``name`` is the key's name, or its fingerprint where the command line gave a bare command. ``role`` is None there.
    """

    name: str
    role: KeyRole | None
    signer: Signer

    @property
    def key_id(self) -> str:
        """Fingerprint of the public key."""
        return self.signer.key_id

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self.signer.public_key

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over ``message``."""
        return self.signer.sign(message)


def list_keys(folder: Path) -> tuple[tuple[KeyInfo, ...], tuple[str, ...]]:
    """All keys of a folder by name, and a sentence for each file there that should be a key and cannot be read.

    Raises:
        TrustError: The folder cannot be listed.
    """
    keys = KeyFolder(folder)
    found = [_from_entry(entry) for entry in keys.list()]
    problems = list(keys.problems())
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found.append(_from_signer_file(load_signer_file(path), path))
        except FtfError as exc:
            problems.append(exc.sentence)
    return tuple(sorted(found, key=lambda key: (key.name, key.kind))), tuple(problems)


def find_key(settings: Settings, reference: str, kinds: tuple[KeyKind, ...] | None = None) -> KeyInfo:
    """Find a key by name, fingerprint or file.

    Args:
        settings: Say where the key folder is.
        reference: ``alice``, ``ed25519:…``, ``carrier:…`` or ``some/where/alice.pem``.
        kinds: Which kinds of key will do; all where it is None.

    Raises:
        KeyUnknown: No such key of such a kind.
        TrustError: The file at that path is no key.
    """
    path = Path(reference)
    if path.suffix == SUFFIX and path.is_file():
        found = [_from_signer_file(load_signer_file(path), path)]
    else:
        found = [key for key in list_keys(settings.keys_folder)[0] if reference in (key.name, key.key_id)]
    if not found:
        found = [_from_entry(KeyFolder(settings.keys_folder).find(reference))]
    fitting = [key for key in found if kinds is None or key.kind in kinds]
    if not fitting:
        raise KeyUnknown(
            f"a key to {'sign' if kinds == _SIGNING else 'carry tags'} with is needed, and this is another kind",
            subject=found[0].name,
            remedy="see 'ftf key list', or make one with 'ftf key new'",
        )
    return fitting[0]


def resolve_signer(
    settings: Settings,
    output: Output,
    *,
    key: str | None,
    role: KeyRole | None,
    signer_command: str | None = None,
    public_key: Path | None = None,
    passphrase_file: Sequence[Path] | None = None,
    passphrases: PassphraseSource | None = None,
) -> NamedSigner:
    """Find the signer that a command's options name, and open it.

    Args:
        settings: Key folder and passphrase file.
        output: Warnings about the key's file go there.
        key: ``--key``. Where it and ``signer_command`` are None, the only key of that role is taken.
        role: What the key must be for; None for any.
        signer_command: ``--signer-command``, split as a shell would, but run without one.
        public_key: ``--public-key``, needed with ``signer_command`` unless ``key`` names a known public key.
        passphrase_file: ``--passphrase-file``.
        passphrases: Share it between several keys of a run, so that a passphrase is asked for once.

    Raises:
        UsageError: Options that do not go together.
        KeyUnknown: No such key, one for another role, or several to choose from.
        KeyLocked: The passphrase is missing or wrong.
        TrustError: The key's file is damaged.
    """
    found = _find_signer(settings, output, key, role, signer_command, public_key)
    if isinstance(found, NamedSigner):
        return found
    return _open_all([found], passphrases or PassphraseSource(settings, output, passphrase_file))[0][0]


def resolve_carrier(
    settings: Settings,
    output: Output,
    *,
    key: str | None,
    passphrase_file: Sequence[Path] | None = None,
    passphrases: PassphraseSource | None = None,
) -> CarrierKey:
    """Find the carrier key that a command's options name, and open it; the only one there is where ``key`` is None.

    Raises:
        KeyUnknown: No such key, or several to choose from.
        KeyLocked: The passphrase is missing or wrong.
        TrustError: The key's file is damaged.
    """
    info = _only_carrier(settings) if key is None else find_key(settings, key, _CARRYING)
    _warn(output, info.warnings)
    source = passphrases or PassphraseSource(settings, output, passphrase_file)
    return _open_all([info], source)[1][0]


def resolve_keys(
    settings: Settings,
    output: Output,
    passphrases: PassphraseSource,
    *,
    key: str | None,
    role: KeyRole | None,
    carriers: Sequence[str] | None,
    signer_command: str | None = None,
    public_key: Path | None = None,
) -> tuple[NamedSigner, list[CarrierKey]]:
    """A signer as ``resolve_signer``, and the carrier keys named, or all there are where none is; none is no error.

    All are found before any is opened, and those that one passphrase opens are opened side by side.

    Raises:
        UsageError, KeyUnknown, KeyLocked, TrustError: As ``resolve_signer`` and ``resolve_carrier``.
    """
    signer = _find_signer(settings, output, key, role, signer_command, public_key)
    if carriers:
        found = [find_key(settings, name, _CARRYING) for name in carriers]
    else:
        found = [info for info in list_keys(settings.keys_folder)[0] if info.kind == "carrier"]
    for info in found:
        _warn(output, info.warnings)
    if isinstance(signer, NamedSigner):
        return signer, _open_all(found, passphrases)[1]
    signers, opened = _open_all([signer, *found], passphrases)
    return signers[0], opened


def load_public_key(path: Path) -> bytes:
    """The 32 raw bytes of a public key in a PEM file.

    Raises:
        KeyUnknown: There is no such file.
        TrustError: It holds no Ed25519 public key.
    """
    return parse_public_key(load_bounded(path, what="public key file"), subject=str(path))


def split_command(command: str) -> tuple[str, ...]:
    """Split ``--signer-command`` into program and arguments, as a POSIX shell would.

    Raises:
        UsageError: A quote is not closed, or it is empty.
    """
    try:
        argv = tuple(shlex.split(command))
    except ValueError as exc:
        raise UsageError(f"--signer-command cannot be split ({exc})", remedy="check its quotes") from exc
    if not argv:
        raise UsageError("--signer-command is empty", remedy="give a program and its arguments")
    return argv


def _find_signer(
    settings: Settings,
    output: Output,
    key: str | None,
    role: KeyRole | None,
    signer_command: str | None,
    public_key: Path | None,
) -> NamedSigner | KeyInfo:
    """A signer that needs no opening, or the key that is to be opened."""
    if signer_command is not None:
        return _resolve_command(settings, signer_command, key, public_key)
    if public_key is not None:
        raise UsageError("--public-key says what --signer-command signs with", remedy="give both, or neither")
    info = _only_key(settings, role) if key is None else find_key(settings, key, _SIGNING)
    if role is not None and info.role != role:
        raise KeyUnknown(
            f"this is an {info.role} key, and an {role} key is needed",
            subject=info.name,
            remedy=f"make one with 'ftf key new NAME --role {role}'",
        )
    _warn(output, info.warnings)
    if info.argv is not None and info.public_key is not None:
        return NamedSigner(name=info.name, role=info.role, signer=CommandSigner(info.argv, info.public_key))
    return info


def _resolve_command(settings: Settings, command: str, key: str | None, public_key: Path | None) -> NamedSigner:
    argv = split_command(command)
    if public_key is not None:
        raw = load_public_key(public_key)
        signer = CommandSigner(argv, raw)
        return NamedSigner(name=key or signer.key_id, role=None, signer=signer)
    if key is None:
        raise UsageError("--signer-command needs the public key it signs with", remedy="give --public-key FILE too")
    info = find_key(settings, key, _SIGNING)
    if info.public_key is None:
        raise KeyUnknown("this key has no public half", subject=info.name)
    return NamedSigner(name=info.name, role=info.role, signer=CommandSigner(argv, info.public_key))


def _only_key(settings: Settings, role: KeyRole | None) -> KeyInfo:
    keys = [
        key for key in list_keys(settings.keys_folder)[0] if key.kind in _SIGNING and (role is None or key.role == role)
    ]
    what = f"{role} key" if role else "signing key"
    return _only(keys, what, f"ftf key new NAME --role {role or 'issuer'}", settings)


def _only_carrier(settings: Settings) -> KeyInfo:
    keys = [key for key in list_keys(settings.keys_folder)[0] if key.kind == "carrier"]
    return _only(keys, "carrier key", "ftf key new NAME --carrier", settings)


def _only(keys: list[KeyInfo], what: str, how: str, settings: Settings) -> KeyInfo:
    if not keys:
        raise KeyUnknown(f"there is no {what} yet", subject=str(settings.keys_folder), remedy=f"make one with '{how}'")
    if len(keys) > 1:
        names = ", ".join(key.name for key in keys[:8])
        raise KeyUnknown(f"there are several {what}s ({names})", remedy="say which one to use")
    return keys[0]


def _open_all(infos: Sequence[KeyInfo], source: PassphraseSource) -> tuple[list[NamedSigner], list[CarrierKey]]:
    """The signing and the carrier keys among these, each in their order."""
    unlocked = iter(source.unlock_all([(partial(_load, one), f"key {one.name}") for one in infos if one.locked]))
    opened = [next(unlocked) if info.locked else _load(info, None) for info in infos]
    signers = [NamedSigner(name=key.name, role=key.role, signer=key) for key in opened if isinstance(key, SigningKey)]
    return signers, [key for key in opened if isinstance(key, CarrierKey)]


def _load(info: KeyInfo, passphrase: str | None) -> SigningKey | CarrierKey:
    if info.kind == "carrier":
        return CarrierKey.load(info.path, passphrase)
    return SigningKey.load(info.path, passphrase)


def _warn(output: Output, warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        output.warn(warning)


def _from_entry(entry: KeyEntry) -> KeyInfo:
    return KeyInfo(
        name=entry.name,
        kind=entry.kind,
        role=entry.role,
        key_id=entry.key_id,
        public_key=entry.public_key,
        locked=entry.locked,
        path=entry.path,
        warnings=entry.warnings,
    )


def _from_signer_file(signer: SignerFile, path: Path) -> KeyInfo:
    return KeyInfo(
        name=signer.name,
        kind="command",
        role=signer.role,
        key_id=signer.key_id,
        public_key=signer.public_key,
        locked=False,
        path=path,
        warnings=permission_warnings(path),
        argv=signer.argv,
    )
