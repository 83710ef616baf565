"""A short custody chain for attacks on it."""

from __future__ import annotations

from ftforensics.domain.case import CaseEvent, CaseHead
from ftforensics.trust.chain import append_event

EVENT_COUNT = 7


def make_chain(verdict: str = "VERIFIED_DERIVATIVE", count: int = EVENT_COUNT) -> list[CaseEvent]:
    """A case that was opened and in which exhibits were found."""
    events = [append_event(None, "case_opened", {"case_id": "case-1"}, "Ada", "2026-03-01T10:00:00Z")]
    for number in range(1, count):
        body = {"exhibit_id": f"E{number}", "verdict": verdict, "z": 9.123456}
        events.append(append_event(events[-1], "finding", body, "Ada", f"2026-03-01T10:0{number}:00Z"))
    return events


def make_head(events: list[CaseEvent]) -> CaseHead:
    """The head that a scan would print after these events."""
    return CaseHead(case_id="case-1", count=len(events), head_hash=events[-1].hash, at="2026-03-01T11:00:00Z")
