"""``ftf key``: make, show, list and export the keys that sign and the keys that carry tags."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ftforensics.cli.commands import command, new_app
from ftforensics.cli.options import (
    ClobberOption,
    FormatOption,
    PublicKeyOption,
    SignerCommandOption,
)
from ftforensics.cli.output import Format, Output
from ftforensics.cli.passphrase import PassphraseSource
from ftforensics.cli.settings import Settings
from ftforensics.cli.signer_file import SUFFIX, SignerFile, save_signer_file
from ftforensics.cli.signing import KeyInfo, find_key, list_keys, load_public_key, split_command
from ftforensics.errors import AlreadyExists, KeyUnknown, TrustError, UsageError, WriteFailed
from ftforensics.trust.keys import CarrierKey, CommandSigner, KeyFolder, KeyRole, SigningKey, public_key_pem
from ftforensics.trust.signing_key import check_key_name

_PROBE = b"ftf: does this signer command sign with this public key?"
_COLUMNS = ("name", "kind", "role", "fingerprint", "locked", "mode", "path")

app = new_app("Make and show the keys that sign, and the keys that carry tags.")

KeyReference = Annotated[str, typer.Argument(metavar="KEY", help="A key's name, fingerprint or file.")]


class Role(StrEnum):
    """What a signing key is for."""

    ISSUER = "issuer"
    EXAMINER = "examiner"


@command(
    app,
    "new",
    examples=(
        "ftf key new agency --role issuer",
        "ftf key new agency-carrier --carrier",
        "ftf key new me --role examiner --passphrase-file secret.txt",
        "ftf key new token --role issuer --signer-command 'sign-with-token --slot 1' --public-key token.pem",
    ),
    no_args_is_help=True,
)
def new(
    settings: Settings,
    output: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, dots, dashes and underscores.")],
    role: Annotated[
        Role | None,
        typer.Option("--role", help="What it signs: an issuer's records, or an examiner's cases.", show_default=False),
    ] = None,
    carrier: Annotated[
        bool, typer.Option("--carrier", help="Make the secret that an issuer's tags are drawn from, not a signing key.")
    ] = False,
    passphrase_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--passphrase-file",
            metavar="FILE",
            help="Lock it with the passphrase in the first line of this file; - for standard input.",
        ),
    ] = None,
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Do not lock it: whoever gets the file has the key.")
    ] = False,
    signer_command: SignerCommandOption = None,
    public_key: PublicKeyOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a key, or register a command that signs with a key kept elsewhere.

    An issuer signs the records of photographs, an examiner the custody chain of cases. A carrier key is what an
    issuer's tags are drawn from: those who are to read the tags need the same one.
    """
    _check_new(role, carrier, passphrase_file, no_passphrase, signer_command, public_key)
    _check_name(settings, name)
    if signer_command is not None and public_key is not None and role is not None:
        info = _register(settings, name, role.value, signer_command, public_key)
    else:
        made = CarrierKey.generate(name) if role is None else SigningKey.generate(name, role.value)
        passphrase = None
        if not no_passphrase:
            passphrase = PassphraseSource(settings, output, passphrase_file).choose(f"key {name}")
        KeyFolder(settings.keys_folder).save(made, passphrase)
        info = find_key(settings, name)
    _show(output, info, form)
    if no_passphrase:
        output.warn("the key is not locked: whoever gets its file has the key.")
    if info.role == "issuer":
        output.note(
            "Tell those who are to trust it the fingerprint in person or on paper; they pin it with 'ftf trust add'."
        )


@command(app, "show", examples=("ftf key show agency", "ftf key show me --format jsonl"), no_args_is_help=True)
def show(settings: Settings, output: Output, key: KeyReference, form: FormatOption = Format.TABLE) -> None:
    """Show a key's fingerprint, file and mode; its secret half stays closed."""
    _show(output, find_key(settings, key), form)


