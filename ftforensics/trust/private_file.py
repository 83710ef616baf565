"""Files that only their owner may read, and files replaced whole. In: paths and bytes. Out: files with mode 0600.

A new key file is created by one call that fails if anything, a dangling link included, is there already, with its mode
in the same call, so there is no moment at which another user could open it. Source: POSIX open(2), O_EXCL.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from ftforensics.errors import AlreadyExists, KeyUnknown, TrustError, WriteFailed

OWNER_ONLY = 0o600
MAX_FILE_BYTES = 16 * 1024 * 1024


def save_private_file(path: Path, data: bytes) -> None:
    """Create a file with mode 0600; refuse to replace one.

    Raises:
        AlreadyExists: Something of that name is there.
        WriteFailed: Disk full, read-only, no such folder, or not permitted.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError as exc:
        raise AlreadyExists(
            "a key file is there already", subject=str(path), remedy="choose another name or move the old file away"
        ) from exc
    except (OSError, ValueError) as exc:
        raise _write_failed(path, exc) from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), OWNER_ONLY)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        with contextlib.suppress(OSError):
            path.unlink()
        raise _write_failed(path, exc) from exc
    _sync_folder(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: a temporary neighbour with mode 0600, then a rename over the old one.

    Raises:
        WriteFailed: Disk full, read-only, no such folder, or not permitted; the old file is untouched.
    """
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, ValueError) as exc:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise _write_failed(path, exc) from exc
    _sync_folder(path.parent)


def load_bounded(path: Path, *, what: str) -> bytes:
    """Read a regular file of at most 16 MiB; a FIFO or device is refused instead of being waited for.

    Raises:
        KeyUnknown: There is no such file.
        TrustError: Not permitted, not a regular file, or too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise TrustError(f"{what} is not a regular file", subject=str(path), remedy="give the path of a file")
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as exc:
        raise KeyUnknown(f"{what} is not there", subject=str(path), remedy="check the path") from exc
    except (OSError, ValueError) as exc:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or type(exc).__name__
        raise TrustError(
            f"{what} cannot be read ({reason})",
            subject=str(path),
            remedy="check the path and its permissions",
        ) from exc
    if len(data) > MAX_FILE_BYTES:
        raise TrustError(f"{what} is larger than 16 MiB", subject=str(path), remedy="check that it is the right file")
    return data


def permission_warnings(path: Path) -> tuple[str, ...]:
    """Say in one sentence if others than the owner may read or change a key file; empty where all is well."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return ()
    if mode & 0o077 == 0:
        return ()
    return (f"key file is open to other users (mode {mode:04o}): {path}; run 'chmod 600' on it.",)


def _write_failed(path: Path, exc: OSError | ValueError) -> WriteFailed:
    reason = (exc.strerror if isinstance(exc, OSError) else None) or type(exc).__name__
    return WriteFailed(
        f"cannot write the file ({reason})",
        subject=str(path),
        remedy="check free space, the folder and its permissions",
    )


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
