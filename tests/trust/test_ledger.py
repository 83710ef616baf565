from __future__ import annotations

import dataclasses
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.errors import ChainBroken, FtfError, SignatureInvalid, TrustError
from ftforensics.trust import ledger
from ftforensics.trust.envelope import envelope_to_json, parse_envelope, sign_envelope
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.ledger import Checkpoint, Frontier, Tree

KEY = SigningKey.from_seed("log", "issuer", b"l" * 32)
OTHER = SigningKey.from_seed("other", "issuer", b"o" * 32)
LEAVES = [ledger.leaf_hash(bytes([number])) for number in range(70)]

# Inputs and roots of the reference tests of Certificate Transparency.
REFERENCE = [b"", b"\0", b"\x10", b"\x20\x21", b"\x30\x31", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
REFERENCE_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def root_of_the_standard(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word, on leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    parts = root_of_the_standard(leaves[:split]) + root_of_the_standard(leaves[split:])
    return hashlib.sha256(b"\x01" + parts).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size):
    leaves = [ledger.leaf_hash(data) for data in REFERENCE[:size]]
    assert ledger.root(leaves).hex() == REFERENCE_ROOTS[size]
    assert Tree(leaves).root().hex() == REFERENCE_ROOTS[size]


@pytest.mark.parametrize("size", range(len(LEAVES) + 1))
def test_roots_are_those_of_the_definition(size):
    expected = root_of_the_standard(LEAVES[:size])
    assert Frontier(LEAVES[:size]).root() == expected
    assert Tree(LEAVES[:size]).root() == expected


@pytest.mark.parametrize("size", range(1, 35))
def test_every_leaf_of_every_tree_proves_its_place_and_no_other(size):
    tree = Tree(LEAVES[:size])
    for index in range(size):
        proof = tree.inclusion_proof(index)
        ledger.verify_inclusion(LEAVES[index], index, size, proof, tree.root())
        for other in range(size):
            if other != index:
                with pytest.raises(ChainBroken):
                    ledger.verify_inclusion(LEAVES[index], other, size, proof, tree.root())


@pytest.mark.parametrize("size", range(35))
def test_every_earlier_tree_is_proved_to_be_continued(size):
    tree = Tree(LEAVES[:size])
    for old_size in range(size + 1):
        proof = tree.consistency_proof(old_size)
        ledger.verify_consistency(old_size, ledger.root(LEAVES[:old_size]), size, tree.root(), proof)


@given(st.integers(0, 70), st.integers(0, 70))
def test_an_edge_put_away_and_taken_up_goes_on_as_before(size, more):
    edge = Frontier.unpack(size, Frontier(LEAVES[:size]).pack())
    for leaf in LEAVES[size : size + more]:
        edge.append(leaf)
    assert edge.size == min(size + more, 70)
    assert edge.root() == ledger.root(LEAVES[: size + more])


@given(st.integers(-2, 70), st.binary(max_size=100))
def test_an_edge_of_anything_is_refused_or_whole(size, packed):
    try:
        edge = Frontier.unpack(size, packed)
    except ChainBroken:
        return
    assert edge.pack() == packed


@given(st.data())
@settings(max_examples=150)
def test_any_changed_byte_breaks_an_inclusion_proof(data):
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(LEAVES[:size])
    parts = [LEAVES[index], tree.root(), *tree.inclusion_proof(index)]
    which = data.draw(st.integers(0, len(parts) - 1))
    at, flip = data.draw(st.integers(0, 31)), data.draw(st.integers(1, 255))
    parts[which] = parts[which][:at] + bytes([parts[which][at] ^ flip]) + parts[which][at + 1 :]
    with pytest.raises(ChainBroken):
        ledger.verify_inclusion(parts[0], index, size, parts[2:], parts[1])


@given(st.data())
@settings(max_examples=150)
def test_any_changed_byte_breaks_a_consistency_proof(data):
    size = data.draw(st.integers(2, len(LEAVES)))
    old_size = data.draw(st.integers(1, size - 1))
    tree = Tree(LEAVES[:size])
    parts = [ledger.root(LEAVES[:old_size]), tree.root(), *tree.consistency_proof(old_size)]
    which = data.draw(st.integers(0, len(parts) - 1))
    at, flip = data.draw(st.integers(0, 31)), data.draw(st.integers(1, 255))
    parts[which] = parts[which][:at] + bytes([parts[which][at] ^ flip]) + parts[which][at + 1 :]
    with pytest.raises(ChainBroken):
        ledger.verify_consistency(old_size, parts[0], size, parts[1], parts[2:])


@given(st.integers(1, 70), st.integers(0, 69), st.integers(1, 255))
@settings(max_examples=100)
def test_a_rewritten_entry_has_no_consistency_proof(old_size, index, flip):
    index %= old_size
    rewritten = list(LEAVES)
    rewritten[index] = ledger.leaf_hash(bytes([index ^ flip, 1]))
    proof = ledger.consistency_proof(rewritten, old_size)
    with pytest.raises(ChainBroken):
        ledger.verify_consistency(
            old_size, ledger.root(LEAVES[:old_size]), len(rewritten), ledger.root(rewritten), proof
        )


@given(
    st.integers(-1, 80),
    st.integers(-1, 80),
    st.lists(st.binary(min_size=30, max_size=33), max_size=8),
    st.binary(min_size=31, max_size=32),
)
def test_proofs_made_up_of_anything_are_refused(index, size, proof, leaf):
    with pytest.raises(ChainBroken):
        ledger.verify_inclusion(leaf, index, size, proof, b"\0" * 32)
    with pytest.raises(ChainBroken):
        ledger.verify_consistency(index, leaf, size, b"\0" * 32, proof)


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_a_proof_that_is_too_long_or_too_short_is_refused(size):
    tree = Tree(LEAVES[:size])
    proof = tree.inclusion_proof(0)
    with pytest.raises(ChainBroken):
        ledger.verify_inclusion(LEAVES[0], 0, size, [*proof, LEAVES[9]], tree.root())
    if proof:
        with pytest.raises(ChainBroken):
            ledger.verify_inclusion(LEAVES[0], 0, size, proof[:-1], tree.root())


def test_an_inner_node_cannot_be_passed_off_as_an_entry():
    tree = Tree(LEAVES[:4])
    left, right = ledger.node_hash(*LEAVES[:2]), ledger.node_hash(*LEAVES[2:4])
    assert ledger.node_hash(left, right) == tree.root()
    with pytest.raises(ChainBroken):
        ledger.verify_inclusion(ledger.leaf_hash(LEAVES[0] + LEAVES[1]), 0, 2, [right], tree.root())


def test_a_log_that_shrank_is_refused():
    with pytest.raises(ChainBroken, match="shrank"):
        ledger.verify_consistency(5, ledger.root(LEAVES[:5]), 4, ledger.root(LEAVES[:4]), [])


def test_the_empty_log_is_continued_by_every_log_but_only_under_its_own_root():
    ledger.verify_consistency(0, ledger.EMPTY_ROOT, 3, ledger.root(LEAVES[:3]), [])
    with pytest.raises(ChainBroken):
        ledger.verify_consistency(0, LEAVES[0], 3, ledger.root(LEAVES[:3]), [])


@pytest.mark.parametrize("call", [lambda: ledger.inclusion_proof(LEAVES, 70), lambda: ledger.inclusion_proof([], 0)])
def test_a_leaf_that_is_not_there_has_no_proof(call):
    with pytest.raises(TrustError):
        call()


def test_a_later_log_has_no_proof_yet():
    with pytest.raises(TrustError):
        ledger.consistency_proof(LEAVES[:3], 4)


@pytest.mark.parametrize("make", [Frontier, Tree, ledger.root])
def test_what_is_no_hash_is_refused(make):
    with pytest.raises(TrustError):
        make([b"short"])


CHECKPOINT = Checkpoint(origin="herald/2026", size=5, root=ledger.root(LEAVES[:5]).hex(), at="2026-03-01T00:00:00Z")
SIGNED = envelope_to_json(ledger.sign_checkpoint(CHECKPOINT, KEY))


def test_a_signed_checkpoint_comes_back():
    assert ledger.verify_checkpoint(parse_envelope(SIGNED), KEY.public_key, origin="herald/2026") == CHECKPOINT


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_any_changed_byte_breaks_a_checkpoint(position, flip):
    changed = SIGNED[:position] + bytes([SIGNED[position] ^ flip]) + SIGNED[position + 1 :]
    with pytest.raises(TrustError):
        ledger.verify_checkpoint(parse_envelope(changed), KEY.public_key)


def test_another_key_and_another_log_are_refused():
    with pytest.raises(SignatureInvalid):
        ledger.verify_checkpoint(parse_envelope(SIGNED), OTHER.public_key)
    with pytest.raises(SignatureInvalid, match="of the log"):
        ledger.verify_checkpoint(parse_envelope(SIGNED), KEY.public_key, origin="herald/2027")


def test_a_signed_payload_that_is_no_checkpoint_is_refused():
    envelope = sign_envelope(ledger.CHECKPOINT_PAYLOAD_TYPE, b"{}", KEY)
    with pytest.raises(SignatureInvalid, match="lacks the field"):
        ledger.verify_checkpoint(envelope, KEY.public_key)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": -1},
        {"size": True},
        {"size": 2**53},
        {"root": "AB" * 32},
        {"root": "ab"},
        {"at": "today"},
        {"origin": ""},
        {"origin": "a\nb"},
        {"version": 2},
    ],
)
def test_a_malformed_checkpoint_is_not_signed(changes):
    with pytest.raises(TrustError):
        ledger.sign_checkpoint(dataclasses.replace(CHECKPOINT, **changes), KEY)


@given(st.binary(max_size=100))
def test_any_bytes_parse_to_a_checkpoint_or_an_error(data):
    with pytest.raises(FtfError):
        ledger.parse_checkpoint(data)


def test_growth_from_one_checkpoint_to_the_next():
    later = Checkpoint(origin="herald/2026", size=9, root=ledger.root(LEAVES[:9]).hex(), at="2026-03-02T00:00:00Z")
    proof = ledger.consistency_proof(LEAVES[:9], 5)
    ledger.verify_growth(CHECKPOINT, later, proof)
    for broken in (
        dataclasses.replace(later, origin="other"),
        dataclasses.replace(later, at="2026-02-28T00:00:00Z"),
        dataclasses.replace(later, root=ledger.root(LEAVES[1:10]).hex()),
        dataclasses.replace(later, size=4),
    ):
        with pytest.raises(ChainBroken):
            ledger.verify_growth(CHECKPOINT, broken, proof)
