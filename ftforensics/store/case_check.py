"""Checking a whole case: chain, signed heads, the index over findings, pictures and exported files.

In: an open case database and its folder, and a head kept outside it if there is one. Out: the newest head and what
could not be excluded, or the first thing that does not fit. Source: ``trust.chain``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any

from ftforensics.domain.case import CaseEvent, CaseHead, Examination, find_altered
from ftforensics.domain.link import Finding
from ftforensics.errors import ChainBroken, NotFound, SignatureInvalid, StoreError
from ftforensics.store.artifacts import find_artifact, hash_file, list_artifacts, load_artifact
from ftforensics.store.case_names import ARTIFACT_FOLDER, DATABASE_FILES, describe_misnomer
from ftforensics.store.case_rows import (
    ALL_EVENTS,
    ALL_HEADS,
    CaseIdentity,
    SignedHead,
    admitted_key,
    index_columns,
    parse_head_row,
    parse_identity,
    read_events,
)
from ftforensics.store.finding_json import parse_finding
from ftforensics.store.plain_json import parse_plain
from ftforensics.store.sqlite import Database, Row
from ftforensics.trust.chain import verify_chain
from ftforensics.trust.utc import parse_utc

_ROLLBACK = "Rollback not excluded: no earlier head was given to compare with."
_FINDINGS = "SELECT seq, ordinal, exhibit_id, sha256, path_b64, verdict FROM findings ORDER BY seq"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCheck:
    """What checking a case gave: its newest head, the key that signed it, and what remains open."""

    head: CaseHead
    head_key_id: str
    events: int
    findings: int
    notes: tuple[str, ...]


def verify_case(
    database: Database,
    folder: Path,
    *,
    expect_head: CaseHead | None,
    expected_key_ids: frozenset[str] | None,
) -> CaseCheck:
    """Checks everything that a case holds.

    Steps: 1. SQLite's own check; 2. every event's hash and place in the chain, and the expected head on it; 3. every
    signed head: its signature, that its key was admitted by then, and that it fits the chain; 4. that the newest head
    covers the newest event; 5. the index over findings, and ids that two exhibits share; 6. the SHA-256 of every
    picture; 7. exported files against their logged sizes and hashes. Files that are not of the case, a folder that
    bears another case's name and exhibits that changed during a scan are notes.

    Args:
        database: Of the case.
        folder: Of the case.
        expect_head: A head printed or kept earlier, outside the case.
        expected_key_ids: Fingerprints of the examiners' keys, known from elsewhere.

    Raises:
        ChainBroken: At ``position`` the first event that does not fit, or a picture or exported file was altered.
        SignatureInvalid: A head is not signed by its key, or by none of the expected keys.
        StoreError: The database is damaged or cannot be read.

    Does not establish that what the events say is true, nor, without ``expect_head``, that the case was not set back
    to an earlier state, nor, without ``expected_key_ids``, that it was not replaced as a whole by somebody with
    another key.
    """
    database.check_pages()
    walk = _Walk(database)
    checked = verify_chain(walk.events(), expect_head)
    newest = walk.finish(checked.count)
    if expected_key_ids is not None and not walk.head_keys <= expected_key_ids:
        raise SignatureInvalid(
            f"The case's heads are signed with {sorted(walk.head_keys - expected_key_ids)[0]}, which was not expected",
            subject=str(folder),
            remedy="compare the key with the examiner's",
        )
    _check_findings_index(database, walk)
    notes = [*_check_name(folder, walk.identity), *_note_altered(walk), *walk.notes, *_shared_ids(walk.index)]
    notes += _check_artifacts(folder, walk.artifacts)
    notes += _check_exports(folder, walk.exports)
    notes += _check_strangers(folder, walk.exports)
    if expect_head is None:
        notes.append(_ROLLBACK)
    elif checked.beyond_head:
        notes.append(f"{checked.beyond_head} event(s) were added after the expected head.")
    if expected_key_ids is None:
        notes.append(f"Head key not compared with a known one: it is {newest.key_id}.")
    return CaseCheck(
        head=newest.head,
        head_key_id=newest.key_id,
        events=checked.count,
        findings=len(walk.index),
        notes=tuple(notes),
    )


@dataclass(kw_only=True, slots=True)
class _Exported:
    """What is known of a file by its path; ``newest`` is None where it was announced and never exported."""

    newest: str | None = None
    all: set[str] = field(default_factory=set)
    sizes: set[int] = field(default_factory=set)


class _Walk:
    """Goes through events and heads side by side; the chain's own check runs between two steps of ``events``."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.identity: CaseIdentity | None = None
        self.index: list[Row] = []
        self.artifacts: dict[str, int] = {}
        self.exports: dict[str, _Exported] = {}
        self.rehashed: list[CaseEvent] = []
        self.notes: list[str] = []
        self.head_keys: set[str] = set()
        self.unreadable: set[int] = set()
        self._admitted: set[str] = set()
        self._pending: set[str] = set()
        self._heads = (parse_head_row(row, database) for row in database.rows(ALL_HEADS))
        self._next = next(self._heads, None)
        self._newest: SignedHead | None = None

    def events(self) -> Iterator[CaseEvent]:
        """Yields every event; what follows a ``yield`` runs once the chain's check has accepted that event."""
        before = None
        for event in read_events(self.database, ALL_EVENTS):
            yield event
            if self.identity is None:
                self.identity = parse_identity(event, self.database)
                self._admitted.add(self.identity.head_key_id)
            if before is not None and parse_utc(event.at) < parse_utc(before.at):
                self.notes.append(f"Event {event.seq} is dated before the event it follows: the clock was set back.")
            self._note_contents(event)
            self._check_head(event)
            before = event

    def finish(self, count: int) -> SignedHead:
        """The newest head, once all events were walked."""
        newest = self._newest
        if newest is None or self._next is not None or newest.head.count != count:
            covered = 0 if newest is None else newest.head.count
            raise ChainBroken(
                f"The chain has {count} events and its newest signed head covers {covered}"
                if self._next is None
                else f"The chain ends after {count} events, and a head was signed for {self._next.head.count}",
                position=min(count, covered),
                subject=str(self.database.path),
            )
        return newest

    def _check_head(self, event: CaseEvent) -> None:
        signed = self._next
        if signed is None or signed.head.count != event.seq + 1:
            return
        subject = str(self.database.path)
        if signed.key_id not in self._admitted:
            raise SignatureInvalid(
                f"The head at {signed.head.count} events is signed with a key that was not admitted: {signed.key_id}",
                subject=subject,
            )
        case_id = self.identity.case_id if self.identity else None
        if signed.head.head_hash != event.hash or signed.head.case_id != case_id:
            raise ChainBroken(
                f"Event {event.seq} is not the one that its head signs", position=event.seq, subject=subject
            )
        self._admitted |= self._pending
        self._pending.clear()
        self.head_keys.add(signed.key_id)
        self._newest, self._next = signed, next(self._heads, None)

    def _note_contents(self, event: CaseEvent) -> None:
        try:
            if event.kind == "finding":
                finding = parse_finding(event.body)
                self.index.append((event.seq, *index_columns(finding)))
                self._note_artifacts(finding, event.seq)
            elif event.kind == "examiner_admitted":
                self._pending.add(admitted_key(event))
            elif event.kind in {"report_staged", "report_exported"}:
                self._note_exports(event)
            elif event.kind == "exhibit_rehashed":
                self.rehashed.append(event)
        except StoreError as exc:
            self.unreadable.add(event.seq)
            self.notes.append(f"Event {event.seq} ({event.kind}) cannot be read by this program: {exc.sentence}")

    def _note_artifacts(self, finding: Finding, seq: int) -> None:
        for artifact in finding.artifacts:
            self.artifacts.setdefault(artifact.sha256, seq)

    def _note_exports(self, event: CaseEvent) -> None:
        where = f"event {event.seq}"
        for row in parse_plain(tuple[dict[str, Any], ...], event.body.get("files"), where):
            if row.get("inside") is True:
                path = parse_plain(str, row.get("path"), where)
                sha256 = parse_plain(str, row.get("sha256"), where)
                size_bytes = parse_plain(int, row.get("size_bytes"), where)
                known = self.exports.setdefault(path, _Exported())
                known.sizes.add(size_bytes)
                known.all.add(sha256)
                if event.kind == "report_exported":
                    known.newest = sha256


