"""A case on disk: an append-only chain of events under signed heads, with pictures beside it.

In: events, findings, pictures, and a signer for the heads. Out: the same, verified on request, and lookups so that a
scan that was stopped continues where it was. A case is the folder ``<cases>/<name>`` with ``case.sqlite`` and
``artifacts``.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ftforensics.domain.case import AlteredExhibit, CaseEvent, CaseHead, CaseView, Examination, RunInfo, find_altered
from ftforensics.domain.link import Artifact, Finding
from ftforensics.errors import AlreadyExists, ChainBroken, KeyUnknown, StoreError, WriteFailed
from ftforensics.store.artifacts import StagedFile, load_artifact, save_artifact, stage_file
from ftforensics.store.case_check import CaseCheck, verify_case
from ftforensics.store.case_export import build_exports, collect_runs, describe_export, render_run
from ftforensics.store.case_names import DATABASE_NAME, check_case_name
from ftforensics.store.case_rows import (
    ALL_EVENTS,
    CASE_SCHEMA,
    EVENT_AT,
    EVENTS_OF_KIND,
    FIRST_EVENT,
    LAST_HEAD,
    SignedHead,
    case_schema,
    insert_event,
    insert_head,
    last_event,
    load_admitted_keys,
    parse_event_row,
    parse_head_row,
    parse_identity,
    read_events,
    require_written,
)
from ftforensics.store.case_view import build_view
from ftforensics.store.finding_json import parse_finding, render_finding
from ftforensics.store.sqlite import Database, create_database, open_database
from ftforensics.trust import chain
from ftforensics.trust.keys import Signer

Item = tuple[str, dict[str, Any]]
# An exhibit is its path and content. Its id is short in old cases, and two exhibits made to share one stay two.
_NEWEST_EVENTS = """
    SELECT e.seq, e.previous_hash, e.kind, e.body, e.actor, e.at, e.hash FROM findings AS f JOIN events AS e USING (seq)
    WHERE f.seq IN (SELECT max(seq) FROM findings GROUP BY path_b64, sha256)
    ORDER BY f.ordinal, f.exhibit_id, f.seq
"""
_NEWEST_OF_SHA256 = "SELECT max(seq) FROM findings WHERE sha256 = ? GROUP BY path_b64 ORDER BY 1"
_NEWEST_AT_PATH = "SELECT max(seq) FROM findings WHERE path_b64 = ? GROUP BY sha256 ORDER BY 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneExhibit:
    """That a finding about an exhibit is in the case already; ``seq`` is that of its newest finding's event."""

    seq: int
    exhibit_id: str
    sha256: str
    path_b64: str
    verdict: str


