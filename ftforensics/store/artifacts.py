"""Files of a case beside its database: pictures named by their content hash, and exports written whole or not at all.

In: bytes. Out: paths, or the bytes again once their hash was recomputed.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from ftforensics.errors import AlreadyExists, ChainBroken, NotFound, StoreError, WriteFailed
from ftforensics.store.case_names import ARTIFACT_FOLDER

MAX_ARTIFACT_BYTES = 256 << 20
_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


def save_artifact(case_folder: Path, content: bytes, media_type: str) -> str:
    """Keeps a picture in a case under its SHA-256; the same picture twice is kept once.

    Returns:
        The lower-case hex SHA-256 of ``content``.

    Raises:
        StoreError: Not a PNG or JPEG by its media type, or too large.
        WriteFailed: Disk full or not permitted; nothing half-written is left.
    """
    suffix = _SUFFIXES.get(media_type)
    if suffix is None or len(content) > MAX_ARTIFACT_BYTES:
        raise StoreError(
            f"A case keeps pictures as PNG or JPEG up to 256 MiB, not {media_type!a}", subject=str(case_folder)
        )
    digest = hashlib.sha256(content).hexdigest()
    folder = case_folder / ARTIFACT_FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exc:
        raise _write_failed(folder, exc) from exc
    path = folder / (digest + suffix)
    if not (path.is_file() and not path.is_symlink() and path.stat().st_size == len(content)):
        write_atomically(path, content, clobber=True)
    return digest


def load_artifact(case_folder: Path, sha256: str) -> bytes:
    """Reads a picture of a case and recomputes its hash.

    Raises:
        NotFound: It is not there, or the name is no hash.
        ChainBroken: Its bytes are not those that its name stands for.
        StoreError: It cannot be read.
    """
    path = find_artifact(case_folder, sha256)
    if path is None:
        raise NotFound("A picture of the case is missing", subject=str(case_folder / ARTIFACT_FOLDER / sha256[:64]))
    with _open_ordinary(path) as file:
        content = file.read(MAX_ARTIFACT_BYTES + 1)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ChainBroken("A picture of the case was altered", subject=str(path))
    return content


def find_artifact(case_folder: Path, sha256: str) -> Path | None:
    """Where the picture of that hash lies; None where there is none."""
    if _SHA256.fullmatch(sha256) is None:
        return None
    candidates = [case_folder / ARTIFACT_FOLDER / (sha256 + suffix) for suffix in _SUFFIXES.values()]
    return next((path for path in candidates if path.exists() or path.is_symlink()), None)


def list_artifacts(case_folder: Path) -> list[str]:
    """Names of all files in a case's picture folder, sorted.

    Raises:
        StoreError: The folder cannot be read.
    """
    folder = case_folder / ARTIFACT_FOLDER
    try:
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as exc:
        raise StoreError(f"The case's pictures cannot be listed ({exc.strerror})", subject=str(folder)) from exc


def hash_file(path: Path, sizes: Container[int]) -> str | None:
    """Hex SHA-256 of an ordinary file inside a case; None, without reading it, where its size is none of ``sizes``.

    Raises:
        StoreError: It is a link, a device or cannot be read.
    """
    with _open_ordinary(path) as file:
        if os.fstat(file.fileno()).st_size not in sizes:
            return None
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _open_ordinary(path: Path) -> Iterator[BufferedReader]:
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise StoreError("A file of the case is no ordinary file", subject=str(path))
            yield file
    except OSError as exc:
        raise StoreError(f"A file of the case cannot be read ({exc.strerror})", subject=str(path)) from exc


def write_atomically(path: Path, content: bytes, *, clobber: bool) -> None:
    """Writes a file whole or not at all. Raises as ``open_atomically`` does."""
    with open_atomically(path, clobber=clobber) as file:
        file.write(content)


@contextmanager
def open_atomically(path: Path, *, clobber: bool) -> Iterator[BinaryIO]:
    """Lets a file be written beside its place, flushes it to disk and moves it there once all went well.

    Raises:
        AlreadyExists: Something is there and ``clobber`` is false.
        WriteFailed: Disk full or not permitted; nothing half-written is left.
    """
    beside = _name_unfinished(path)
    taken = AlreadyExists("A file is not written over", subject=str(path), remedy="choose another name")
    if not clobber and (path.exists() or path.is_symlink()):
        raise taken
    try:
        try:
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if clobber:
                beside.replace(path)
            else:
                os.link(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError as exc:
        raise taken from exc
    except OSError as exc:
        raise _write_failed(path, exc) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile:
    """A file written and flushed beside its place, waiting to be moved there."""

    path: Path
    beside: Path
    sha256: str
    size_bytes: int

    def move(self) -> None:
        """Puts the file in its place, over an earlier one. Raises WriteFailed."""
        try:
            self.beside.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as exc:
            raise _write_failed(self.path, exc) from exc

    def discard(self) -> None:
        """Takes the file away unless it was moved."""
        with suppress(OSError):
            self.beside.unlink(missing_ok=True)


def stage_file(path: Path, chunks: Iterable[bytes]) -> StagedFile:
    """Writes a file beside its place, chunk by chunk.

    Raises:
        WriteFailed: Disk full or not permitted; nothing is left.
    """
    beside = _name_unfinished(path)
    digest, size = hashlib.sha256(), 0
    try:
        with beside.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as exc:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise _write_failed(path, exc) from exc
        raise
    return StagedFile(path=path, beside=beside, sha256=digest.hexdigest(), size_bytes=size)


def _name_unfinished(path: Path) -> Path:
    """A new hidden name beside ``path``; short, however long that name is."""
    return path.with_name(f".ftf-{secrets.token_hex(8)}.part")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_failed(path: Path, exc: OSError) -> WriteFailed:
    return WriteFailed(
        f"A file cannot be written ({exc.strerror})", subject=str(path), remedy="check the disk and permissions"
    )
