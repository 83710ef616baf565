"""Attack: read, plant or redirect a key file."""

from __future__ import annotations

import os
import stat

import pytest
from signed_rows import CARRIER, HERALD

from ftforensics.errors import AlreadyExists, KeyLocked, TrustError
from ftforensics.trust.keys import KeyFolder, SigningKey

SECRETS = [HERALD, CARRIER]


@pytest.mark.parametrize("key", SECRETS)
def test_another_user_can_read_neither_file_nor_folder(tmp_path, key):
    before = os.umask(0)
    try:
        entry = KeyFolder(tmp_path / "keys").save(key, None)
    finally:
        os.umask(before)
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(entry.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("key", SECRETS)
def test_a_planted_link_redirects_no_new_key(tmp_path, key):
    suffix = ".pem" if isinstance(key, SigningKey) else ".carrier"
    (tmp_path / f"{key.name}{suffix}").symlink_to(tmp_path / "drop")
    with pytest.raises(AlreadyExists):
        key.save(tmp_path / f"{key.name}{suffix}", None)
    assert not (tmp_path / "drop").exists()


@pytest.mark.parametrize("key", SECRETS)
def test_a_stolen_file_opens_only_with_its_passphrase(tmp_path, key):
    folder = KeyFolder(tmp_path)
    folder.save(key, "a long passphrase")
    load = folder.load_signing if isinstance(key, SigningKey) else folder.load_carrier
    for guess in (None, "a long passphras", "A long passphrase"):
        with pytest.raises(KeyLocked):
            load(key.name, guess)


def test_a_key_file_does_not_pass_for_another_public_key(tmp_path):
    HERALD.save(tmp_path / "k.pem", None)
    data = (tmp_path / "k.pem").read_bytes()
    (tmp_path / "k.pem").write_bytes(data.replace(HERALD.public_key.hex().encode(), b"12" * 32))
    with pytest.raises(TrustError, match="another public key"):
        SigningKey.load(tmp_path / "k.pem", None)
