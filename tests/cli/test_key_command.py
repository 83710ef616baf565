"""``ftf key``, and keys as other commands find and open them."""

from __future__ import annotations

import json
import os
import pty
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_samples import Ftf, console_script

from ftforensics.cli.output import Output
from ftforensics.cli.passphrase import PassphraseSource
from ftforensics.cli.settings import load_settings
from ftforensics.cli.signing import find_key, resolve_carrier, resolve_signer
from ftforensics.errors import KeyLocked, KeyUnknown, TrustError, UsageError
from ftforensics.trust.keys import SigningKey, parse_public_key, public_key_pem, verify_signature

SIGNER = """#!{python}
import base64, sys
from pathlib import Path
from ftforensics.trust.keys import SigningKey
key = SigningKey.load(Path(sys.argv[1]), None)
sys.stdout.buffer.write(base64.b64encode(key.sign(sys.stdin.buffer.read())))
"""


@pytest.fixture
def token(tmp_path: Path) -> tuple[str, Path]:
    """A command that signs with a key kept elsewhere, and the key's public half as a file."""
    key = SigningKey.generate("elsewhere", "issuer")
    key.save(tmp_path / "elsewhere.pem", None)
    program = tmp_path / "sign with token.py"
    program.write_text(SIGNER.format(python=sys.executable))
    program.chmod(0o700)
    public = tmp_path / "public.pem"
    public.write_bytes(public_key_pem(key.public_key))
    return f"'{program}' {tmp_path}/elsewhere.pem", public


def test_new_signing_key(ftf: Ftf, home: Path, passphrase_file: Path) -> None:
    result = ftf("key", "new", "agency", "--role", "issuer", "--passphrase-file", passphrase_file, "--format", "jsonl")
    facts = result.facts()
    path = home / "keys" / "agency.pem"
    key = SigningKey.load(path, "correct horse")
    assert facts["fingerprint"] == key.fingerprint
    assert (facts["role"], facts["locked"], facts["mode"], facts["path"]) == ("issuer", True, "0600", str(path))
    assert "correct horse" not in result.out + result.err
    assert (home / "keys").stat().st_mode & 0o777 == 0o700
    with pytest.raises(KeyLocked):
        SigningKey.load(path, "wrong")


def test_new_carrier_key(ftf: Ftf) -> None:
    made = ftf("key", "new", "c", "--carrier", "--no-passphrase", "--format", "jsonl")
    assert made.facts()["fingerprint"].startswith("carrier:")
    assert made.facts()["kind"] == "carrier"
    assert "not locked" in made.err
    ftf("key", "export", "c", expect=2)


def test_names_are_never_taken_twice(ftf: Ftf, issuer: str, home: Path, token: tuple[str, Path]) -> None:
    before = (home / "keys" / "agency.pem").read_bytes()
    command, public = token
    for arguments in (
        ["AGENCY", "--role", "examiner", "--no-passphrase"],
        ["agency", "--carrier", "--no-passphrase"],
        ["agency", "--role", "issuer", "--signer-command", command, "--public-key", str(public)],
    ):
        result = ftf("key", "new", *arguments, expect=7)
        assert "there already" in result.err
    assert (home / "keys" / "agency.pem").read_bytes() == before
    ftf("key", "new", "token", "--role", "issuer", "--signer-command", command, "--public-key", public)
    assert "there already" in ftf("key", "new", "Token", "--carrier", "--no-passphrase", expect=7).err


@pytest.mark.parametrize(
    "arguments",
    [
        ["x"],
        ["x", "--role", "issuer", "--carrier"],
        ["x", "--role", "judge"],
        ["../x", "--carrier", "--no-passphrase"],
        ["x", "--role", "issuer", "--no-passphrase", "--passphrase-file", "p"],
        ["x", "--role", "issuer", "--signer-command", "true"],
        ["x", "--role", "issuer", "--public-key", "p.pem"],
        ["x", "--carrier", "--signer-command", "true", "--public-key", "p.pem"],
    ],
)
def test_new_refuses_nonsense(ftf: Ftf, home: Path, arguments: list[str]) -> None:
    ftf("key", "new", *arguments, expect=2)
    assert not home.exists()


def test_without_terminal_and_passphrase_nothing_is_made(ftf: Ftf, home: Path) -> None:
    result = ftf("key", "new", "agency", "--role", "issuer", expect=6)
    assert "--passphrase-file" in result.err
    assert not (home / "keys").exists()


