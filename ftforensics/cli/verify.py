"""``ftf verify``: check a record bundle on its own, without registry or network. In: a file. Out: what holds."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from ftforensics.cli.commands import command, new_app
from ftforensics.cli.errors import COMPLETE
from ftforensics.cli.failures import report_failure
from ftforensics.cli.options import FormatOption, JobsOption
from ftforensics.cli.output import Format, Output
from ftforensics.cli.settings import Settings
from ftforensics.cli.trust import parse_fingerprint
from ftforensics.cli.trust_file import load_trust
from ftforensics.errors import SignatureInvalid, StoreError, TrustError
from ftforensics.store.bundle_import import VerifiedBundle, verify_bundle
from ftforensics.store.bundle_lines import open_bundle, parse_record, read_lines
from ftforensics.trust.record import parse_record_core, record_sha256
from ftforensics.trust.trustlist import TrustList

app = new_app()

_MAX_THREADS = 4
_PINNED = "pinned"
_NOT_ESTABLISHED = (
    "Whose keys these are: compare fingerprints with the issuer by another way, then pin them with 'ftf trust add'.",
    "That what the records say is true, or that an issuer took a photograph.",
    "That the log shows everybody the same, holds no other records, or told the right time.",
)


@command(
    app,
    "verify",
    examples=(
        "ftf verify agency.ftfbundle",
        "ftf verify agency.ftfbundle --format jsonl",
        "ftf verify one-record.ftfbundle"
        " --expect-log-key ed25519:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ),
    no_args_is_help=True,
)
def verify(
    settings: Settings,
    output: Output,
    bundle: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle made by 'ftf registry export'.")],
    expect_log_key: Annotated[
        str | None,
        typer.Option("--expect-log-key", metavar="FINGERPRINT", help="The key of its first log, known from elsewhere."),
    ] = None,
    jobs: JobsOption = None,
    form: FormatOption = Format.TABLE,
) -> int:
    """Check a bundle of records offline: signatures, hashes, tag ids and proofs; exit code 4 if anything does not hold.

    A bundle carries its own keys, so this shows that nothing in it was changed, not whose it is. Each issuer's key is
    compared with your trust list, and what the check does not establish is printed with the result.
    """
    wanted = None if expect_log_key is None else parse_fingerprint(expect_log_key)
    trust = load_trust(settings)
    threads = jobs or min(_MAX_THREADS, os.cpu_count() or 1)
    try:
        with output.progress("checking records") as ticker:
            checked = verify_bundle(bundle, jobs=threads, on_progress=ticker.update)
        _check_log_key(checked, wanted, bundle)
        issuers = _count_issuers(bundle, checked)
    except (StoreError, TrustError) as exc:
        return report_failure(output, exc, form)
    for issuer, key_id in issuers:
        standing = _describe_standing(trust, issuer, key_id)
        if standing != _PINNED:
            output.warn(f"the key {key_id} of {issuer} is {standing}")
    output.facts(_describe(bundle, checked, issuers, trust), form)
    return COMPLETE


def _check_log_key(checked: VerifiedBundle, wanted: str | None, path: Path) -> None:
    if wanted is not None and wanted not in checked.log_key_ids[:1]:
        raise SignatureInvalid(
            f"The bundle's log is signed with {', '.join(checked.log_key_ids[:1]) or 'no key'}, not with {wanted}",
            subject=str(path),
            remedy="ask the log's owner before using it",
        )


def _count_issuers(path: Path, checked: VerifiedBundle) -> dict[tuple[str, str], int]:
    """Records by issuer and key, each once, from a second pass over the bytes that were verified.

    Raises:
        StoreError: They are not the same bytes any more.
    """
    counts: Counter[tuple[str, str]] = Counter()
    digest, seen = hashlib.sha256(), set()
    with open_bundle(path) as file:
        lines = read_lines(file, path, digest.update)
        next(lines, None)
        for number, line in enumerate(lines, start=2):
            payload = parse_record(line, number).record.record.payload
            core, sha256 = parse_record_core(payload), record_sha256(payload)
            if sha256 not in seen:
                counts[core.issuer, core.key_id] += 1
            seen.add(sha256)
    if digest.hexdigest() != checked.sha256:
        raise StoreError("The bundle changed while it was read", subject=str(path), remedy="try again")
    return dict(sorted(counts.items()))


def _describe_standing(trust: TrustList, issuer: str, key_id: str) -> str:
    revoked = next((one for one in trust.revocations if one.fingerprint == key_id), None)
    if revoked is not None:
        return f"revoked ({revoked.reason}, {revoked.at})"
    if any(one.issuer == issuer and one.fingerprint == key_id for one in trust.issuer_pins):
        return _PINNED
    return "not pinned for this name"


def _describe(
    path: Path, checked: VerifiedBundle, issuers: dict[tuple[str, str], int], trust: TrustList
) -> dict[str, Any]:
    logs = [
        f"{one.origin}, checkpoint {one.size}:{one.root} of {one.at}, key {key_id}"
        for one, key_id in zip(checked.checkpoints, checked.log_key_ids, strict=True)
    ]
    return {
        "holds": True,
        "file": str(path),
        "sha256": checked.sha256,
        "records": checked.records,
        "entries": checked.entries,
        "issuers": [
            f"{issuer}, records: {count}, key {key_id}, {_describe_standing(trust, issuer, key_id)}"
            for (issuer, key_id), count in issuers.items()
        ],
        "logs": logs,
        "not_established": list(_NOT_ESTABLISHED),
    }
