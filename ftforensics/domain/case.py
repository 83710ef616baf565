"""A case: an append-only, hash-chained log of what was done with the evidence, by whom and when."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ftforensics.domain.link import Finding

HEAD_PAYLOAD_TYPE = "application/vnd.ftforensics.case-head.v1+json"
GENESIS_HASH = "0" * 64
SHOWN_ID_CHARS = 14
LONG_ID_CHARS = 42
_LONG_ID = re.compile(r"X-[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvent:
    """One link of the custody chain.

    ``body`` is plain JSON. ``hash`` is SHA-256 over the RFC 8785 form of every other field, ``previous_hash`` included.
    Kinds: case_opened, examiner_admitted, run_started, exhibit_acquired, exhibit_read, finding, run_finished,
    exhibit_rehashed, report_staged, report_exported, note.
    """

    seq: int
    previous_hash: str
    kind: str
    body: dict[str, Any]
    actor: str
    at: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlteredExhibit:
    """An exhibit that was not the same when it was hashed again; ``sha256_after`` is None where it could not be."""

    exhibit_id: str
    sha256_before: str
    sha256_after: str | None
    event: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """That an exhibit was examined: its finding's event, and what that finding calls it."""

    event: int
    exhibit_id: str
    sha256: str
    path_b64: str


def find_altered(events: Iterable[CaseEvent], examined: Iterable[Examination]) -> tuple[AlteredExhibit, ...]:
    """Name the exhibits whose bytes changed after the examination that stands, in the order in which that was noted.

    An exhibit is its path and content, whatever ids its findings gave it: earlier versions gave shorter ones. Each is
    named with the id of the finding that stands, and with the id that was noted only where no finding has it.

    Args:
        events: All of the chain's, or those of the kind ``exhibit_rehashed``.
        examined: All findings, those that newer ones took the place of too, in the order of their events.
    """
    standing: dict[tuple[str, str], Examination] = {}
    paths: dict[tuple[str, str], dict[str, None]] = {}
    for one in examined:
        standing[one.path_b64, one.sha256] = one
        paths.setdefault((one.exhibit_id, one.sha256), {})[one.path_b64] = None
    found: dict[tuple[str, str], AlteredExhibit] = {}
    for event in events:
        exhibit, before = event.body.get("exhibit_id"), event.body.get("sha256_before")
        after = event.body.get("sha256_after")
        if event.kind != "exhibit_rehashed" or not isinstance(exhibit, str) or not isinstance(before, str):
            continue
        if after == before:
            continue
        meant = [standing[path, before] for path in paths.get((exhibit, before), ())]
        for name in [one.exhibit_id for one in meant if one.event < event.seq] if meant else [exhibit]:
            found[name, before] = AlteredExhibit(
                exhibit_id=name,
                sha256_before=before,
                sha256_after=after if isinstance(after, str) else None,
                event=event.seq,
            )
    return tuple(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseHead:
    """The end of the chain at a moment; printed at every scan so that a truncated log can be told."""

    case_id: str
    count: int
    head_hash: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What ran: kept beside the findings because it holds clocks and machine facts that findings must not hold."""

    run_id: str
    started_at: str
    ended_at: str | None
    tool_version: str
    argv: tuple[str, ...]
    machine: dict[str, str]
    model: dict[str, str]
    examiner: str
    counts: dict[str, int]
    trust_list_sha256: str
    registry_checkpoint: str | None
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """All a report needs, read from a verified case. ``artifacts`` maps SHA-256 to the file's bytes."""

    case_id: str
    name: str
    title: str
    examiner: str
    created_at: str
    findings: tuple[Finding, ...]
    events: tuple[CaseEvent, ...]
    runs: tuple[RunInfo, ...]
    head: CaseHead
    head_key_id: str
    head_verified: bool
    integrity_notes: tuple[str, ...]
    artifacts: dict[str, bytes]


def shorten_ids(ids: Iterable[str]) -> dict[str, str]:
    """Exhibit ids as people are shown them: the first 14 characters, or as many as tell all of these apart.

    What is no long id, as in older cases, stays whole.
    """
    known = set(ids)
    for chars in range(SHOWN_ID_CHARS, LONG_ID_CHARS):
        shown = {one: one[:chars] if _LONG_ID.fullmatch(one) else one for one in known}
        if len(set(shown.values())) == len(known):
            return shown
    return {one: one for one in known}