def test_passphrase_file_must_be_there_and_hold_one(ftf: Ftf, tmp_path: Path) -> None:
    ftf("key", "new", "a", "--carrier", "--passphrase-file", tmp_path / "nope", expect=6)
    for content in (b"", b"\nsecret\n", b"\xff\xfe\n"):
        (tmp_path / "bad").write_bytes(content)
        assert "secret" not in ftf("key", "new", "a", "--carrier", "--passphrase-file", tmp_path / "bad", expect=6).err


@pytest.mark.parametrize("inside", ["\x0c", "\x1c", "\x85", "\u2028", "\r", "\x0b"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nsecond line\n"])
def test_only_a_line_feed_ends_the_passphrase(ftf: Ftf, home: Path, tmp_path: Path, inside: str, end: str) -> None:
    (tmp_path / "file").write_bytes(f"ab{inside}SECRET{end}".encode())
    source = PassphraseSource(load_settings(), Output(), [tmp_path / "file"])
    assert source.choose("key x") == f"ab{inside}SECRET"


def test_a_new_key_is_not_locked_with_one_of_several_passphrases(
    ftf: Ftf, home: Path, passphrase_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("battery staple\n")
    files = ("--passphrase-file", passphrase_file, "--passphrase-file", other)
    assert "2 passphrase files" in ftf("key", "new", "a", "--carrier", *files, expect=2).err
    assert not (home / "keys").exists()


def test_a_new_key_has_one_passphrase_and_its_help_says_no_other(ftf: Ftf) -> None:
    told = " ".join(ftf("key", "new", "--help").out.replace("│", " ").split())
    assert "first line of this file" in told
    assert "each key is tried with each" not in told


def test_standard_input_holds_one_passphrase(ftf: Ftf, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = ("--passphrase-file", "-", "--passphrase-file", "-")
    assert "more than once" in ftf("key", "new", "a", "--carrier", *twice, expect=2).err
    assert not (home / "keys").exists()
    ftf("key", "new", "me", "--role", "examiner", "--no-passphrase")
    refused = ftf("case", "new", "case-1", "--title", "T", "--examiner", "me", *twice, expect=2)
    assert "more than once" in refused.err
    monkeypatch.setenv("FTF_PASSPHRASE_FILE", "-:-")
    assert "more than once" in ftf("key", "new", "a", "--carrier", expect=2).err


def test_passphrase_from_the_environment(
    ftf: Ftf, home: Path, passphrase_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTF_PASSPHRASE_FILE", str(passphrase_file))
    ftf("key", "new", "agency", "--role", "issuer")
    SigningKey.load(home / "keys" / "agency.pem", "correct horse")


def test_passphrase_from_standard_input(home: Path) -> None:
    done = subprocess.run(
        [console_script(), "key", "new", "agency", "--role", "issuer", "--passphrase-file", "-"],
        input=b"from a pipe\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    SigningKey.load(home / "keys" / "agency.pem", "from a pipe")


def type_at_terminal(arguments: list[str], lines: list[str]) -> tuple[int, str]:
    """Run ``ftf`` at a terminal, answering each prompt (it ends in a colon) with a line."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(console_script(), ["ftf", *arguments])
    seen = b""
    try:
        for line in lines:
            prompt = b""
            while not prompt.rstrip().endswith(b":"):
                prompt += os.read(terminal, 4096)
            seen += prompt
            os.write(terminal, line.encode() + b"\n")
        while chunk := os.read(terminal, 4096):
            seen += chunk
    except OSError:
        pass
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


def test_passphrase_typed_twice_and_never_shown(home: Path) -> None:
    code, seen = type_at_terminal(["key", "new", "me", "--role", "examiner"], ["typed secret", "typed secret"])
    assert (code, "typed secret" in seen) == (0, False), seen
    SigningKey.load(home / "keys" / "me.pem", "typed secret")
    code, seen = type_at_terminal(["key", "new", "you", "--role", "examiner"], ["one", "other"])
    assert code == 6
    assert "differ" in seen
    assert not (home / "keys" / "you.pem").exists()


def test_wrong_passphrase_can_be_typed_again_thrice(ftf: Ftf, passphrase_file: Path) -> None:
    ftf("key", "new", "me", "--role", "examiner", "--passphrase-file", passphrase_file)
    arguments = ["case", "new", "case-1", "--examiner", "me"]
    code, seen = type_at_terminal(arguments, ["wrong", "wrong", "wrong"])
    assert code == 6
    assert seen.count("wrong passphrase, try again") == 2
    code, seen = type_at_terminal(arguments, ["wrong", "correct horse"])
    assert code == 0, seen


def test_one_passphrase_is_asked_for_once(
    ftf: Ftf, passphrase_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftforensics.cli import passphrase

    ftf("key", "new", "agency", "--role", "issuer", "--passphrase-file", passphrase_file)
    ftf("key", "new", "c", "--carrier", "--passphrase-file", passphrase_file)
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "correct horse"

    monkeypatch.setattr(passphrase.getpass, "getpass", ask)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    settings, output = load_settings(), Output()
    source = passphrase.PassphraseSource(settings, output)
    resolve_signer(settings, output, key=None, role="issuer", passphrases=source)
    resolve_carrier(settings, output, key=None, passphrases=source)
    assert asked == ["Passphrase of key agency: "]


def test_show_finds_by_name_fingerprint_and_file(ftf: Ftf, issuer: str, home: Path) -> None:
    for reference in ("agency", issuer, home / "keys" / "agency.pem"):
        assert ftf("key", "show", reference, "--format", "jsonl").facts()["fingerprint"] == issuer
    shown = ftf("key", "show", "agency").out
    assert issuer in shown
    assert "0600" in shown
    assert "PRIVATE" not in shown


def test_unknown_key_is_6(ftf: Ftf, issuer: str) -> None:
    for arguments in (["show", "nobody"], ["export", "nobody"]):
        assert "nobody" in ftf("key", *arguments, expect=6).err


def test_list_in_every_format(ftf: Ftf, issuer: str, examiner: str) -> None:
    table = ftf("key", "list").out
    assert table.index("agency") < table.index("\nme ")
    assert issuer in table
    assert [row["name"] for row in ftf("key", "list", "--format", "jsonl").lines()] == ["agency", "me"]
    rows = ftf("key", "list", "--format", "csv").out.splitlines()
    assert rows[0] == "name,kind,role,fingerprint,locked,mode,path"
    assert rows[1].startswith(f"agency,signing,issuer,{issuer},false,0600,")


def test_list_of_nothing_says_what_to_do(ftf: Ftf) -> None:
    result = ftf("key", "list")
    assert result.out == ""
    assert "ftf key new" in result.err
    assert ftf("key", "list", "-q").err == ""


def test_list_warns_of_open_files_and_fails_on_damaged_ones(ftf: Ftf, issuer: str, home: Path) -> None:
    (home / "keys" / "agency.pem").chmod(0o644)
    assert "chmod 600" in ftf("key", "list").err
    (home / "keys" / "torn.pem").write_text("-----BEGIN")
    (home / "keys" / "torn.signer").write_text("{}")
    result = ftf("key", "list", "--format", "jsonl", expect=6)
    assert [row["name"] for row in result.lines()] == ["agency"]
    assert "torn.pem" in result.err
    assert "torn.signer" in result.err


def test_export(ftf: Ftf, issuer: str, home: Path, tmp_path: Path) -> None:
    key = SigningKey.load(home / "keys" / "agency.pem", None)
    assert parse_public_key(ftf("key", "export", "agency").out.encode()) == key.public_key
    target = tmp_path / "new folder" / "agency.pem"
    assert issuer in ftf("key", "export", "agency", "-o", target).err
    assert parse_public_key(target.read_bytes()) == key.public_key
    target.write_text("precious")
    ftf("key", "export", "agency", "-o", target, expect=7)
    assert target.read_text() == "precious"
    ftf("key", "export", "agency", "-o", target, "--clobber")
    assert parse_public_key(target.read_bytes()) == key.public_key


def test_export_where_nothing_can_be_written(ftf: Ftf, issuer: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file" / "x.pem", Path("/proc/x.pem"), tmp_path / ("n" * 300)):
        assert "ftf: " in ftf("key", "export", "agency", "-o", target, expect=7).err


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize(
    "arguments",
    [
        ["key", "export", "agency", "-o", "out.pem"],
        ["key", "new", "other", "--role", "issuer", "--no-passphrase"],
        ["trust", "add", "Agency", "ed25519:" + "a" * 64],
        ["registry", "init", "log"],
        ["case", "new", "case-1", "--examiner", "me"],
    ],
)
def test_full_disk_is_7_and_leaves_nothing(
    ftf: Ftf, ftf_process: Callable[..., object], issuer: str, examiner: str, home: Path, arguments: list[str]
) -> None:
    (home / "keys" / ("me.pem" if arguments[0] == "registry" else "nothing")).unlink(missing_ok=True)
    before = sorted(path for folder in (home, Path()) for path in folder.rglob("*") if path.is_file())
    ftf_process(*arguments, expect=7, preexec_fn=limit_file_size)
    after = sorted(path for folder in (home, Path()) for path in folder.rglob("*") if path.is_file())
    assert after == before


def test_key_folder_that_cannot_be_read_is_6(ftf: Ftf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTF_HOME", str(tmp_path / "file"))
    ftf("key", "list", expect=6)
    ftf("key", "new", "a", "--carrier", "--no-passphrase", expect=6)


def test_signer_command_as_a_registered_key(ftf: Ftf, home: Path, token: tuple[str, Path]) -> None:
    command, public = token
    arguments = ("--role", "examiner", "--signer-command", command, "--public-key", public)
    made = ftf("key", "new", "token", *arguments, "--format", "jsonl").facts()
    assert made["kind"] == "command"
    assert len(made["command"]) == 2
    assert (home / "keys" / "token.signer").stat().st_mode & 0o777 == 0o600
    assert ftf("key", "list", "--format", "jsonl").facts()["fingerprint"] == made["fingerprint"]
    assert ftf("key", "export", "token").out.encode() == public.read_bytes()
    ftf("case", "new", "case-1", "--examiner", "token")
    shown = ftf("case", "verify", "case-1", "--expect-key", "token", "--format", "jsonl").facts()
    assert (shown["head_key"], shown["your_key"]) == (made["fingerprint"], "token")


def test_signer_command_that_others_could_change_is_not_run(ftf: Ftf, home: Path, token: tuple[str, Path]) -> None:
    command, public = token
    ftf("key", "new", "token", "--role", "issuer", "--signer-command", command, "--public-key", public)
    path = home / "keys" / "token.signer"
    path.chmod(0o620)
    assert "changed by other users" in ftf("key", "list", expect=6).err
    path.chmod(0o600)
    stored = json.loads(path.read_text())
    for change in ({"argv": []}, {"argv": [1]}, {"argv": ["a\0b"]}, {"public_key": "00" * 32}, {"role": "judge"}):
        path.write_text(json.dumps(stored | change, sort_keys=True, separators=(",", ":")))
        assert "token.signer" in ftf("key", "list", expect=6).err


def test_signer_command_is_tried_before_it_is_registered(ftf: Ftf, home: Path, token: tuple[str, Path]) -> None:
    _, public = token
    for command in ("/nonexistent/signer", "false", "true", "printf nonsense"):
        ftf("key", "new", "t", "--role", "issuer", "--signer-command", command, "--public-key", public, expect=6)
    ftf("key", "new", "t", "--role", "issuer", "--signer-command", "'open", "--public-key", public, expect=2)
    assert not (home / "keys").exists()


def test_bare_signer_command(token: tuple[str, Path]) -> None:
    command, public = token
    settings, output = load_settings(), Output()
    signer = resolve_signer(settings, output, key=None, role="issuer", signer_command=command, public_key=public)
    verify_signature(signer.public_key, signer.sign(b"message"), b"message")
    assert signer.name == signer.key_id
    with pytest.raises(UsageError, match="public-key"):
        resolve_signer(settings, output, key=None, role="issuer", signer_command=command)
    with pytest.raises(UsageError, match="signer-command"):
        resolve_signer(settings, output, key=None, role="issuer", public_key=public)
    with pytest.raises(TrustError):
        resolve_signer(settings, output, key=None, role=None, signer_command="false", public_key=public).sign(b"x")


def test_key_is_chosen_by_role_or_must_be_named(ftf: Ftf, issuer: str, examiner: str) -> None:
    settings, output = load_settings(), Output()
    assert resolve_signer(settings, output, key=None, role="issuer").key_id == issuer
    assert resolve_signer(settings, output, key=None, role="examiner").name == "me"
    with pytest.raises(KeyUnknown, match="several signing keys"):
        resolve_signer(settings, output, key=None, role=None)
    with pytest.raises(KeyUnknown, match="no carrier key yet"):
        resolve_carrier(settings, output, key=None)
    with pytest.raises(KeyUnknown, match="an examiner key is needed"):
        resolve_signer(settings, output, key="agency", role="examiner")
    ftf("key", "new", "c", "--carrier", "--no-passphrase")
    with pytest.raises(KeyUnknown, match="another kind"):
        resolve_signer(settings, output, key="c", role="issuer")
    with pytest.raises(KeyUnknown, match="another kind"):
        resolve_carrier(settings, output, key="agency")
    assert find_key(settings, "c").role is None
