"""Plain JSON values: rounding on the way out, strict typing on the way back.

In: domain values, or parsed JSON from an untrusted file. Out: JSON that two runs write byte for byte alike, or frozen
dataclasses whose fields have the types they are declared with.
"""

from __future__ import annotations

import json
import math
import types
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from ftforensics.errors import StoreError

SAFE_INTEGER = 2**53 - 1


def render_json_line(row: dict[str, Any]) -> bytes:
    """One line of JSON Lines from plain values: ASCII, no spaces, fields in the order given, a line feed at the end."""
    return json.dumps(row, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def round_number(value: Real, *, where: str) -> int | float:
    """Rounds to six significant decimal digits; whole numbers within 53 bits come back as ``int`` and exactly.

    Raises:
        StoreError: Infinite, not a number, or an integer beyond 53 bits.
    """
    if isinstance(value, Integral):
        if abs(int(value)) > SAFE_INTEGER:
            raise StoreError("An integer beyond 53 bits cannot be kept in JSON", subject=where)
        return int(value)
    number = float(value)
    if not math.isfinite(number):
        raise StoreError("An infinite number or NaN cannot be kept in a finding", subject=where)
    rounded = float(f"{number:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) <= SAFE_INTEGER else rounded


def to_plain_json(value: Any, *, where: str) -> Any:
    """Copies a value into plain JSON: dataclasses, tuples, string enums and NumPy numbers included, floats rounded.

    Raises:
        StoreError: Something JSON cannot carry; ``where`` is named.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Real):
        return round_number(value, where=where)
    if isinstance(value, list | tuple):
        return [to_plain_json(item, where=where) for item in value]
    if is_dataclass(value):
        return to_plain_json(fields_of(value), where=where)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {to_plain_json(key, where=where): to_plain_json(item, where=where) for key, item in value.items()}
    raise StoreError(f"A value of type {type(value).__name__} cannot be kept in JSON", subject=where)


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass instance by name, one level deep, in the order they are declared."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def order_fields(value: Any, first: tuple[str, ...]) -> dict[str, Any] | None:
    """The fields of a dataclass instance or dict, those named ``first`` leading; None stays None."""
    if value is None:
        return None
    named: dict[str, Any] = value if isinstance(value, dict) else fields_of(value)
    return {name: named[name] for name in first} | named


def sort_keys(value: Any) -> Any:
    """A copy of plain JSON whose objects have their keys in order, at every depth; for objects of free form."""
    if isinstance(value, list | tuple):
        return [sort_keys(item) for item in value]
    return {key: sort_keys(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def parse_plain(kind: Any, value: Any, where: str) -> Any:
    """Reads a JSON value as a declared type.

    Args:
        kind: ``str``, ``int``, ``float``, ``bool``, ``Any``, an enum, a ``Literal``, a tuple, ``dict[str, ...]``, a
            dataclass of these, or a union of one of them with None.
        value: Parsed JSON.
        where: What it belongs to, for the error.

    Returns:
        The value; whole numbers become floats where a float is declared, arrays become tuples.

    Raises:
        StoreError: The value has another type, an object lacks a field or has one too many.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        kinds = [one for one in inner if one is not type(None)]
        if len(kinds) == 1:
            return parse_plain(kinds[0], value, where)
    elif origin is Literal:
        if isinstance(value, str) and value in inner:
            return value
    elif origin is tuple:
        return _parse_tuple(inner, value, where)
    elif origin is dict:
        if isinstance(value, dict):
            return {parse_plain(str, key, where): parse_plain(inner[1], item, where) for key, item in value.items()}
    elif is_dataclass(kind) and isinstance(kind, type):
        return _parse_dataclass(kind, value, where)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        if value in [member.value for member in kind]:
            return kind(value)
    elif kind is float and type(value) in (int, float):
        return float(value)
    elif kind in (str, int, bool) and type(value) is kind:
        return value
    raise StoreError(f"A value is not of the type it must have: {ascii(value)[:80]}", subject=where)


def _parse_tuple(inner: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise StoreError(f"A value is not an array: {ascii(value)[:80]}", subject=where)
    kinds = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
    if len(kinds) != len(value):
        raise StoreError(f"An array has {len(value)} values, not {len(kinds)}", subject=where)
    return tuple(parse_plain(kind, item, where) for kind, item in zip(kinds, value, strict=True))


def _parse_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise StoreError(f"A value is not an object: {ascii(value)[:80]}", subject=where)
    hints = hints_of(kind)
    missing = [field.name for field in fields(kind) if field.name not in value and _is_required(field)]
    unknown = sorted(value.keys() - hints.keys())
    if missing or unknown:
        fault = f"lacks {missing[0]!a}" if missing else f"has the unknown field {unknown[0][:40]!a}"
        raise StoreError(f"An object {fault}", subject=where)
    return kind(**{name: parse_plain(hints[name], item, where) for name, item in value.items()})


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """The declared types of a dataclass's fields."""
    return get_type_hints(kind)
