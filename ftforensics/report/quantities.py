"""Numbers, sizes and times as people read them. Everything is UTC; nothing here looks at a clock."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def scientific(value: float) -> str:
    """Two significant digits, as ``3.2 × 10⁻¹⁴``; plain digits between 0.01 and 1000."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "beyond range"
    if value == 0:
        return "0"
    if 0.01 <= abs(value) < 1000:
        return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def power_of_ten(exponent: int) -> str:
    """``10⁻⁶``, and ``1`` for the zeroth power."""
    return f"10{str(exponent).translate(_SUPERSCRIPT)}" if exponent else "1"


def percent(fraction: float) -> str:
    """A fraction of one as a percentage with one decimal, never rounded to a flat 0 or 100."""
    if not math.isfinite(fraction):
        return "not a number"
    value = 100 * fraction
    if 0 < value < 0.1:
        return "under 0.1 %"
    if 99.9 < value < 100:
        return "over 99.9 %"
    return f"{value:.1f} %".replace(".0 %", " %")


def decimal(value: float, digits: int = 2) -> str:
    """A number with a fixed count of decimals and a true minus sign."""
    if not math.isfinite(value):
        return "not a number"
    return f"{value:.{digits}f}".replace("-", "−")


def count(value: int) -> str:
    """A whole number with thousands separated."""
    return f"{value:,}"


def file_size(size_bytes: int) -> str:
    """A size in bytes, with the nearest binary unit before it where there is one."""
    if size_bytes < 1024:
        return f"{size_bytes} bytes"
    size, unit = float(size_bytes), "KiB"
    for unit in ("KiB", "MiB", "GiB", "TiB"):  # noqa: B007
        size /= 1024
        if size < 1024:
            break
    return f"{size:.1f} {unit} ({size_bytes:,} bytes)"


def utc(stamp: str) -> str:
    """An ISO 8601 time as ``2026-11-23 14:05:09 UTC``; anything else is returned as it came."""
    try:
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is None:
            return stamp
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return stamp
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 region``, ``2 regions``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
