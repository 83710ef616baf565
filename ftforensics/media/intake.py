"""One file becomes one ``EvidenceItem`` and the pixels to read: opened once, hashed and decoded from the same bytes.

Evidence is opened read-only, never through a link, never waiting on a pipe, and without touching its access time where
the system permits. The hash is made here, in the program, from the very bytes that are then sent to a worker: no
process that has parsed a hostile file has a say in it.

Failure types: stage ``walk`` as in ``walk``; ``open`` and ``hash`` carry the class of the system's error, ``NotAFile``,
``ChangedWhileRead`` or ``Timeout``; ``sniff`` says ``EmptyFile`` or ``NotAPicture``; ``decode`` and ``exif`` say
``EvidenceUnreadable``, ``EvidenceTooLarge``, ``MemoryLimit``, ``Timeout`` or ``WorkerDied``. After a failure at the
stage ``exif`` the pixels are there all the same.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ftforensics.domain.evidence import EvidenceItem, IntakeFailure
from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.escape import display_path
from ftforensics.media.limits import MAX_PIXELS, WorkerLimits
from ftforensics.media.replies import ParsedFile
from ftforensics.media.sniff import (
    EMPTY,
    HEAD_BYTES,
    PICTURE_TYPES,
    UNKNOWN,
    is_extension_mismatch,
    sniff_media_type,
)
from ftforensics.media.walk import EvidencePath
from ftforensics.media.workers import WorkerPool

CHUNK_BYTES = 1 << 20
SLOWEST_BYTES_PER_S = 2 << 20
CANNOT_OPEN = "cannot be opened"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntakeResult:
    """What intake knows of one input.

    ``item`` is always there; its ``sha256`` is empty where the file could not be read to its end. ``pixels`` are uint8
    (H, W, 3), sRGB, display-oriented, long side at most ``max_px``, or None.
    """

    source: EvidencePath
    item: EvidenceItem
    pixels: npt.NDArray[np.uint8] | None = None
    failure: IntakeFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquiredBytes:
    """A file as read: ``data`` is None where it is no picture or too large to decode."""

    sha256: str
    size_bytes: int
    mtime: str
    media_type: str
    data: bytes | bytearray | None


class IntakeStopped(Exception):
    """Intake of one file ended early."""

    def __init__(self, stage: Literal["open", "hash"], kind: str, message: str) -> None:
        self.failure = IntakeFailure(stage=stage, type=kind, message=message)
        super().__init__(message)


def acquire_many(
    paths: Iterable[EvidencePath],
    *,
    jobs: int = 1,
    timeout_s: float = 30.0,
    memory_bytes: int = 2 << 30,
    max_px: int = 1024,
    max_file_bytes: int = 256 << 20,
    max_pixels: int = MAX_PIXELS,
    acquired_at: str | None = None,
) -> Iterator[IntakeResult]:
    """Acquire files in parallel and yield what became of them in the order of ``paths``.

    At most a handful of results per job are made ahead of the consumer. Nothing that a file does ends the iteration.

    Args:
        paths: As ``walk_evidence`` gives them.
        jobs: Files worked on at once.
        timeout_s: Longest time for decoding one file; its EXIF block gets at most five seconds more.
        memory_bytes: Address space of one worker.
        max_px: Long side of the pixels handed back.
        max_file_bytes: Larger files are hashed and not decoded.
        max_pixels: Larger pictures are not decoded.
        acquired_at: The investigator's own statement of when the exhibits were in hand, UTC ISO 8601.

    Raises:
        EvidenceUnreadable: Workers cannot be started on this machine at all.
    """
    limits = WorkerLimits(
        timeout_s=timeout_s,
        memory_bytes=memory_bytes,
        max_file_bytes=max_file_bytes,
        max_px=max_px,
        max_pixels=max_pixels,
    )
    with WorkerPool(jobs, limits) as pool:
        yield from acquire_with(pool, paths, acquired_at=acquired_at)


def acquire_with(
    pool: WorkerPool, paths: Iterable[EvidencePath], *, acquired_at: str | None = None
) -> Iterator[IntakeResult]:
    """As ``acquire_many``, with workers of the caller, who closes them."""
    return pool.map(lambda path: acquire(path, pool, acquired_at=acquired_at), paths)


def acquire(path: EvidencePath, pool: WorkerPool, *, acquired_at: str | None = None) -> IntakeResult:
    """Read, hash and decode one file; see the module's text for the failures it can report."""
    item = EvidenceItem(
        path=path.path,
        path_b64=path.path_b64,
        size_bytes=path.size_bytes,
        mtime=_claimed_mtime(path.full),
        sha256="",
        media_type=UNKNOWN,
        ext_mismatch=False,
        acquired_at=acquired_at,
    )
    if path.failure is not None:
        return IntakeResult(source=path, item=item, failure=path.failure)
    limits = pool.limits
    try:
        read = read_evidence(
            path.full,
            keep_bytes=limits.max_file_bytes,
            timeout_s=limits.timeout_s,
            is_cancelled=lambda: pool.is_closed,
        )
    except IntakeStopped as exc:
        return IntakeResult(source=path, item=item, failure=exc.failure)
    item = replace(
        item,
        size_bytes=read.size_bytes,
        mtime=read.mtime,
        sha256=read.sha256,
        media_type=read.media_type,
        ext_mismatch=is_extension_mismatch(path.path, read.media_type),
    )
    parsed = _parse(read, pool)
    item = replace(item, decode=parsed.decode, exif=parsed.exif)
    return IntakeResult(source=path, item=item, pixels=parsed.pixels, failure=parsed.failure)


