from __future__ import annotations

import stat

import pytest

from ftforensics.errors import AlreadyExists, KeyLocked, KeyUnknown, TrustError, WriteFailed
from ftforensics.trust.keys import CarrierKey, KeyFolder, SigningKey

ALICE = SigningKey.from_seed("alice", "issuer", b"a" * 32)
BOB = SigningKey.from_seed("bob", "examiner", b"b" * 32)
CARRIER = CarrierKey.from_secret("waves", b"c" * 32)


@pytest.fixture
def folder(tmp_path):
    folder = KeyFolder(tmp_path / "keys")
    folder.save(BOB, None)
    folder.save(ALICE, None)
    folder.save(CARRIER, None)
    return folder


def test_a_folder_that_is_not_there_holds_no_keys(tmp_path):
    folder = KeyFolder(tmp_path / "none")
    assert folder.list() == ()
    assert folder.problems() == ()
    with pytest.raises(KeyUnknown):
        folder.load_signing("alice", None)
    assert not (tmp_path / "none").exists()


def test_keys_are_listed_by_name(folder):
    entries = folder.list()
    assert [(entry.name, entry.kind, entry.role, entry.locked) for entry in entries] == [
        ("alice", "signing", "issuer", False),
        ("bob", "signing", "examiner", False),
        ("waves", "carrier", None, False),
    ]
    assert entries[0].public_key == ALICE.public_key
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_key_is_found_by_name_key_id_and_path(folder):
    path = str(folder.path / "alice.pem")
    for reference in ("alice", ALICE.key_id, path):
        assert folder.load_signing(reference, None).key_id == ALICE.key_id
    for reference in ("waves", CARRIER.key_id, str(folder.path / "waves.carrier")):
        assert folder.load_carrier(reference, None).key_id == CARRIER.key_id


def test_a_key_outside_the_folder_is_found_by_its_path(folder, tmp_path):
    ALICE.save(tmp_path / "away.pem", None)
    assert KeyFolder(tmp_path / "none").load_signing(str(tmp_path / "away.pem"), None).key_id == ALICE.key_id


@pytest.mark.parametrize(
    "reference",
    ["alice", ALICE.key_id, "carol", "ed25519:" + "0" * 64, "no/such.pem", "", "a\0.pem", "x" * 5000 + ".pem"],
)
def test_a_key_of_the_wrong_kind_or_none_is_key_unknown(folder, reference):
    with pytest.raises(KeyUnknown, match="ftf key"):
        folder.load_carrier(reference, None)


@pytest.mark.parametrize("name", ["alice", "ALICE", "waves"])
def test_a_name_belongs_to_one_key(folder, name):
    with pytest.raises(AlreadyExists):
        folder.save(SigningKey.generate(name, "issuer"), None)
    assert folder.find("alice").key_id == ALICE.key_id


def test_a_damaged_file_is_told_and_hides_no_other_key(folder):
    (folder.path / "broken.pem").write_bytes(b"rubbish")
    (folder.path / "link.carrier").symlink_to(folder.path / "nowhere")
    (folder.path / "notes.txt").write_text("not a key")
    assert [entry.name for entry in folder.list()] == ["alice", "bob", "waves"]
    assert len(folder.problems()) == 2
    assert "broken.pem" in folder.problems()[0]


def test_listing_needs_no_passphrase_but_loading_does(tmp_path):
    folder = KeyFolder(tmp_path)
    folder.save(ALICE, "pass")
    assert folder.list()[0].locked
    with pytest.raises(KeyLocked):
        folder.load_signing("alice", None)
    assert folder.load_signing("alice", "pass").key_id == ALICE.key_id


def test_wide_permissions_show_in_the_list(folder):
    (folder.path / "alice.pem").chmod(0o644)
    assert "0644" in folder.list()[0].warnings[0]


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "keys").write_text("x")
    with pytest.raises(TrustError, match="cannot be read"):
        KeyFolder(tmp_path / "keys").list()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises((WriteFailed, TrustError)):
        KeyFolder(tmp_path / "file" / "keys").save(ALICE, None)
