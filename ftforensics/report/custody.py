"""The custody log as the report shows it, and what can be said about its integrity.

Enters: a CaseView whose chain the store has already verified. This module checks again only that the view is
consistent in itself (links, head, count); it does not recompute hashes or signatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ftforensics.domain.case import GENESIS_HASH, CaseEvent, CaseView
from ftforensics.report.facts import plain_text, sentences
from ftforensics.report.quantities import count, plural, utc

EVENT_TEXTS = {
    "case_opened": "Case opened",
    "run_started": "Run started",
    "exhibit_acquired": "Exhibit acquired",
    "exhibit_read": "Exhibit read",
    "finding": "Finding recorded",
    "run_finished": "Run finished",
    "exhibit_rehashed": "Exhibit hashed again",
    "report_exported": "Report exported",
    "note": "Note",
}
_DETAIL_KEYS = (
    "exhibit_id",
    "path",
    "verdict",
    "sha256",
    "run_id",
    "purpose",
    "authority",
    "text",
    "note",
    "error",
    "format",
)
_DETAIL_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrity:
    """What the chain of custody is worth as it stands; ``state`` picks the colour and mark."""

    state: Literal["intact", "unsigned", "broken"]
    headline: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One link of the chain."""

    seq: int
    at: str
    actor: str
    event: str
    detail: str
    hash: str


def build_integrity(view: CaseView) -> Integrity:
    """Sum up the custody chain: intact and signed, intact but unsigned, or broken."""
    problems = find_breaks(view)
    notes = sentences((*problems, *view.integrity_notes))
    after = len(view.events) - view.head.count
    if problems:
        return Integrity(state="broken", headline="Not intact: the custody log does not fit together", notes=notes)
    if after > 0:
        notes += (f"{plural(after, 'event')} after the head shown here are not covered by it.",)
    if not view.head_verified:
        return Integrity(
            state="unsigned", headline="Chain intact; its head is not signed by a verified key", notes=notes
        )
    return Integrity(state="intact", headline="Chain intact; its head is signed and verified", notes=notes)


def find_breaks(view: CaseView) -> tuple[str, ...]:
    """Name what in the view's events and head does not fit together; empty when all of it does.

    It does not establish that the events are true, nor that none was cut off before the head was taken.
    """
    problems: list[str] = []
    previous = GENESIS_HASH
    for place, event in enumerate(view.events):
        if event.previous_hash != previous:
            problems.append(f"Event {event.seq} does not point to the event before it")
            break
        if place and event.seq != view.events[place - 1].seq + 1:
            problems.append(f"Event {event.seq} is out of sequence")
            break
        previous = event.hash
    head = view.head
    if head.case_id != view.case_id:
        problems.append("The head belongs to another case")
    if head.count > len(view.events):
        problems.append(f"The head counts {count(head.count)} events, but only {count(len(view.events))} are there")
    elif head.head_hash != (view.events[head.count - 1].hash if head.count > 0 else GENESIS_HASH):
        problems.append("The hash of the last event is not the hash in the head")
    return tuple(problems)


def build_event_rows(view: CaseView) -> tuple[EventRow, ...]:
    """List every event in order."""
    return tuple(_event_row(event) for event in view.events)


def _event_row(event: CaseEvent) -> EventRow:
    return EventRow(
        seq=event.seq,
        at=utc(event.at).removesuffix(" UTC"),
        actor=event.actor,
        event=EVENT_TEXTS.get(event.kind, event.kind),
        detail=_detail(event.body),
        hash=event.hash,
    )


def _detail(body: dict[str, Any]) -> str:
    parts = [plain_text(body[key]) for key in _DETAIL_KEYS if body.get(key) not in (None, "", {}, [])]
    text = " · ".join(part if len(part) != 64 else f"SHA-256 {part[:16]}…" for part in parts)
    return text if len(text) <= _DETAIL_CHARS else text[: _DETAIL_CHARS - 1] + "…"
