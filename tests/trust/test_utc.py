from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftforensics.errors import TrustError
from ftforensics.trust.utc import parse_utc


@given(st.datetimes())
def test_every_moment_survives_the_round_trip(moment):
    assert parse_utc(moment.isoformat() + "Z").replace(tzinfo=None) == moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-01-01T23:59:60Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00z",
        "20260101T000000Z",
        "2026-01-01T00:00:00Z\n",
        "٢٠٢٦-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "",
    ],
)
def test_other_spellings_and_impossible_moments_are_refused(text):
    with pytest.raises(TrustError):
        parse_utc(text)


def test_a_fraction_is_later_than_its_whole_second_though_its_text_sorts_earlier():
    assert "2026-01-01T00:00:00.5Z" < "2026-01-01T00:00:00Z"
    assert parse_utc("2026-01-01T00:00:00.5Z") > parse_utc("2026-01-01T00:00:00Z")
