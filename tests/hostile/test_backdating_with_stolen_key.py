"""Attack: with a stolen key, sign a record that claims to be older than the theft."""

from __future__ import annotations

import pytest
from signed_rows import HERALD, make_row

from ftforensics.errors import IssuerUntrusted, KeyRevoked
from ftforensics.trust.record import verify_record
from ftforensics.trust.trustlist import TrustList

NOW = "2026-08-01T00:00:00Z"
THEFT = "2026-06-01T00:00:00Z"
TRUST = TrustList().pin("The Herald", HERALD.key_id, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
COMPROMISED = TRUST.revoke(HERALD.key_id, "compromise", THEFT)

GENUINE = make_row(HERALD, photograph="genuine")
BACKDATED = make_row(HERALD, photograph="forged", created="2026-03-01T10:00:00Z", logged_at="2026-03-01T10:00:05Z")


def test_before_the_theft_is_known_nothing_tells_them_apart():
    verify_record(GENUINE, TRUST, NOW)
    verify_record(BACKDATED, TRUST, NOW)


def test_after_the_revocation_no_claimed_time_saves_either():
    for row in (GENUINE, BACKDATED):
        with pytest.raises(KeyRevoked, match="no trusted time"):
            verify_record(row, COMPROMISED, NOW)


def test_only_a_trusted_time_before_the_theft_saves_the_genuine_record():
    assert verify_record(GENUINE, COMPROMISED, NOW, trusted_time="2026-03-01T10:01:00Z").core.created < THEFT


@pytest.mark.parametrize("stamped", [THEFT, "2026-06-01T00:00:00.000001Z", "2026-07-01T00:00:00Z"])
def test_a_trusted_time_at_or_after_the_theft_saves_nothing(stamped):
    with pytest.raises(KeyRevoked):
        verify_record(BACKDATED, COMPROMISED, NOW, trusted_time=stamped)


def test_turning_the_clock_of_the_check_back_does_not_undo_a_compromise():
    with pytest.raises(KeyRevoked):
        verify_record(BACKDATED, COMPROMISED, "2026-05-01T00:00:00Z")


def test_a_compromise_cannot_be_softened_to_a_supersession():
    with pytest.raises(Exception, match="softened"):
        COMPROMISED.revoke(HERALD.key_id, "superseded", NOW)


def test_pinning_the_stolen_key_again_does_not_lift_its_revocation():
    again = COMPROMISED.remove("The Herald", HERALD.key_id).pin("The Herald", HERALD.key_id)
    with pytest.raises(KeyRevoked):
        verify_record(BACKDATED, again, NOW)


def test_an_expired_key_signs_nothing_new_into_an_honest_log():
    late = make_row(HERALD, photograph="late", created="2026-12-31T00:00:00Z", logged_at="2027-02-01T00:00:00Z")
    with pytest.raises(IssuerUntrusted, match="outside the window"):
        verify_record(late, TRUST, "2027-03-01T00:00:00Z")
