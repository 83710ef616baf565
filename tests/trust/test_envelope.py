from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftforensics.domain.record import SignedEnvelope
from ftforensics.errors import FtfError, SignatureInvalid, TrustError
from ftforensics.trust.envelope import (
    envelope_to_json,
    parse_envelope,
    pre_authentication_encoding,
    sign_envelope,
    verify_envelope,
)
from ftforensics.trust.keys import SigningKey

KEY = SigningKey.from_seed("k", "issuer", b"k" * 32)
OTHER = SigningKey.from_seed("o", "issuer", b"o" * 32)
TYPE = "application/vnd.test.v1+json"
DATA = envelope_to_json(sign_envelope(TYPE, b'{"a":1}', KEY))


def open_envelope(data: bytes) -> bytes:
    return verify_envelope(parse_envelope(data), KEY.public_key, TYPE)


def test_the_signed_bytes_are_those_of_the_dsse_specification():
    assert (
        pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_length_is_in_bytes_and_not_in_characters():
    assert pre_authentication_encoding("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


@given(st.binary(max_size=200))
def test_any_payload_survives_signing_and_the_file(payload):
    data = envelope_to_json(sign_envelope(TYPE, payload, KEY))
    assert open_envelope(data) == payload


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_changed_byte_breaks_the_envelope(position, flip):
    changed = DATA[:position] + bytes([DATA[position] ^ flip]) + DATA[position + 1 :]
    with pytest.raises(TrustError):
        open_envelope(changed)


@given(st.integers(0, len(DATA) - 1))
def test_any_cut_breaks_the_envelope(end):
    with pytest.raises(TrustError):
        open_envelope(DATA[:end])


@given(st.binary(max_size=100) | st.text(max_size=100).map(lambda text: text.encode()))
def test_any_bytes_parse_to_an_envelope_or_an_error(data):
    try:
        envelope = parse_envelope(data)
    except FtfError:
        return
    assert isinstance(envelope, SignedEnvelope)


def test_another_payload_type_is_refused_before_the_signature_counts():
    envelope = sign_envelope("application/vnd.other+json", b"{}", KEY)
    with pytest.raises(SignatureInvalid, match="payload type"):
        verify_envelope(envelope, KEY.public_key, TYPE)


def test_relabelling_the_type_breaks_the_signature():
    envelope = dataclasses.replace(sign_envelope("application/vnd.other+json", b"{}", KEY), payload_type=TYPE)
    with pytest.raises(SignatureInvalid, match="does not fit"):
        verify_envelope(envelope, KEY.public_key, TYPE)


def test_another_key_is_refused():
    envelope = sign_envelope(TYPE, b"{}", KEY)
    with pytest.raises(SignatureInvalid, match="key at hand"):
        verify_envelope(envelope, OTHER.public_key, TYPE)


def test_the_unsigned_key_id_cannot_be_changed():
    envelope = dataclasses.replace(sign_envelope(TYPE, b"{}", KEY), key_id=OTHER.key_id)
    with pytest.raises(SignatureInvalid):
        verify_envelope(envelope, KEY.public_key, TYPE)


@pytest.mark.parametrize("public_key", [b"", b"x" * 31, b"\0" * 32, b"\xff" * 32])
def test_a_malformed_public_key_verifies_nothing(public_key):
    with pytest.raises(SignatureInvalid):
        verify_envelope(sign_envelope(TYPE, b"{}", KEY), public_key, TYPE)


def test_two_signatures_are_refused():
    text = DATA.decode()
    start, end = text.index("[") + 1, text.index("]")
    with pytest.raises(TrustError):
        parse_envelope((text[:end] + "," + text[start:end] + text[end:]).encode())


def test_no_signature_is_refused():
    with pytest.raises(TrustError, match="carries no signature"):
        parse_envelope(b'{"payload":"","payloadType":"a/b","signatures":[]}')


def test_base64_with_stray_bits_is_refused():
    assert b'"eyJhIjoxfQ=="' in DATA
    with pytest.raises(TrustError, match="canonical spelling"):
        parse_envelope(DATA.replace(b'"eyJhIjoxfQ=="', b'"eyJhIjoxfR=="'))


def test_a_payload_type_that_is_no_media_type_is_not_signed():
    with pytest.raises(TrustError):
        sign_envelope("text with spaces", b"", KEY)
