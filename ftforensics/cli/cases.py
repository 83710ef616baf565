"""``ftf case``: open, list, show and check cases, each a signed chain of custody."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any

import typer

from ftforensics.cli.arguments import check_text
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.errors import COMPLETE, check_code, combine_codes
from ftforensics.cli.failures import report_failure
from ftforensics.cli.options import (
    CasesFolderOption,
    ExaminerOption,
    FormatOption,
    PassphraseFileOption,
    PublicKeyOption,
    SignerCommandOption,
)
from ftforensics.cli.output import Format, Output
from ftforensics.cli.places import case_folder, cases_folder
from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import find_key, list_keys, resolve_signer
from ftforensics.cli.trust import parse_fingerprint
from ftforensics.domain.case import CaseHead, shorten_ids
from ftforensics.errors import ChainBroken, FtfError, StoreError, TrustError, UsageError
from ftforensics.store.case_names import describe_misnomer, list_cases
from ftforensics.store.cases import Case
from ftforensics.trust.trustlist import ALWAYS

_COLUMNS = ("name", "title", "examiner", "opened", "events", "exhibits", "head")
_EVENT_COLUMNS = ("seq", "at", "kind", "actor", "hash")
_FINDING_COLUMNS = ("exhibit_id", "verdict", "sha256", "event")
_HEAD = re.compile(r"(?:(?P<count>[0-9]{1,15}):)?(?P<hash>[0-9a-f]{64})")

app = new_app("Open and check cases, each a signed chain of custody.")

CaseReference = Annotated[str, typer.Argument(metavar="NAME", help="The case's name, or its folder (dir/name).")]


@command(
    app,
    "new",
    examples=(
        "ftf case new case-1 --title 'The minister video' --examiner me",
        "ftf case new case-1 --title 'The minister video' --examiner me --cases /srv/cases",
    ),
    no_args_is_help=True,
)
def new(
    settings: Settings,
    output: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the case and of its folder.")],
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="For people; the name by default.")
    ] = None,
    examiner: ExaminerOption = None,
    cases: CasesFolderOption = None,
    passphrase_file: PassphraseFileOption = None,
    signer_command: SignerCommandOption = None,
    public_key: PublicKeyOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Open a case: a folder whose every event is chained to the one before and signed by the examiner.

    Note the head somewhere outside the case. With it, 'ftf case verify' can tell later whether the case was set back to
    an earlier state.
    """
    shown = check_text("--title", title or name)
    signer = resolve_signer(
        settings,
        output,
        key=examiner,
        role="examiner",
        signer_command=signer_command,
        public_key=public_key,
        passphrase_file=passphrase_file,
    )
    folder = cases_folder(settings, cases)
    with Case.create(folder, name, title=shown, examiner=signer.name, signer=signer, at=settings.now_utc()) as made:
        output.facts(_describe(made), form)


@command(app, "list", examples=("ftf case list", "ftf case list --cases /srv/cases --format csv"))
def list_all(
    settings: Settings, output: Output, cases: CasesFolderOption = None, form: FormatOption = Format.TABLE
) -> int:
    """List cases; exit code 4 if one cannot be opened because it was altered. Chains are not walked here."""
    folder = cases_folder(settings, cases)
    rows, codes = [], [COMPLETE]
    for path in list_cases(folder):
        try:
            with Case.open(path) as case:
                rows.append(_describe(case))
                _tell_misnomer(output, case)
        except FtfError as exc:
            output.error(exc.sentence)
            codes.append(check_code(exc))
    if not output.rows(_COLUMNS, rows, form):
        output.note(f"No cases in {folder}; open one with 'ftf case new NAME --title TITLE --examiner KEY'.")
    return combine_codes(codes)


