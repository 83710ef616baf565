"""What was typed, checked before anything is done with it: times, zones and texts. In: option values. Out: the same."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ftforensics.domain.unseen import is_unseen
from ftforensics.errors import TrustError, UsageError
from ftforensics.trust.utc import parse_utc


def check_utc(option: str, text: str | None) -> datetime | None:
    """Make sure that an option's value is a UTC time.

    Raises:
        UsageError: It is not.
    """
    if text is None:
        return None
    try:
        return parse_utc(text)
    except TrustError as exc:
        raise UsageError(f"{option}: {exc.what}", remedy=exc.remedy) from exc


def check_text(option: str, text: str, *, max_chars: int = 200) -> str:
    """Make sure that a text for people can be written down and shown.

    Raises:
        UsageError: Empty, too long, or with control or invisible characters.
    """
    fault = None
    if not text.strip():
        fault = "it is empty"
    elif len(text) > max_chars:
        fault = f"it has {len(text)} characters, more than {max_chars}"
    elif any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} or is_unseen(char) for char in text):
        fault = "it holds control or invisible characters, or is not valid text"
    if fault is not None:
        raise UsageError(f"{option} cannot be used ({fault})", subject=ascii(text[:80]))
    return text


def find_zone(name: str) -> ZoneInfo:
    """The time zone of a name such as ``Europe/Berlin``.

    Raises:
        UsageError: This system knows no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise UsageError(f"--tz: no such time zone: {name[:80]!a}", remedy="use a name such as Europe/Berlin") from exc


def show_time(at: str, zone: ZoneInfo | None) -> str:
    """A UTC time for people: as it is, or in a zone with its offset."""
    return at if zone is None else parse_utc(at).astimezone(zone).isoformat(timespec="seconds")
