"""Text that came from a hostile file, made safe to print on one line.

Enters: names, metadata and error texts of unknown origin. Leaves: printable text of bounded length.
"""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


def escape_text(text: str, max_chars: int) -> str:
    """Show ``text`` on one line with control, format, private and unassigned characters as backslash escapes.

    Bidirectional overrides, ANSI escapes, newlines and lone surrogates all become visible ASCII. Text that is too long
    is cut and ends in an ellipsis. Markup characters are kept: escaping HTML is the report's duty.

    Args:
        text: Any string.
        max_chars: Longest result, at least 1.

    Returns:
        A string of at most ``max_chars`` characters that encodes as UTF-8.
    """
    parts: list[str] = []
    length = 0
    for char in text[: max_chars + 1]:
        shown = char if char.isprintable() else _escape_char(char)
        length += len(shown)
        if length > max_chars:
            break
        parts.append(shown)
    else:
        if len(text) <= max_chars:
            return "".join(parts)
    return "".join(parts)[: max_chars - 1] + "…"


def describe_exception(exc: BaseException, max_chars: int = 200) -> str:
    """One printable line about a third-party exception, the same on every run (memory addresses removed)."""
    text = _ADDRESS.sub("0x…", str(exc)).strip()
    return escape_text(f"{type(exc).__name__}: {text}" if text else type(exc).__name__, max_chars)


def display_path(raw: bytes) -> str:
    """A path as text: UTF-8, with bytes that are not UTF-8 as backslash escapes. The exact bytes are kept elsewhere."""
    return raw.decode("utf-8", "backslashreplace")


def _escape_char(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