class Case:
    """One open case. Made by ``create`` or ``open``; close it, or use it in ``with``.

    ``identity`` is what the case's first event says. Opening does not verify the chain: call ``verify`` before relying
    on or adding to a case.
    """

    def __init__(self, folder: Path, database: Database, signer: Signer | None) -> None:
        row = database.row(FIRST_EVENT)
        if row is None:
            raise ChainBroken("The case holds no events", position=0, subject=str(database.path))
        self.folder = folder
        self.identity = parse_identity(parse_event_row(row, database), database)
        self.case_id = self.identity.case_id
        self.name = self.identity.name
        self._database = database
        self._signer = signer

    @classmethod
    def create(
        cls,
        cases_folder: Path,
        name: str,
        *,
        title: str,
        examiner: str,
        signer: Signer,
        at: str,
        case_id: str | None = None,
    ) -> Self:
        """Makes the folder ``<cases_folder>/<name>`` with a case of one signed event, and opens it for writing.

        Args:
            cases_folder: Made if it is not there.
            name: Of the folder.
            title: For people.
            examiner: Who opens it; becomes the first event's actor.
            signer: The examiner's key; it signs the heads.
            at: Now, UTC.
            case_id: What findings and heads are marked with; the name where it is None, so that two runs over the same
                evidence under the same name give the same findings.

        Raises:
            UsageError: The name cannot name a folder.
            AlreadyExists: The folder is there.
            WriteFailed: Disk full or not permitted; nothing is left behind.
            TrustError: A text or time is malformed, or the signer failed.
        """
        folder = cases_folder / check_case_name(name)
        body = {
            "schema": CASE_SCHEMA,
            "case_id": case_id or name,
            "name": name,
            "title": title,
            "examiner": examiner,
            "head_key_id": signer.key_id,
        }
        _make_folder(folder)
        try:
            first = chain.append_event(None, "case_opened", body, examiner, at)
            create_database(
                folder / DATABASE_NAME,
                case_schema(),
                lambda database: _write(database, case_id or name, [first], signer),
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls.open(folder, signer=signer, read_only=False)

    @classmethod
    def open(cls, folder: Path, *, signer: Signer | None = None, read_only: bool = True) -> Self:
        """Opens the case in a folder.

        Args:
            folder: The case's own folder.
            signer: Whose key signs the heads; needed for appending.
            read_only: Whether nothing is to be written.

        Raises:
            NotFound: No such case.
            StoreError: Not a case, damaged or locked; SchemaMismatch for one of another version.
            ChainBroken: Its tables, append-only protections or first event were altered.
            WriteFailed: To be opened for writing where that is not permitted.
        """
        database = open_database(folder / DATABASE_NAME, case_schema(), read_only=read_only)
        try:
            return cls(folder, database, signer)
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; harmless when it is closed already."""
        self._database.close()

    def append(self, kind: str, body: dict[str, Any], *, actor: str, at: str) -> CaseEvent:
        """Adds one event under a new signed head. Raises as ``append_many`` does."""
        return self.append_many([(kind, body)], actor=actor, at=at)[0]

    def append_many(self, items: Sequence[Item], *, actor: str, at: str) -> tuple[CaseEvent, ...]:
        """Adds events under one new signed head, in one transaction: all of them, or none.

        Args:
            items: Kind and body of each; a body of kind ``finding`` must be one that ``render_finding`` gave.
            actor: Who did it.
            at: Now, UTC.

        Raises:
            KeyUnknown: The case was opened without a signer, or the signer was never admitted to this case.
            ChainBroken: The chain's end does not fit its newest signed head: nothing is added to an altered chain.
            TrustError: A field is malformed, or the signer failed.
            StoreError: Opened read-only, a finding's body is malformed, or its exhibit id is that of another exhibit.
            WriteFailed: Disk full or read-only; nothing was added.
        """
        signer = self._signer
        with self._database.transaction():
            if signer is None or signer.key_id not in load_admitted_keys(self._database, self.identity):
                raise KeyUnknown(
                    "The case's heads may not be signed with this key" if signer else "Adding to a case needs a key",
                    subject=f"{signer.key_id}, {self.folder}" if signer else str(self.folder),
                    remedy="use the examiner key that opened the case, or admit another with it",
                )
            previous = self._last_signed_event()
            events: list[CaseEvent] = []
            for kind, body in items:
                previous = chain.append_event(previous, kind, body, actor, at)
                events.append(previous)
            if events:
                _write(self._database, self.case_id, events, signer)
        return tuple(events)

    def append_finding(self, finding: Finding, *, actor: str, at: str) -> CaseEvent:
        """Adds a finding; it takes the place of an earlier one about the same exhibit, which stays on record."""
        return self.append_findings([finding], actor=actor, at=at)[0]

    def append_findings(self, findings: Sequence[Finding], *, actor: str, at: str) -> tuple[CaseEvent, ...]:
        """Adds several findings under one signed head. Raises as ``append_many`` does."""
        items: list[Item] = []
        for finding in findings:
            if finding.case_id != self.case_id:
                raise StoreError(f"The finding is of the case {finding.case_id!a}", subject=str(self.folder))
            items.append(("finding", render_finding(finding)))
        return self.append_many(items, actor=actor, at=at)

    def start_run(self, run: RunInfo, *, at: str) -> CaseEvent:
        """Notes that a run began; its examiner is the actor."""
        return self.append("run_started", render_run(run), actor=run.examiner, at=at)

    def finish_run(self, run: RunInfo, *, at: str) -> CaseEvent:
        """Notes how a run ended; its counts and times replace those noted at its start."""
        return self.append("run_finished", render_run(run), actor=run.examiner, at=at)

    def admit_examiner(self, name: str, key_id: str, *, actor: str, at: str) -> CaseEvent:
        """Lets a further examiner's key sign heads from the next event on."""
        return self.append("examiner_admitted", {"examiner": name, "key_id": key_id}, actor=actor, at=at)

    def save_artifact(self, content: bytes, *, role: str, media_type: str, width_px: int, height_px: int) -> Artifact:
        """Keeps a picture in the case; put what comes back into a finding, which is what binds it to the chain."""
        digest = save_artifact(self.folder, content, media_type)
        return Artifact(role=role, sha256=digest, media_type=media_type, width_px=width_px, height_px=height_px)

    def load_artifact(self, sha256: str) -> bytes:
        """A picture's bytes, their hash recomputed. Raises NotFound, ChainBroken or StoreError."""
        return load_artifact(self.folder, sha256)

    def events(self, kind: str | None = None) -> Iterator[CaseEvent]:
        """Yields the events in order, all or those of one kind. Their chain is not checked here."""
        yield from read_events(self._database, *((ALL_EVENTS,) if kind is None else (EVENTS_OF_KIND, (kind,))))

    def head(self) -> CaseHead:
        """The newest head, its signature verified; print it, so that a case set back to an older state is noticed."""
        return self._last_head().head

    def runs(self) -> tuple[RunInfo, ...]:
        """All runs in the order they began; one that was stopped has no ``ended_at``."""
        return collect_runs([*self.events("run_started"), *self.events("run_finished")])

    def done(self) -> dict[tuple[str, str], DoneExhibit]:
        """Which exhibits have a finding, by ``path_b64`` and SHA-256, from the index alone: quick for any case."""
        return {
            (row[3], row[2]): DoneExhibit(seq=row[0], exhibit_id=row[1], sha256=row[2], path_b64=row[3], verdict=row[4])
            for row in self._database.rows(
                "SELECT seq, exhibit_id, sha256, path_b64, verdict FROM findings ORDER BY seq"
            )
        }

    def finding(self, exhibit_id: str) -> Finding | None:
        """The newest finding under an exhibit id."""
        row = self._database.row("SELECT max(seq) FROM findings WHERE exhibit_id = ?", (exhibit_id,))
        return None if row is None or row[0] is None else self.finding_at(row[0])

    def findings_of(self, sha256: str) -> tuple[Finding, ...]:
        """The newest finding about each exhibit with that content, in the order of their events."""
        return tuple(self.finding_at(row[0]) for row in self._database.all_rows(_NEWEST_OF_SHA256, (sha256,)))

    def findings_at(self, path_b64: str) -> tuple[Finding, ...]:
        """The newest finding about each exhibit at that path, in the order of their events."""
        return tuple(self.finding_at(row[0]) for row in self._database.all_rows(_NEWEST_AT_PATH, (path_b64,)))

    def iter_findings(self) -> Iterator[Finding]:
        """Yields the newest finding about each exhibit, ordered by the findings' own ``seq`` and exhibit id."""
        for event in read_events(self._database, _NEWEST_EVENTS):
            yield parse_finding(event.body)

    def findings(self) -> tuple[Finding, ...]:
        """All that ``iter_findings`` yields."""
        return tuple(self.iter_findings())

    def altered(self) -> tuple[AlteredExhibit, ...]:
        """The exhibits that were not the same when they were hashed again after their newest finding."""
        rows = self._database.all_rows("SELECT seq, exhibit_id, sha256, path_b64 FROM findings ORDER BY seq")
        examined = [Examination(event=row[0], exhibit_id=row[1], sha256=row[2], path_b64=row[3]) for row in rows]
        return find_altered(self.events("exhibit_rehashed"), examined)

    def verify(
        self, expect_head: CaseHead | None = None, *, expected_key_ids: frozenset[str] | None = None
    ) -> CaseCheck:
        """Checks the whole case; steps and errors as in ``case_check.verify_case``."""
        with self._database.snapshot():
            return verify_case(self._database, self.folder, expect_head=expect_head, expected_key_ids=expected_key_ids)

    def view(self, expect_head: CaseHead | None = None, *, expected_key_ids: frozenset[str] | None = None) -> CaseView:
        """All that a report needs, after checking the case; what the check found stands in ``integrity_notes``.

        A case that does not hold is shown all the same, with ``head_verified`` false and the reason as the first note:
        a report must be able to say so. What cannot be read at all is left out, with a note.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._database.snapshot():
            return build_view(
                self._database,
                self.folder,
                self.identity,
                expect_head=expect_head,
                expected_key_ids=expected_key_ids,
            )

    def export(self, *, actor: str, at: str) -> tuple[Path, ...]:
        """Writes ``scan.jsonl``, ``custody.jsonl`` and, after a run, ``run.json`` into the case's folder.

        An event with the files' hashes goes first, so that ``verify`` notices when one is edited later. Files of an
        earlier export are replaced.

        Raises:
            WriteFailed: Disk full or not permitted.
            KeyUnknown: The case was opened without its signer.
        """
        staged: list[StagedFile] = []
        try:
            for name, chunks in build_exports(self.iter_findings(), self.runs(), self.events()).items():
                staged.append(stage_file(self.folder / name, chunks))
            rows = [describe_export(one.path, one.sha256, one.size_bytes, self.folder) for one in staged]
            self.append("report_exported", {"files": rows}, actor=actor, at=at)
            for one in staged:
                one.move()
        finally:
            for one in staged:
                one.discard()
        return tuple(one.path for one in staged)

    def announce_exports(self, files: Mapping[Path, bytes], *, actor: str, at: str) -> None:
        """Notes which files of the case's folder are about to be written over, and the hashes that they will have.

        Call it before moving them: whatever happens between that and ``log_exports``, ``verify`` knows both the old and
        the new file, and the case does not claim an export that never was. Nothing is noted where nothing is replaced,
        as a folder never is.
        """
        rows = [row for path, row in self._describe(files) if row["inside"] and _is_replaceable(path)]
        if rows:
            self.append("report_staged", {"files": rows}, actor=actor, at=at)

    def log_exports(self, files: Mapping[Path, bytes], *, actor: str, at: str) -> CaseEvent:
        """Notes the hashes of files that were written, in or outside the case's folder.

        ``verify`` notes a file in the folder that was not logged, and one that was logged and is not there any more;
        one that differs from all that was logged is a break.
        """
        rows = [row for _, row in self._describe(files)]
        return self.append("report_exported", {"files": rows}, actor=actor, at=at)

    def _describe(self, files: Mapping[Path, bytes]) -> list[tuple[Path, dict[str, Any]]]:
        return [
            (path, describe_export(path, hashlib.sha256(content).hexdigest(), len(content), self.folder))
            for path, content in files.items()
        ]

    def finding_at(self, seq: int) -> Finding:
        """The finding of one event.

        Raises:
            ChainBroken: There is no such event.
            StoreError: It holds no finding.
        """
        row = self._database.row(EVENT_AT, (seq,))
        if row is None:
            raise ChainBroken(f"Event {seq} is missing", position=seq, subject=str(self._database.path))
        return parse_finding(parse_event_row(row, self._database).body)

    def _last_head(self) -> SignedHead:
        row = self._database.row(LAST_HEAD)
        if row is None:
            raise ChainBroken("The case has no signed head", position=0, subject=str(self._database.path))
        return parse_head_row(row, self._database)

    def _last_signed_event(self) -> CaseEvent:
        event, signed = last_event(self._database), self._last_head()
        if signed.head.count != event.seq + 1 or signed.head.head_hash != event.hash:
            raise ChainBroken(
                "The end of the chain does not fit its newest signed head",
                position=min(signed.head.count, event.seq),
                subject=str(self._database.path),
                remedy="check the case with 'ftf case verify' before adding to it",
            )
        return event


def _write(database: Database, case_id: str, events: Sequence[CaseEvent], signer: Signer) -> None:
    for event in events:
        insert_event(database, event)
    last = events[-1]
    head = CaseHead(case_id=case_id, count=last.seq + 1, head_hash=last.hash, at=last.at)
    insert_head(database, chain.sign_head(head, signer), signer, head.count)
    require_written(database, events)


def _is_replaceable(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _make_folder(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        raise AlreadyExists("A case is not written over", subject=str(folder), remedy="open it, or choose another name")
    try:
        folder.mkdir(parents=True)
    except OSError as exc:
        raise WriteFailed(
            f"The case's folder cannot be made ({exc.strerror})", subject=str(folder), remedy="check the permissions"
        ) from exc
