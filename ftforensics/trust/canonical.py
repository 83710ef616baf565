"""Canonical bytes of JSON values. In: plain JSON values, or bytes. Out: the one byte string of RFC 8785, or its value.

Signatures and hashes are made over these bytes, so bytes that merely mean the same are refused. Source: RFC 8785 (JCS);
RFC 8259 for the syntax.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import rfc8785

from ftforensics.errors import TrustError

_SAFE_INTEGER = 2**53 - 1
_REMEDY = "have whoever made it write RFC 8785 canonical JSON"


def canonical_json(value: Any) -> bytes:
    """Write a JSON value in its RFC 8785 form.

    Args:
        value: dict with string keys, list, tuple, string, bool, None, finite float, or integer of at most 53 bits.

    Returns:
        UTF-8 bytes without white space; ``parse_canonical`` gives an equal value back (tuples as lists, -0.0 as 0).

    Raises:
        TrustError: The value holds something that canonical JSON cannot carry (NaN, a large integer, a lone surrogate).
    """
    try:
        return rfc8785.dumps(value)
    except (ValueError, TypeError, RecursionError) as exc:
        raise TrustError(f"value cannot be written as canonical JSON ({_first_line(exc)})") from exc


def parse_canonical(data: bytes, *, subject: str | None = None) -> Any:
    """Parse bytes that must already be in RFC 8785 form.

    Args:
        data: UTF-8 bytes from anywhere.
        subject: What the bytes are, for the error.

    Returns:
        The JSON value. Integers beyond 53 bits come back as the float they canonically stand for.

    Raises:
        TrustError: Not JSON, not UTF-8, a key twice, or any other spelling than the canonical one.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_pairs_once,
            parse_int=_parse_int,
            parse_constant=_refuse_constant,
        )
        again = rfc8785.dumps(value)
    except (ValueError, TypeError, RecursionError, OverflowError) as exc:
        raise TrustError(f"not canonical JSON ({_first_line(exc)})", subject=subject, remedy=_REMEDY) from exc
    if again != data:
        raise TrustError("JSON is not in its canonical form", subject=subject, remedy=_REMEDY)
    return value


def _pairs_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _parse_int(digits: str) -> int | float:
    number = int(digits)
    return number if abs(number) <= _SAFE_INTEGER else float(number)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _first_line(exc: BaseException) -> str:
    text = str(exc) or type(exc).__name__
    return text.splitlines()[0][:120].encode("ascii", "backslashreplace").decode("ascii")
