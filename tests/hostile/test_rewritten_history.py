"""Attack: whoever keeps the log changes, drops, inserts or reorders entries, or shows two people two logs."""

from __future__ import annotations

import dataclasses

import pytest
from signed_rows import HERALD, MALLORY, make_row

from ftforensics.errors import ChainBroken, SignatureInvalid
from ftforensics.trust import ledger
from ftforensics.trust.ledger import Checkpoint, Tree
from ftforensics.trust.record import log_entry

ROWS = [make_row(HERALD, photograph=f"photo {number}", log_index=number) for number in range(6)]
LEAVES = [ledger.leaf_hash(log_entry(row)) for row in ROWS]


def checkpoint(leaves: list[bytes], at: str = "2026-03-02T00:00:00Z") -> Checkpoint:
    return Checkpoint(origin="herald/photos", size=len(leaves), root=ledger.root(leaves).hex(), at=at)


PINNED = checkpoint(LEAVES[:4], at="2026-03-01T12:00:00Z")


def test_an_honest_log_continues_the_pinned_checkpoint():
    ledger.verify_growth(PINNED, checkpoint(LEAVES), Tree(LEAVES).consistency_proof(4))


REWRITTEN = {
    "changed log time": [
        ledger.leaf_hash(log_entry(dataclasses.replace(ROWS[1], logged_at="2026-02-01T00:00:00Z"))) if at == 1 else leaf
        for at, leaf in enumerate(LEAVES)
    ],
    "replaced record": [*LEAVES[:2], ledger.leaf_hash(log_entry(make_row(MALLORY, log_index=2))), *LEAVES[3:]],
    "dropped entry": [*LEAVES[:1], *LEAVES[2:]],
    "inserted entry": [LEAVES[5], *LEAVES],
    "reordered entries": [LEAVES[1], LEAVES[0], *LEAVES[2:]],
}


@pytest.mark.parametrize("leaves", REWRITTEN.values(), ids=REWRITTEN.keys())
def test_a_rewritten_log_has_no_proof_from_the_pinned_checkpoint(leaves):
    for proof in (Tree(leaves).consistency_proof(4), Tree(LEAVES).consistency_proof(4), ()):
        with pytest.raises(ChainBroken):
            ledger.verify_growth(PINNED, checkpoint(leaves), proof)


def test_a_shortened_log_is_refused():
    with pytest.raises(ChainBroken, match="shrank"):
        ledger.verify_growth(PINNED, checkpoint(LEAVES[:3]), ())


def test_a_newer_checkpoint_cannot_claim_an_older_time():
    with pytest.raises(ChainBroken, match="older"):
        ledger.verify_growth(PINNED, checkpoint(LEAVES, at="2026-03-01T11:00:00Z"), Tree(LEAVES).consistency_proof(4))


def test_two_views_of_one_log_do_not_fit_together():
    mine, theirs = checkpoint(LEAVES), checkpoint(REWRITTEN["replaced record"])
    assert mine.size == theirs.size
    with pytest.raises(ChainBroken):
        ledger.verify_growth(mine, theirs, ())


def test_an_entry_with_another_log_time_is_not_in_the_log():
    tree = Tree(LEAVES)
    ledger.verify_inclusion(ledger.leaf_hash(log_entry(ROWS[3])), 3, 6, tree.inclusion_proof(3), tree.root())
    backdated = dataclasses.replace(ROWS[3], logged_at="2026-01-01T00:00:00Z")
    with pytest.raises(ChainBroken) as caught:
        ledger.verify_inclusion(ledger.leaf_hash(log_entry(backdated)), 3, 6, tree.inclusion_proof(3), tree.root())
    assert caught.value.position == 3


def test_a_checkpoint_signed_by_anyone_else_is_refused():
    forged = ledger.sign_checkpoint(checkpoint(REWRITTEN["dropped entry"]), MALLORY)
    with pytest.raises(SignatureInvalid):
        ledger.verify_checkpoint(forged, HERALD.public_key)


def test_a_checkpoint_of_another_log_of_the_same_key_is_refused():
    signed = ledger.sign_checkpoint(dataclasses.replace(checkpoint(LEAVES), origin="herald/tests"), HERALD)
    with pytest.raises(SignatureInvalid, match="of the log"):
        ledger.verify_checkpoint(signed, HERALD.public_key, origin="herald/photos")
