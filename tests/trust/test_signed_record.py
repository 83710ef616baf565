from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given
from hypothesis import strategies as st

from ftforensics.domain.record import RECORD_PAYLOAD_TYPE, BindingStatement
from ftforensics.errors import FtfError, IssuerUntrusted, KeyRevoked, SignatureInvalid, TrustError
from ftforensics.trust.canonical import canonical_json
from ftforensics.trust.envelope import sign_envelope
from ftforensics.trust.record import (
    log_entry,
    parse_binding,
    parse_record_core,
    record_sha256,
    sign_binding,
    sign_record,
    tag_id,
    verify_record,
)
from ftforensics.trust.trustlist import PLAN_SIGNERS, TrustList

NOW = "2026-08-01T00:00:00Z"


def test_a_whole_row_of_a_pinned_issuer_verifies(row, core, trust, issuer_key):
    verified = verify_record(row, trust, NOW)
    assert verified.core == core
    assert verified.binding is not None
    assert verified.binding.tag_id == row.tag_id
    assert (verified.issuer, verified.key_id, verified.checked_at) == ("The Herald", issuer_key.key_id, NOW)
    assert (verified.log_index, verified.logged_at) == (7, "2026-03-01T10:00:05Z")
    assert verified.record_sha256 == hashlib.sha256(row.record.payload).hexdigest()


def test_binding_and_preview_may_be_missing(row, trust):
    verified = verify_record(dataclasses.replace(row, binding=None, preview=None), trust, NOW)
    assert verified.binding is None


def test_the_tag_id_is_the_scrypt_of_the_design(row):
    expected = Scrypt(salt=b"ftf-tag-v1", length=8, n=2**15, r=8, p=1).derive(
        hashlib.sha256(row.record.payload).digest()
    )
    assert tag_id(row.record.payload) == expected.hex() == row.tag_id


def test_a_record_is_canonical_and_its_name_is_the_hash_of_its_bytes(row, core):
    assert row.record.payload == canonical_json(dataclasses.asdict(core))
    assert record_sha256(row.record.payload) == hashlib.sha256(row.record.payload).hexdigest()


def test_every_part_of_a_row_that_is_swapped_is_noticed(row, trust, other_key):
    for changes in (
        {"tag_id": "0" * 16},
        {"carrier_key_id": "carrier:" + "0" * 32},
        {"descriptors": b"others"},
        {"preview": b"other"},
        {"public_key": other_key.public_key},
        {"logged_at": "yesterday"},
        {"record": dataclasses.replace(row.record, payload=row.record.payload + b" ")},
        {"record": dataclasses.replace(row.record, signature=b"\0" * 64)},
        {"record": row.binding},
        {"binding": row.record},
    ):
        with pytest.raises(SignatureInvalid):
            verify_record(dataclasses.replace(row, **changes), trust, NOW)


def test_an_unpinned_key_is_untrusted_and_not_invalid(row):
    with pytest.raises(IssuerUntrusted, match="nobody pinned"):
        verify_record(row, TrustList(), NOW)


def test_a_bad_signature_under_an_unpinned_key_is_invalid_and_not_untrusted(row):
    broken = dataclasses.replace(row, record=dataclasses.replace(row.record, signature=bytes(64)))
    with pytest.raises(SignatureInvalid):
        verify_record(broken, TrustList(), NOW)


def test_a_bad_signature_under_a_revoked_key_is_invalid_and_not_revoked(row, trust, issuer_key):
    broken = dataclasses.replace(row, record=dataclasses.replace(row.record, signature=bytes(64)))
    with pytest.raises(SignatureInvalid):
        verify_record(broken, trust.revoke(issuer_key.key_id, "compromise", NOW), NOW)


def test_a_key_pinned_for_another_issuer_is_untrusted(row, issuer_key):
    with pytest.raises(IssuerUntrusted, match="pinned for 'The Gazette'"):
        verify_record(row, TrustList().pin("The Gazette", issuer_key.key_id), NOW)


def test_a_key_pinned_for_engine_plans_vouches_for_no_record(row, core, issuer_key):
    """Whoever builds engines is no issuer, whatever he calls himself in a record."""
    trust = TrustList().pin(PLAN_SIGNERS, issuer_key.key_id)
    assert trust.issuer_pins == ()
    with pytest.raises(IssuerUntrusted, match="nobody pinned"):
        verify_record(row, trust, NOW)
    signed = sign_record(dataclasses.replace(core, issuer=PLAN_SIGNERS), issuer_key)
    as_issuer = dataclasses.replace(row, record=signed, tag_id=tag_id(signed.payload), binding=None)
    with pytest.raises(IssuerUntrusted, match="nobody pinned"):
        verify_record(as_issuer, trust, NOW)


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "covered"),
    [
        ("2026-03-01T10:00:00Z", None, True),
        ("2026-03-01T10:00:01Z", None, False),
        ("2026-01-01T00:00:00Z", "2026-03-01T10:00:06Z", True),
        ("2026-01-01T00:00:00Z", "2026-03-01T10:00:05Z", False),
        ("2026-01-01T00:00:00Z", "2026-03-01T10:00:00Z", False),
    ],
)
def test_created_and_logged_must_both_lie_in_the_window(row, issuer_key, valid_from, valid_until, covered):
    trust = TrustList().pin("The Herald", issuer_key.key_id, valid_from, valid_until)
    if covered:
        verify_record(row, trust, NOW)
    else:
        with pytest.raises(IssuerUntrusted, match="outside the window"):
            verify_record(row, trust, NOW)


