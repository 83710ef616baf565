from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources

import pytest

from ftforensics.domain.case import CaseView
from ftforensics.domain.link import Verdict
from ftforensics.report.wording import NOT_ATTRIBUTED, VERDICT_TEXTS, finding_sentence

TEMPLATES = resources.files("ftforensics.report") / "templates"
CSS = (TEMPLATES / "report.css").read_text()
TONES = dict(re.findall(r"\.tone-(\w+) { (--tone: #\w{6}; --tint: #\w{6};) }", CSS))
COLOURS = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", CSS.split("}")[0]))


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_verdict_has_words_a_shape_and_a_colour() -> None:
    assert set(VERDICT_TEXTS) == set(Verdict)
    marks = [text.mark for text in VERDICT_TEXTS.values()]
    assert len(set(marks)) == len(marks), "two verdicts share a shape: they cannot be told apart without colour"
    symbols = re.findall(r'<symbol id="mark-(\w+)"[^>]*>(.*?)</symbol>', (TEMPLATES / "marks.html.j2").read_text())
    assert set(marks) <= dict(symbols).keys()
    assert len({drawing for name, drawing in symbols if name in marks}) == len(marks)
    assert set(marks) <= TONES.keys()


@pytest.mark.parametrize("tone", TONES)
def test_chips_have_enough_contrast(tone: str) -> None:
    ink, tint = re.findall(r"#\w{6}", TONES[tone])
    assert contrast(ink, tint) >= 4.5
    assert contrast(ink, "#ffffff") >= 4.5


@pytest.mark.parametrize("ink", ["ink", "soft", "navy"])
@pytest.mark.parametrize("ground", ["paper", "wash"])
def test_text_has_enough_contrast(ink: str, ground: str) -> None:
    assert contrast(COLOURS[ink], COLOURS[ground]) >= 4.5


def test_no_sentence_claims_direction_or_authenticity(view: CaseView) -> None:
    for finding in view.findings:
        for verdict in Verdict:
            sentence = finding_sentence(replace(finding, verdict=verdict))
            assert sentence.endswith(".")
            assert not re.search(r"made from|derived from|forged|genuine|is a deepfake|is real", sentence)
            assert "authentic" not in sentence or "does not say that it is authentic" in sentence


def test_unattributed_verdicts_say_so(view: CaseView) -> None:
    linked = next(one for one in view.findings if one.source is not None)
    for verdict in NOT_ATTRIBUTED:
        sentence = finding_sentence(replace(linked, verdict=verdict))
        assert re.search(r"attributed|not established|proves nothing|no winner", sentence), verdict


def test_the_derivative_sentence_states_how_much_differs(view: CaseView) -> None:
    sentence = finding_sentence(view.findings[0])
    assert sentence.endswith("and 2 regions covering 7.1 % of the area that the two share differ.")