def hash_file(path: Path | bytes) -> str:
    """SHA-256 of a file, streamed; the file is opened as evidence is.

    Raises:
        EvidenceUnreadable: Missing, not permitted, no plain file, or changing while it is read.
    """
    full = os.fsencode(path)
    try:
        return read_evidence(full, keep_bytes=0).sha256
    except IntakeStopped as exc:
        raise EvidenceUnreadable(
            f"The file cannot be hashed ({exc})", subject=display_path(full), remedy="check path and permissions"
        ) from exc


def read_evidence(
    full: bytes,
    *,
    keep_bytes: int,
    timeout_s: float = float("inf"),
    is_cancelled: Callable[[], bool] = lambda: False,
) -> AcquiredBytes:
    """Read a file once, hashing it, and keep the bytes if it is a picture of at most ``keep_bytes``.

    Raises:
        IntakeStopped: With the failure to report; every error of the system ends here.
    """
    descriptor = _open_evidence(full)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise IntakeStopped("open", "NotAFile", "not a plain file")
        deadline = time.monotonic() + timeout_s + before.st_size / SLOWEST_BYTES_PER_S
        head, rest = _read_at_most(descriptor, HEAD_BYTES), before.st_size
        media_type = sniff_media_type(head)
        kept = bytearray() if media_type in PICTURE_TYPES and before.st_size <= keep_bytes else None
        digest, chunk, total = hashlib.sha256(), head, 0
        while chunk:
            total += len(chunk)
            digest.update(chunk)
            if kept is not None:
                kept += chunk
            if total > rest or is_cancelled():
                break
            if time.monotonic() > deadline:
                raise IntakeStopped("hash", "Timeout", "the file could not be read in time")
            chunk = os.read(descriptor, CHUNK_BYTES)
        after = os.fstat(descriptor)
    except OSError as exc:
        raise IntakeStopped("hash", type(exc).__name__, f"cannot be read: {exc.strerror}") from exc
    finally:
        os.close(descriptor)
    if total != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise IntakeStopped("hash", "ChangedWhileRead", "the file changed while it was being read")
    return AcquiredBytes(
        sha256=digest.hexdigest(),
        size_bytes=total,
        mtime=format_mtime(before.st_mtime_ns),
        media_type=media_type,
        data=kept,
    )


def format_mtime(mtime_ns: int) -> str:
    """UTC ISO 8601 to the microsecond with Z; empty for a time outside the years 1 to 9999."""
    try:
        moment = _EPOCH + timedelta(microseconds=mtime_ns // 1000)
    except OverflowError:
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _parse(read: AcquiredBytes, pool: WorkerPool) -> ParsedFile:
    if read.media_type == EMPTY:
        return ParsedFile(failure=IntakeFailure(stage="sniff", type="EmptyFile", message="the file has no bytes"))
    if read.media_type not in PICTURE_TYPES:
        message = f"not a picture this program reads ({read.media_type})"
        return ParsedFile(failure=IntakeFailure(stage="sniff", type="NotAPicture", message=message))
    if read.data is None:
        message = f"{read.size_bytes} bytes, over the limit of {pool.limits.max_file_bytes} for decoding"
        return ParsedFile(failure=IntakeFailure(stage="decode", type="EvidenceTooLarge", message=message))
    return pool.parse(read.data, read.media_type)


def _open_evidence(full: bytes) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        if not stat.S_ISREG(os.lstat(full).st_mode):  # opening a device can do things
            raise IntakeStopped("open", "NotAFile", "not a plain file")
        try:
            return os.open(full, flags | getattr(os, "O_NOATIME", 0))
        except PermissionError:  # only the owner may leave the access time alone
            return os.open(full, flags)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise IntakeStopped("open", "SymlinkNotFollowed", "symbolic link, not followed") from exc
        raise IntakeStopped("open", type(exc).__name__, f"{CANNOT_OPEN}: {exc.strerror}") from exc
    except ValueError as exc:
        raise IntakeStopped("open", "ValueError", "the path holds a NUL byte") from exc


def _read_at_most(descriptor: int, count: int) -> bytes:
    """``count`` bytes, or all that there are."""
    data = b""
    while len(data) < count:
        chunk = os.read(descriptor, count - len(data))
        if not chunk:
            break
        data += chunk
    return data


def _claimed_mtime(full: bytes) -> str:
    try:
        return format_mtime(os.lstat(full).st_mtime_ns)
    except (OSError, ValueError):
        return ""
