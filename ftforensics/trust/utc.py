"""Times: UTC, ISO 8601, ending in Z. In: text from a record, event or argument. Out: an aware datetime to compare with.

Two times that say the same moment can differ as text (a fraction of a second is optional), so times are compared only
after parsing. Source: RFC 3339, profile of ISO 8601.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ftforensics.errors import TrustError

_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")


def parse_utc(text: str, *, subject: str | None = None) -> datetime:
    """Parse ``YYYY-MM-DDTHH:MM:SS[.ffffff]Z``.

    Args:
        text: The time as text.
        subject: What the time belongs to, for the error.

    Returns:
        The moment, with UTC as its time zone.

    Raises:
        TrustError: The text has another form, or names a day or hour that does not exist.
    """
    if not isinstance(text, str) or _UTC.fullmatch(text) is None:
        raise TrustError(
            f"time is not UTC in the form 2026-01-31T23:59:59Z but {str(text)[:40]!a}",
            subject=subject,
            remedy="write the time in UTC with a trailing Z",
        )
    try:
        return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    except ValueError as exc:
        raise TrustError(f"no such moment: {text}", subject=subject, remedy="correct the date or hour") from exc
