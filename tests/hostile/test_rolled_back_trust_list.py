"""Attack: put back an old trust list, from before a key was revoked, or slip in a list of one's own."""

from __future__ import annotations

import pytest
from signed_rows import EXAMINER, HERALD, MALLORY

from ftforensics.errors import SignatureInvalid, TrustError
from ftforensics.trust.trustlist import TrustList, load_trust_list, save_trust_list

OLD = TrustList().pin("The Herald", HERALD.key_id)
NEW = OLD.revoke(HERALD.key_id, "compromise", "2026-06-01T00:00:00Z")


def test_an_older_list_is_refused_by_whoever_saw_a_newer_one(tmp_path):
    path = tmp_path / "trust.json"
    save_trust_list(path, NEW, EXAMINER)
    seen = load_trust_list(path, public_key=EXAMINER.public_key)
    save_trust_list(path, OLD, EXAMINER)
    with pytest.raises(TrustError, match="older than version 2"):
        load_trust_list(path, public_key=EXAMINER.public_key, minimum_version=seen.version)


def test_the_hash_in_the_run_tells_the_lists_apart():
    assert OLD.sha256 != NEW.sha256


def test_a_list_signed_by_another_is_refused(tmp_path):
    path = tmp_path / "trust.json"
    save_trust_list(path, OLD.pin("The Herald", MALLORY.key_id), MALLORY)
    with pytest.raises(SignatureInvalid):
        load_trust_list(path, public_key=EXAMINER.public_key)


def test_taking_the_signature_off_does_not_help(tmp_path):
    path = tmp_path / "trust.json"
    save_trust_list(path, OLD.pin("The Herald", MALLORY.key_id))
    with pytest.raises(SignatureInvalid, match="not signed"):
        load_trust_list(path, public_key=EXAMINER.public_key)
