from __future__ import annotations

import math
from dataclasses import replace

import pytest
from sample_case import with_altered

from ftforensics.domain.case import CaseView
from ftforensics.errors import ReportError
from ftforensics.report.json_document import render_json
from ftforensics.trust.canonical import parse_canonical


def render(view: CaseView) -> bytes:
    return render_json(view, generated_at="2026-11-23T15:02:10Z", tool_version="0.1.0")


def test_the_document_is_canonical_and_complete(view: CaseView) -> None:
    document = parse_canonical(render(view))
    assert document["schema"] == "ftforensics.report.v1"
    assert len(document["findings"]) == len(view.findings)
    assert [event["hash"] for event in document["events"]] == [event.hash for event in view.events]
    assert document["integrity"]["head"]["head_hash"] == view.head.head_hash
    assert document["integrity"]["state"] == "intact"
    assert document["runs"][0]["model"] == view.runs[0].model
    named = {row["sha256"] for finding in document["findings"] for row in finding["artifacts"]}
    assert named == set(document["pictures"])
    assert all(row["held"] and row["hash_holds"] for row in document["pictures"].values())


def test_a_finding_keeps_all_its_fields(view: CaseView) -> None:
    finding = parse_canonical(render(view))["findings"][0]
    assert finding["verdict"] == "VERIFIED_DERIVATIVE"
    assert finding["tag"]["kind"] == "matched"
    assert finding["tag"]["z"] == 10.62
    assert finding["source"]["tag_id"] == view.findings[0].source.tag_id  # type: ignore[union-attr]
    assert finding["registration"]["changed_regions"][0] == {"left": 0.33, "top": 0.08, "right": 0.55, "bottom": 0.42}
    assert finding["sentence"].startswith("This exhibit carries the tag")


def test_the_kinds_of_tag_are_told_apart(view: CaseView) -> None:
    kinds = {finding["tag"]["kind"] for finding in parse_canonical(render(view))["findings"] if finding["tag"]}
    assert kinds == {"matched", "decoded", "absent"}


def test_the_same_case_gives_the_same_bytes(view: CaseView) -> None:
    assert render(view) == render(view)


def test_lone_surrogates_become_escapes(view: CaseView) -> None:
    assert parse_canonical(render(replace(view, title="a\udcffb")))["case"]["title"] == "a\\udcffb"


@pytest.mark.parametrize("value", [2**60, object(), b"bytes"])
def test_what_json_cannot_carry_is_an_error_of_this_room(view: CaseView, value: object) -> None:
    with pytest.raises(ReportError, match="cannot be written as JSON"):
        render(replace(view, findings=(replace(view.findings[0], extra={"odd": value}),)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_an_error(view: CaseView, value: float) -> None:
    with pytest.raises(ReportError, match="cannot be written as JSON"):
        render(replace(view, findings=(replace(view.findings[0], extra={"odd": value}),)))


def test_a_case_that_failed_its_check_is_broken(view: CaseView) -> None:
    integrity = parse_canonical(render(replace(view, head_verified=False)))["integrity"]
    assert (integrity["state"], integrity["head_verified"]) == ("broken", False)
    assert integrity["headline"].startswith("Not intact: ")


def test_an_exhibit_that_changed_is_named(view: CaseView) -> None:
    document = parse_canonical(render(with_altered(view, "E0002", None)))
    (told,) = document["integrity"]["altered_exhibits"]
    assert (told["exhibit_id"], told["sha256_before"]) == ("E0002", view.findings[1].evidence.sha256)
    assert told["sha256_after"] is None
    assert [one["exhibit_id"] for one in document["findings"] if one["evidence_changed"]] == ["E0002"]
    assert parse_canonical(render(view))["integrity"]["altered_exhibits"] == []
