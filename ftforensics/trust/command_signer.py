"""Signing by a command, so that the key can stay in a token or another machine. In: bytes. Out: a checked signature.

The command gets the bytes on its standard input and writes the signature, raw or in base64, on its standard output.
What it wrote is verified under the public key before it is used. The command never passes through a shell.
"""

from __future__ import annotations

import base64
import binascii
import os
import selectors
import subprocess
import time
from collections.abc import Sequence

from ftforensics.errors import SignatureInvalid, TrustError
from ftforensics.trust.public_key import SIGNATURE_BYTES, fingerprint, verify_signature

_MESSAGE_CHARS = 200
_CHUNK_BYTES = 1 << 15
# A signature is 64 bytes, or 88 in base64; a command that writes more than this writes something else.
MAX_OUTPUT_BYTES = 1 << 16


class CommandSigner:
    """A signer whose private key is elsewhere.

    Args:
        argv: The program and its arguments.
        public_key: 32 raw bytes of the key that the command signs with.
        timeout_s: How long the command may take, 0.1 to 3600.

    Raises:
        TrustError: No program, a malformed public key, or a senseless time limit.
    """

    def __init__(self, argv: Sequence[str], public_key: bytes, *, timeout_s: float = 60.0) -> None:
        if not argv or not argv[0]:
            raise TrustError("signer command is empty", remedy="give a program and its arguments")
        if not 0.1 <= timeout_s <= 3600.0:
            raise TrustError(f"time limit of the signer command is {timeout_s} s, not 0.1 to 3600")
        self._argv = tuple(argv)
        self._public_key = public_key
        self._key_id = fingerprint(public_key)
        self._timeout_s = timeout_s

    @property
    def key_id(self) -> str:
        """Fingerprint of the public key."""
        return self._key_id

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Have the command sign, and check what it gave.

        Returns:
            The 64-byte signature, verified over ``message``.

        Raises:
            TrustError: The command is missing, failed, took too long, or gave no valid signature by this key.
        """
        output = self._run(message)
        signature = output if len(output) == SIGNATURE_BYTES else self._decode_base64(output)
        try:
            verify_signature(self._public_key, signature, message)
        except SignatureInvalid as exc:
            raise self._failed(
                f"gave a signature that does not verify under {self._key_id}",
                "check that the command uses the key whose public key you gave",
            ) from exc
        return signature

    def _run(self, message: bytes) -> bytes:
        try:
            # The user names the program; there is no shell, and nothing read from evidence reaches the argument list.
            process = subprocess.Popen(  # noqa: S603
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        except (OSError, ValueError) as exc:
            reason = (exc.strerror if isinstance(exc, OSError) else None) or type(exc).__name__
            raise self._failed(f"cannot be started ({reason})", "check the path of the program") from exc
        with process:
            try:
                output, complaint = self._exchange(process, message)
            except subprocess.TimeoutExpired as exc:
                raise self._failed(
                    f"took longer than {self._timeout_s:g} s", "raise the time limit or check the token"
                ) from exc
            except OSError as exc:
                raise self._failed("broke off", "run the command by hand to see why") from exc
            finally:
                # Nothing to do after a normal end. It stays in our session, so that a token can ask for its PIN.
                process.kill()
        if process.returncode != 0:
            said = complaint.decode("utf-8", "replace").strip()[-_MESSAGE_CHARS:]
            tail = f", saying {said!a}" if said else ""
            raise self._failed(f"failed with exit code {process.returncode}{tail}", "run it by hand to see why")
        return output

    def _exchange(self, process: subprocess.Popen[bytes], message: bytes) -> tuple[bytes, bytes]:
        """Give it the message; what it wrote, and the end of its complaints. ``communicate`` would keep all it writes.

        Raises:
            TrustError: It writes without end.
            subprocess.TimeoutExpired: It took too long.
        """
        deadline = time.monotonic() + self._timeout_s
        left, output, complaint = memoryview(message), b"", b""
        given, told, complained = process.stdin, process.stdout, process.stderr
        if given is None or told is None or complained is None:
            raise AssertionError("unreachable: all three are pipes")
        with selectors.DefaultSelector() as waiting:
            os.set_blocking(given.fileno(), False)
            waiting.register(given, selectors.EVENT_WRITE)
            waiting.register(told, selectors.EVENT_READ)
            waiting.register(complained, selectors.EVENT_READ)
            while waiting.get_map():
                for key, _ in waiting.select(self._remaining(process, deadline)):
                    if key.fileobj is given:
                        left = _feed(key.fd, left)
                        if not left:
                            waiting.unregister(given)
                            given.close()
                        continue
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    if not chunk:
                        waiting.unregister(key.fileobj)
                    elif key.fileobj is complained:
                        complaint = (complaint + chunk)[-_CHUNK_BYTES:]
                    else:
                        output += chunk
                    if len(output) > MAX_OUTPUT_BYTES:
                        raise self._failed(
                            f"wrote more than {MAX_OUTPUT_BYTES} bytes",
                            "have it write 64 raw bytes, or their base64, and nothing else",
                        )
        process.wait(self._remaining(process, deadline))
        return output, complaint

    def _remaining(self, process: subprocess.Popen[bytes], deadline: float) -> float:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise subprocess.TimeoutExpired(process.args, self._timeout_s)
        return remaining

    def _decode_base64(self, output: bytes) -> bytes:
        try:
            signature = base64.b64decode(output.strip(), validate=True)
        except (binascii.Error, ValueError):
            signature = b""
        if len(signature) != SIGNATURE_BYTES:
            raise self._failed(
                f"wrote {len(output)} bytes that are no Ed25519 signature",
                "have it write 64 raw bytes, or their base64, and nothing else",
            )
        return signature

    def _failed(self, what: str, remedy: str) -> TrustError:
        return TrustError(f"signer command {what}", subject=self._argv[0], remedy=remedy)


def _feed(descriptor: int, left: memoryview) -> memoryview:
    """Write what the pipe takes; what is left. A command that does not want to read it all is no failure yet."""
    try:
        return left[os.write(descriptor, left[:_CHUNK_BYTES]) :]
    except BlockingIOError:
        return left
    except BrokenPipeError:
        return left[:0]
