"""Rows of a case's database: events, signed heads, and the index over findings.

In: an open case database. Out: ``CaseEvent`` values and verified heads; nothing here says that the chain as a whole
holds, that is ``case_check``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ftforensics.domain.case import CaseEvent, CaseHead
from ftforensics.domain.link import Finding
from ftforensics.errors import ChainBroken, SignatureInvalid, StoreError, TrustError
from ftforensics.store.finding_json import parse_finding
from ftforensics.store.plain_json import parse_plain
from ftforensics.store.schema import Schema, load_schema
from ftforensics.store.sqlite import Database, Row
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.chain import verify_head
from ftforensics.trust.envelope import envelope_to_json, parse_envelope
from ftforensics.trust.keys import Signer, fingerprint

CASE_APPLICATION_ID = 0x46744663
CASE_SCHEMA = "ftforensics.case.v1"
_EVENT_COLUMNS = "SELECT seq, previous_hash, kind, body, actor, at, hash FROM events"
ALL_EVENTS = _EVENT_COLUMNS + " ORDER BY seq"
EVENTS_OF_KIND = _EVENT_COLUMNS + " WHERE kind = ? ORDER BY seq"
LAST_EVENT = _EVENT_COLUMNS + " ORDER BY seq DESC LIMIT 1"
FIRST_EVENT = _EVENT_COLUMNS + " ORDER BY seq LIMIT 1"
EVENTS_FROM = _EVENT_COLUMNS + " WHERE seq >= ? ORDER BY seq"
EVENT_AT = _EVENT_COLUMNS + " WHERE seq = ?"
ALL_HEADS = "SELECT event_count, public_key, envelope FROM heads ORDER BY event_count"
LAST_HEAD = "SELECT event_count, public_key, envelope FROM heads ORDER BY event_count DESC LIMIT 1"
ID_OF_ANOTHER = "SELECT 1 FROM findings WHERE exhibit_id = ? AND NOT (path_b64 = ? AND sha256 = ?)"
_EVENT_TYPES = (int, str, str, str, str, str, str)
_HEAD_TYPES = (int, bytes, bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseIdentity:
    """What the case's first event says: id, folder name, title, who opened it with which key, and when."""

    case_id: str
    name: str
    title: str
    examiner: str
    created_at: str
    head_key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A head whose signature fits the key beside it; whether that key may speak for the case is another question."""

    head: CaseHead
    key_id: str


@cache
def case_schema() -> Schema:
    """What a case database looks like."""
    return load_schema("case", CASE_APPLICATION_ID)


def read_events(database: Database, sql: str, values: Sequence[Any] = ()) -> Iterator[CaseEvent]:
    """Yields the events of one of this module's queries.

    Raises:
        ChainBroken: A row holds values of other types than were put there, or its body is not canonical JSON.
    """
    for row in database.rows(sql, values):
        yield parse_event_row(row, database)


def parse_event_row(row: Row, database: Database) -> CaseEvent:
    """Reads one event row. Raises as ``read_events`` does."""
    position = row[0] if isinstance(row[0], int) else None
    fault = "holds values of the wrong type"
    body: Any = None
    if all(map(isinstance, row, _EVENT_TYPES)):
        try:
            body = parse_canonical(row[3].encode("utf-8"), subject=f"body of event {position}")
        except (TrustError, UnicodeEncodeError) as exc:
            fault = f"has a body that was altered ({exc.what if isinstance(exc, TrustError) else 'not text'})"
    if not isinstance(body, dict):
        raise ChainBroken(f"Event {position} {fault}", position=position, subject=str(database.path))
    return CaseEvent(seq=row[0], previous_hash=row[1], kind=row[2], body=body, actor=row[4], at=row[5], hash=row[6])


def parse_identity(event: CaseEvent, database: Database) -> CaseIdentity:
    """Reads who and what the case is from its first event.

    Raises:
        StoreError: It is not the opening event of a case.
    """
    where = str(database.path)
    if event.kind != "case_opened" or event.seq != 0 or event.body.get("schema") != CASE_SCHEMA:
        raise ChainBroken("The first event does not open a case", position=0, subject=where)
    names = ("case_id", "name", "title", "examiner", "head_key_id")
    values = {name: parse_plain(str, event.body.get(name), f"first event of {where}") for name in names}
    return CaseIdentity(created_at=event.at, **values)


def parse_head_row(row: Row, database: Database) -> SignedHead:
    """Reads and verifies one head row under the public key beside it.

    Raises:
        ChainBroken: The row is malformed or counts other events than were signed.
        SignatureInvalid: The signature does not fit.
    """
    subject = str(database.path)
    if not all(map(isinstance, row, _HEAD_TYPES)):
        raise ChainBroken("A signed head is malformed", subject=subject)
    count, public_key, envelope = row
    try:
        head = verify_head(parse_envelope(envelope, subject=f"head at {count} events"), public_key)
        key_id = fingerprint(public_key)
    except TrustError as exc:
        raise SignatureInvalid(
            f"The signed head at {count} events does not verify ({exc.what})", subject=subject
        ) from exc
    if head.count != count:
        raise ChainBroken(f"The head at {count} events was signed for {head.count}", position=count, subject=subject)
    return SignedHead(head=head, key_id=key_id)


def insert_event(database: Database, event: CaseEvent) -> None:
    """Adds an event row, and its row in the index over findings, inside a transaction."""
    database.insert(
        "INSERT INTO events (seq, previous_hash, kind, body, actor, at, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            event.seq,
            event.previous_hash,
            event.kind,
            canonical_json(event.body).decode("utf-8"),
            event.actor,
            event.at,
            event.hash,
        ),
    )
    if event.kind == "finding":
        finding = parse_finding(event.body)
        _require_own_id(database, finding)
        database.insert(
            "INSERT INTO findings (seq, ordinal, exhibit_id, sha256, path_b64, verdict) VALUES (?, ?, ?, ?, ?, ?)",
            (event.seq, *index_columns(finding)),
        )


def require_written(database: Database, events: Sequence[CaseEvent]) -> None:
    """Makes sure, inside the transaction, that what was added is what can be read back: no trigger ate or changed it.

    Raises:
        ChainBroken: It is not.
    """
    first, count = events[0].seq, events[-1].seq + 1
    kept = tuple(read_events(database, EVENTS_FROM, (first,)))
    findings = [row[0] for row in database.all_rows("SELECT seq FROM findings WHERE seq >= ? ORDER BY seq", (first,))]
    head = database.row(LAST_HEAD)
    wanted = [event.seq for event in events if event.kind == "finding"]
    if kept != tuple(events) or findings != wanted or head is None or head[0] != count:
        raise ChainBroken(
            "The case did not keep what was added to it",
            position=first,
            subject=str(database.path),
            remedy="treat its contents as tampered with and restore it from a backup",
        )


def _require_own_id(database: Database, finding: Finding) -> None:
    """One id must not name two exhibits, for whoever looks one up by its id would see only one of them."""
    _, exhibit_id, sha256, path_b64, _ = index_columns(finding)
    other = database.row(ID_OF_ANOTHER, (exhibit_id, path_b64, sha256))
    if other is not None:
        raise StoreError(
            f"The exhibit id {exhibit_id[:80]!a} names another exhibit of the case already",
            subject=str(database.path),
            remedy="scan this exhibit into a case of its own",
        )


def index_columns(finding: Finding) -> tuple[int, str, str, str, str]:
    """What the index over findings keeps: place in the scan, exhibit id, SHA-256, path and verdict."""
    item = finding.evidence
    return (finding.seq, finding.exhibit_id, item.sha256, item.path_b64, finding.verdict.value)


def insert_head(database: Database, envelope: Any, signer: Signer, count: int) -> None:
    """Adds a head row inside a transaction."""
    database.insert(
        "INSERT INTO heads (event_count, public_key, envelope) VALUES (?, ?, ?)",
        (count, signer.public_key, envelope_to_json(envelope)),
    )


def load_admitted_keys(database: Database, identity: CaseIdentity) -> frozenset[str]:
    """The keys that may sign heads: the one that opened the case and those admitted since.

    Raises:
        ChainBroken: An event is malformed.
    """
    admitted = {admitted_key(event) for event in read_events(database, EVENTS_OF_KIND, ("examiner_admitted",))}
    return frozenset(admitted | {identity.head_key_id})


def admitted_key(event: CaseEvent) -> str:
    """The key that an ``examiner_admitted`` event names.

    Raises:
        StoreError: It names none.
    """
    key_id: str = parse_plain(str, event.body.get("key_id"), f"event {event.seq}")
    return key_id


def last_event(database: Database) -> CaseEvent:
    """The newest event.

    Raises:
        StoreError: The case holds none.
    """
    row = database.row(LAST_EVENT)
    if row is None:
        raise StoreError("The case holds no events", subject=str(database.path), remedy="restore it from a backup")
    return parse_event_row(row, database)
