"""Attack: change any event of a case, remove or insert one, or forge the rest of the chain to fit."""

from __future__ import annotations

import dataclasses

import pytest
from custody import EVENT_COUNT, make_chain, make_head
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_rows import EXAMINER, MALLORY

from ftforensics.errors import ChainBroken, SignatureInvalid, TrustError
from ftforensics.trust.chain import append_event, event_to_json, parse_event, sign_head, verify_chain, verify_head

EVENTS = make_chain()
HEAD = make_head(EVENTS)
LINES = [event_to_json(event) for event in EVENTS]


@pytest.mark.parametrize("position", range(EVENT_COUNT))
def test_an_edited_event_is_named(position):
    events = list(EVENTS)
    events[position] = dataclasses.replace(events[position], body={**events[position].body, "verdict": "NO_TAG_READ"})
    with pytest.raises(ChainBroken) as caught:
        verify_chain(events)
    assert caught.value.position == position


@pytest.mark.parametrize("position", range(EVENT_COUNT - 1))
def test_an_edited_event_with_its_hash_made_to_fit_breaks_at_the_next_one(position):
    events = list(EVENTS)
    previous = events[position - 1] if position else None
    old = events[position]
    events[position] = append_event(previous, old.kind, {**old.body, "verdict": "NO_TAG_READ"}, old.actor, old.at)
    with pytest.raises(ChainBroken) as caught:
        verify_chain(events)
    assert caught.value.position == position + 1


@pytest.mark.parametrize("position", range(EVENT_COUNT - 1))
def test_a_removed_event_is_named(position):
    with pytest.raises(ChainBroken) as caught:
        verify_chain(EVENTS[:position] + EVENTS[position + 1 :])
    assert caught.value.position == position


@pytest.mark.parametrize("position", range(1, EVENT_COUNT))
def test_an_inserted_event_is_named(position):
    inserted = append_event(EVENTS[position - 1], "note", {"text": "planted"}, "Ada", "2026-03-01T10:00:00Z")
    with pytest.raises(ChainBroken) as caught:
        verify_chain([*EVENTS[:position], inserted, *EVENTS[position:]])
    assert caught.value.position == position + 1


def test_a_chain_forged_anew_hangs_together_but_not_with_the_head():
    forged = make_chain(verdict="NO_TAG_READ")
    verify_chain(forged)
    with pytest.raises(ChainBroken, match="not the one that the expected head names"):
        verify_chain(forged, HEAD)


def test_the_forger_cannot_sign_a_new_head_in_the_name_of_the_examiner():
    forged = sign_head(make_head(make_chain(verdict="NO_TAG_READ")), MALLORY)
    for envelope in (forged, dataclasses.replace(forged, key_id=EXAMINER.key_id)):
        with pytest.raises(SignatureInvalid):
            verify_head(envelope, EXAMINER.public_key)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, EVENT_COUNT - 1), st.data())
def test_any_changed_byte_of_any_line_breaks_the_chain(position, data):
    line = bytearray(LINES[position])
    line[data.draw(st.integers(0, len(line) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TrustError):
        verify_chain([parse_event(bytes(line) if at == position else whole) for at, whole in enumerate(LINES)])
