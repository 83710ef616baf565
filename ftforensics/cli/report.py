"""``ftf report``: write what a case found, for people and for other programs."""

from __future__ import annotations

import os
import stat
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftforensics import __version__
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.errors import COMPLETE, INTEGRITY
from ftforensics.cli.options import (
    CasesFolderOption,
    ClobberOption,
    ExaminerOption,
    PassphraseFileOption,
    PublicKeyOption,
    SignerCommandOption,
)
from ftforensics.cli.output import Output
from ftforensics.cli.places import case_folder, make_parent
from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import resolve_signer
from ftforensics.domain.case import CaseView
from ftforensics.errors import FtfError, UsageError
from ftforensics.store.case_names import is_case_file

if TYPE_CHECKING:
    from ftforensics.store.cases import Case

app = new_app("Write a case's report.")


class ReportFormat(StrEnum):
    """Kinds of report."""

    HTML = "html"
    JSON = "json"
    CSV = "csv"


@command(
    app,
    "export",
    examples=(
        "ftf report export --case case-1",
        "ftf report export --case case-1 --format csv --output findings.csv",
    ),
    no_args_is_help=True,
)
def export(
    settings: Settings,
    output: Output,
    case: Annotated[str, typer.Option("--case", metavar="NAME", help="Which case.")],
    cases: CasesFolderOption = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="Kind of report.")] = ReportFormat.HTML,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; report.html, .json or .csv in the case's folder by default.",
        ),
    ] = None,
    clobber: ClobberOption = False,
    examiner: ExaminerOption = None,
    passphrase_file: PassphraseFileOption = None,
    signer_command: SignerCommandOption = None,
    public_key: PublicKeyOption = None,
) -> int:
    """Write a self-contained report: suspects beside their sources, what changed, signatures, custody, limits.

    The case is checked first, and the report says whether it held. The export itself is noted in the case's custody log
    with the file's SHA-256, under a new signed head.
    """
    from ftforensics.store.cases import Case

    folder = case_folder(settings, cases, case)
    target = out or folder / f"report.{form.value}"
    if is_case_file(target):
        raise UsageError(
            "a report is not written over what a case is made of", subject=str(target), remedy="choose another name"
        )
    _require_file_place(target)
    signer = resolve_signer(
        settings,
        output,
        key=examiner,
        role=None if signer_command else "examiner",
        signer_command=signer_command,
        public_key=public_key,
        passphrase_file=passphrase_file,
    )
    with Case.open(folder, signer=signer, read_only=False) as opened:
        view = opened.view()
        write_report(
            opened, view, form, target, at=settings.now_utc(), actor=signer.name, clobber=clobber or out is None
        )
        head = opened.head()
    output.say(str(target))
    if not view.head_verified:
        output.error(f"the case does not hold: {view.integrity_notes[0] if view.integrity_notes else 'see the report'}")
        return INTEGRITY
    output.note(f"Case {case}: {head.count} events, head {head.head_hash}.")
    return COMPLETE


def _require_file_place(target: Path) -> None:
    """A folder, pipe or device cannot be replaced by a report, with --clobber neither; a link can."""
    try:
        mode = os.lstat(target).st_mode
    except (OSError, ValueError):  # nothing is there, or what is wrong with the name is told by the writing
        return
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise UsageError(
            "A report is written to a file, and this is a folder"
            if stat.S_ISDIR(mode)
            else "A report is written to a file, and this is none",
            subject=str(target),
            remedy="name a file",
        )


def write_report(
    opened: Case, view: CaseView, form: ReportFormat, target: Path, *, at: str, actor: str, clobber: bool
) -> None:
    """Render a view, write it and note the file in the case, in this order: what is noted is there.

    A file that cannot be noted is taken away again, unless it took the place of another.

    Raises:
        AlreadyExists: There is a file and ``clobber`` is off.
        WriteFailed: Disk full or not permitted.
        ReportError: The view cannot be rendered.
    """
    from ftforensics.media.writing import stage

    content = _render(view, form, at)
    make_parent(target)
    with stage(target, content, clobber=clobber) as move:
        if not view.head_verified:
            # An altered case gets a report that says so, but nothing is added to its chain.
            move()
            return
        is_new = not os.path.lexists(target)
        opened.announce_exports({target: content}, actor=actor, at=at)
        move()
        try:
            opened.log_exports({target: content}, actor=actor, at=at)
        except FtfError:
            if is_new:
                target.unlink(missing_ok=True)
            raise


def _render(view: CaseView, form: ReportFormat, at: str) -> bytes:
    if form is ReportFormat.HTML:
        from ftforensics.report.html_page import render_html

        return render_html(view, generated_at=at, tool_version=__version__)
    if form is ReportFormat.JSON:
        from ftforensics.report.json_document import render_json

        return render_json(view, generated_at=at, tool_version=__version__)
    from ftforensics.report.csv_table import render_csv

    return render_csv(view)