@command(
    app,
    "show",
    examples=(
        "ftf case show case-1",
        "ftf case show case-1 --findings",
        "ftf case show case-1 --events --format jsonl",
    ),
    no_args_is_help=True,
)
def show(
    settings: Settings,
    output: Output,
    name: CaseReference,
    events: Annotated[bool, typer.Option("--events", help="List the events of the chain instead.")] = False,
    findings: Annotated[bool, typer.Option("--findings", help="List exhibits and verdicts instead.")] = False,
    cases: CasesFolderOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show a case: what it is, its verdicts and its head. Nothing but the head's signature is checked here."""
    if events and findings:
        raise UsageError("--events and --findings exclude each other")
    with Case.open(case_folder(settings, cases, name)) as case:
        if events:
            output.rows(
                _EVENT_COLUMNS, ({key: getattr(one, key) for key in _EVENT_COLUMNS} for one in case.events()), form
            )
        elif findings:
            output.rows(_FINDING_COLUMNS, _list_findings(case, shorten=form is Format.TABLE), form)
        else:
            verdicts = Counter(one.verdict for one in case.done().values())
            facts = _describe(case) | {
                "case_id": case.case_id,
                "head_key": case.identity.head_key_id,
                "runs": len(case.runs()),
                "verdicts": [f"{count} {verdict}" for verdict, count in sorted(verdicts.items())],
                "changed_during_scan": [one.exhibit_id for one in case.altered()],
                "folder": str(case.folder),
            }
            output.facts(facts, form)
        _tell_misnomer(output, case)
    output.note(f"Not checked: run 'ftf case verify {name}' before relying on it.")


@command(
    app,
    "verify",
    examples=(
        "ftf case verify case-1",
        "ftf case verify case-1 --expect-head 12:5f8e0c5d1b7a4f3e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a0998877aa",
        "ftf case verify case-1 --expect-key ed25519:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ),
    no_args_is_help=True,
)
def verify(
    settings: Settings,
    output: Output,
    name: CaseReference,
    expect_head: Annotated[
        str | None,
        typer.Option("--expect-head", metavar="COUNT:HASH", help="A head noted earlier; its hash alone will do."),
    ] = None,
    expect_key: Annotated[
        list[str] | None,
        typer.Option("--expect-key", metavar="KEY", help="Who may have signed: a fingerprint or your key's name."),
    ] = None,
    cases: CasesFolderOption = None,
    form: FormatOption = Format.TABLE,
) -> int:
    """Check a case whole: every event, signed head, finding, picture and exported file; exit code 4 if anything fails.

    The name, id and title that were signed are printed: compare them with the case that you mean, for anybody can give
    a folder another name. The first link that does not hold is named. Without --expect-head, a case that was set back
    to an earlier state cannot be told from a whole one: the output then says that rollback is not excluded.
    """
    folder = case_folder(settings, cases, name)
    wanted = None if expect_head is None else _parse_head(expect_head)
    keys = frozenset(_key_id(settings, one) for one in expect_key) if expect_key else None
    try:
        with Case.open(folder) as case:
            head = None if wanted is None else _expected_head(case, *wanted)
            checked, identity = case.verify(head, expected_key_ids=keys), case.identity
    except (StoreError, TrustError) as exc:
        return report_failure(output, exc, form)
    signed_by = next(
        (key.name for key in list_keys(settings.keys_folder)[0] if key.key_id == checked.head_key_id), None
    )
    output.facts(
        {
            "holds": True,
            "case": identity.name,
            "case_id": identity.case_id,
            "title": identity.title,
            "folder": str(folder),
            "head": f"{checked.head.count}:{checked.head.head_hash}",
            "head_key": checked.head_key_id,
            "your_key": signed_by,
            "events": checked.events,
            "findings": checked.findings,
            "notes": list(checked.notes),
        },
        form,
    )
    return COMPLETE


def _describe(case: Case) -> dict[str, Any]:
    head = case.head()
    return {
        "name": case.name,
        "title": case.identity.title,
        "examiner": case.identity.examiner,
        "opened": case.identity.created_at,
        "events": head.count,
        "exhibits": len(case.done()),
        "head": f"{head.count}:{head.head_hash}",
    }


def _tell_misnomer(output: Output, case: Case) -> None:
    note = describe_misnomer(case.folder, case.name)
    if note is not None:
        output.warn(f"{case.folder}: {note}")


def _list_findings(case: Case, *, shorten: bool) -> list[dict[str, Any]]:
    done = list(case.done().values())
    shown = shorten_ids(one.exhibit_id for one in done) if shorten else {}
    return [
        {
            "exhibit_id": shown.get(one.exhibit_id, one.exhibit_id),
            "verdict": one.verdict,
            "sha256": one.sha256,
            "event": one.seq,
        }
        for one in done
    ]


def _parse_head(text: str) -> tuple[int | None, str]:
    found = _HEAD.fullmatch(text.strip().lower())
    if found is None:
        raise UsageError(f"not a case's head: {text[:100]!a}", remedy="write it as COUNT:HASH, as 'ftf scan' prints it")
    return (None if found["count"] is None else int(found["count"])), found["hash"]


def _expected_head(case: Case, count: int | None, head_hash: str) -> CaseHead:
    """The head as the check wants it; for a bare hash, the event that has it says the count."""
    if count is None:
        seq = next((event.seq for event in case.events() if event.hash == head_hash), None)
        if seq is None:
            raise ChainBroken(
                "no event has the hash of the expected head: the case was set back or altered",
                subject=str(case.folder),
                remedy="restore the case from a copy made before it was changed",
            )
        count = seq + 1
    return CaseHead(case_id=case.case_id, count=count, head_hash=head_hash, at=ALWAYS)


def _key_id(settings: Settings, reference: str) -> str:
    return parse_fingerprint(reference) if ":" in reference else find_key(settings, reference).key_id
