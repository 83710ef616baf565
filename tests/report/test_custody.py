from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sample_case import with_altered, with_events

from ftforensics.domain.case import CaseView
from ftforensics.report.custody import altered_exhibit, altered_exhibits, build_event_rows, build_integrity, find_breaks


def test_an_intact_chain(view: CaseView) -> None:
    assert find_breaks(view) == ()
    integrity = build_integrity(view)
    assert integrity.state == "intact"
    assert "rollback" in integrity.notes[0]


def test_a_case_that_failed_its_check_is_not_intact(view: CaseView) -> None:
    notes = ("INTEGRITY FAILURE: event 3 does not fit.", *view.integrity_notes)
    integrity = build_integrity(replace(view, head_verified=False, integrity_notes=notes))
    assert integrity.state == "broken"
    assert integrity.headline.startswith("Not intact: ")
    assert integrity.notes[0] == notes[0]


def test_an_exhibit_that_changed_is_named_with_both_hashes(view: CaseView) -> None:
    finding = view.findings[1]
    changed = with_altered(view, finding.exhibit_id, "f" * 64)
    one, total = build_event_rows(changed)[-2:]
    for text in (finding.exhibit_id, "CHANGED", finding.evidence.sha256, "f" * 64):
        assert text in one.detail
    assert total.detail == "evidence hashed again at the end of the run · 1 of 14 altered"
    assert set(altered_exhibits(changed)) == {(finding.exhibit_id, finding.evidence.sha256)}
    assert altered_exhibits(view) == {}


def test_an_exhibit_that_was_examined_anew_has_not_changed_since(view: CaseView) -> None:
    finding = view.findings[1]
    gone = with_altered(view, finding.exhibit_id, None)
    told = altered_exhibit(altered_exhibits(gone), finding)
    assert told is not None
    assert told.sha256_after is None
    assert "could not be read" in build_event_rows(gone)[-2].detail
    item = {"path_b64": finding.evidence.path_b64, "sha256": finding.evidence.sha256}
    # Whatever id it has now: those of earlier versions are shorter.
    for exhibit in (finding.exhibit_id, "X-" + "0" * 40):
        anew = with_events(gone, {"exhibit_id": exhibit, **item}, kind="finding")
        assert altered_exhibits(anew) == {}
    other = with_events(gone, {"exhibit_id": finding.exhibit_id, **item, "sha256": "0" * 64}, kind="finding")
    assert altered_exhibit(altered_exhibits(other), finding) == told


def test_an_exhibit_that_changes_again_is_told_under_the_id_that_it_has_now(view: CaseView) -> None:
    finding = view.findings[1]
    item = {"path_b64": finding.evidence.path_b64, "sha256": finding.evidence.sha256}
    anew = with_events(view, {"exhibit_id": "X-" + "0" * 40, **item}, kind="finding")
    (told,) = altered_exhibits(with_altered(anew, finding.exhibit_id, None)).values()
    assert told.exhibit_id == "X-" + "0" * 40


def test_of_two_exhibits_that_share_an_id_the_one_that_changed_is_told(view: CaseView) -> None:
    first, second = view.findings[1], replace(view.findings[2], exhibit_id=view.findings[1].exhibit_id)
    item = {"path_b64": second.evidence.path_b64, "sha256": second.evidence.sha256}
    shared = with_events(view, {"exhibit_id": second.exhibit_id, **item}, kind="finding")
    altered = altered_exhibits(with_altered(shared, first.exhibit_id, "f" * 64))
    assert altered_exhibit(altered, first) is not None
    assert altered_exhibit(altered, second) is None


@pytest.mark.parametrize("body", [{}, {"exhibit_id": ["a"], "sha256_before": {}}, {"exhibit_id": "E0001"}])
def test_a_malformed_event_of_hashing_again_is_shown_as_it_is(view: CaseView, body: dict[str, Any]) -> None:
    odd = with_events(view, body)
    assert altered_exhibits(odd) == {}
    assert len(build_event_rows(odd)) == len(odd.events)


def test_events_after_the_head_are_pointed_out(view: CaseView) -> None:
    head = replace(view.head, count=view.head.count - 2, head_hash=view.events[-3].hash)
    integrity = build_integrity(replace(view, head=head))
    assert integrity.state == "intact"
    assert integrity.notes[-1] == "2 events after the head shown here are not covered by it."


@pytest.mark.parametrize(
    "edit",
    [
        lambda view: replace(view, events=view.events[:-1]),
        lambda view: replace(view, events=view.events[:5] + view.events[6:]),
        lambda view: replace(view, events=(view.events[1], view.events[0], *view.events[2:])),
        lambda view: replace(view, events=(*view.events[:3], replace(view.events[3], hash="0" * 64), *view.events[4:])),
        lambda view: replace(view, events=(*view.events[:3], replace(view.events[3], seq=77), *view.events[4:])),
        lambda view: replace(view, events=(*view.events[:-1], replace(view.events[-1], hash="f" * 64))),
        lambda view: replace(view, head=replace(view.head, head_hash="f" * 64)),
        lambda view: replace(view, head=replace(view.head, case_id="another")),
        lambda view: replace(view, head=replace(view.head, count=0)),
        lambda view: replace(view, events=()),
    ],
)
def test_a_view_that_does_not_fit_together_is_broken(view: CaseView, edit) -> None:  # type: ignore[no-untyped-def]
    integrity = build_integrity(edit(view))
    assert integrity.state == "broken"
    assert integrity.notes


def test_every_event_is_listed_with_its_whole_hash(view: CaseView) -> None:
    rows = build_event_rows(view)
    assert [row.hash for row in rows] == [event.hash for event in view.events]
    assert rows[2].event == "Exhibit acquired"
    assert "press/candidate_statement.jpg" in rows[2].detail
    assert rows[0].at == "2026-11-23 14:00:00"


def test_a_long_body_is_cut(view: CaseView) -> None:
    events = (replace(view.events[0], body={"text": "x" * 1000}), *view.events[1:])
    assert len(build_event_rows(replace(view, events=events))[0].detail) == 200
