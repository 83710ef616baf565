from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.report.visible import is_plain, visible

ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=200)


def undo(shown: str) -> str:
    return re.sub(r"⟨U\+([0-9A-F]{4,6})⟩", lambda found: chr(int(found[1], 16)), shown)


@settings(deadline=None)
@given(ANY_TEXT)
def test_nothing_unseen_is_left(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@settings(deadline=None)
@given(ANY_TEXT)
def test_the_text_can_be_recovered(text: str) -> None:
    assert undo(visible(text)) == text


@pytest.mark.parametrize(
    "text", ["", "a", "press/candidate_statement.jpg", "фото 12.jpg", "写真.png", "café", "e\u0301"]
)
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert visible(text) == text
    assert is_plain(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u202egpj.exe", "⟨U+202E⟩gpj.exe"),
        ("a\nb\x1b[31m\x00", "a⟨U+000A⟩b⟨U+001B⟩[31m⟨U+0000⟩"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("name.jpg ", "name.jpg⟨U+0020⟩"),
        ("a\u00a0b", "a⟨U+00A0⟩b"),
        ("\udcff", "⟨U+DCFF⟩"),
        ("\u3164", "⟨U+3164⟩"),
        ("A\ufe0f.jpg", "A⟨U+FE0F⟩.jpg"),
        ("agency\U000e0101", "agency⟨U+E0101⟩"),
        ("a\u180bb\u034fc", "a⟨U+180B⟩b⟨U+034F⟩c"),
        ("⟨U+202E⟩", "⟨U+27E8⟩U+202E⟨U+27E9⟩"),
        ("x" + "\u0301" * 4, "x\u0301\u0301⟨U+0301⟩⟨U+0301⟩"),
    ],
)
def test_what_cannot_be_seen_is_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert not is_plain(text)


def test_no_ignorable_character_is_left() -> None:
    """Every Default_Ignorable_Code_Point, whatever category Unicode gives it."""
    ranges = ["AD", "34F", "61C", "115F-1160", "17B4-17B5", "180B-180F", "200B-200F", "202A-202E", "2060-206F", "3164"]
    ranges += ["FE00-FE0F", "FEFF", "FFA0", "FFF0-FFF8", "1BCA0-1BCA3", "1D173-1D17A", "E0000-E0FFF"]
    for text in ranges:
        first, _, last = text.partition("-")
        for code in range(int(first, 16), int(last or first, 16) + 1):
            assert visible(f"a{chr(code)}b") == f"a⟨U+{code:04X}⟩b"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert visible("a" * 5000, limit=10) == "a" * 10 + " … (5,000 characters in all)"
