"""Signing by a command, so that the key can stay in a token or another machine. In: bytes. Out: a checked signature.

The command gets the bytes on its standard input and writes the signature, raw or in base64, on its standard output.
What it wrote is verified under the public key before it is used. The command never passes through a shell.
"""

from __future__ import annotations

import base64
import binascii
import subprocess
from collections.abc import Sequence

from ftforensics.errors import SignatureInvalid, TrustError
from ftforensics.trust.public_key import SIGNATURE_BYTES, fingerprint, verify_signature

_MESSAGE_CHARS = 200


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
            )
        except (OSError, ValueError) as exc:
            reason = (exc.strerror if isinstance(exc, OSError) else None) or type(exc).__name__
            raise self._failed(f"cannot be started ({reason})", "check the path of the program") from exc
        with process:
            try:
                output, complaint = process.communicate(message, timeout=self._timeout_s)
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
