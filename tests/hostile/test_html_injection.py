"""Who makes a file chooses its name and metadata, who runs a registry its texts: none may steer the report."""

from __future__ import annotations

import hashlib
import sys
import unicodedata
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from ftforensics.domain.case import CaseView
from ftforensics.report.html_page import render_html

sys.path.append(str(Path(__file__).parents[1] / "report"))
from page_tree import Element, parse_page
from sample_case import sample_view

ATTACKS = {
    "script": "<script>alert(1)</script>",
    "attribute break": "\"'><img src=x onerror=alert(1)>",
    "attribute": 'x" onmouseover="alert(1)" style="position:fixed',
    "style end": "}</style><script>alert(1)</script><style>",
    "title end": "</title><meta http-equiv=refresh content='0;url=//evil.example'>",
    "svg": "<svg/onload=alert(1)><use href='//evil.example#x'/>",
    "link": "javascript:alert(1)",
    "template": "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "comment": "<!-- --><![CDATA[ ]]><?php ?>",
    "entity": "&lt;script&gt;&#x202e;&nbsp;",
    "bidi": "\u202egnp.exe\u202c\u2066\u200f\u061c",
    "control": "a\x00b\x07c\x1b]0;evil\x07\x1b[2J\r\nd\x85e\u2028f",
    "invisible": "a\u200bb\u2060c\ufeffd\U000e0041e\u3164f",
    "surrogate": "\udcff\ud800",
    "stacked marks": "Z" + "\u0336\u0353\u0349" * 40,
    "css escape": "\\3c/style\\3e\\22;} body{display:none}",
}


def poison(value: Any, attack: str) -> Any:
    """Put the attack in place of every text, dictionary keys included; hashes and verdict names among them."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return attack
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: poison(getattr(value, one.name), attack) for one in fields(value)})
    if isinstance(value, tuple):
        return tuple(poison(entry, attack) for entry in value)
    if isinstance(value, dict):
        return {poison(key, attack): poison(entry, attack) for key, entry in value.items()}
    return value


def poisoned(attack: str) -> CaseView:
    """Poison all texts, but keep the pictures findable, so that they and their alternative texts are there too."""
    view = sample_view()
    bad: CaseView = poison(replace(view, artifacts={}), attack)
    findings = tuple(
        replace(finding, artifacts=honest.artifacts)
        for finding, honest in zip(bad.findings, view.findings, strict=True)
    )
    return replace(bad, findings=findings, artifacts=view.artifacts)


def render(view: CaseView) -> bytes:
    return render_html(view, generated_at="2026-11-23T15:02:10Z", tool_version="0.1.0")


def vocabulary(page: Element) -> set[tuple[str, str, str]]:
    """Every element, attribute and value that shapes the page; alternative texts and other words left out."""
    words = {"alt", "aria-label", "content", "src", "width", "height", "href", "id", "aria-labelledby"}
    return {
        (element.tag, name, "" if name in words or element.tag in {"path", "text", "rect", "circle"} else value)
        for element in page.walk()
        for name, value in (*element.attrs.items(), ("", ""))
    }


@pytest.fixture(scope="module")
def honest() -> set[tuple[str, str, str]]:
    return vocabulary(parse_page(render(sample_view())))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_hostile_text_adds_nothing_to_the_page(attack: str, honest: set[tuple[str, str, str]]) -> None:
    content = render(poisoned(attack))
    page = parse_page(content)
    # Poisoned hashes break the chain, and that is said; nothing else may be new.
    new = vocabulary(page) - honest
    assert new <= {("div", "class", "status tone-broken"), ("div", "class", "compact alone")}, new
    assert not [char for char in content.decode() if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Cs"}]


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_the_style_sheet_is_out_of_reach(attack: str) -> None:
    ours, theirs = (parse_page(render(view)).all("style") for view in (sample_view(), poisoned(attack)))
    assert len(theirs) == 1
    assert theirs[0].text.rpartition("@page")[0] == ours[0].text.rpartition("@page")[0]
    assert theirs[0].text.rpartition("@page")[2].strip() == '{ @bottom-left { content: "" } }'


def test_template_syntax_is_text() -> None:
    assert "Exhibit {{ 7*7 }}{% raw %}" in parse_page(render(poisoned(ATTACKS["template"]))).by_id("exhibit-1").text


def test_hostile_names_are_shown_and_not_swallowed() -> None:
    page = parse_page(render(poisoned("<b>\u202ebold")))
    assert "<b>U+202Ebold" in page.by_id("exhibit-1").text
    assert [box.text for box in page.by_id("exhibit-1").all("span", "cp")][:1] == ["U+202E"]


def test_a_name_that_cannot_be_shown_comes_with_its_exact_bytes() -> None:
    finding = sample_view().findings[-1]
    assert finding.evidence.path_b64 in parse_page(render(sample_view())).by_id("exhibit-14").text


def test_a_name_cannot_imitate_a_marker() -> None:
    view = sample_view()
    finding = replace(view.findings[0], evidence=replace(view.findings[0].evidence, path="a⟨U+202E⟩b"))
    part = parse_page(render(replace(view, findings=(finding,)))).by_id("exhibit-1")
    assert [box.text for box in part.all("span", "cp")][:2] == ["U+27E8", "U+27E9"]


@pytest.mark.parametrize(
    "content", [b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"<html>", b"GIF8"]
)
def test_only_jpeg_and_png_are_embedded(content: bytes) -> None:

    view = sample_view()
    sha256 = hashlib.sha256(content).hexdigest()
    artifact = replace(view.findings[0].artifacts[0], sha256=sha256, media_type="image/png")
    finding = replace(view.findings[0], artifacts=(artifact,))
    page = parse_page(render(replace(view, findings=(finding,), artifacts={sha256: content})))
    assert page.all("img") == []
    assert "neither a JPEG nor a PNG" in page.by_id("exhibit-1").text
