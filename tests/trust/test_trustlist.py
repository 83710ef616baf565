from __future__ import annotations

import dataclasses
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftforensics.errors import FtfError, KeyRevoked, KeyUnknown, SignatureInvalid, TrustError, WriteFailed
from ftforensics.trust.envelope import envelope_to_json, sign_envelope
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.trustlist import Pin, TrustList, load_trust_list, parse_trust_list, save_trust_list

EXAMINER = SigningKey.from_seed("examiner", "examiner", b"e" * 32)
A = "ed25519:" + "a" * 64
B = "ed25519:" + "b" * 64
FROM, UNTIL = "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"
TRUST = TrustList().pin("Herald", B, FROM, UNTIL).pin("Agency", A).revoke(B, "superseded", "2026-06-01T00:00:00Z")


def test_a_list_is_a_value_and_counts_its_versions():
    empty = TrustList()
    one = empty.pin("Herald", A)
    assert (empty.version, empty.pins) == (0, ())
    assert one.version == 1
    assert one.remove("Herald", A).version == 2
    assert one.sha256 != empty.sha256


def test_the_hash_does_not_depend_on_the_order_of_pinning():
    one = TrustList().pin("Herald", A).pin("Agency", B)
    other = TrustList().pin("Agency", B).pin("Herald", A)
    assert one == other
    assert one.sha256 == other.sha256


def test_pinning_again_replaces_the_window():
    trust = TrustList().pin("Herald", A, FROM).pin("Herald", A, FROM, UNTIL)
    assert trust.pins == (Pin(issuer="Herald", fingerprint=A, valid_from=FROM, valid_until=UNTIL),)


def test_one_key_may_speak_for_two_issuers():
    assert len(TrustList().pin("Herald", A).pin("Agency", A).pins) == 2


def test_removing_what_is_not_pinned_is_key_unknown():
    with pytest.raises(KeyUnknown):
        TRUST.remove("Herald", A)


@pytest.mark.parametrize(
    "arguments",
    [
        ("", A),
        ("A\nB", A),
        ("Herald\u202e", A),
        ("x" * 201, A),
        ("Herald", A.upper()),
        ("Herald", A[:-1]),
        ("Herald", "a" * 64),
        ("Herald", A, "yesterday"),
        ("Herald", A, UNTIL, FROM),
        ("Herald", A, FROM, FROM),
    ],
)
def test_a_malformed_pin_is_refused(arguments):
    with pytest.raises(TrustError):
        TrustList().pin(*arguments)


@pytest.mark.parametrize(
    ("at", "covered"),
    [
        ("2025-12-31T23:59:59.999999Z", False),
        (FROM, True),
        ("2026-12-31T23:59:59Z", True),
        (UNTIL, False),
    ],
)
def test_a_window_holds_its_start_and_not_its_end(at, covered):
    assert Pin(issuer="Herald", fingerprint=A, valid_from=FROM, valid_until=UNTIL).covers(at) is covered


MARCH, JUNE, JULY = "2026-03-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"


@pytest.mark.parametrize(
    ("reason", "checked_at", "trusted_time", "stands"),
    [
        ("compromise", JULY, None, False),
        ("compromise", JULY, MARCH, True),
        ("compromise", JULY, JUNE, False),
        ("compromise", JULY, JULY, False),
        ("compromise", MARCH, None, False),
        ("superseded", JULY, None, False),
        ("superseded", JULY, MARCH, True),
        ("superseded", JULY, JUNE, False),
        ("superseded", MARCH, None, True),
        ("superseded", JUNE, None, False),
    ],
)
def test_a_revoked_key_stands_only_before_its_end(reason, checked_at, trusted_time, stands):
    trust = TrustList().revoke(A, reason, JUNE)
    trust.check_revocation(B, checked_at=checked_at, trusted_time=trusted_time)
    if stands:
        trust.check_revocation(A, checked_at=checked_at, trusted_time=trusted_time)
    else:
        with pytest.raises(KeyRevoked):
            trust.check_revocation(A, checked_at=checked_at, trusted_time=trusted_time)


def test_a_revocation_can_be_tightened_and_never_softened():
    trust = TrustList().revoke(A, "superseded", JUNE)
    tighter = trust.revoke(A, "superseded", MARCH).revoke(A, "compromise", JULY).revoke(A, "compromise", JUNE)
    assert len(tighter.revocations) == 1
    for reason, at in (("superseded", MARCH), ("compromise", JULY)):
        with pytest.raises(TrustError, match="softened"):
            tighter.revoke(A, reason, at)


