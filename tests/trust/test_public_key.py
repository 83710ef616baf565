from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ftforensics.errors import FtfError, SignatureInvalid, TrustError
from ftforensics.trust.keys import SigningKey, fingerprint, parse_public_key, public_key_pem, verify_signature

# RFC 8032 section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def curve_x(y: int) -> int | None:
    """An x of the point with this y on edwards25519, or None."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if (x * x - square) % P == 0 else None


def double(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    product = D * x * x * y * y
    return 2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P


def has_small_order(y: int) -> bool:
    x = curve_x(y % P)
    assert x is not None
    return double(double(double((x, y % P)))) == (0, 1)


def test_keys_and_signatures_are_those_of_rfc_8032():
    key = SigningKey.from_seed("t", "issuer", SEED)
    assert key.public_key == PUBLIC
    assert key.sign(b"\x72") == SIGNATURE
    verify_signature(PUBLIC, SIGNATURE, b"\x72")


def test_the_fingerprint_is_the_hash_of_the_raw_key():
    assert fingerprint(PUBLIC) == "ed25519:" + hashlib.sha256(PUBLIC).hexdigest()


@given(st.integers(0, 511))
def test_any_changed_bit_of_a_signature_is_refused(bit):
    changed = bytearray(SIGNATURE)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalid):
        verify_signature(PUBLIC, bytes(changed), b"\x72")


def test_adding_the_group_order_does_not_give_a_second_valid_signature():
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(SIGNATURE[32:], "little") + order
    with pytest.raises(SignatureInvalid):
        verify_signature(PUBLIC, SIGNATURE[:32] + scalar.to_bytes(32, "little"), b"\x72")


@given(st.binary(max_size=70), st.binary(max_size=40), st.binary(max_size=10))
def test_random_signatures_and_keys_are_refused(signature, public_key, message):
    with pytest.raises(SignatureInvalid):
        verify_signature(public_key, signature, message)


SMALL_ORDER_Y = [
    0,
    1,
    int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
    int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    P - 1,
    P,
    P + 1,
]


@pytest.mark.parametrize("sign_bit", [0, 0x80])
@pytest.mark.parametrize("y", SMALL_ORDER_Y)
def test_points_of_small_order_are_refused_as_keys(y, sign_bit):
    assert has_small_order(y)
    encoded = bytearray(y.to_bytes(32, "little"))
    encoded[31] |= sign_bit
    with pytest.raises(TrustError, match="small order"):
        fingerprint(bytes(encoded))


def test_there_are_no_more_small_orders_than_the_eight_points():
    # A point of order 8 doubles to one of order 4, whose y is 0: D*y^4 + 2*y^2 - 1 = 0, with four roots +-y1, +-y2,
    # of which two lie in the field. With 0, 1 and -1 that makes five values of y; P and P + 1 respell 0 and 1.
    roots = [y for y in SMALL_ORDER_Y if (D * pow(y, 4, P) + 2 * y * y - 1) % P == 0]
    assert len(roots) == 2
    assert sum(roots) == P


def test_pem_round_trip():
    assert parse_public_key(public_key_pem(PUBLIC)) == PUBLIC


@given(st.binary(max_size=80))
@example(b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")
@example(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
def test_any_bytes_parse_to_a_key_or_an_error(data):
    try:
        key = parse_public_key(data)
    except FtfError:
        return
    assert len(key) == 32


def test_a_key_of_another_kind_is_refused():
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(TrustError, match="not an Ed25519"):
        parse_public_key(pem)
