"""``ftf scan``: look for tags in suspect pictures, link them to their sources, record everything in a case."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftforensics import __version__
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.errors import COMPLETE, FAIL_ON_MATCHED, INTEGRITY, PARTIAL, combine_codes
from ftforensics.cli.meanwhile import reader_meanwhile
from ftforensics.cli.opening import (
    build_books,
    build_ring,
    check_engine,
    choose_reader,
    describe_graphs,
    machine_facts,
    open_localiser,
    open_pair_reader,
    open_registries,
    reader_troubles,
    require_carrier,
    tell_choice,
    trouble_facts,
    warn_about_unread_records,
    warn_about_unsearched_parts,
)
from ftforensics.cli.options import (
    CasesFolderOption,
    EngineOption,
    EnginesOption,
    EvidencePaths,
    ExaminerOption,
    FileListOption,
    FormatOption,
    JobsOption,
    MaxDepthOption,
    PassphraseFileOption,
    PrecisionOption,
    PublicKeyOption,
    SignerCommandOption,
    SkipLargerOption,
    TimeoutOption,
)
from ftforensics.cli.output import Format, Output, Ticker
from ftforensics.cli.passphrase import PassphraseSource
from ftforensics.cli.places import case_folder, cases_folder
from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import NamedSigner, resolve_keys
from ftforensics.cli.trust_file import load_trust
from ftforensics.domain.link import Finding, Verdict
from ftforensics.errors import UsageError
from ftforensics.store.case_names import is_case_file, list_cases
from ftforensics.trust.utc import parse_utc

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ftforensics.cli.meanwhile import Helpers
    from ftforensics.engine.backends import BackendStatus
    from ftforensics.engine.reader import Reader
    from ftforensics.engine.reading import TagReader
    from ftforensics.engine.ring import RingKey
    from ftforensics.flows.scan import RunFacts, ScanSummary
    from ftforensics.media.walk import EvidencePath
    from ftforensics.media.workers import WorkerPool
    from ftforensics.store.registry import Registry
    from ftforensics.trust.trustlist import TrustList

app = new_app()

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMgG]?)[bB]?")
_TABLE = ("path", "verdict", "tag_id", "issuer", "e_case", "changed", "moved", "further_tags")
_COLUMNS = ("exhibit", *_TABLE[:5], "z", *_TABLE[5:], "sha256")
# Of clocks that are not quite the same.
CLOCK_TOLERANCE = timedelta(minutes=5)
_SEARCHES = ("direct", "content", "blind", "deep")


@command(
    app,
    "scan",
    examples=(
        "ftf scan suspects/ --case case-1",
        "ftf scan suspects/ more.jpg --case case-1 --acquired-at 2026-05-04T10:00:00Z --format jsonl",
        "ftf scan --file-list list.txt --case case-1 --fail-on VERIFIED_DERIVATIVE --search deep",
    ),
    no_args_is_help=True,
)
def scan(
    settings: Settings,
    output: Output,
    evidence: EvidencePaths = None,
    case: Annotated[str, typer.Option("--case", metavar="NAME", help="The case; make one with 'ftf case new'.")] = "",
    cases: CasesFolderOption = None,
    examiner: ExaminerOption = None,
    registry: Annotated[
        list[Path] | None,
        typer.Option(
            "--registry", metavar="FILE", help="A registry; may be given again. The one in FTF_HOME by default."
        ),
    ] = None,
    carrier: Annotated[
        list[str] | None,
        typer.Option(
            "--carrier", metavar="KEY", help="A carrier key to read with; may be given again. All by default."
        ),
    ] = None,
    acquired_at: Annotated[
        str | None,
        typer.Option(
            "--acquired-at", metavar="UTC", help="When you had the exhibits in hand, for instance 2026-05-04T10:00:00Z."
        ),
    ] = None,
    search: Annotated[str, typer.Option("--search", help="How far to look: direct, content, blind or deep.")] = "blind",
    fail_on: Annotated[
        list[Verdict] | None,
        typer.Option("--fail-on", metavar="VERDICT", help="Exit with 1 if this verdict is given; may be given again."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart/--resume", help="Examine everything anew, or go on with a stopped scan.")
    ] = False,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    engines: EnginesOption = None,
    file_list: FileListOption = None,
    max_depth: MaxDepthOption = None,
    skip_larger: SkipLargerOption = None,
    jobs: JobsOption = None,
    timeout: TimeoutOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be examined, and stop.")] = False,
    passphrase_file: PassphraseFileOption = None,
    signer_command: SignerCommandOption = None,
    public_key: PublicKeyOption = None,
    form: FormatOption = Format.TABLE,
) -> int:
    """Look for tags in suspect pictures, link them to their sources, and record everything in a case.

    Evidence is only read. A picture without a readable tag is never called genuine. The case's head and event count are
    printed at the end: write them down, they are what 'ftf case verify --expect-head' checks against.
    """
    from ftforensics.media.walk import walk_evidence

    if not evidence and file_list is None:
        raise UsageError("there is nothing to scan", remedy="name files or folders, or give --file-list")
    if search not in _SEARCHES:
        raise UsageError(f"no such search: {search[:40]!r}", remedy=f"choose one of {', '.join(_SEARCHES)}")
    check_engine(engine, precision)
    if acquired_at is not None:
        _check_acquisition(acquired_at, settings.now_utc())
    case_folders = _case_folders(settings, cases, case)
    own = case_folders[0].resolve() if case else None
    paths = list(
        walk_evidence(
            evidence or [],
            max_depth=max_depth,
            skip_larger_bytes=_parse_size(skip_larger),
            file_list=file_list,
            case_folders=case_folders,
            check_root=None if own is None else lambda root: _refuse_own_case(root, own),
        )
    )
    if dry_run:
        for path in paths:
            if path.failure is not None:
                output.warn(f"{path.path}: {path.failure.message} ({path.failure.stage})")
        output.rows(("path", "size_bytes"), ({"path": p.path, "size_bytes": p.size_bytes} for p in paths), form)
        return COMPLETE
    if not case:
        raise UsageError("which case is it for?", remedy="give --case NAME; make one with 'ftf case new NAME'")
    # While keys are opened, workers start, the model is loaded and the rest of the program is imported.
    with (
        _start_workers(paths, jobs or min(4, os.cpu_count() or 2), timeout or 30.0) as workers,
        reader_meanwhile(
            lambda: choose_reader(settings, engine=engine, precision=precision, engines=engines),
            lambda: (open_pair_reader(settings), open_localiser(settings)),
        ) as meanwhile,
    ):
        signer, carriers = resolve_keys(
            settings,
            output,
            PassphraseSource(settings, output, passphrase_file),
            key=examiner,
            role=None if signer_command else "examiner",
            carriers=carrier,
            signer_command=signer_command,
            public_key=public_key,
        )
        require_carrier(carriers, settings)
        reader, passed_over = meanwhile.reader.result()
        ring = build_ring(carriers, reader.card.model_id)
        with open_registries(settings, registry) as registries:
            if not registries:
                output.warn("no registry at hand: tags can be decoded but not linked to records")
            warn_about_unread_records(output, registries, ring)
            if search != "direct":
                warn_about_unsearched_parts(output, registries)
            job = _Job(settings, output, signer, reader, passed_over, ring, registries, load_trust(settings))
            summary = job.run(
                case_folder(settings, cases, case),
                paths,
                acquired_at=acquired_at,
                search=search,
                restart=restart,
                workers=workers,
                helpers=meanwhile.helpers,
                form=form,
            )
    return _exit(summary, fail_on or [])


def _case_folders(settings: Settings, cases: Path | None, case: str) -> list[Path]:
    """The folder of the case that is written to, if one is named, and those of the cases beside it."""
    own = [case_folder(settings, cases, case)] if case else []
    beside = {folder.parent for folder in own} | {cases_folder(settings, cases)}
    return own + [folder for where in sorted(beside) for folder in list_cases(where)]


def _refuse_own_case(root: bytes, own: Path) -> None:
    """A case whose own files were its evidence would find them changed at the end of every scan."""
    from ftforensics.media.escape import display_path

    path = Path(os.fsdecode(root))
    if path == own:
        fault = "This is the folder of the case itself, which is no evidence"
    elif path.is_relative_to(own) and is_case_file(path):
        fault = "This is kept by the case itself, and is no evidence"
    else:
        return
    raise UsageError(fault, subject=display_path(root), remedy="name the pictures, or the folder that holds them")


def _check_acquisition(acquired_at: str, now: str) -> None:
    """Nobody had an exhibit in hand in the future: such a time would make every record look older than the exhibit.

    Raises:
        TrustError: It is not a UTC time.
        UsageError: It is later than now.
    """
    if parse_utc(acquired_at, subject="--acquired-at") - parse_utc(now) > CLOCK_TOLERANCE:
        raise UsageError(
            f"--acquired-at {acquired_at} is later than now, {now}",
            remedy="give the time at which you had the exhibits in hand, or set the clock right",
        )


def _start_workers(paths: Sequence[EvidencePath], jobs: int, timeout_s: float) -> WorkerPool:
    from ftforensics.media.limits import WorkerLimits
    from ftforensics.media.workers import WorkerPool

    workers = WorkerPool(jobs, WorkerLimits(timeout_s=timeout_s))
    workers.start(sum(path.failure is None for path in paths))
    return workers


class _Job:
    """One scan's open things."""

    def __init__(
        self,
        settings: Settings,
        output: Output,
        signer: NamedSigner,
        reader: Reader,
        passed_over: Sequence[BackendStatus],
        ring: Sequence[RingKey],
        registries: Sequence[Registry],
        trust: TrustList,
    ) -> None:
        self._settings, self._output, self._signer = settings, output, signer
        self._reader, self._ring, self._registries, self._trust = reader, ring, registries, trust
        self._passed_over = passed_over

    def run(
        self,
        folder: Path,
        paths: list[EvidencePath],
        *,
        acquired_at: str | None,
        search: Any,
        restart: bool,
        workers: WorkerPool,
        helpers: Future[Helpers],
        form: Format,
    ) -> ScanSummary:
        from ftforensics.engine.reading import SearchBudget, TagReader
        from ftforensics.flows.examine import Examiner
        from ftforensics.flows.scan import IntakeLimits, Scanner, count_pictures
        from ftforensics.flows.sources import Sources
        from ftforensics.store.case_lock import hold_case
        from ftforensics.store.cases import Case

        for registry in self._registries:
            registry.verify()
        pairs, localiser = helpers.result()
        checked_at = self._settings.now_utc()
        rows: list[dict[str, Any]] = []
        with hold_case(folder), Case.open(folder, signer=self._signer, read_only=False) as case:
            for note in case.verify().notes:
                self._output.detail(note)
            tell_choice(self._output, self._reader, self._passed_over)
            tag_reader = TagReader(
                self._reader,
                build_books(self._ring, self._registries),
                pairs=pairs,
                pictures_in_case=count_pictures(case, paths),
                budget=SearchBudget(mode=search),
            )
            with self._output.progress("Scanning", total=len(paths)) as ticker:
                scanner = Scanner(
                    case=case,
                    tag_reader=tag_reader,
                    examiner=Examiner(
                        tag_reader=tag_reader,
                        keys=self._ring,
                        sources=Sources(self._registries, self._trust, checked_at),
                        trust=self._trust,
                        checked_at=checked_at,
                        localiser=localiser,
                    ),
                    facts=self._facts(search, acquired_at, tag_reader, describe_graphs(pairs, localiser)),
                    now=self._settings.now_utc,
                    limits=IntakeLimits(jobs=workers.jobs),
                    workers=workers,
                    acquired_at=acquired_at,
                    tell=_Teller(self._output, ticker, rows),
                )
                before = reader_troubles(self._reader)
                summary = scanner.run(paths, restart=restart)
            for trouble in reader_troubles(self._reader):
                if trouble not in before:
                    self._output.warn(f"{trouble}.")
            self._show(case, rows, form, summary)
        return summary

    def _facts(self, search: str, acquired_at: str | None, tag_reader: TagReader, graphs: dict[str, str]) -> RunFacts:
        from ftforensics.flows.scan import RunFacts

        card = self._reader.card
        # Everything that can be found in them: a scan that was stopped must not go on with other records.
        states = sorted({"; ".join(registry.state()) for registry in self._registries})
        return RunFacts(
            run_id=secrets.token_hex(8),
            tool_version=__version__,
            argv=tuple(os.fsencode(word).decode("utf-8", "backslashreplace") for word in sys.argv),
            machine=machine_facts(self._reader.backend) | trouble_facts(self._reader),
            machine_at_end=lambda: trouble_facts(self._reader),
            model={
                "model": card.model_id,
                "weights_sha256": card.reader_sha256,
                "backend": self._reader.backend,
                "precision": self._reader.precision,
            }
            | ({} if self._reader.engine_sha256 is None else {"engine_sha256": self._reader.engine_sha256})
            | graphs,
            examiner=self._signer.name,
            trust_list_sha256=self._trust.sha256,
            registry_checkpoint=" | ".join(states) or None,
            config={
                "acquired_at": acquired_at,
                "backend": self._reader.backend,
                "carrier_keys": sorted(key.key_id for key in self._ring),
                "checkpoints": states,
                "engine_sha256": self._reader.engine_sha256,
                "localiser_sha256": graphs.get("localiser_sha256"),
                "pair_reader_sha256": graphs.get("pair_reader_sha256"),
                "pictures": tag_reader.pictures,
                "precision": self._reader.precision,
                "search": search,
                "simulator_sha256": graphs.get("simulator_sha256"),
                "tool_version": __version__,
                "trust_list_sha256": self._trust.sha256,
                "weights_sha256": card.reader_sha256,
            },
        )

    def _show(self, case: Any, rows: list[dict[str, Any]], form: Format, summary: ScanSummary) -> None:
        if form is Format.JSONL:
            from ftforensics.store.finding_json import render_finding_line

            told = {row["exhibit"] for row in rows}
            for finding in case.findings():
                if finding.exhibit_id in told:
                    self._output.raw(render_finding_line(finding).decode("ascii"))
        else:
            shown = sorted(rows, key=lambda row: row["seq"])
            self._output.rows(_COLUMNS if form is Format.CSV else _TABLE, shown, form)
        counts = summary.counts
        noun = "input" if counts["seen"] == 1 else "inputs"
        taken = f"; {summary.resumed} taken over from the stopped scan" if summary.resumed else ""
        self._output.note(
            f"{counts['seen']} {noun}: {counts['ok']} examined, {counts['failed']} unreadable, "
            f"{counts['skipped']} skipped{taken}."
        )
        several = [row["path"] for row in rows if row["frames"] > 1]
        if several:
            self._output.note(
                f"Only the first picture was examined of inputs that hold several (frames or pages), {len(several)} in "
                f"all: {', '.join(several[:3])}{' and more' if len(several) > 3 else ''}."
            )
        for path in summary.altered:
            self._output.error(f"the evidence changed while it was being examined: {path}; secure it and scan again.")
        self._output.note(f"Case {case.name}: {summary.head.count} events, head {summary.head.head_hash}.")
        self._output.note(
            f"Check it later with: ftf case verify {case.name} --expect-head "
            f"{summary.head.count}:{summary.head.head_hash}"
        )


