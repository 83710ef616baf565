"""Files appear whole or not at all: write beside the target, flush to the disk, then rename."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from ftforensics.errors import AlreadyExists, WriteFailed

# Also the names of earlier versions, which held the target's.
_UNFINISHED = re.compile(r"\.ftf-[0-9a-f]{16}\.part|\..+\.part-[0-9a-f]{8}|\..+\.[0-9a-f]{16}\.part", re.DOTALL)
_NO_LINKS_HERE = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def atomic_write(path: Path, data: bytes, *, clobber: bool = False) -> None:
    """Write a file so that after a crash there is either the whole file or none; folders on the way are made.

    Args and errors as for ``stage``.
    """
    with stage(path, data, clobber=clobber) as move:
        move()


@contextlib.contextmanager
def stage(path: Path, data: bytes, *, clobber: bool = False) -> Iterator[Callable[[], None]]:
    """Write a file beside its place, so that all that is left to do is to give it its name.

    Args:
        path: Where to; folders on the way are made.
        data: The whole content.
        clobber: Replace what is there. A symbolic link is replaced, not followed.

    Yields:
        What moves the file to its place. Nothing is left of it if that was not called.

    Raises:
        AlreadyExists: There is something at ``path`` and ``clobber`` is off.
        WriteFailed: Disk full, read-only or not permitted; nothing half-written is left.
    """
    if not clobber and os.path.lexists(path):
        raise _exists(path)
    temporary = name_unfinished(path)

    def move() -> None:
        with _wrapped(path):
            _move(temporary, path, clobber=clobber)
            temporary.unlink(missing_ok=True)
            _flush_folder(path.parent)

    try:
        with _wrapped(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_through(temporary, data)
        yield move
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink()


@contextlib.contextmanager
def _wrapped(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "the name is not allowed"
        raise WriteFailed(
            f"The file cannot be written ({reason})", subject=str(path), remedy="check space and permissions"
        ) from exc


def name_unfinished(path: Path) -> Path:
    """A new hidden name beside ``path``, for a file that will be moved there; short, however long that name is."""
    return path.with_name(f".ftf-{secrets.token_hex(8)}.part")


def list_unfinished(folder: Path) -> list[str]:
    """Names of files that a stopped program left in a folder, or that another one is writing just now; sorted."""
    try:
        return sorted(name for name in os.listdir(folder) if _UNFINISHED.fullmatch(name))  # noqa: PTH208 - names only
    except OSError:
        return []


def _move(temporary: Path, path: Path, *, clobber: bool) -> None:
    """Give the file its name; without ``clobber`` by a link, which fails where the name was taken meanwhile."""
    if not clobber:
        try:
            os.link(temporary, path)
        except FileExistsError as exc:
            raise _exists(path) from exc
        except OSError as exc:
            if exc.errno not in _NO_LINKS_HERE:
                raise
        else:
            return
        if os.path.lexists(path):
            raise _exists(path)
    temporary.replace(path)


def _exists(path: Path) -> AlreadyExists:
    return AlreadyExists(
        "There is a file already and it is not overwritten", subject=str(path), remedy="use --clobber or another name"
    )


def _write_through(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the new name durable; some file systems cannot, and then the rename alone must do."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
