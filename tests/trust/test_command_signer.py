from __future__ import annotations

import resource
import sys
import time

import pytest

from ftforensics.errors import TrustError
from ftforensics.trust.envelope import sign_envelope, verify_envelope
from ftforensics.trust.keys import CommandSigner, SigningKey

KEY = SigningKey.from_seed("token", "issuer", b"t" * 32)
OTHER = SigningKey.from_seed("other", "issuer", b"o" * 32)

SIGN = """
import base64, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
message = sys.stdin.buffer.read()
signature = Ed25519PrivateKey.from_private_bytes(sys.argv[1].encode() * 32).sign(message)
sys.stdout.buffer.write(signature if sys.argv[2] == "raw" else base64.b64encode(signature) + b"\\n")
"""


def signer(code: str, *arguments: str, timeout_s: float = 60.0) -> CommandSigner:
    return CommandSigner([sys.executable, "-c", code, *arguments], KEY.public_key, timeout_s=timeout_s)


@pytest.mark.parametrize("form", ["raw", "base64"])
def test_a_command_signs_like_the_key(form):
    command = signer(SIGN, "t", form)
    assert command.key_id == KEY.key_id
    message = bytes(range(256)) * 1000
    assert command.sign(message) == KEY.sign(message)


def test_an_envelope_signed_by_a_command_verifies():
    envelope = sign_envelope("application/json", b"{}", signer(SIGN, "t", "raw"))
    assert verify_envelope(envelope, KEY.public_key, "application/json") == b"{}"


def test_a_signature_by_another_key_is_refused():
    with pytest.raises(TrustError, match="does not verify"):
        signer(SIGN, "o", "raw").sign(b"m")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", "wrote 0 bytes"),
        ("print('x' * 64)", "wrote 65 bytes"),
        ("while True: print('y' * 1000)", "wrote more than 65536 bytes"),
        ("print('!' * 88)", "no Ed25519 signature"),
        ("import sys; sys.stdout.write('A' * 64)", "does not verify"),
        ("import sys; sys.exit('no \\x1b[31mtoken')", r"exit code 1, saying .*x1b"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit code -9"),
    ],
)
def test_a_command_that_fails_is_a_sentence(code, said):
    with pytest.raises(TrustError, match=said) as caught:
        signer(code).sign(b"m" * 100_000)
    assert caught.value.sentence.endswith(".")
    assert "\x1b" not in caught.value.sentence


def test_a_command_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(TrustError, match="cannot be started"):
        CommandSigner([str(tmp_path / "none")], KEY.public_key).sign(b"m")


def test_a_command_that_hangs_is_ended_though_its_child_holds_the_pipes():
    sleep = "import time; time.sleep(30)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', '{sleep}']); {sleep}"
    start = time.monotonic()
    with pytest.raises(TrustError, match="longer than 1 s"):
        signer(code, timeout_s=1.0).sign(b"m")
    assert time.monotonic() - start < 20


def test_the_arguments_pass_through_no_shell(tmp_path):
    victim = tmp_path / "made"
    code = "import sys; sys.exit(0 if sys.argv[1].startswith('$(') else 9)"
    with pytest.raises(TrustError, match="wrote 0 bytes"):
        signer(code, f"$(touch {victim})").sign(b"m")
    assert not victim.exists()


@pytest.mark.parametrize("argv", [[], [""]])
def test_an_empty_command_is_refused(argv):
    with pytest.raises(TrustError, match="empty"):
        CommandSigner(argv, KEY.public_key)


@pytest.mark.parametrize("public_key", [b"", b"\0" * 32])
def test_a_malformed_public_key_is_refused_before_anything_runs(public_key):
    with pytest.raises(TrustError):
        CommandSigner(["true"], public_key)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_time_limit_is_refused(timeout_s):
    with pytest.raises(TrustError, match="time limit"):
        CommandSigner(["true"], KEY.public_key, timeout_s=timeout_s)


def test_endless_complaints_end_with_the_time_and_take_no_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    endless = "import sys\nwhile True: sys.stderr.write('no token' * 10_000)"
    with pytest.raises(TrustError, match="took longer than 1 s"):
        signer(endless, timeout_s=1.0).sign(b"m")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_many_complaints_do_not_hinder_a_signature():
    noisy = "import sys; sys.stderr.write('still waiting ' * 100_000)\n" + SIGN
    assert signer(noisy, "t", "raw").sign(b"m" * 1_000_000) == KEY.sign(b"m" * 1_000_000)


def test_a_command_that_leaves_a_child_behind_ends_in_time():
    started = time.monotonic()
    with pytest.raises(TrustError, match=r"took longer than 0\.5 s"):
        CommandSigner(["sh", "-c", "sleep 20 & sleep 20"], KEY.public_key, timeout_s=0.5).sign(b"m")
    assert time.monotonic() - started < 10
