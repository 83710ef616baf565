"""Strict reading of the fields of a parsed JSON object. In: an untrusted value. Out: typed fields, or a TrustError.

Unknown and missing fields are both refused: a signed statement that this program does not wholly understand is not one
that it can vouch for.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from ftforensics.errors import TrustError
from ftforensics.trust.utc import parse_utc

SHA256_HEX = re.compile(r"[0-9a-f]{64}")
KEY_ID = re.compile(r"ed25519:[0-9a-f]{64}")
CARRIER_KEY_ID = re.compile(r"carrier:[0-9a-f]{32}")
TAG_ID = re.compile(r"[0-9a-f]{16}")
_INVISIBLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Fields:
    """The fields of one JSON object, read one by one.

    Args:
        value: The parsed JSON, of any type.
        names: Exactly the field names that must be there.
        subject: What the object is, for the errors.

    Raises:
        TrustError: Not an object, or a field is missing or unknown.
    """

    def __init__(self, value: Any, names: frozenset[str], *, subject: str) -> None:
        self._subject = subject
        if not isinstance(value, dict):
            raise self._wrong("is not a JSON object")
        missing = sorted(names - value.keys())
        unknown = sorted(value.keys() - names)
        if missing:
            raise self._wrong(f"lacks the field {missing[0]}")
        if unknown:
            raise self._wrong(f"has the unknown field {unknown[0][:40]!a}")
        self._value: dict[str, Any] = value

    def text(self, name: str, *, max_chars: int, allow_empty: bool = False) -> str:
        """A string for people: no control characters, no bidirectional overrides, at most ``max_chars`` long."""
        found = self._string(name)
        if len(found) > max_chars:
            raise self._wrong(f"has a {name} of {len(found)} characters, more than {max_chars}")
        if not found.strip() and not allow_empty:
            raise self._wrong(f"has an empty {name}")
        if any(unicodedata.category(char) in _INVISIBLE or char in _BIDI_CONTROLS for char in found):
            raise self._wrong(f"has control characters in {name}")
        return found

    def match(self, name: str, pattern: re.Pattern[str]) -> str:
        """A string that wholly matches a pattern."""
        found = self._string(name)
        if pattern.fullmatch(found) is None:
            raise self._wrong(f"has a malformed {name}: {found[:80]!a}")
        return found

    def match_or_none(self, name: str, pattern: re.Pattern[str]) -> str | None:
        """A string that wholly matches a pattern, or null."""
        return None if self._value[name] is None else self.match(name, pattern)

    def utc(self, name: str) -> str:
        """A UTC time, kept as text."""
        found = self._string(name)
        parse_utc(found, subject=f"{name} of {self._subject}")
        return found

    def utc_or_none(self, name: str) -> str | None:
        """A UTC time kept as text, or null."""
        return None if self._value[name] is None else self.utc(name)

    def integer(self, name: str, low: int, high: int) -> int:
        """An integer in [low, high]; true and false are not integers."""
        found = self._value[name]
        if type(found) is not int or not low <= found <= high:
            raise self._wrong(f"has a {name} that is not an integer from {low} to {high}")
        return found

    def list_of(self, name: str, *, max_items: int) -> list[Any]:
        """A JSON array of at most ``max_items``, its items unchecked."""
        found = self._value[name]
        if not isinstance(found, list) or len(found) > max_items:
            raise self._wrong(f"has a {name} that is not an array of at most {max_items} items")
        return found

    def object(self, name: str) -> dict[str, Any]:
        """A JSON object, its fields unchecked."""
        found = self._value[name]
        if not isinstance(found, dict):
            raise self._wrong(f"has a {name} that is not an object")
        return found

    def _string(self, name: str) -> str:
        found = self._value[name]
        if not isinstance(found, str):
            raise self._wrong(f"has a {name} that is not text")
        return found

    def _wrong(self, what: str) -> TrustError:
        return TrustError(f"{self._subject} {what}", remedy="get an unaltered copy from whoever issued it")
