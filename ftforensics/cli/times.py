"""Times on the command line: UTC in, and display in another zone on request."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
