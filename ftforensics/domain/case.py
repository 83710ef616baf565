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
    exhibit_rehashed, report_exported, note.
    """

    seq: int
    previous_hash: str
    kind: str
    body: dict[str, Any]
    actor: str
    at: str
    hash: str


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
