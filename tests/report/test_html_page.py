from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from page_tree import Element, parse_page
from PIL import Image
from sample_case import with_altered

from ftforensics.domain.case import CaseView
from ftforensics.domain.link import Finding, Verdict
from ftforensics.report.html_page import render_html
from ftforensics.report.wording import VERDICT_TEXTS


def render(view: CaseView) -> bytes:
    return render_html(view, generated_at="2026-11-23T15:02:10Z", tool_version="0.1.0")


def section(page: Element, number: int) -> Element:
    return page.by_id(f"exhibit-{number}")


def with_finding(view: CaseView, finding: Finding) -> CaseView:
    return replace(view, findings=(finding,))


def test_the_same_case_gives_the_same_bytes(view: CaseView) -> None:
    assert render(view) == render(view)


def test_the_page_needs_nothing_from_outside(page: Element) -> None:
    for element in page.walk():
        assert element.tag not in {"script", "link", "iframe", "object", "embed", "form", "base"}
        assert not [name for name in element.attrs if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            assert re.match(r"#|data:image/(jpeg|png);base64,|$", element.attrs.get(name, "")), element
    (style,) = page.all("style")
    assert "@import" not in style.text
    assert "url(" not in style.text.replace("url(#", "")


def test_the_policy_admits_this_style_sheet_and_data_pictures_only(page: Element) -> None:
    (policy,) = (one.attrs["content"] for one in page.all("meta") if "http-equiv" in one.attrs)
    (style,) = page.all("style")
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_the_cover_states_the_case_facts(page: Element, view: CaseView) -> None:
    (cover,) = page.all("header", "cover")
    for text in (view.case_id, view.title, view.examiner, view.head.head_hash, view.head_key_id, str(view.head.count)):
        assert text in cover.text
    assert "2026-11-23 15:02:10 UTC" in cover.text
    assert "rollback to an earlier head is not excluded" in cover.text


def test_every_exhibit_has_a_row_and_a_section(page: Element, view: CaseView) -> None:
    rows = page.by_id("summary").all("tbody")[0].all("tr")
    assert len(rows) == len(view.findings)
    for number, (finding, row) in enumerate(zip(view.findings, rows, strict=True), start=1):
        part = section(page, number)
        for place in (row, part):
            assert finding.exhibit_id in place.text
            assert VERDICT_TEXTS[finding.verdict].label in place.text
            assert str(finding.verdict) in place.text
        assert finding.evidence.sha256 in part.text


def test_long_ids_are_short_in_headings_and_whole_in_the_details(view: CaseView) -> None:
    first, second = (replace(one, exhibit_id=f"X-{at:012x}" + "0" * 28) for at, one in enumerate(view.findings[:2]))
    page = parse_page(render(replace(view, findings=(first, second))))
    for number, finding in enumerate((first, second), start=1):
        (heading,) = section(page, number).all("h3")
        assert heading.text.strip() == f"Exhibit {finding.exhibit_id[:14]}"
        assert finding.exhibit_id in section(page, number).text


def test_every_verdict_is_explained(page: Element) -> None:
    glossary = page.by_id("glossary").text
    for verdict in Verdict:
        assert str(verdict) in glossary
        assert VERDICT_TEXTS[verdict].meaning in glossary


def test_the_sentence_comes_first_then_pictures_reasons_and_limits(page: Element) -> None:
    text = section(page, 1).text
    order = ["This exhibit carries the tag", "Registered photograph", "Reasons for", "Limits of", "Statistics", "EXIF"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def pixels_of(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_pictures_are_those_of_the_case_with_words_for_the_blind(page: Element, view: CaseView) -> None:
    images = section(page, 1).all("img")
    shown = [base64.b64decode(image.attrs["src"].partition(",")[2]) for image in images]
    for content, artifact in zip(shown, view.findings[0].artifacts, strict=True):
        kept = view.artifacts[artifact.sha256]
        if kept.startswith(b"\xff\xd8"):
            assert content == kept
        else:  # a map, shown as a smaller copy of the same pixels
            assert np.abs(pixels_of(content) - pixels_of(kept)).mean() < 3
    assert all("E0001" in image.attrs["alt"] or "Registered" in image.attrs["alt"] for image in images)
    assert all("alt" in image.attrs for image in page.all("img"))


def test_a_changed_picture_is_not_shown(view: CaseView) -> None:
    finding = view.findings[0]
    suspect = finding.artifacts[0].sha256
    other = view.artifacts[finding.artifacts[1].sha256]
    tampered = replace(with_finding(view, finding), artifacts=view.artifacts | {suspect: other})
    part = section(parse_page(render(tampered)), 1)
    assert len(part.all("img")) == 3
    assert "do not have the hash" in part.text


def test_a_missing_picture_is_said_to_be_missing(view: CaseView) -> None:
    part = section(parse_page(render(replace(with_finding(view, view.findings[0]), artifacts={}))), 1)
    assert part.all("img") == []
    assert part.text.count("The case does not hold this picture.") == 4


def test_a_record_without_preview_is_said_to_have_none(page: Element) -> None:
    assert "This case holds no preview of the registered photograph, so it cannot be shown." in section(page, 11).text


def test_an_undecodable_picture_has_no_thumbnail(view: CaseView) -> None:
    content = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
    sha256 = hashlib.sha256(content).hexdigest()
    artifact = replace(view.findings[0].artifacts[0], sha256=sha256)
    broken = replace(with_finding(view, replace(view.findings[0], artifacts=(artifact,))), artifacts={sha256: content})
    assert parse_page(render(broken)).by_id("summary").all("img") == []


def test_an_unreadable_file_shows_its_error(page: Element) -> None:
    part = section(page, 13)
    assert "The file ends before its picture does: IMG_0044.heic; obtain it again." in part.text
    assert "decoding the picture" in part.text


def test_a_conflict_shows_every_record_in_log_order_without_a_winner(page: Element) -> None:
    text = section(page, 6).text
    assert "no winner is declared" in text
    records = text[text.index("Record 1 of 2") :]
    assert records.index("4,401") < records.index("Record 2 of 2") < records.index("7,002")


@pytest.mark.parametrize("number", [3, 4, 7, 8, 9])
def test_what_is_not_attributed_says_so_in_the_summary(page: Element, number: int) -> None:
    assert "(not attributed)" in page.by_id("summary").all("tbody")[0].all("tr")[number - 1].text


def test_the_limits_are_printed(page: Element) -> None:
    methods = page.by_id("methods").text
    for words in ("Kinship, not direction.", "No tag read is never “authentic”.", "Hoeffding", "exp(−z² / 2)"):
        assert words in methods


def test_the_way_to_verify_is_printed(page: Element, view: CaseView) -> None:
    command = f"ftf case verify 'statement stills' --expect-head {view.head.head_hash}"
    assert command in page.by_id("verify").text


def test_the_log_and_the_runs_are_printed(page: Element, view: CaseView) -> None:
    custody, runs = page.by_id("custody").text, page.by_id("runs").text
    assert all(event.hash in custody for event in view.events)
    run = view.runs[0]
    for text in (run.run_id, run.model["weights_sha256"], run.machine["cpu"], run.trust_list_sha256, run.tool_version):
        assert text in runs


def test_links_inside_the_page_lead_somewhere(page: Element) -> None:
    names = [one.attrs["id"] for one in page.walk() if "id" in one.attrs]
    assert len(set(names)) == len(names)
    targets = {one.attrs["href"].removeprefix("#") for one in page.walk() if "href" in one.attrs}
    assert targets <= set(names)


def test_headings_do_not_skip_a_level(page: Element) -> None:
    levels = [int(one.tag[1]) for one in page.walk() if re.fullmatch(r"h[1-6]", one.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_scoped_headers(page: Element) -> None:
    for table in page.all("table"):
        assert table.all("caption")
        assert all("scope" in cell.attrs for cell in table.all("th"))


def test_a_broken_chain_is_the_first_thing_said(view: CaseView) -> None:
    (cover,) = parse_page(render(replace(view, events=view.events[:-1]))).all("header", "cover")
    assert "Not intact" in cover.text


def test_an_empty_case_renders(view: CaseView) -> None:
    page = parse_page(render(replace(view, findings=(), runs=(), integrity_notes=(), artifacts={}, title="")))
    assert "No exhibit has been examined in this case." in page.by_id("summary").text
    assert view.name in page.all("h1")[0].text


def test_long_exif_is_cut_and_says_so(view: CaseView) -> None:
    finding = view.findings[0]
    exif = {f"Tag {number:03d}": "value" for number in range(100)}
    page = parse_page(render(with_finding(view, replace(finding, evidence=replace(finding.evidence, exif=exif)))))
    assert "52 more entries are in the JSON export." in section(page, 1).text


def test_the_cover_counts_inputs_as_the_scan_does(page: Element, view: CaseView) -> None:
    assert "14 inputs: 13 exhibits examined, 1 unreadable, 0 skipped." in page.all("header", "cover")[0].text
    skipped = replace(view.findings[12], exhibit_id="E0015", extra={"skipped": True})
    for findings, text in (
        ((*view.findings, skipped), "15 inputs: 13 exhibits examined, 1 unreadable, 1 skipped."),
        (view.findings[:1], "1 exhibit examined."),
    ):
        assert text in parse_page(render(replace(view, findings=findings))).all("header", "cover")[0].text


def test_evidence_that_changed_is_told_on_the_cover_and_in_its_section(page: Element, view: CaseView) -> None:
    assert "changed during the scan" not in page.text
    changed = parse_page(render(with_altered(view, "E0002", "f" * 64)))
    cover = changed.all("header", "cover")[0].text
    assert "Evidence changed during the scan: 1 of 14 exhibits." in cover
    assert "E0002" in cover
    assert "press/cafe.jpg" in cover
    told = section(changed, 2).text
    for text in ("This exhibit changed during the scan", "f" * 64, view.findings[1].evidence.sha256):
        assert text in told
    assert "changed during the scan" not in section(changed, 1).text
    assert changed.by_id("summary").text.count("changed during the scan") == 1


def test_a_case_that_failed_its_check_says_so_on_the_cover(view: CaseView) -> None:
    cover = parse_page(render(replace(view, head_verified=False))).all("header", "cover")[0]
    assert "Not intact: this case failed its check." in cover.text
    assert "Chain intact" not in cover.text
    assert cover.all("div", "tone-broken")