def test_a_trusted_time_stands_in_for_the_time_of_the_log(row, issuer_key):
    late = dataclasses.replace(row, logged_at="2026-05-01T00:00:00Z")
    trust = TrustList().pin("The Herald", issuer_key.key_id, "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z")
    with pytest.raises(IssuerUntrusted):
        verify_record(late, trust, NOW)
    verify_record(late, trust, NOW, trusted_time="2026-03-02T00:00:00Z")


def test_a_revoked_key_needs_a_trusted_time(row, trust, issuer_key):
    revoked = trust.revoke(issuer_key.key_id, "compromise", "2026-04-01T00:00:00Z")
    with pytest.raises(KeyRevoked, match="no trusted time"):
        verify_record(row, revoked, NOW)
    with pytest.raises(KeyRevoked):
        verify_record(row, revoked, NOW, trusted_time="2026-04-01T00:00:00Z")
    verify_record(row, revoked, NOW, trusted_time="2026-03-31T23:59:59Z")


@pytest.mark.parametrize(("checked_at", "trusted_time"), [("now", None), (NOW, "then")])
def test_times_of_the_caller_must_be_times(row, trust, checked_at, trusted_time):
    with pytest.raises(TrustError, match="not UTC"):
        verify_record(row, trust, checked_at, trusted_time=trusted_time)


BAD_FIELDS = [
    ("version", 2),
    ("version", True),
    ("version", "1"),
    ("issuer", ""),
    ("issuer", "  "),
    ("issuer", 5),
    ("issuer", "The\x1b[31mHerald"),
    ("issuer", "The\nHerald"),
    ("issuer", "Herald\u202egpj"),
    ("issuer", "x" * 201),
    ("key_id", "ed25519:" + "A" * 64),
    ("nonce", "00"),
    ("nonce", "g" * 32),
    ("source_sha256", "0" * 63),
    ("source_sha256", "F" * 64),
    ("source_sha256", None),
    ("phash", "0" * 17),
    ("descriptors_sha256", None),
    ("preview_sha256", ""),
    ("width_px", 0),
    ("width_px", -1),
    ("width_px", 10**7),
    ("width_px", 5.5),
    ("height_px", "768"),
    ("height_px", None),
    ("model_id", "../x"),
    ("model_id", ""),
    ("carrier_key_id", "carrier:x"),
    ("created", "2026-03-01"),
    ("created", 0),
    ("rights", None),
    ("rights", "x" * 2001),
    ("contact", "a\u2028b"),
    ("policy", []),
]


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS)
def test_a_malformed_field_is_neither_parsed_nor_signed(core, issuer_key, name, value):
    fields = {**dataclasses.asdict(core), name: value}
    with pytest.raises(TrustError):
        parse_record_core(canonical_json(fields))
    with pytest.raises(TrustError):
        sign_record(dataclasses.replace(core, **{name: value}), issuer_key)


def test_missing_and_unknown_fields_are_refused(core):
    fields = dataclasses.asdict(core)
    for name in fields:
        without = {key: value for key, value in fields.items() if key != name}
        with pytest.raises(TrustError, match=f"lacks the field {name}"):
            parse_record_core(canonical_json(without))
    with pytest.raises(TrustError, match="unknown field"):
        parse_record_core(canonical_json({**fields, "extra": 1}))


def test_a_signed_payload_that_is_not_canonical_is_invalid(row, core, trust, issuer_key):
    payload = json.dumps(dataclasses.asdict(core)).encode()
    envelope = sign_envelope(RECORD_PAYLOAD_TYPE, payload, issuer_key)
    with pytest.raises(SignatureInvalid, match="canonical"):
        verify_record(dataclasses.replace(row, record=envelope, tag_id=tag_id(payload)), trust, NOW)


def test_a_payload_beyond_all_measure_is_refused_unread():
    with pytest.raises(TrustError, match="more than"):
        parse_record_core(b" " * 100_000)
    with pytest.raises(TrustError, match="more than"):
        parse_binding(b" " * 100_000)


@given(st.binary(max_size=100) | st.dictionaries(st.text(max_size=5), st.text(max_size=5)).map(canonical_json))
def test_any_bytes_parse_or_give_an_error(data):
    with pytest.raises(FtfError):
        parse_record_core(data)
    with pytest.raises(FtfError):
        parse_binding(data)


@given(data=st.data())
def test_any_changed_byte_of_a_payload_gives_an_error_or_another_record(core, data):
    payload = bytearray(canonical_json(dataclasses.asdict(core)))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        changed = parse_record_core(bytes(payload))
    except FtfError:
        return
    assert changed != core


def test_a_record_is_signed_only_by_the_key_it_names(core, other_key):
    with pytest.raises(TrustError, match="is to sign it"):
        sign_record(core, other_key)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tag_id", "0" * 15), ("record_sha256", ""), ("media_type", "text/html"), ("version", 0), ("created", "x")],
)
def test_a_malformed_binding_is_not_signed(issuer_key, name, value):
    binding = BindingStatement(
        tag_id="0" * 16,
        record_sha256="0" * 64,
        tagged_sha256="0" * 64,
        tagged_phash="0" * 16,
        media_type="image/png",
        created=NOW,
    )
    sign_binding(binding, issuer_key)
    with pytest.raises(TrustError):
        sign_binding(dataclasses.replace(binding, **{name: value}), issuer_key)


def test_every_part_of_a_row_shows_in_its_log_entry(row, other_key):
    entries = {log_entry(row)}
    for changes in (
        {"tag_id": "0" * 16},
        {"carrier_key_id": "carrier:" + "0" * 32},
        {"descriptors": b"others"},
        {"preview": None},
        {"public_key": other_key.public_key},
        {"logged_at": "2026-03-01T10:00:06Z"},
        {"log_index": 8},
        {"record": row.binding},
        {"binding": None},
    ):
        entries.add(log_entry(dataclasses.replace(row, **changes)))
    assert len(entries) == 10
