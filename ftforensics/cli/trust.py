"""``ftf trust``: whose keys are trusted. Pins come from out of band, never from a registry."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ftforensics.cli.arguments import check_text, check_utc
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.options import FormatOption, PassphraseFileOption
from ftforensics.cli.output import Format, Output
from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import NamedSigner, resolve_signer
from ftforensics.cli.trust_file import load_trust, save_trust
from ftforensics.errors import KeyUnknown, TrustError, UsageError
from ftforensics.trust.fields import KEY_ID
from ftforensics.trust.trustlist import ALWAYS, TrustList

_COLUMNS = ("issuer", "fingerprint", "valid_from", "valid_until", "revoked", "revoked_at")

app = new_app("Say whose keys you trust: pin, remove and revoke fingerprints.")

Issuer = Annotated[str, typer.Argument(metavar="ISSUER", help="The issuer's name, exactly as in its records.")]
Fingerprint = Annotated[str, typer.Argument(metavar="FINGERPRINT", help="ed25519: and 64 hex digits.")]
SignWith = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="Sign the trust list with this examiner key.", show_default=False),
]


class Reason(StrEnum):
    """Why a key is revoked."""

    COMPROMISE = "compromise"
    SUPERSEDED = "superseded"


@command(
    app,
    "add",
    examples=(
        "ftf trust add 'News Agency' ed25519:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "ftf trust add 'News Agency' ed25519:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
        " --valid-from 2026-01-01T00:00:00Z --valid-until 2028-01-01T00:00:00Z",
    ),
    no_args_is_help=True,
)
def add(
    settings: Settings,
    output: Output,
    issuer: Issuer,
    fingerprint: Fingerprint,
    valid_from: Annotated[
        str, typer.Option("--valid-from", metavar="TIME", help="Records from this time on (UTC).", show_default=False)
    ] = ALWAYS,
    valid_until: Annotated[
        str | None, typer.Option("--valid-until", metavar="TIME", help="Records before this time (UTC).")
    ] = None,
    key: SignWith = None,
    passphrase_file: PassphraseFileOption = None,
) -> None:
    """Pin an issuer's key, so that records signed with it count.

    Take the fingerprint from a source that you trust: a letter, a call, a business card; not from the registry that you
    want to check with it. Pinning the same key again replaces its times.
    """
    check_text("ISSUER", issuer)
    check_utc("--valid-from", valid_from)
    check_utc("--valid-until", valid_until)
    trust = load_trust(settings)
    try:
        changed = trust.pin(issuer, parse_fingerprint(fingerprint), valid_from, valid_until)
    except TrustError as exc:
        raise UsageError(exc.what, subject=exc.subject) from exc
    _save(settings, output, trust, changed, key, passphrase_file)
    output.say(f"Pinned {parse_fingerprint(fingerprint)} for {issuer}.")


@command(app, "list", examples=("ftf trust list", "ftf trust list --format jsonl"))
def list_all(settings: Settings, output: Output, form: FormatOption = Format.TABLE) -> None:
    """List pinned keys, and revoked ones whether pinned or not."""
    trust = load_trust(settings)
    if not output.rows(_COLUMNS, _describe(trust), form):
        output.note("No keys are pinned, so no record can be verified; pin one with 'ftf trust add'.")
    signed = f"signed with {trust.signed_by}" if trust.signed_by else "not signed"
    output.note(f"Trust list version {trust.version}, {signed}, SHA-256 {trust.sha256}.")


@command(
    app,
    "remove",
    examples=(
        "ftf trust remove 'News Agency' ed25519:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ),
    no_args_is_help=True,
)
def remove(
    settings: Settings,
    output: Output,
    issuer: Issuer,
    fingerprint: Fingerprint,
    key: SignWith = None,
    passphrase_file: PassphraseFileOption = None,
) -> None:
    """Take a pin away: records under the key are then untrusted, which says less than revoked."""
    trust = load_trust(settings)
    changed = trust.remove(issuer, parse_fingerprint(fingerprint))
    _save(settings, output, trust, changed, key, passphrase_file)
    output.say(f"Removed the pin of {parse_fingerprint(fingerprint)} for {issuer}.")


@command(
    app,
    "revoke",
    examples=(
        "ftf trust revoke ed25519:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
        " --reason compromise --at 2026-03-01T00:00:00Z",
    ),
    no_args_is_help=True,
)
def revoke(
    settings: Settings,
    output: Output,
    fingerprint: Fingerprint,
    reason: Annotated[
        Reason, typer.Option("--reason", help="Somebody else may have the key, or another took its place.")
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Since when (UTC); now where it is left out.", show_default=False),
    ] = None,
    key: SignWith = None,
    passphrase_file: PassphraseFileOption = None,
) -> None:
    """Revoke a key, pinned or not.

    After a compromise, give the earliest time at which somebody else may have had the key: a record then counts only if
    a trusted time shows that it is older. A revocation can be made stricter, never softer.
    """
    check_utc("--at", at)
    trust = load_trust(settings)
    since = at or settings.now_utc()
    try:
        changed = trust.revoke(parse_fingerprint(fingerprint), reason.value, since)
    except TrustError as exc:
        raise UsageError(exc.what, subject=exc.subject) from exc
    _save(settings, output, trust, changed, key, passphrase_file)
    output.say(f"Revoked {parse_fingerprint(fingerprint)} ({reason.value}, {since}).")


def parse_fingerprint(text: str) -> str:
    """A signing key's fingerprint as typed or pasted: with or without its prefix, in any case, with spaces in it.

    Raises:
        UsageError: Not 64 hex digits.
    """
    digits = "".join(text.split()).lower().removeprefix("ed25519:")
    found = f"ed25519:{digits}"
    if KEY_ID.fullmatch(found) is None:
        raise UsageError(
            f"not a key's fingerprint: {text[:100]!a}", remedy="it is ed25519: and 64 hex digits, see 'ftf key show'"
        )
    return found


def _save(
    settings: Settings,
    output: Output,
    old: TrustList,
    changed: TrustList,
    key: str | None,
    passphrase_file: Sequence[Path] | None,
) -> None:
    signer: NamedSigner | None = None
    if key is not None:
        signer = resolve_signer(settings, output, key=key, role="examiner", passphrase_file=passphrase_file)
    elif old.signed_by is not None:
        raise KeyUnknown(
            f"the trust list is signed with {old.signed_by}, so a change to it must be signed too",
            subject=str(settings.trust_list_path),
            remedy="give --key",
        )
    save_trust(settings, changed, signer)


def _describe(trust: TrustList) -> list[dict[str, Any]]:
    revoked = {one.fingerprint: one for one in trust.revocations}
    rows: list[dict[str, Any]] = []
    for pin in trust.pins:
        end = revoked.get(pin.fingerprint)
        rows.append(
            {
                "issuer": pin.issuer,
                "fingerprint": pin.fingerprint,
                "valid_from": None if pin.valid_from == ALWAYS else pin.valid_from,
                "valid_until": pin.valid_until,
                "revoked": end.reason if end else None,
                "revoked_at": end.at if end else None,
            }
        )
    pinned = {pin.fingerprint for pin in trust.pins}
    for one in trust.revocations:
        if one.fingerprint not in pinned:
            rows.append({"fingerprint": one.fingerprint, "revoked": one.reason, "revoked_at": one.at})
    return rows