@command(app, "list", examples=("ftf key list", "ftf key list --format csv"))
def list_all(settings: Settings, output: Output, form: FormatOption = Format.TABLE) -> int:
    """List all keys with their fingerprints; exit code 6 if a key file cannot be read."""
    keys, problems = list_keys(settings.keys_folder)
    count = output.rows(_COLUMNS, (_describe(key) for key in keys), form)
    if not count:
        output.note(f"No keys in {settings.keys_folder}; make one with 'ftf key new NAME --role issuer'.")
    for key in keys:
        for warning in key.warnings:
            output.warn(warning)
    for problem in problems:
        output.error(problem)
    return 6 if problems else 0


@command(
    app,
    "export",
    examples=("ftf key export agency", "ftf key export agency -o agency.pem"),
    no_args_is_help=True,
)
def export(
    settings: Settings,
    output: Output,
    key: KeyReference,
    target: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to standard output.")
    ] = None,
    clobber: ClobberOption = False,
) -> None:
    """Write a signing key's public half as PEM, for others to check signatures with."""
    info = find_key(settings, key)
    if info.public_key is None:
        raise UsageError("a carrier key has no public half", subject=info.name, remedy="give a signing key")
    pem = public_key_pem(info.public_key)
    if target is None:
        output.raw(pem.decode("ascii"))
        return
    from ftforensics.media.writing import atomic_write

    atomic_write(target, pem, clobber=clobber)
    output.note(f"Public key of {info.name} written to {target}; its fingerprint is {info.key_id}.")


def _check_new(
    role: Role | None,
    carrier: bool,
    passphrase_file: Sequence[Path] | None,
    no_passphrase: bool,
    signer_command: str | None,
    public_key: Path | None,
) -> None:
    if carrier == (role is not None):
        raise UsageError("say what the key is for", remedy="give either --role issuer, --role examiner or --carrier")
    if (signer_command is None) != (public_key is None):
        raise UsageError("--signer-command and --public-key go together", remedy="give both, or neither")
    if signer_command is not None and (carrier or passphrase_file or no_passphrase):
        raise UsageError("a key kept elsewhere has no passphrase here, and is no carrier key")
    if passphrase_file and no_passphrase:
        raise UsageError("--passphrase-file and --no-passphrase exclude each other")


def _check_name(settings: Settings, name: str) -> None:
    try:
        check_key_name(name)
    except TrustError as exc:
        raise UsageError(exc.what, remedy=exc.remedy) from exc
    keys, _ = list_keys(settings.keys_folder)
    if any(key.name.casefold() == name.casefold() for key in keys):
        raise AlreadyExists("a key of that name is there already", subject=name, remedy="choose another name")


def _register(settings: Settings, name: str, role: KeyRole, signer_command: str, public_key: Path) -> KeyInfo:
    """Have the command sign once, so that a wrong one is noticed now and not when it is needed."""
    argv = split_command(signer_command)
    raw = load_public_key(public_key)
    CommandSigner(argv, raw).sign(_PROBE)
    try:
        settings.keys_folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError as exc:
        raise WriteFailed(
            f"cannot make the key folder ({exc.strerror})",
            subject=str(settings.keys_folder),
            remedy="check its permissions",
        ) from exc
    path = settings.keys_folder / f"{name}{SUFFIX}"
    save_signer_file(path, SignerFile(name=name, role=role, public_key=raw, argv=argv))
    return find_key(settings, name)


def _show(output: Output, key: KeyInfo, form: Format) -> None:
    facts = _describe(key)
    if key.argv is not None:
        facts["command"] = list(key.argv)
    output.facts(facts, form)
    for warning in key.warnings:
        output.warn(warning)


def _describe(key: KeyInfo) -> dict[str, Any]:
    try:
        mode = f"{stat.S_IMODE(key.path.stat().st_mode):04o}"
    except OSError as exc:
        raise KeyUnknown(f"key file is not there any more ({exc.strerror})", subject=str(key.path)) from exc
    return {
        "name": key.name,
        "kind": key.kind,
        "role": key.role,
        "fingerprint": key.key_id,
        "locked": key.locked,
        "mode": mode,
        "path": str(key.path),
    }
