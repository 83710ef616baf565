"""One scan at a time into a case. In: the case's folder. Out: a lock that ends with the process, however that ends.

The lock is on the folder itself: nothing is left behind in it, and SQLite's own locks on the database stay untouched.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ftforensics.errors import StoreError


@contextmanager
def hold_case(folder: Path) -> Iterator[None]:
    """Keeps every other scan out of a case while the block lasts; reports and checks are not kept out.

    Where the file system offers no such lock (some network file systems), the block runs without one: findings are
    then still told apart by the run that made them.

    Raises:
        StoreError: Another scan holds the case.
    """
    descriptor = _open_folder(folder)
    try:
        if descriptor is not None:
            _lock(descriptor, folder)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open_folder(folder: Path) -> int | None:
    """None where there is no such folder, which opening the case says in better words."""
    with suppress(OSError):
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return None


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise StoreError(
            "Another scan is writing to this case",
            subject=str(folder),
            remedy="wait until it has finished and run the same command again",
        ) from exc
    except OSError:
        return
