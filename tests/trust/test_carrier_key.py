from __future__ import annotations

import hashlib
import hmac
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftforensics.errors import FtfError, KeyLocked, TrustError
from ftforensics.trust.carrier_key import parse_carrier_key, parse_carrier_key_header
from ftforensics.trust.keys import CarrierKey

SECRET = bytes(range(32))
KEY = CarrierKey.from_secret("c", SECRET)


@pytest.fixture(scope="module")
def locked_data(tmp_path_factory):
    path = tmp_path_factory.mktemp("carrier") / "c.carrier"
    KEY.save(path, "passphrase")
    return path.read_bytes()


@pytest.fixture(scope="module")
def open_data(tmp_path_factory):
    path = tmp_path_factory.mktemp("carrier") / "c.carrier"
    KEY.save(path, None)
    return path.read_bytes()


def hkdf_sha256(secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, written again from the standard."""
    pseudo_random = hmac.new(b"\0" * 32, secret, hashlib.sha256).digest()
    block, output, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.new(pseudo_random, block + info + bytes([counter]), hashlib.sha256).digest()
        output += block
        counter += 1
    return output[:length]


@given(st.text(max_size=20), st.integers(1, 8160))
@settings(max_examples=30)
def test_derived_bytes_are_hkdf(label, length):
    assert KEY.derive(label, length) == hkdf_sha256(SECRET, b"ftf-carrier-v1/derive/" + label.encode(), length)


def test_the_key_id_is_derived_and_stable():
    assert KEY.key_id == "carrier:" + hkdf_sha256(SECRET, b"ftf-carrier-v1/key-id", 16).hex()
    assert SECRET.hex()[:8] not in KEY.key_id


@given(st.text(max_size=10), st.text(max_size=10))
def test_labels_give_independent_bytes(one, other):
    assert (KEY.derive(one, 32) == KEY.derive(other, 32)) == (one == other)


def test_no_label_reaches_the_bytes_of_the_key_id():
    assert KEY.derive("key-id", 16).hex() not in KEY.key_id


@pytest.mark.parametrize("length", [0, -1, 8161])
def test_a_length_out_of_range_is_refused(length):
    with pytest.raises(TrustError):
        KEY.derive("x", length)


def test_a_label_that_is_no_text_is_refused():
    with pytest.raises(TrustError):
        KEY.derive("\ud800", 8)


def test_locked_round_trip(locked_data):
    key = parse_carrier_key(locked_data, "passphrase")
    assert key == KEY
    assert key.derive("x", 8) == KEY.derive("x", 8)
    assert SECRET.hex().encode() not in locked_data
    assert parse_carrier_key_header(locked_data).locked


def test_open_round_trip(open_data):
    assert parse_carrier_key(open_data, None).derive("x", 8) == KEY.derive("x", 8)
    assert not parse_carrier_key_header(open_data).locked


@pytest.mark.parametrize("passphrase", [None, "", "wrong"])
def test_a_missing_or_wrong_passphrase_is_key_locked(locked_data, passphrase):
    with pytest.raises(KeyLocked):
        parse_carrier_key(locked_data, passphrase)


@pytest.mark.parametrize("part", ["name", "key_id", "nonce", "salt", "secret"])
def test_any_changed_part_of_a_locked_file_is_an_error(locked_data, part):
    start = locked_data.index(f'"{part}":"'.encode()) + len(part) + 4
    if part == "key_id":
        start += len("carrier:")
    changed = bytearray(locked_data)
    changed[start] = ord("0") if changed[start] != ord("0") else ord("1")
    with pytest.raises(TrustError):
        parse_carrier_key(bytes(changed), "passphrase")


def test_the_cost_of_unlocking_is_not_for_the_file_to_choose(locked_data):
    assert b"scrypt-16384-8-5" in locked_data
    with pytest.raises(TrustError, match="protection"):
        parse_carrier_key(locked_data.replace(b"scrypt-16384", b"scrypt-99999999"), "passphrase")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_any_changed_byte_of_an_open_file_gives_an_error_or_another_name(open_data, position, flip):
    data = bytearray(open_data)
    data[position % len(data)] ^= flip
    try:
        key = parse_carrier_key(bytes(data), None)
    except FtfError:
        return
    assert key.key_id == KEY.key_id
    assert key.name != KEY.name


@given(st.binary(max_size=100))
def test_any_bytes_parse_to_a_key_or_an_error(data):
    with pytest.raises(TrustError):
        parse_carrier_key(data, None)


def test_the_file_is_for_its_owner_alone_and_warns_when_it_is_not(tmp_path):
    path = tmp_path / "c.carrier"
    KEY.save(path, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert CarrierKey.load(path, None).warnings == ()
    path.chmod(0o644)
    assert "0644" in CarrierKey.load(path, None).warnings[0]
    assert any("not locked" in warning for warning in CarrierKey.load(path, "x").warnings)


def test_generated_keys_differ_and_hide_their_secret():
    assert CarrierKey.generate("c").key_id != CarrierKey.generate("c").key_id
    assert "secret" not in repr(KEY)


def test_a_secret_of_another_length_is_refused():
    with pytest.raises(TrustError):
        CarrierKey.from_secret("c", b"short")
