"""``ftf registry``: make, list, check and exchange registries of signed records."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ftforensics.cli.arguments import check_text
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.errors import COMPLETE, INTEGRITY
from ftforensics.cli.failures import report_failure
from ftforensics.cli.opening import warn_about_clock
from ftforensics.cli.options import (
    ClobberOption,
    FormatOption,
    JobsOption,
    KeyOption,
    OutputFile,
    PassphraseFileOption,
    PublicKeyOption,
    RegistryOption,
    SignerCommandOption,
)
from ftforensics.cli.output import Format, Output
from ftforensics.cli.places import make_parent, registry_path
from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import resolve_signer
from ftforensics.cli.trust import parse_fingerprint
from ftforensics.cli.trust_file import load_trust
from ftforensics.domain.record import RegisteredRecord
from ftforensics.errors import (
    IssuerUntrusted,
    KeyRevoked,
    SignatureInvalid,
    StoreError,
    TrustError,
    UsageError,
)
from ftforensics.store.bundle_export import export_bundle
from ftforensics.store.bundle_import import import_bundle
from ftforensics.store.registry import Registry
from ftforensics.trust.fields import SHA256_HEX
from ftforensics.trust.ledger import Checkpoint
from ftforensics.trust.log_times import choose_entry, log_standing
from ftforensics.trust.record import parse_record_core, record_sha256, verify_record
from ftforensics.trust.trustlist import TrustList

_COLUMNS = ("tag_id", "issuer", "created", "logged_at", "log", "log_index", "key_id", "carrier_key_id")
_CHECKPOINT = re.compile(r"(?P<size>[0-9]{1,15}):(?P<root>[0-9a-f]{64})")
_FINGERPRINT = re.compile(r"\b((?:ed25519:)?[0-9a-f]{16})[0-9a-f]{48}\b")
_MAX_THREADS = 4

app = new_app("Make, check and exchange registries of signed records.")

TagId = Annotated[str | None, typer.Argument(metavar="TAG-ID", help="16 hex digits.", show_default=False)]


@command(
    app,
    "init",
    examples=(
        "ftf registry init agency-2026 --key agency",
        "ftf registry init agency-2026 --key agency --registry /srv/ftf/registry.sqlite",
    ),
    no_args_is_help=True,
)
def init(
    settings: Settings,
    output: Output,
    log_name: Annotated[
        str, typer.Argument(metavar="LOG-NAME", help="The log's own name, which nobody else's log has.")
    ],
    registry: RegistryOption = None,
    key: KeyOption = None,
    passphrase_file: PassphraseFileOption = None,
    signer_command: SignerCommandOption = None,
    public_key: PublicKeyOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Make a registry with an empty log.

    The key signs the log's checkpoints, and only with it can records be added. To read other people's registries,
    make one of your own and import their bundles into it.
    """
    check_text("LOG-NAME", log_name)
    signer = resolve_signer(
        settings,
        output,
        key=key,
        role=None,
        signer_command=signer_command,
        public_key=public_key,
        passphrase_file=passphrase_file,
    )
    path, now = registry_path(settings, registry), settings.now_utc()
    make_parent(path)
    warn_about_clock(output, now)
    with Registry.create(path, log_name, signer=signer, at=now) as made:
        output.facts(_describe(made), form)


@command(
    app,
    "list",
    examples=("ftf registry list", "ftf registry list --limit 20", "ftf registry list --format jsonl"),
)
def list_all(
    settings: Settings,
    output: Output,
    registry: RegistryOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="No more than so many.", show_default=False)
    ] = None,
    form: FormatOption = Format.TABLE,
) -> int:
    """List the records, with what they claim: signatures are not checked here, see 'registry show' and 'verify'.

    A record that several logs have is listed once for each, with the time that it gives.
    """
    with Registry.open(registry_path(settings, registry)) as opened:
        listing = _Listing(opened, limit)
        count = output.rows(_COLUMNS, listing.rows(), form)
        total, records = opened.count_entries(), opened.count()
    for problem in listing.problems:
        output.error(problem)
    noun = "records" if total == records else f"log entries of {records} records"
    output.note(f"{count} of {total} {noun}, as recorded; signatures not checked.")
    return INTEGRITY if listing.problems else COMPLETE


