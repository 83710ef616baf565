"""Attack: try nonces until the tag id of one's record happens to match what a reader sees in somebody's picture."""

from __future__ import annotations

import dataclasses
import time

import pytest
from signed_rows import HERALD, make_core, make_row

from ftforensics.errors import SignatureInvalid
from ftforensics.trust.canonical import canonical_json
from ftforensics.trust.record import sign_record, tag_id, verify_record
from ftforensics.trust.trustlist import TrustList


def test_every_try_costs_a_scrypt_of_32_mib():
    core = make_core(HERALD)
    payloads = [
        canonical_json(dataclasses.asdict(dataclasses.replace(core, nonce=f"{number:032x}"))) for number in range(4)
    ]
    start = time.perf_counter()
    ids = {tag_id(payload) for payload in payloads}
    assert len(ids) == 4
    assert (time.perf_counter() - start) / 4 > 0.005


def test_an_id_that_was_wished_for_does_not_verify():
    row = make_row(HERALD)
    trust = TrustList().pin("The Herald", HERALD.key_id)
    wished = dataclasses.replace(row, tag_id="0123456789abcdef", binding=None)
    with pytest.raises(SignatureInvalid, match="does not follow"):
        verify_record(wished, trust, "2026-08-01T00:00:00Z")


def test_signing_again_gives_no_second_id():
    core = make_core(HERALD)
    assert tag_id(sign_record(core, HERALD).payload) == tag_id(sign_record(core, HERALD).payload)
