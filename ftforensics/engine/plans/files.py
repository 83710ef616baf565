"""Reading and writing in the plans' folder. In: paths. Out: bytes that were read once, or files that appear whole.

Only regular files are read, never through a link, and never more than was announced, so that what is checked is what is
used and a pipe or device cannot hold the program up.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from ftforensics.errors import EngineError, PlanRefused, WriteFailed

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def read_regular_file(path: Path, *, what: str, max_bytes: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        PlanRefused: Not a regular file, a link, or larger than ``max_bytes``.
        EngineError: Not there, or not permitted.
    """
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise PlanRefused(f"{what} is not a regular file", subject=str(path), remedy="remove it")
            if found.st_size > max_bytes:
                raise _too_large(what, path, max_bytes)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(max_bytes + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError as exc:
        raise EngineError(f"{what} is not there", subject=str(path), remedy="build the plan again") from exc
    except (OSError, ValueError) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or type(exc).__name__
        raise PlanRefused(
            f"{what} cannot be read ({reason})", subject=str(path), remedy="check it and its permissions"
        ) from exc
    if len(data) > max_bytes:
        raise _too_large(what, path, max_bytes)
    return data


def hash_file(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file that this program has just written.

    Raises:
        EngineError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return digest.hexdigest(), file.tell()
    except OSError as exc:
        raise EngineError(f"the plan cannot be read ({exc.strerror})", subject=str(path)) from exc


def move_into_place(temporary: Path, path: Path) -> None:
    """Flush a file to the disk, then give it its name, over what was there.

    Raises:
        WriteFailed: Not permitted, or the disk is full.
    """
    try:
        descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except OSError as exc:
        raise write_failed(path, exc) from exc
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_failed(path: Path, exc: OSError) -> WriteFailed:
    """The error for a file or folder that cannot be written."""
    return WriteFailed(
        f"cannot write ({exc.strerror or type(exc).__name__})",
        subject=str(path),
        remedy="check free space, the folder and its permissions",
    )


def _too_large(what: str, path: Path, max_bytes: int) -> PlanRefused:
    return PlanRefused(
        f"{what} is larger than {max_bytes} bytes", subject=str(path), remedy="remove it, build it again"
    )
