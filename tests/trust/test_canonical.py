from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ftforensics.errors import TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical

SAFE_INTEGERS = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | SAFE_INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_every_value_survives_the_round_trip(value):
    data = canonical_json(value)
    assert parse_canonical(data) == value
    assert canonical_json(parse_canonical(data)) == data


@given(st.dictionaries(st.text(max_size=5), SAFE_INTEGERS, max_size=6))
def test_the_order_of_insertion_does_not_show(value):
    assert canonical_json(dict(reversed(list(value.items())))) == canonical_json(value)


@given(st.binary(max_size=60) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"9" * 5000)
@example(b"1e999")
def test_any_bytes_give_a_value_in_canonical_form_or_an_error(data):
    try:
        value = parse_canonical(data)
    except TrustError:
        return
    assert canonical_json(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b"\xef\xbb\xbf{}",
        b'"\\u0041"',
        b'"\\ud800"',
        b"1.0",
        b"-0",
        b"1E2",
        b"0.10",
        b"9007199254740993",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"",
        b"{}{}",
        b'"\xff"',
    ],
)
def test_other_spellings_are_refused(data):
    with pytest.raises(TrustError):
        parse_canonical(data)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e21, b"1e+21"),
        (1e-7, b"1e-7"),
        (1e-6, b"0.000001"),
        (1e20, b"100000000000000000000"),
        (5e-324, b"5e-324"),
        (0.1 + 0.2, b"0.30000000000000004"),
        (-0.0, b"0"),
        (4.5, b"4.5"),
    ],
)
def test_numbers_are_written_as_ecmascript_writes_them(number, text):
    assert canonical_json(number) == text
    assert parse_canonical(text) == number


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {1: 2}, "\ud800", {"\ud800": 1}, {1, 2}, b"x"])
def test_what_json_cannot_carry_is_refused(value):
    with pytest.raises(TrustError):
        canonical_json(value)


def test_keys_sort_by_utf16_and_not_by_code_point():
    assert canonical_json({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


def test_endless_nesting_is_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(TrustError):
        canonical_json(loop)
