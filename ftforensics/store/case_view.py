"""A case as a report needs it: one value that holds everything, and what the check of it found.

In: an open case. Out: a ``CaseView``. The check comes first; what it found goes along with the contents, so that no
report can show findings without saying whether the case holds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from ftforensics.domain.case import GENESIS_HASH, CaseEvent, CaseHead, CaseView, RunInfo
from ftforensics.domain.link import Finding
from ftforensics.errors import ChainBroken, FtfError, SignatureInvalid, StoreError
from ftforensics.store.artifacts import load_artifact
from ftforensics.store.case_check import verify_case
from ftforensics.store.case_export import collect_runs
from ftforensics.store.case_rows import ALL_EVENTS, LAST_HEAD, CaseIdentity, parse_event_row, parse_head_row
from ftforensics.store.finding_json import parse_finding
from ftforensics.store.sqlite import Database

MAX_EXAMINATIONS = 12


def build_view(
    database: Database,
    folder: Path,
    identity: CaseIdentity,
    *,
    expect_head: CaseHead | None,
    expected_key_ids: frozenset[str] | None,
) -> CaseView:
    """Checks a case and reads it whole; arguments as for ``case_check.verify_case``.

    Returns:
        The view. Where the check failed, ``head_verified`` is false, the first note says why, and whatever could not be
        read is missing from it, with a note.

    Raises:
        StoreError: The database itself cannot be read.
    """
    notes: list[str] = []
    verified = True
    try:
        check = verify_case(database, folder, expect_head=expect_head, expected_key_ids=expected_key_ids)
        head, head_key_id = check.head, check.head_key_id
        notes += check.notes
    except (ChainBroken, SignatureInvalid) as exc:
        verified = False
        notes.append(f"INTEGRITY FAILURE: {exc.sentence}")
        head, head_key_id = _unverified_head(database, identity)
    events = _read_what_can_be_read(database, notes)
    findings, runs = _findings(events, notes), _runs(events, notes)
    return CaseView(
        case_id=identity.case_id,
        name=identity.name,
        title=identity.title,
        examiner=identity.examiner,
        created_at=identity.created_at,
        findings=findings,
        events=events,
        runs=runs,
        head=head,
        head_key_id=head_key_id,
        head_verified=verified,
        integrity_notes=tuple(notes),
        artifacts=_artifacts(folder, findings, notes),
    )


def _unverified_head(database: Database, identity: CaseIdentity) -> tuple[CaseHead, str]:
    row = database.row(LAST_HEAD)
    try:
        signed = None if row is None else parse_head_row(row, database)
    except FtfError:
        signed = None
    if signed is None:
        nothing = CaseHead(case_id=identity.case_id, count=0, head_hash=GENESIS_HASH, at=identity.created_at)
        return nothing, identity.head_key_id
    return signed.head, signed.key_id


def _read_what_can_be_read(database: Database, notes: list[str]) -> tuple[CaseEvent, ...]:
    events = []
    for row in database.rows(ALL_EVENTS):
        try:
            events.append(parse_event_row(row, database))
        except ChainBroken as exc:
            notes.append(f"Left out: {exc.sentence}")
    return tuple(events)


def _findings(events: tuple[CaseEvent, ...], notes: list[str]) -> tuple[Finding, ...]:
    """The newest finding about each exhibit, that is about each path and content; the older ones are told in it."""
    examined: dict[tuple[str, str], list[tuple[int, Finding]]] = {}
    for event in events:
        if event.kind == "finding":
            try:
                finding = parse_finding(event.body)
            except StoreError as exc:
                notes.append(f"Left out, event {event.seq}: {exc.sentence}")
            else:
                exhibit = (finding.evidence.path_b64, finding.evidence.sha256)
                examined.setdefault(exhibit, []).append((event.seq, finding))
    newest = [_tell_earlier(findings) for findings in examined.values()]
    return tuple(finding for _, finding in sorted(newest, key=lambda one: (one[1].seq, one[1].exhibit_id, one[0])))


def _tell_earlier(examined: list[tuple[int, Finding]]) -> tuple[int, Finding]:
    """The newest finding about one exhibit. What earlier ones said must not pass in silence: it is a limitation."""
    seq, newest = examined[-1]
    if len(examined) == 1:
        return seq, newest
    told: list[str] = []
    for number, finding in examined:
        at = finding.evidence.acquired_at
        told.append(f"{finding.verdict.value} (event {number}{f', in hand since {at}' if at else ''})")
    left_out = len(told) - MAX_EXAMINATIONS
    if left_out > 0:
        told = [*told[: MAX_EXAMINATIONS // 2], f"{left_out} more", *told[-MAX_EXAMINATIONS // 2 :]]
    verdicts = Counter(finding.verdict.value for _, finding in examined)
    same = "always with the same verdict" if len(verdicts) == 1 else "with verdicts that differ"
    what = "this path with this content" if newest.evidence.sha256 else "this path, whose content could not be read"
    sentence = (
        f"This exhibit ({what}) was examined {len(examined)} times in this case, {same}; the "
        f"newest is the one shown here. In order: {', '.join(told)}."
    )
    return seq, replace(newest, limitations=(*newest.limitations, sentence))


def _runs(events: tuple[CaseEvent, ...], notes: list[str]) -> tuple[RunInfo, ...]:
    runs: dict[str, RunInfo] = {}
    for event in events:
        try:
            runs |= {run.run_id: run for run in collect_runs([event])}
        except StoreError as exc:
            notes.append(f"Left out, event {event.seq}: {exc.sentence}")
    return tuple(runs.values())


def _artifacts(folder: Path, findings: tuple[Finding, ...], notes: list[str]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for sha256 in dict.fromkeys(artifact.sha256 for finding in findings for artifact in finding.artifacts):
        try:
            contents[sha256] = load_artifact(folder, sha256)
        except FtfError as exc:
            notes.append(f"Left out: {exc.sentence}")
    return contents
