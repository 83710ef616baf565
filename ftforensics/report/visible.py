"""Hostile text made harmless to look at: control, bidi and invisible characters are spelt out.

Any string enters; a plain string leaves in which every character can be seen where it stands, and nothing reorders,
hides or overprints what follows it. Source of the categories: Unicode Standard, chapter 4.5 (general category), and
UTS 39.
"""

from __future__ import annotations

import unicodedata

from ftforensics.domain.unseen import is_unseen

MAX_CHARS = 4000
MAX_STACKED_MARKS = 2
# The marker's own brackets, so that a name which merely contains the text of a marker cannot be taken for one.
_BRACKETS = frozenset("\u27e8\u27e9")
_SPELT_OUT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})


def visible(text: str, *, limit: int = MAX_CHARS) -> str:
    """Spell out what cannot be seen.

    Control, format (bidi overrides, zero-width characters, tags), surrogate, private and unassigned characters,
    variation selectors and fillers, line and paragraph separators, spaces other than U+0020, spaces at either end and
    stacked combining marks become ``⟨U+202E⟩``.

    Args:
        text: Any string, well-formed or not.
        limit: The most characters of ``text`` to show; what was left out is stated.

    Returns:
        A string that encodes to UTF-8 and holds no control or format character.
    """
    shown = text[:limit]
    last = len(shown) - 1
    parts: list[str] = []
    marks = 0
    for position, char in enumerate(shown):
        category = unicodedata.category(char)
        marks = marks + 1 if category in _MARKS else 0
        at_end = char == " " and position in (0, last) and len(text) <= limit
        odd_space = category == "Zs" and char != " "
        unseen = category in _SPELT_OUT or is_unseen(char) or odd_space or at_end
        if unseen or char in _BRACKETS or marks > MAX_STACKED_MARKS:
            parts.append(f"⟨U+{ord(char):04X}⟩")
        else:
            parts.append(char)
    if len(text) > limit:
        parts.append(f" … ({len(text):,} characters in all)")
    return "".join(parts)


def is_plain(text: str) -> bool:
    """Say whether ``visible`` would show the text exactly as it is."""
    return visible(text, limit=max(len(text), 1)) == text
