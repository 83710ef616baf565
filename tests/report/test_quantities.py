from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.report.quantities import decimal, file_size, percent, plural, power_of_ten, scientific, utc


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3.21e-14, "3.2 × 10⁻¹⁴"),
        (0.0, "0"),
        (1.0, "1"),
        (0.05, "0.05"),
        (128.4, "128"),
        (1.7e6, "1.7 × 10⁶"),
        (-2.5e-9, "-2.5 × 10⁻⁹"),
        (math.nan, "not a number"),
        (math.inf, "beyond range"),
    ],
)
def test_scientific(value: float, shown: str) -> None:
    assert scientific(value) == shown


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0, "0 %"), (1, "100 %"), (0.0714, "7.1 %"), (0.5, "50 %"), (1e-6, "under 0.1 %"), (0.99999, "over 99.9 %")],
)
def test_percent_never_rounds_to_nothing_or_all(fraction: float, shown: str) -> None:
    assert percent(fraction) == shown


@settings(deadline=None)
@given(st.floats())
def test_any_float_can_be_shown(value: float) -> None:
    assert scientific(value)
    assert percent(value)
    assert decimal(value)


@pytest.mark.parametrize(
    ("stamp", "shown"),
    [
        ("2026-11-23T14:05:09Z", "2026-11-23 14:05:09 UTC"),
        ("2026-11-23T14:05:09+02:00", "2026-11-23 12:05:09 UTC"),
        ("2026-11-23T14:05:09", "2026-11-23T14:05:09"),
        ("yesterday", "yesterday"),
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00+23:59"),
    ],
)
def test_times_are_utc_or_left_alone(stamp: str, shown: str) -> None:
    assert utc(stamp) == shown


def test_sizes_powers_and_plurals() -> None:
    assert file_size(48) == "48 bytes"
    assert file_size(218_404) == "213.3 KiB (218,404 bytes)"
    assert file_size(5 * 1024**4) == "5.0 TiB (5,497,558,138,880 bytes)"
    assert [power_of_ten(0), power_of_ten(-24)] == ["1", "10⁻²⁴"]
    assert [plural(1, "region"), plural(2, "region")] == ["1 region", "2 regions"]
