"""Try a backend in a process of its own: what crashes or hangs there leaves this one alone. Out: BackendStatus."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from typing import IO, Any

from ftforensics.engine.backends import ON_GPU, BackendStatus, Wanted
from ftforensics.errors import FtfError

TRIAL_S = 120.0
_MODULE = "ftforensics.engine.trial_process"
_REMEDY = "choose --engine onnx, or see 'ftf doctor'"


def try_apart(
    status: BackendStatus, wanted: Wanted, *, timeout_s: float = TRIAL_S, module: str = _MODULE
) -> BackendStatus:
    """Open a backend and read pictures with it, in another process.

    Args:
        status: Of ``backends.probe``; ``works``.
        wanted: As for opening.
        timeout_s: When it counts as hanging.
        module: What is run; for tests.

    Returns:
        ``status`` where it read what ONNX Runtime reads; otherwise why not. Never raises for what happens there, nor
        where the keys whose plans may run cannot be told; only backends that load plans need them.
    """
    try:
        fingerprints = sorted(wanted.fingerprints()) if status.name in ON_GPU else []
    except FtfError as exc:
        reason = exc.what if exc.subject is None else f"{exc.what} ({exc.subject})"
        return _failed(status, reason, exc.remedy or _REMEDY)
    job = {
        "backend": status.name,
        "folder": str(wanted.folder),
        "precision": wanted.precision,
        "threads": wanted.threads,
        "engines": None if wanted.engines is None else str(wanted.engines),
        "fingerprints": fingerprints,
        "unasked": wanted.unasked,
        "plan": wanted.plan or status.plan,
    }
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as errors:
        try:
            # -P: the working folder may hold evidence, and nothing is imported from there.
            done = subprocess.run(  # noqa: S603 - our own module under our own interpreter
                [sys.executable, "-P", "-m", module],
                input=json.dumps(job),
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _failed(status, f"it did not read a picture within {timeout_s:g} s")
        except OSError as exc:
            return _failed(status, f"it could not be tried ({exc.strerror})")
        return _judge(status, done.returncode, done.stdout, errors)


def _judge(status: BackendStatus, code: int, output: str, errors: IO[str]) -> BackendStatus:
    if code < 0:
        return _failed(status, f"its libraries end the process ({_signal_name(-code)}){_last_line(errors)}")
    outcome = _parse(output)
    if outcome is None:
        return _failed(status, f"its libraries end the process (exit code {code}){_last_line(errors)}")
    if outcome.get("works") is True:
        return status
    remedy = outcome.get("remedy")
    return _failed(status, str(outcome.get("reason")), remedy if isinstance(remedy, str) else _REMEDY)


def _failed(status: BackendStatus, reason: str, remedy: str = _REMEDY) -> BackendStatus:
    return replace(status, works=False, reason=reason, remedy=remedy)


def _parse(output: str) -> dict[str, Any] | None:
    """The last line; libraries may have written others before it."""
    try:
        outcome = json.loads(output.strip().rpartition("\n")[2])
    except ValueError:
        return None
    return outcome if isinstance(outcome, dict) else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(errors: IO[str]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors.read()[-4000:].splitlines() if line.strip()]
    return f": {lines[-1][:200]}" if lines else ""
