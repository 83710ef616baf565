"""SQLite under the registry and the cases: opening, versions, transactions, errors.

In: a path and the schema the caller expects. Out: a connection whose every failure is an ``FtfError`` sentence. A
database says what it is in ``PRAGMA application_id`` and which version of it in ``PRAGMA user_version``. Sources: the
SQLite manual's pages on PRAGMA, URI file names, WAL, STRICT tables and result codes.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from ftforensics.errors import AlreadyExists, ChainBroken, NotFound, SchemaMismatch, StoreError, WriteFailed
from ftforensics.store.schema import SCHEMA_QUERY, Schema, build_expected_tables, split_statements

BUSY_TIMEOUT_MS = 15_000
OLDEST_SQLITE = (3, 37, 0)
_MAGIC = b"SQLite format 3\x00"
_WRITE_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM}
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_BUSY_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

Row = tuple[Any, ...]


class Database:
    """One open database file. Made by ``create_database`` or ``open_database``; close it, or use it in ``with``.

    Not for use from several threads at once; several processes may hold the same file, writers wait for each other.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, noun: str, *, read_only: bool) -> None:
        self._connection = connection
        self.path = path
        self.noun = noun
        self.read_only = read_only

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; harmless when it is closed already.

        A reader cannot take away the empty side files that SQLite made for it, so a writer is opened and closed for
        that where it may; SQLite keeps them while any other program has the database open.
        """
        with suppress(sqlite3.Error):
            self._connection.close()
        wal = self.path.with_name(self.path.name + "-wal")
        with suppress(OSError, sqlite3.Error, StoreError):
            if self.read_only and wal.stat().st_size == 0 and os.access(self.path, os.W_OK):
                connection = _connect(self.path, self.noun, "rw")
                connection.execute("PRAGMA user_version").fetchone()
                connection.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Yields the rows of a query one by one.

        Raises:
            StoreError: The file is damaged, locked or not readable.
        """
        with wrap_sqlite_errors(self.path, self.noun):
            # Not "yield from": that would close the cursor of a reader given up half-way, perhaps after the database.
            for row in self._connection.execute(sql, values):  # noqa: UP028
                yield row

    def all_rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query at once; faster than ``rows`` for narrow rows. Raises as ``rows`` does."""
        with wrap_sqlite_errors(self.path, self.noun):
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None. Raises as ``rows`` does."""
        with wrap_sqlite_errors(self.path, self.noun):
            first: Row | None = self._connection.execute(sql, values).fetchone()
            return first

    def insert(self, sql: str, values: Sequence[Any]) -> int:
        """Adds one row inside a ``transaction`` and returns its rowid.

        Raises:
            AlreadyExists: A row with the same key is there.
            WriteFailed: Disk full or read-only.
        """
        with wrap_sqlite_errors(self.path, self.noun):
            return self._connection.execute(sql, values).lastrowid or 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written, or nothing is; other writers wait.

        Raises:
            StoreError: Opened read-only, or another program keeps the file locked.
            WriteFailed: Disk full or read-only; nothing was written.
        """
        if self.read_only:
            raise StoreError(f"The {self.noun} was opened for reading only", subject=str(self.path))
        self.row("BEGIN IMMEDIATE")
        try:
            yield
            self.row("COMMIT")
        finally:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is one state of the file, whatever other programs write meanwhile."""
        self.row("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):
                self._connection.execute("COMMIT")

    def check_pages(self) -> None:
        """Lets SQLite check the file's own structure, and that each index finds what its table holds.

        Raises:
            StoreError: Pages, indexes or constraints are damaged.
        """
        problems = [str(row[0]) for row in self.rows("PRAGMA integrity_check(3)")]
        if problems != ["ok"]:
            raise StoreError(
                f"The {self.noun} database is damaged ({problems[0]})",
                subject=str(self.path),
                remedy="restore it from a backup",
            )


def create_database(path: Path, schema: Schema, fill: Callable[[Database], None]) -> None:
    """Makes a new database file and puts its first rows in; leaves nothing behind when that fails.

    Args:
        path: Where; must not exist.
        schema: What to make.
        fill: Called inside the one transaction that also makes the tables.

    Raises:
        AlreadyExists: Something is at ``path``.
        WriteFailed: The folder or disk does not let us write.
    """
    _reserve(path, schema.noun)
    try:
        with Database(_connect(path, schema.noun, "rw"), path, schema.noun, read_only=False) as database:
            _prepare_reading(database)
            _prepare_writing(database)
            _migrate(database, schema, fill)
    except BaseException:
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        raise


def open_database(path: Path, schema: Schema, *, read_only: bool) -> Database:
    """Opens an existing database and makes sure it is what the caller thinks it is.

    Checks, in order: it is a file; it is SQLite; it is of this kind; its version; its tables and append-only triggers
    are those of that version. Does not establish that the rows are unaltered: that is what ``verify`` of the registry
    or case does.

    Raises:
        NotFound: No such file.
        StoreError: Not SQLite, damaged, another kind of database, or locked.
        SchemaMismatch: Made by a newer program, or too old to be opened for reading only.
        ChainBroken: Its tables or append-only triggers were altered.
        WriteFailed: To be opened for writing where that is not permitted, or for reading where it is not and what a
            stopped program left has still to be taken in.
    """
    _check_magic(path, schema.noun)
    if not read_only:
        _check_permission(path, schema.noun)
    database = _open_read_only(path, schema.noun) if read_only else _open_writable(path, schema.noun)
    try:
        _check_kind(database, schema)
        version = _pragma(database, "user_version")
        _check_version(database, schema, version)
        _check_tables(database, schema, version)
        if not read_only:
            _prepare_writing(database)
        if version < schema.version and not read_only:
            _migrate(database, schema)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def wrap_sqlite_errors(path: Path, noun: str) -> Iterator[None]:
    """Turns SQLite's errors into sentences about the file at ``path``."""
    try:
        yield
    except sqlite3.Error as exc:
        raise _as_ftf_error(exc, path, noun) from exc
    except (OverflowError, UnicodeEncodeError) as exc:
        raise StoreError(f"The {noun} cannot hold such a value ({exc})", subject=str(path)) from exc


def _as_ftf_error(exc: sqlite3.Error, path: Path, noun: str) -> StoreError | WriteFailed:
    code = getattr(exc, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    subject = str(path)
    if primary == sqlite3.SQLITE_FULL:
        return WriteFailed(
            f"The {noun} could not be written because the disk is full",
            subject=subject,
            remedy="make room and try again",
        )
    if primary in _WRITE_CODES:
        return WriteFailed(
            f"The {noun} could not be read or written ({exc})",
            subject=subject,
            remedy="check the disk and that the file and its folder are writable",
        )
    if primary in _DAMAGE_CODES:
        return StoreError(f"The {noun} database is damaged ({exc})", subject=subject, remedy="restore it from a backup")
    if primary in _BUSY_CODES:
        return StoreError(
            f"The {noun} is locked by another program",
            subject=subject,
            remedy="wait until it has finished and try again",
        )
    if primary == sqlite3.SQLITE_CONSTRAINT:
        if "append-only" in str(exc) or "UNIQUE" in str(exc):
            return AlreadyExists(
                f"The {noun} already has such a row and rows are never changed ({exc})", subject=subject
            )
        return StoreError(f"The {noun} refused a row ({exc})", subject=subject)
    return StoreError(f"The {noun} database cannot be used ({exc})", subject=subject)


def _reserve(path: Path, noun: str) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError as exc:
        raise AlreadyExists(f"A {noun} is not written over", subject=str(path), remedy="choose another name") from exc
    except OSError as exc:
        raise WriteFailed(
            f"The {noun} cannot be made ({exc.strerror})", subject=str(path), remedy="check that the folder exists"
        ) from exc


def _connect(path: Path, noun: str, mode: str) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old", remedy="use a Python built with SQLite 3.37 or newer"
        )
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}"
    with wrap_sqlite_errors(path, noun):
        # Whoever shares it between threads lets one in at a time, as flows.sources does.
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000, check_same_thread=False
        )
    connection.text_factory = _decode_text
    return connection