def _check_name(folder: Path, identity: CaseIdentity | None) -> list[str]:
    note = None if identity is None else describe_misnomer(folder, identity.name)
    return [] if note is None else [note]


def _note_altered(walk: _Walk) -> list[str]:
    examined = [Examination(event=row[0], exhibit_id=row[2], sha256=row[3], path_b64=row[4]) for row in walk.index]
    altered = find_altered(walk.rehashed, examined)
    if not altered:
        return []
    return [
        f"{len(altered)} exhibit(s) changed during the scan, as hashing them again at its end showed, the first is "
        f"{altered[0].exhibit_id[:80]!a} (event {altered[0].event})."
    ]


def _check_findings_index(database: Database, walk: _Walk) -> None:
    """Compares the index with the events; row by row, so that the first difference can be named."""
    stored = [row for row in database.all_rows(_FINDINGS) if row[0] not in walk.unreadable]
    for kept, expected in zip_longest(stored, walk.index):
        if kept != expected:
            position = min(row[0] for row in (kept, expected) if row is not None and isinstance(row[0], int))
            raise ChainBroken(
                f"The index over findings does not fit event {position}", position=position, subject=str(database.path)
            )


def _shared_ids(index: list[Row]) -> list[str]:
    """Ids that name more than one path and content; old ids are short enough for a sender to make two alike."""
    exhibits: dict[str, set[tuple[str, str]]] = {}
    for _, _, exhibit_id, sha256, path_b64, _ in index:
        exhibits.setdefault(exhibit_id, set()).add((path_b64, sha256))
    return [
        f"The exhibit id {exhibit_id[:80]!a} names {len(named)} different exhibits: whoever made the files may have "
        "wanted one to pass for another; tell them apart by path and SHA-256."
        for exhibit_id, named in exhibits.items()
        if len(named) > 1
    ]