@command(
    app,
    "show",
    examples=("ftf registry show", "ftf registry show 00f1e2d3c4b5a697", "ftf registry show 00f1e2d3c4b5a697 -q"),
)
def show(
    settings: Settings,
    output: Output,
    tag_id: TagId = None,
    registry: RegistryOption = None,
    carrier_key_id: Annotated[
        str | None, typer.Option("--carrier", metavar="KEY-ID", help="Which carrier key, where two share the tag id.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> int:
    """Show the registry, or one record with its signature checked against your trust list.

    Where several logs have the record, the entry that counts is shown, and the others are named.

    Exit code 4 if the record's signature does not hold. A record of an issuer whom you have not pinned is shown as
    such, which is no failure.
    """
    with Registry.open(registry_path(settings, registry)) as opened:
        if tag_id is None:
            output.facts(_describe(opened), form)
            return COMPLETE
        entries = _find(opened, tag_id.lower(), carrier_key_id)
    trust, now = load_trust(settings), settings.now_utc()
    row = choose_entry(entries, trust, now)
    status, message = _check(row, trust, now)
    facts = {**_describe_record(row), "signature": status, "message": message or None}
    if status != "signature_invalid":
        core = parse_record_core(row.record.payload)
        facts["log_standing"] = log_standing(row, core, trust, now)
        facts["entries"] = [
            f"{one.logged_at}, entry {one.log_index} of {one.log_name}, key {one.log_key_id},"
            f" {log_standing(one, core, trust, now)}"
            for one in entries
        ]
    output.facts(facts, form)
    return INTEGRITY if status == "signature_invalid" else COMPLETE


@command(
    app,
    "verify",
    examples=(
        "ftf registry verify",
        "ftf registry verify --expect-checkpoint 12:5f8e0c5d1b7a4f3e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a0998877aa",
        "ftf registry verify --deep",
    ),
)
def verify(
    settings: Settings,
    output: Output,
    registry: RegistryOption = None,
    expect_checkpoint: Annotated[
        str | None,
        typer.Option(
            "--expect-checkpoint", metavar="SIZE:ROOT", help="A checkpoint noted earlier, outside the registry."
        ),
    ] = None,
    expect_key: Annotated[
        str | None, typer.Option("--expect-key", metavar="FINGERPRINT", help="The log's key, known from elsewhere.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Derive every tag id again, about 0.1 s each.")] = False,
    form: FormatOption = Format.TABLE,
) -> int:
    """Check every hash, signature and proof of a registry; exit code 4 if anything does not hold.

    Without --expect-checkpoint it cannot be told whether the registry was set back to an earlier state.
    """
    path = registry_path(settings, registry)
    expected_key = None if expect_key is None else parse_fingerprint(expect_key)
    wanted = None if expect_checkpoint is None else _parse_checkpoint(expect_checkpoint)
    try:
        with Registry.open(path) as opened, output.progress("checking records", opened.count_entries()) as ticker:
            checked = opened.verify(
                expected=None if wanted is None else _checkpoint(opened, *wanted),
                expected_key_id=expected_key,
                check_tag_ids=deep,
                on_progress=ticker.update,
            )
    except (StoreError, TrustError) as exc:
        return report_failure(output, exc, form)
    newest = checked.checkpoint
    output.facts(
        {
            "holds": True,
            "log": newest.origin,
            "checkpoint": f"{newest.size}:{newest.root}",
            "records": checked.records,
            "entries": checked.entries,
            "imported_logs": checked.imported_logs,
            "notes": list(checked.notes),
        },
        form,
    )
    return COMPLETE


@command(
    app,
    "export",
    examples=(
        "ftf registry export -o agency.ftfbundle",
        "ftf registry export 00f1e2d3c4b5a697 -o one-record.ftfbundle",
    ),
    no_args_is_help=True,
)
def export(
    settings: Settings,
    output: Output,
    target: OutputFile,
    tag_ids: Annotated[
        list[str] | None, typer.Argument(metavar="TAG-ID...", help="Which records; all where none is given.")
    ] = None,
    registry: RegistryOption = None,
    clobber: ClobberOption = False,
) -> None:
    """Write records with their proofs into one file that others can check offline and import."""
    make_parent(target)
    with Registry.open(registry_path(settings, registry)) as opened:
        wanted = [tag_id.lower() for tag_id in tag_ids] if tag_ids else None
        written = export_bundle(opened.database, target, wanted, clobber=clobber)
    records = f"{written.records} record{'' if written.records == 1 else 's'}"
    whole = records if written.entries == written.records else f"{written.entries} log entries of {records}"
    output.say(f"{whole} written to {target}.")


@command(
    app,
    "import",
    examples=("ftf registry import agency.ftfbundle", "ftf registry import agency.ftfbundle --registry mine.sqlite"),
    no_args_is_help=True,
)
def import_(
    settings: Settings,
    output: Output,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A file made by 'ftf registry export'.")],
    registry: RegistryOption = None,
    jobs: JobsOption = None,
    form: FormatOption = Format.TABLE,
) -> int:
    """Check a bundle whole and add its records: all of them, or none.

    Importing says nothing about whom to trust: that takes 'ftf trust add'. A record that is here already under another
    log is kept under both, and the time of a log whose key you pinned counts. 'added' and 'already present' count
    records, 'further entries' what was added besides one entry for each of them. Exit code 4 if the bundle does not
    hold.
    """
    threads = jobs or min(_MAX_THREADS, os.cpu_count() or 1)
    try:
        with (
            Registry.open(registry_path(settings, registry), read_only=False) as opened,
            output.progress("checking records") as ticker,
        ):
            done = import_bundle(opened.database, bundle, jobs=threads, on_progress=ticker.update)
    except (StoreError, TrustError) as exc:
        return report_failure(output, exc, form)
    output.facts(
        {
            "added": done.added,
            "already_present": done.already_present,
            "further_entries": done.further_entries,
            "records": done.bundle.records,
            "entries": done.bundle.entries,
            "logs": [one.origin for one in done.bundle.checkpoints],
            "log_keys": list(done.bundle.log_key_ids),
            "notes": [_shorten_keys(note) for note in done.notes] if form is Format.TABLE else list(done.notes),
        },
        form,
    )
    return COMPLETE


def _shorten_keys(sentence: str) -> str:
    """A sentence for people, its key fingerprints in short; machine formats have them whole."""
    return _FINGERPRINT.sub(r"\1…", sentence)


class _Listing:
    def __init__(self, registry: Registry, limit: int | None) -> None:
        self.registry = registry
        self.limit = limit
        self.problems: list[str] = []

    def rows(self) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(self.registry.records()):
            if self.limit is not None and number >= self.limit:
                return
            try:
                yield _describe_record(row)
            except TrustError as exc:
                self.problems.append(f"record {row.tag_id} at log index {row.log_index}: {exc.sentence}")


def _describe(registry: Registry) -> dict[str, Any]:
    newest = registry.checkpoint()
    return {
        "path": str(registry.path),
        "log": registry.log_name,
        "log_key": registry.log_key_id,
        "records": registry.count(),
        "checkpoint": f"{newest.size}:{newest.root}",
        "checkpoint_at": newest.at,
        "carrier_keys": list(registry.carrier_key_ids()),
    }


def _describe_record(row: RegisteredRecord) -> dict[str, Any]:
    core = parse_record_core(row.record.payload)
    return {
        "tag_id": row.tag_id,
        "issuer": core.issuer,
        "created": core.created,
        "logged_at": row.logged_at,
        "log": row.log_name,
        "log_key": row.log_key_id,
        "log_index": row.log_index,
        "key_id": core.key_id,
        "carrier_key_id": row.carrier_key_id,
        "record_sha256": record_sha256(row.record.payload),
        "source_sha256": core.source_sha256,
        "source_size_px": f"{core.width_px}x{core.height_px}",
        "model": core.model_id,
        "rights": core.rights or None,
        "contact": core.contact or None,
        "policy": core.policy or None,
        "bound": row.binding is not None,
        "preview": row.preview is not None,
    }


def _find(registry: Registry, tag_id: str, carrier_key_id: str | None) -> list[RegisteredRecord]:
    """All entries of one record, in the order they came in."""
    found = [row for row in registry.all_of(tag_id) if carrier_key_id in (None, row.carrier_key_id)]
    carriers = list(dict.fromkeys(row.carrier_key_id for row in found))
    if len(carriers) > 1:
        raise UsageError(
            f"{len(carriers)} records share this tag id ({', '.join(carriers)})",
            subject=tag_id,
            remedy="give --carrier",
        )
    first = registry.get(tag_id, carrier_key_id)
    return [row for row in found if row.record.payload == first.record.payload]


def _check(row: RegisteredRecord, trust: TrustList, now: str) -> tuple[str, str]:
    try:
        verify_record(row, trust, now)
    except IssuerUntrusted as exc:
        return "issuer_untrusted", exc.sentence
    except KeyRevoked as exc:
        return "key_revoked", exc.sentence
    except SignatureInvalid as exc:
        return "signature_invalid", exc.sentence
    return "verified", ""


def _parse_checkpoint(text: str) -> tuple[int, str]:
    found = _CHECKPOINT.fullmatch(text.strip().lower())
    if found is None or SHA256_HEX.fullmatch(found["root"]) is None:
        raise UsageError(
            f"not a checkpoint: {text[:100]!a}", remedy="write it as SIZE:ROOT, as 'ftf registry verify' prints it"
        )
    return int(found["size"]), found["root"]


def _checkpoint(registry: Registry, size: int, root: str) -> Checkpoint:
    return Checkpoint(origin=registry.log_name, size=size, root=root, at=registry.checkpoint().at)