@pytest.mark.parametrize("arguments", [(A, "lost", JUNE), (A, "compromise", "June"), ("x", "compromise", JUNE)])
def test_a_malformed_revocation_is_refused(arguments):
    with pytest.raises(TrustError):
        TrustList().revoke(*arguments)


pins = st.tuples(st.sampled_from(["Herald", "Agency", "Üb"]), st.sampled_from([A, B]), st.sampled_from([FROM, MARCH]))


@given(st.lists(pins, max_size=6), st.lists(st.sampled_from([A, B]), unique=True, max_size=2))
def test_every_list_survives_its_bytes(pinned, revoked):
    trust = TrustList()
    for pin in pinned:
        trust = trust.pin(*pin)
    for fingerprint in revoked:
        trust = trust.revoke(fingerprint, "compromise", JUNE)
    assert parse_trust_list(trust.to_bytes()) == trust


@given(st.integers(0, len(TRUST.to_bytes()) - 1), st.integers(1, 255))
def test_any_changed_byte_gives_an_error_or_another_hash(position, flip):
    data = bytearray(TRUST.to_bytes())
    data[position] ^= flip
    try:
        changed = parse_trust_list(bytes(data))
    except FtfError:
        return
    assert changed.sha256 != TRUST.sha256


@pytest.mark.parametrize("field", ["pins", "revocations"])
def test_entries_twice_or_out_of_order_are_refused(field):
    entries = getattr(TRUST.revoke(A, "compromise", JUNE), field)
    for wrong in (tuple(reversed(entries)), (*entries, entries[-1])):
        with pytest.raises(TrustError):
            parse_trust_list(dataclasses.replace(TRUST, **{field: wrong}).to_bytes())


@given(st.binary(max_size=100))
def test_any_bytes_parse_to_a_list_or_an_error(data):
    with pytest.raises(FtfError):
        parse_trust_list(data)


@pytest.mark.parametrize("signer", [None, EXAMINER])
def test_the_file_comes_back(tmp_path, signer):
    path = tmp_path / "trust.json"
    save_trust_list(path, TrustList(), signer)
    save_trust_list(path, TRUST, signer)
    assert load_trust_list(path) == TRUST
    assert load_trust_list(path).signed_by is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["trust.json"]


def test_a_signed_list_is_held_to_its_key(tmp_path):
    path = tmp_path / "trust.json"
    save_trust_list(path, TRUST, EXAMINER)
    assert load_trust_list(path, public_key=EXAMINER.public_key).signed_by == EXAMINER.key_id
    other = SigningKey.from_seed("other", "examiner", b"o" * 32)
    with pytest.raises(SignatureInvalid):
        load_trust_list(path, public_key=other.public_key)


def test_an_unsigned_list_is_refused_where_a_signature_is_asked_for(tmp_path):
    save_trust_list(tmp_path / "trust.json", TRUST)
    with pytest.raises(SignatureInvalid, match="not signed"):
        load_trust_list(tmp_path / "trust.json", public_key=EXAMINER.public_key)


SIGNED = envelope_to_json(sign_envelope("application/vnd.ftforensics.trust-list.v1+json", TRUST.to_bytes(), EXAMINER))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, len(SIGNED) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_breaks_a_signed_list(tmp_path, position, flip):
    path = tmp_path / "trust.json"
    path.write_bytes(SIGNED[:position] + bytes([SIGNED[position] ^ flip]) + SIGNED[position + 1 :])
    with pytest.raises(TrustError):
        load_trust_list(path, public_key=EXAMINER.public_key)


def test_an_envelope_of_something_else_is_refused(tmp_path):
    path = tmp_path / "trust.json"
    path.write_bytes(envelope_to_json(sign_envelope("application/json", TRUST.to_bytes(), EXAMINER)))
    with pytest.raises(SignatureInvalid):
        load_trust_list(path)


def test_a_missing_list_is_key_unknown(tmp_path):
    with pytest.raises(KeyUnknown):
        load_trust_list(tmp_path / "none.json")


def test_a_failed_write_leaves_the_old_list(tmp_path):
    path = tmp_path / "trust.json"
    path.mkdir()
    with pytest.raises(WriteFailed):
        save_trust_list(path, TRUST)
    assert list(tmp_path.iterdir()) == [path]
