"""Tags in other parts of an exhibit: every kind of report tells them, with place and verdict."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from page_tree import Element, parse_page
from sample_case import check_of, match_of, registration_of, source_ref

from ftforensics.domain.case import CaseView
from ftforensics.domain.link import Box, FurtherTag, Verdict
from ftforensics.report.csv_table import render_csv
from ftforensics.report.html_page import render_html
from ftforensics.report.json_document import render_json
from ftforensics.trust.canonical import parse_canonical

LEFT, RIGHT = Box(left=0.0, top=0.0, right=0.5, bottom=1.0), Box(left=0.5, top=0.0, right=1.0, bottom=0.75)
SOURCE = source_ref("coffee", log_index=4401)
FURTHER = FurtherTag(
    region=RIGHT,
    tag=match_of(SOURCE, z=9.5, runner_up_z=4.1),
    presence=11.25,
    verdict=Verdict.VERIFIED_DERIVATIVE,
    reasons=("the second panel was <changed>",),
    limitations=("nothing is said about the rest",),
    signature=check_of(SOURCE),
    source=SOURCE,
    registration=registration_of(0.25, RIGHT),
)


@pytest.fixture(scope="module")
def assembled(view: CaseView) -> CaseView:
    """A case whose only exhibit holds two tags; a picture of the second part stands for its source."""
    first = next(one for one in view.findings if one.verdict is Verdict.VERIFIED_MATCH)
    source = next(one for one in first.artifacts if one.role == "source")
    artifacts = (*first.artifacts, replace(source, role="source-2"))
    return replace(view, findings=(replace(first, region=LEFT, further_tags=(FURTHER,), artifacts=artifacts),))


@pytest.fixture(scope="module")
def exhibit(assembled: CaseView) -> Element:
    page = render_html(assembled, generated_at="2026-11-23T15:02:10Z", tool_version="0.1.0")
    return parse_page(page).by_id("exhibit-1")


def test_the_page_shows_both_places(exhibit: Element) -> None:
    assert "Part of the exhibit that this verdict is about" in exhibit.text
    assert "50 % of the width by 100 % of the height" in exhibit.text
    assert "50 % of the width by 75 % of the height" in exhibit.text


def test_the_page_shows_the_further_tag_with_record_and_verdict(exhibit: Element) -> None:
    assert "Tag 2 of 2, in another part of this exhibit" in exhibit.text
    for text in (FURTHER.tag.tag_id, SOURCE.issuer, SOURCE.record_sha256, "VERIFIED_DERIVATIVE", "25 %"):
        assert text in exhibit.text
    assert "The second panel was <changed>." in exhibit.text
    assert "Nothing is said about the rest." in exhibit.text


def test_the_page_shows_the_further_tag_s_source(assembled: CaseView, exhibit: Element) -> None:
    without = replace(assembled.findings[0], artifacts=assembled.findings[0].artifacts[:-1])
    page = render_html(
        replace(assembled, findings=(without,)), generated_at="2026-11-23T15:02:10Z", tool_version="0.1.0"
    )
    assert len(exhibit.all("img")) == len(parse_page(page).by_id("exhibit-1").all("img")) + 1


def test_an_exhibit_of_one_tag_shows_no_others(page: Element) -> None:
    assert "in another part of this exhibit" not in page.text
    assert "Part of the exhibit that this verdict is about" not in page.text


def test_the_table_and_the_document_tell_it(assembled: CaseView) -> None:
    (row,) = csv.DictReader(io.StringIO(render_csv(assembled).decode("utf-8")))
    assert row["further_tags"] == f"{FURTHER.tag.tag_id} VERIFIED_DERIVATIVE"
    made = render_json(assembled, generated_at="2026-11-23T15:02:10Z", tool_version="0.1.0")
    (finding,) = parse_canonical(made)["findings"]
    assert finding["region"] == {"left": 0, "top": 0, "right": 0.5, "bottom": 1}
    (further,) = finding["further_tags"]
    assert further["tag"]["kind"] == "matched"
    assert further["verdict"] == "VERIFIED_DERIVATIVE"
    assert further["verdict_label"] == "Verified derivative"
    assert further["source"]["record_sha256"] == SOURCE.record_sha256


def test_a_log_time_that_cannot_be_never_stands_alone(view: CaseView) -> None:
    """Alone, beside a further tag, and beside other records, where the checked signature has a place of its own."""
    early = source_ref(
        "coffee", logged_at="2020-01-01T00:00:00Z", log_name="l", log_key_id="k", log_standing="impossible"
    )
    first = next(one for one in view.findings if one.verdict is Verdict.VERIFIED_MATCH)
    impossible = replace(first, source=early, signature=check_of(early))
    further = replace(FURTHER, source=early, signature=check_of(early))
    for finding, times in (
        (impossible, 1),
        (replace(impossible, region=LEFT, further_tags=(further,)), 2),
        (replace(impossible, other_sources=(SOURCE,)), 2),
        (first, 0),
    ):
        case = replace(view, findings=(finding,))
        page = parse_page(render_html(case, generated_at="2026-11-23T15:02:10Z", tool_version="0.1.0"))
        shown = [one.text for one in page.by_id("exhibit-1").all("dd") if "2020" in one.text]
        assert len(shown) == times
        assert all("not used: before the record was made" in text for text in shown)
        assert page.text.count("not used: before") == times
        (row,) = csv.DictReader(io.StringIO(render_csv(case).decode(), newline=""))
        assert (row["log_standing"] == "impossible") is (times > 0)
