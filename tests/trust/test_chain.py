from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftforensics.domain.case import GENESIS_HASH, CaseEvent, CaseHead
from ftforensics.errors import ChainBroken, FtfError, SignatureInvalid, TrustError
from ftforensics.trust.chain import (
    append_event,
    event_to_json,
    parse_event,
    parse_head,
    sign_head,
    verify_chain,
    verify_head,
)
from ftforensics.trust.envelope import envelope_to_json, parse_envelope
from ftforensics.trust.keys import SigningKey

KEY = SigningKey.from_seed("examiner", "examiner", b"e" * 32)
AT = "2026-03-01T10:00:00Z"


def build_chain(count: int) -> list[CaseEvent]:
    events: list[CaseEvent] = []
    for number in range(count):
        body = {"case_id": "case-1"} if number == 0 else {"exhibit": f"E{number}", "z": 7.25, "note": "é\n\u202e"}
        kind = "case_opened" if number == 0 else "finding"
        events.append(append_event(events[-1] if events else None, kind, body, "Ada", AT))
    return events


def head_of(events: list[CaseEvent]) -> CaseHead:
    return CaseHead(case_id="case-1", count=len(events), head_hash=events[-1].hash if events else GENESIS_HASH, at=AT)


EVENTS = build_chain(4)
LINES = b"\n".join(event_to_json(event) for event in EVENTS)
SIGNED_HEAD = envelope_to_json(sign_head(head_of(EVENTS), KEY))


def test_a_chain_verifies_up_to_its_head():
    checked = verify_chain(iter(EVENTS), head_of(EVENTS))
    assert (checked.count, checked.head_hash, checked.beyond_head) == (4, EVENTS[-1].hash, 0)


def test_without_a_head_the_end_is_not_vouched_for():
    assert verify_chain(EVENTS).beyond_head is None
    assert verify_chain(EVENTS[:2]).count == 2


def test_a_chain_that_grew_since_the_head_says_by_how_much():
    assert verify_chain(build_chain(6), head_of(EVENTS)).beyond_head == 2


def test_an_empty_chain():
    assert verify_chain([]).head_hash == GENESIS_HASH
    assert verify_chain([], head_of([])).beyond_head == 0
    with pytest.raises(ChainBroken):
        verify_chain([], CaseHead(case_id="case-1", count=0, head_hash="ab" * 32, at=AT))


@given(st.integers(0, len(LINES) - 1), st.integers(1, 255))
def test_any_changed_byte_breaks_the_chain(position, flip):
    changed = LINES[:position] + bytes([LINES[position] ^ flip]) + LINES[position + 1 :]
    with pytest.raises(TrustError):
        verify_chain([parse_event(line) for line in changed.split(b"\n")], head_of(EVENTS))


@given(st.integers(0, 3), st.sampled_from(["seq", "previous_hash", "kind", "body", "actor", "at", "hash"]))
def test_the_first_event_that_does_not_fit_is_named(position, name):
    other = {
        "seq": 9,
        "previous_hash": "0" * 63 + "1",
        "kind": "note",
        "body": {"other": True},
        "actor": "Eve",
        "at": "2026-03-01T10:00:01Z",
        "hash": "ab" * 32,
    }
    events = list(EVENTS)
    events[position] = dataclasses.replace(events[position], **{name: other[name]})
    with pytest.raises(ChainBroken) as caught:
        verify_chain(events, head_of(EVENTS))
    assert caught.value.position == position


@given(st.permutations(range(4)))
def test_only_one_order_verifies(order):
    events = [EVENTS[number] for number in order]
    if order == [0, 1, 2, 3]:
        verify_chain(events)
    else:
        with pytest.raises(ChainBroken):
            verify_chain(events)


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": b"bytes"}, {"x": 2**60}, {1: 2}])
def test_a_body_that_is_no_canonical_json_is_not_appended(body):
    with pytest.raises(TrustError):
        append_event(None, "note", body, "Ada", AT)


@pytest.mark.parametrize(
    ("kind", "actor", "at"),
    [("Note", "Ada", AT), ("", "Ada", AT), ("note", "", AT), ("note", "A\x1b[1m", AT), ("note", "Ada", "now")],
)
def test_malformed_fields_are_not_appended(kind, actor, at):
    with pytest.raises(TrustError):
        append_event(None, kind, {}, actor, at)


def test_an_event_broken_beyond_canonical_json_is_a_broken_chain():
    events = [EVENTS[0], dataclasses.replace(EVENTS[1], body={"x": float("inf")})]
    with pytest.raises(ChainBroken, match="malformed"):
        verify_chain(events)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False)))
def test_an_event_survives_its_line(body):
    event = append_event(EVENTS[-1], "note", body, "Ada", AT)
    again = parse_event(event_to_json(event))
    assert again == event
    assert b"\n" not in event_to_json(event)
    verify_chain([*EVENTS, again])


@given(st.binary(max_size=100))
def test_any_bytes_parse_to_an_event_and_a_head_or_an_error(data):
    with pytest.raises(FtfError):
        parse_event(data)
    with pytest.raises(FtfError):
        parse_head(data)


def test_a_signed_head_comes_back():
    assert verify_head(parse_envelope(SIGNED_HEAD), KEY.public_key) == head_of(EVENTS)


@given(st.integers(0, len(SIGNED_HEAD) - 1), st.integers(1, 255))
def test_any_changed_byte_breaks_a_signed_head(position, flip):
    changed = SIGNED_HEAD[:position] + bytes([SIGNED_HEAD[position] ^ flip]) + SIGNED_HEAD[position + 1 :]
    with pytest.raises(TrustError):
        verify_head(parse_envelope(changed), KEY.public_key)


def test_a_head_signed_by_another_is_refused():
    with pytest.raises(SignatureInvalid):
        verify_head(parse_envelope(SIGNED_HEAD), SigningKey.from_seed("eve", "examiner", b"v" * 32).public_key)


def test_the_head_of_another_case_is_refused():
    head = dataclasses.replace(head_of(EVENTS), case_id="case-2")
    with pytest.raises(ChainBroken, match="head is of"):
        verify_chain(EVENTS, head)


@pytest.mark.parametrize("changes", [{"count": -1}, {"head_hash": "x"}, {"at": ""}, {"case_id": " "}])
def test_a_malformed_head_is_not_signed(changes):
    with pytest.raises(TrustError):
        sign_head(dataclasses.replace(head_of(EVENTS), **changes), KEY)
