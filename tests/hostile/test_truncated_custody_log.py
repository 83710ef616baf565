"""Attack: cut the last events off a case, or roll the whole case back to an older signed head."""

from __future__ import annotations

import pytest
from custody import EVENT_COUNT, make_chain, make_head
from signed_rows import EXAMINER

from ftforensics.errors import ChainBroken
from ftforensics.trust.chain import sign_head, verify_chain, verify_head

EVENTS = make_chain()
HEAD = make_head(EVENTS)


@pytest.mark.parametrize("kept", range(EVENT_COUNT))
def test_a_chain_alone_cannot_tell_and_says_so(kept):
    assert verify_chain(EVENTS[:kept]).beyond_head is None


@pytest.mark.parametrize("kept", range(EVENT_COUNT))
def test_a_head_kept_elsewhere_tells_where_the_chain_was_cut(kept):
    with pytest.raises(ChainBroken, match="ends after") as caught:
        verify_chain(EVENTS[:kept], HEAD)
    assert caught.value.position == kept


def test_the_signed_head_inside_the_case_tells_too():
    signed = sign_head(HEAD, EXAMINER)
    with pytest.raises(ChainBroken):
        verify_chain(EVENTS[:-1], verify_head(signed, EXAMINER.public_key))


def test_a_case_rolled_back_with_its_older_head_verifies_unless_a_newer_head_is_expected():
    older = EVENTS[:4]
    older_head = verify_head(sign_head(make_head(older), EXAMINER), EXAMINER.public_key)
    assert verify_chain(older, older_head).beyond_head == 0
    with pytest.raises(ChainBroken):
        verify_chain(older, HEAD)


def test_events_after_the_signed_head_are_counted_as_not_vouched_for():
    assert verify_chain(EVENTS, make_head(EVENTS[:4])).beyond_head == EVENT_COUNT - 4