def _check_artifacts(folder: Path, artifacts: dict[str, int]) -> list[str]:
    for sha256, seq in artifacts.items():
        try:
            load_artifact(folder, sha256)
        except (ChainBroken, NotFound, StoreError) as exc:
            raise ChainBroken(
                f"A picture of event {seq} does not fit its hash ({exc.what})", position=seq, subject=exc.subject
            ) from exc
    known = {path.name for sha256 in artifacts if (path := find_artifact(folder, sha256)) is not None}
    strangers = [name for name in list_artifacts(folder) if name not in known]
    if not strangers:
        return []
    return [f"{len(strangers)} file(s) in {ARTIFACT_FOLDER}/ belong to no finding, the first is {strangers[0]!a}."]


def _check_exports(folder: Path, exports: dict[str, _Exported]) -> list[str]:
    notes = []
    for name, known in exports.items():
        parts = PurePosixPath(name).parts
        if known.newest is None and ".." not in parts and not _is_file(folder.joinpath(*parts)):
            # A link that a stopped program did not come to replace, or a folder, as earlier versions announced too.
            notes.append(
                f"A report was announced as {name[:80]!a}, where there is no ordinary file; it was never exported."
            )
            continue
        if not parts or name.startswith("/") or ".." in parts:
            notes.append(f"An export is logged under a path outside the case and was not checked: {name[:80]!a}.")
            continue
        path = folder.joinpath(*parts)
        if not path.exists() and not path.is_symlink():
            notes.append(f"The exported file {name[:80]!a} is not there any more.")
            continue
        found = hash_file(path, known.sizes)
        if found is None or found not in known.all:
            if known.newest is None:
                notes.append(f"The file {name[:80]!a} was never exported by the case.")
                continue
            raise ChainBroken(
                "An exported file was changed after it was written",
                subject=str(path),
                remedy="move it away and export it again",
            )
        if known.newest is None:
            notes.append(f"The file {name[:80]!a} was written, but its export was not noted.")
        elif found != known.newest:
            notes.append(f"The exported file {name[:80]!a} is of an earlier export, or of one that was not noted.")
    return notes


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _check_strangers(folder: Path, exports: dict[str, _Exported]) -> list[str]:
    """Files that only look as if they were of the case."""
    known = {*DATABASE_FILES, ARTIFACT_FOLDER, *(name.split("/")[0] for name in exports)}
    try:
        strangers = sorted(path.name for path in folder.iterdir() if path.name not in known)
    except OSError as exc:
        raise StoreError(f"The case's folder cannot be listed ({exc.strerror})", subject=str(folder)) from exc
    if not strangers:
        return []
    return [f"{len(strangers)} file(s) in the case's folder are not of the case, the first is {strangers[0][:80]!a}."]
