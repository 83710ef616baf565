"""Attack: put another record, or parts of another, behind a tag id, or bring a registry full of one's own records."""

from __future__ import annotations

import dataclasses

import pytest
from signed_rows import HERALD, MALLORY, make_row

from ftforensics.errors import IssuerUntrusted, SignatureInvalid
from ftforensics.trust.record import verify_record
from ftforensics.trust.trustlist import TrustList

NOW = "2026-08-01T00:00:00Z"
TRUST = TrustList().pin("The Herald", HERALD.key_id)
OURS = make_row(HERALD, photograph="ours")
THEIRS = make_row(HERALD, photograph="theirs")


@pytest.mark.parametrize("part", ["tag_id", "record", "binding", "descriptors", "preview"])
def test_no_part_of_a_row_can_come_from_another_row_of_the_same_issuer(part):
    verify_record(OURS, TRUST, NOW)
    verify_record(THEIRS, TRUST, NOW)
    swapped = dataclasses.replace(OURS, **{part: getattr(THEIRS, part)})
    with pytest.raises(SignatureInvalid):
        verify_record(swapped, TRUST, NOW)


def test_a_whole_record_cannot_take_the_tag_id_of_another():
    swapped = dataclasses.replace(THEIRS, tag_id=OURS.tag_id, binding=None)
    with pytest.raises(SignatureInvalid, match="does not follow from the record"):
        verify_record(swapped, TRUST, NOW)


def test_a_record_in_the_name_of_the_issuer_under_another_key_is_untrusted():
    poisoned = make_row(MALLORY, issuer="The Herald")
    with pytest.raises(IssuerUntrusted, match="nobody pinned"):
        verify_record(poisoned, TRUST, NOW)


def test_a_pinned_issuer_cannot_speak_for_another():
    trust = TRUST.pin("Mallory Press", MALLORY.key_id)
    verify_record(make_row(MALLORY, issuer="Mallory Press"), trust, NOW)
    with pytest.raises(IssuerUntrusted, match="pinned for 'Mallory Press'"):
        verify_record(make_row(MALLORY, issuer="The Herald"), trust, NOW)


@pytest.mark.parametrize("issuer", ["The Herald ", "the herald", "The\u00a0Herald", "The Hera1d", "Тhe Herald"])
def test_a_name_that_looks_alike_is_another_name(issuer):
    with pytest.raises(IssuerUntrusted):
        verify_record(make_row(HERALD, issuer=issuer), TRUST, NOW)


def test_the_key_that_comes_with_a_registry_verifies_nothing_by_itself():
    poisoned = make_row(MALLORY)
    with pytest.raises(SignatureInvalid):
        verify_record(dataclasses.replace(poisoned, public_key=HERALD.public_key), TRUST, NOW)
    with pytest.raises(SignatureInvalid):
        verify_record(dataclasses.replace(OURS, public_key=MALLORY.public_key), TRUST, NOW)


def test_the_envelope_cannot_be_relabelled_with_the_pinned_key():
    poisoned = make_row(MALLORY)
    relabelled = dataclasses.replace(
        poisoned,
        record=dataclasses.replace(poisoned.record, key_id=HERALD.key_id),
        public_key=HERALD.public_key,
        binding=None,
    )
    with pytest.raises(SignatureInvalid):
        verify_record(relabelled, TRUST, NOW)
