"""The custody log as the report shows it, and what can be said about its integrity.

Enters: a CaseView whose chain the store has already verified; ``head_verified`` says with what outcome, and decides.
This module checks again only that the view is consistent in itself (links, head, count); it does not recompute hashes
or signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ftforensics.domain.case import GENESIS_HASH, AlteredExhibit, CaseEvent, CaseView, Examination, find_altered
from ftforensics.domain.link import Finding
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
    "report_staged": "Report about to be replaced",
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
_REHASH_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrity:
    """What the chain of custody is worth as it stands; ``state`` picks the colour and mark."""

    state: Literal["intact", "broken"]
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
    """Sum up the custody chain: intact and signed, or broken, be it by the store's check or in itself."""
    problems = find_breaks(view)
    notes = sentences((*problems, *view.integrity_notes))
    after = len(view.events) - view.head.count
    if problems:
        return Integrity(state="broken", headline="Not intact: the custody log does not fit together", notes=notes)
    if not view.head_verified:
        return Integrity(state="broken", headline="Not intact: this case failed its check", notes=notes)
    if after > 0:
        notes += (f"{plural(after, 'event')} after the head shown here are not covered by it.",)
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


def altered_exhibits(view: CaseView) -> dict[tuple[str, str], AlteredExhibit]:
    """The exhibits that changed after they were examined, by id and SHA-256: in old cases two may share an id."""
    examined = [one for event in view.events if (one := _examination(event)) is not None]
    return {(one.exhibit_id, one.sha256_before): one for one in find_altered(view.events, examined)}


def altered_exhibit(altered: Mapping[tuple[str, str], AlteredExhibit], finding: Finding) -> AlteredExhibit | None:
    """What of ``altered_exhibits`` is about a finding's exhibit."""
    return altered.get((finding.exhibit_id, finding.evidence.sha256))


def _examination(event: CaseEvent) -> Examination | None:
    """What a finding's event says; None for other events, and where a case that does not hold has it malformed."""
    names = [event.body.get(name) for name in ("exhibit_id", "sha256", "path_b64")]
    if event.kind != "finding" or not all(isinstance(name, str) for name in names):
        return None
    exhibit_id, sha256, path_b64 = map(str, names)
    return Examination(event=event.seq, exhibit_id=exhibit_id, sha256=sha256, path_b64=path_b64)


def altered_sentence(one: AlteredExhibit) -> str:
    """What happened to such an exhibit, with both hashes."""
    now = "could not be read any more" if one.sha256_after is None else f"had the SHA-256 {one.sha256_after}"
    return (
        f"This exhibit changed during the scan: hashed again at the end it {now}, and before it was examined it had "
        f"{one.sha256_before}. Secure the evidence and scan it again."
    )


def build_event_rows(view: CaseView) -> tuple[EventRow, ...]:
    """List every event in order."""
    return tuple(_event_row(event) for event in view.events)


def _event_row(event: CaseEvent) -> EventRow:
    return EventRow(
        seq=event.seq,
        at=utc(event.at).removesuffix(" UTC"),
        actor=event.actor,
        event=EVENT_TEXTS.get(event.kind, event.kind),
        detail=_rehash_detail(event.body) if event.kind == "exhibit_rehashed" else _detail(event.body),
        hash=event.hash,
    )


def _rehash_detail(body: dict[str, Any]) -> str:
    """Both hashes, whole, of an exhibit that changed; else of how many exhibits the bytes were not the same."""
    if "exhibit_id" in body:
        before, after = body.get("sha256_before"), body.get("sha256_after")
        now = "none, for it could not be read" if after is None else plain_text(after)
        word = "hashed again" if after == before else "CHANGED"
        text = f"{plain_text(body['exhibit_id'])} {word} · SHA-256 before {plain_text(before)} · SHA-256 after {now}"
        return text[:_REHASH_CHARS]
    parts = [_detail(body)]
    if {"altered", "checked"} <= body.keys():
        parts.append(f"{plain_text(body['altered'])} of {plain_text(body['checked'])} altered")
    return " · ".join(part for part in parts if part)[:_REHASH_CHARS]


def _detail(body: dict[str, Any]) -> str:
    parts = [plain_text(body[key]) for key in _DETAIL_KEYS if body.get(key) not in (None, "", {}, [])]
    text = " · ".join(part if len(part) != 64 else f"SHA-256 {part[:16]}…" for part in parts)
    return text if len(text) <= _DETAIL_CHARS else text[: _DETAIL_CHARS - 1] + "…"