def _decode_text(raw: bytes) -> str | bytes:
    """Text that is no UTF-8 stays bytes: whoever expects a string refuses it, and no spelling of it passes for one."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _prepare_reading(database: Database) -> None:
    database.row("PRAGMA trusted_schema = OFF")
    database.row("PRAGMA foreign_keys = ON")
    database.row("PRAGMA recursive_triggers = ON")
    database.row("PRAGMA cell_size_check = ON")
    if database.read_only:
        database.row("PRAGMA query_only = ON")
    database.row("SELECT count(*) FROM sqlite_schema")


def _prepare_writing(database: Database) -> None:
    database.row("PRAGMA journal_mode = WAL")
    database.row("PRAGMA synchronous = FULL")


def _check_magic(path: Path, noun: str) -> None:
    try:
        if not path.is_file() and path.exists():
            raise StoreError(f"This is not a {noun}: it is no ordinary file", subject=str(path))
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except FileNotFoundError as exc:
        raise NotFound(f"There is no {noun}", subject=str(path), remedy="check the path, or make one first") from exc
    except OSError as exc:
        raise StoreError(f"The {noun} cannot be opened ({exc.strerror})", subject=str(path)) from exc
    if magic != _MAGIC:
        raise StoreError(f"This is not a {noun}: it is no SQLite database", subject=str(path))


def _check_permission(path: Path, noun: str) -> None:
    if not os.access(path, os.W_OK) or not os.access(path.absolute().parent, os.W_OK):
        raise WriteFailed(
            f"The {noun} may not be written to", subject=str(path), remedy="check the permissions of it and its folder"
        )


def _open_writable(path: Path, noun: str) -> Database:
    database = Database(_connect(path, noun, "rw"), path, noun, read_only=False)
    try:
        _prepare_reading(database)
    except BaseException:
        database.close()
        raise
    return database


def _open_read_only(path: Path, noun: str) -> Database:
    """Opens for reading; on a read-only medium SQLite needs to be told that nobody writes (no WAL file beside it)."""
    modes = ["ro"]
    wal = path.with_name(path.name + "-wal")
    was_closed = not wal.exists() or wal.stat().st_size == 0
    if was_closed:
        modes.append("ro&immutable=1")
    for mode in modes:
        database = Database(_connect(path, noun, mode), path, noun, read_only=True)
        try:
            _prepare_reading(database)
        except (StoreError, WriteFailed) as exc:
            database.close()
            code = getattr(exc.__cause__, "sqlite_errorcode", 0) & 0xFF
            if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY} and not was_closed:
                raise _cannot_recover_here(path, noun) from exc
            if mode == modes[-1] or code not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
                raise
        else:
            return database
    raise AssertionError("unreachable: the last mode raises")


def _cannot_recover_here(path: Path, noun: str) -> WriteFailed:
    """Nothing is wrong with it; but what a stopped program left has to be taken in, and SQLite writes for that."""
    return WriteFailed(
        f"The {noun} was not closed by the program that last wrote to it, and cannot be opened where nothing may be "
        "written",
        subject=str(path),
        remedy="copy its whole folder, with the -wal file, to a place where you may write, and use the copy",
    )


def _pragma(database: Database, name: str) -> int:
    row = database.row(f"PRAGMA {name}")
    return int(row[0]) if row else 0


def _check_kind(database: Database, schema: Schema) -> None:
    if _pragma(database, "application_id") != schema.application_id:
        raise StoreError(f"This SQLite database is not a {schema.noun}", subject=str(database.path))


def _check_version(database: Database, schema: Schema, version: int) -> None:
    subject = str(database.path)
    if version > schema.version:
        raise SchemaMismatch(
            f"The {schema.noun} has version {version} and this program knows versions up to {schema.version}",
            subject=subject,
            remedy="upgrade the program",
        )
    if version < 1:
        raise SchemaMismatch(f"The {schema.noun} has no version", subject=subject, remedy="restore it from a backup")
    if version < (schema.readable_from or schema.version) and database.read_only:
        raise SchemaMismatch(
            f"The {schema.noun} has the older version {version} and cannot be read as it is",
            subject=subject,
            remedy=f"open it once for writing, which brings it to version {schema.version}",
        )


def _check_tables(database: Database, schema: Schema, version: int) -> None:
    found = Counter(database.all_rows(SCHEMA_QUERY))
    expected = Counter(build_expected_tables(schema.migrations[:version]))
    altered = sorted({str(row[0]) for row in (found - expected) + (expected - found)})
    if altered:
        raise ChainBroken(
            f"The {schema.noun}'s own tables or append-only protections were altered ({', '.join(altered[:5])})",
            subject=str(database.path),
            remedy="treat its contents as tampered with and restore it from a backup",
        )


def _migrate(database: Database, schema: Schema, fill: Callable[[Database], None] | None = None) -> None:
    with database.transaction():
        for number in range(_pragma(database, "user_version"), schema.version):
            for statement in split_statements(schema.migrations[number]):
                database.row(statement)
        database.row(f"PRAGMA application_id = {schema.application_id:d}")
        database.row(f"PRAGMA user_version = {schema.version:d}")
        if fill is not None:
            fill(database)
