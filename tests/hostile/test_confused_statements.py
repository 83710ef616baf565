"""Attack: present a signed statement of one kind as one of another kind."""

from __future__ import annotations

import dataclasses

import pytest
from custody import make_chain, make_head
from signed_rows import EXAMINER, HERALD, make_row

from ftforensics.errors import SignatureInvalid
from ftforensics.trust.chain import sign_head, verify_head
from ftforensics.trust.ledger import EMPTY_ROOT, Checkpoint, sign_checkpoint, verify_checkpoint
from ftforensics.trust.record import verify_record
from ftforensics.trust.trustlist import TrustList

NOW = "2026-08-01T00:00:00Z"
TRUST = TrustList().pin("The Herald", HERALD.key_id)
ROW = make_row(HERALD)
CHECKPOINT = sign_checkpoint(Checkpoint(origin="log", size=0, root=EMPTY_ROOT.hex(), at=NOW), EXAMINER)
HEAD = sign_head(make_head(make_chain()), EXAMINER)


def test_a_binding_is_no_record_and_a_record_no_binding():
    for changes in ({"record": ROW.binding}, {"binding": ROW.record}):
        with pytest.raises(SignatureInvalid, match="payload type"):
            verify_record(dataclasses.replace(ROW, **changes), TRUST, NOW)


def test_a_head_is_no_checkpoint_and_a_checkpoint_no_head():
    with pytest.raises(SignatureInvalid, match="payload type"):
        verify_checkpoint(HEAD, EXAMINER.public_key)
    with pytest.raises(SignatureInvalid, match="payload type"):
        verify_head(CHECKPOINT, EXAMINER.public_key)


def test_relabelling_the_kind_breaks_the_signature():
    relabelled = dataclasses.replace(HEAD, payload_type=CHECKPOINT.payload_type)
    with pytest.raises(SignatureInvalid, match="does not fit"):
        verify_checkpoint(relabelled, EXAMINER.public_key)