class _Teller:
    """Collects a row for every finding and moves the progress bar."""

    def __init__(self, output: Output, ticker: Ticker, rows: list[dict[str, Any]]) -> None:
        self._output, self._ticker, self._rows = output, ticker, rows

    def __call__(self, finding: Finding, resumed: bool) -> None:
        if finding.error is not None and not resumed:
            self._output.warn(f"{finding.evidence.path}: {finding.error.message} ({finding.error.stage})")
        self._rows.append(_row(finding))
        self._ticker.advance()


def _row(finding: Finding) -> dict[str, Any]:
    tag, source, registration = finding.tag, finding.source, finding.registration
    changed = registration.changed_fraction if registration is not None else None
    e_case = getattr(tag, "e_case", None)
    z = getattr(tag, "z", None)
    return {
        "seq": finding.seq,
        "exhibit": finding.exhibit_id,
        "path": finding.evidence.path,
        "verdict": finding.verdict.value,
        "tag_id": getattr(tag, "tag_id", None),
        "issuer": source.issuer if source is not None else None,
        "e_case": None if e_case is None else f"{e_case:.1e}",
        "z": None if z is None else round(z, 2),
        "changed": None if changed is None else f"{100 * changed:.1f} %",
        "moved": None if finding.movement is None else f"{100 * finding.movement.moved_fraction:.1f} %",
        "further_tags": "; ".join(f"{one.tag.tag_id} {one.verdict.value}" for one in finding.further_tags) or None,
        "sha256": finding.evidence.sha256,
        "frames": 1 if finding.evidence.decode is None else finding.evidence.decode.frames,
    }


def _exit(summary: ScanSummary, fail_on: Sequence[Verdict]) -> int:
    from ftforensics.flows.scan import matches_fail_on

    codes = [COMPLETE]
    if summary.counts["failed"]:
        codes.append(PARTIAL)
    if summary.altered:
        codes.append(INTEGRITY)
    # A tag in one part of a collage must not hide what another part shows.
    if matches_fail_on(summary.verdicts, fail_on) or matches_fail_on(summary.further_verdicts, fail_on):
        codes.append(FAIL_ON_MATCHED)
    return combine_codes(codes)


def _parse_size(text: str | None) -> int | None:
    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"not a size: {text[:40]!r}", remedy="write it as 500K, 200M or 2G")
    return int(float(found[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[found[2].lower()])
