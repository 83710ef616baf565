"""Characters that draw nothing though a program may take them for letters or marks. In: a character. Out: yes or no.

Source: Unicode, DerivedCoreProperties.txt, Default_Ignorable_Code_Point (variation selectors, fillers, tags, and what
is reserved for more of them), and U+2800, a Braille cell without a dot.
"""

from __future__ import annotations

from bisect import bisect_right

_RANGES = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
_STARTS = [first for first, _ in _RANGES]


def is_unseen(char: str) -> bool:
    """Whether a character draws nothing where it stands, so that two texts may look the same and differ in it."""
    code = ord(char)
    place = bisect_right(_STARTS, code) - 1
    return place >= 0 and code <= _RANGES[place][1]
