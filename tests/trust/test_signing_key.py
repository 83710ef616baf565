from __future__ import annotations

import base64
import os
import shutil
import stat
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ftforensics.errors import AlreadyExists, FtfError, KeyLocked, KeyUnknown, TrustError, WriteFailed
from ftforensics.trust.keys import SigningKey, verify_signature
from ftforensics.trust.signing_key import parse_signing_key, parse_signing_key_header

KEY = SigningKey.from_seed("alice", "examiner", b"a" * 32)


@pytest.fixture(scope="module")
def open_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("open") / "alice.pem"
    KEY.save(path, None)
    return path


@pytest.fixture(scope="module")
def locked_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("locked") / "alice.pem"
    KEY.save(path, "correct horse")
    return path


def test_a_locked_key_comes_back_with_its_passphrase(locked_file):
    key = SigningKey.load(locked_file, "correct horse")
    assert (key.name, key.role, key.key_id, key.warnings) == ("alice", "examiner", KEY.key_id, ())
    verify_signature(KEY.public_key, key.sign(b"m"), b"m")


@pytest.mark.parametrize("typed", [None, "", "wrong", "correct horse "])
def test_a_missing_or_wrong_passphrase_is_key_locked(locked_file, typed):
    with pytest.raises(KeyLocked):
        SigningKey.load(locked_file, typed)


def test_two_spellings_of_an_accent_are_one_passphrase(tmp_path):
    KEY.save(tmp_path / "k.pem", "cl\u00e9")
    assert SigningKey.load(tmp_path / "k.pem", "cle\u0301").key_id == KEY.key_id


def test_an_empty_passphrase_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(KeyLocked):
        KEY.save(tmp_path / "k.pem", "")
    assert list(tmp_path.iterdir()) == []


def test_the_header_is_read_without_the_passphrase(locked_file):
    header = parse_signing_key_header(locked_file.read_bytes())
    assert (header.name, header.role, header.key_id, header.locked) == ("alice", "examiner", KEY.key_id, True)


def test_the_locked_file_does_not_hold_the_secret(locked_file, open_file):
    assert b"ENCRYPTED" in locked_file.read_bytes()
    secret_line = open_file.read_bytes().splitlines()[5]
    assert secret_line not in locked_file.read_bytes()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_openssl_opens_the_locked_key(locked_file):
    done = subprocess.run(
        ["openssl", "pkey", "-in", str(locked_file), "-passin", "pass:correct horse", "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    )
    assert done.stdout.endswith(KEY.public_key)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_the_file_is_for_its_owner_alone_whatever_the_umask(tmp_path, umask):
    path = tmp_path / "k.pem"
    before = os.umask(umask)
    try:
        KEY.save(path, None)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_file_is_never_replaced(tmp_path):
    path = tmp_path / "k.pem"
    path.write_bytes(b"precious")
    with pytest.raises(AlreadyExists):
        KEY.save(path, None)
    assert path.read_bytes() == b"precious"


def test_a_dangling_link_is_not_followed(tmp_path):
    (tmp_path / "k.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyExists):
        KEY.save(tmp_path / "k.pem", None)
    assert not (tmp_path / "elsewhere").exists()


def test_saving_where_there_is_no_folder_fails_in_a_sentence(tmp_path):
    with pytest.raises(WriteFailed, match="No such file"):
        KEY.save(tmp_path / "no" / "k.pem", None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_wider_permissions_are_told_in_a_field(tmp_path, mode, capsys):
    path = tmp_path / "k.pem"
    KEY.save(path, None)
    path.chmod(mode)
    (warning,) = SigningKey.load(path, None).warnings
    assert f"{mode:04o}" in warning
    assert "chmod 600" in warning
    assert capsys.readouterr() == ("", "")


def test_a_needless_passphrase_is_told_in_a_field(open_file):
    (warning,) = SigningKey.load(open_file, "something").warnings
    assert "not locked" in warning


def test_a_missing_file_is_key_unknown(tmp_path):
    with pytest.raises(KeyUnknown):
        SigningKey.load(tmp_path / "none.pem", None)


def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "k.pem")
    with pytest.raises(TrustError, match="not a regular file"):
        SigningKey.load(tmp_path / "k.pem", None)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(TrustError):
        SigningKey.load(tmp_path, None)


def test_a_header_with_another_public_key_is_refused(open_file):
    data = open_file.read_bytes().replace(KEY.public_key.hex().encode(), b"ab" * 32)
    with pytest.raises(TrustError, match="another public key"):
        parse_signing_key(data, None)


def test_a_key_of_another_kind_is_refused(open_file):
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    header = open_file.read_bytes().split(b"-----BEGIN")[0]
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TrustError, match="not an Ed25519"):
        parse_signing_key(header + pem, None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 299), flip=st.integers(1, 255))
def test_any_changed_byte_gives_an_error_or_a_key_that_is_whole(open_file, position, flip):
    data = bytearray(open_file.read_bytes())
    data[position % len(data)] ^= flip
    try:
        key = parse_signing_key(bytes(data), None)
    except FtfError:
        return
    verify_signature(key.public_key, key.sign(b"m"), b"m")
    assert key.key_id == KEY.key_id


@given(st.binary(max_size=120))
@example(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")
def test_any_bytes_parse_to_a_key_or_an_error(data):
    with pytest.raises(TrustError):
        parse_signing_key(data, "p")


@pytest.mark.parametrize("position", range(0, 400, 23))
def test_any_changed_byte_of_a_locked_file_is_an_error_or_another_label(locked_file, position):
    data = bytearray(locked_file.read_bytes())
    data[position] ^= 1
    try:
        key = parse_signing_key(bytes(data), "correct horse")
    except TrustError:
        return
    assert key.key_id == KEY.key_id
    assert position < data.index(b"public-key")


@pytest.mark.parametrize("costs", ["02027fff020108020105", "0202400002017f020105", "0202400002010802017f"])
def test_the_cost_of_unlocking_is_not_for_the_file_to_choose(locked_file, costs):
    header, pem = locked_file.read_bytes().split(b"-----BEGIN", 1)
    first, *lines, last, end = pem.split(b"\n")
    der = base64.b64decode(b"".join(lines))
    assert bytes.fromhex("02024000020108020105") in der
    text = base64.b64encode(der.replace(bytes.fromhex("02024000020108020105"), bytes.fromhex(costs)))
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    dear = header + b"-----BEGIN" + b"\n".join([first, *lines, last, end])
    assert dear != locked_file.read_bytes()
    with pytest.raises(TrustError, match="another program"):
        parse_signing_key(dear, "correct horse")


def test_a_cut_locked_file_is_an_error(locked_file):
    data = locked_file.read_bytes()
    for end in range(0, len(data) - 40, 37):
        with pytest.raises(TrustError):
            parse_signing_key(data[:end], "correct horse")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\n", "é", "-a", "a" * 65, "a\0"])
def test_names_that_could_leave_the_folder_are_refused(name):
    with pytest.raises(TrustError):
        SigningKey.generate(name, "issuer")


def test_another_role_is_refused():
    with pytest.raises(TrustError, match="role"):
        SigningKey.generate("a", "root")  # type: ignore[arg-type]


def test_generated_keys_differ():
    assert SigningKey.generate("a", "issuer").key_id != SigningKey.generate("a", "issuer").key_id


def test_the_private_key_is_not_shown(open_file):
    assert "_private" not in repr(KEY)
    assert "rivateKey" not in repr(KEY)
