"""What happens on a bug: the traceback goes into a file, the user gets one sentence."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ftforensics import __version__
from ftforensics.cli.settings import debug_wanted, state_folder


def report_crash(error: BaseException, arguments: Sequence[str]) -> str:
    """File or show the traceback of a bug.

    Args:
        error: What came up.
        arguments: The command line, which goes into the file.

    Returns:
        The sentence for the user. It never raises: a crash report that crashes helps nobody.
    """
    what = f"internal error ({type(error).__name__}: {str(error)[:200]!a}), which is a bug"
    trace = "".join(traceback.format_exception(error))
    if debug_wanted():
        sys.stderr.write(trace.encode("ascii", "backslashreplace").decode("ascii"))
        return f"{what}; please report it with the traceback above."
    path = _save(_describe(trace, arguments))
    if path is None:
        return f"{what}; set FTF_DEBUG=1 to see the traceback."
    return f"{what}; please report it with the traceback in {path}."


def _describe(trace: str, arguments: Sequence[str]) -> str:
    return "\n".join(
        [
            f"ftf {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"arguments: {list(arguments)!a}",
            "",
            trace,
        ]
    )


def _save(text: str) -> Path | None:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        folder = state_folder() / "crashes"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(prefix=f"{stamp}-", suffix=".txt", dir=folder)
        with os.fdopen(descriptor, "w", encoding="ascii", errors="backslashreplace") as file:
            file.write(text)
    except (OSError, ValueError, RuntimeError):
        return None
    return Path(name)
