"""Databases of the wrong kind, version or shape are refused with a sentence, and rows only ever get added."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftforensics.errors import (
    AlreadyExists,
    ChainBroken,
    FtfError,
    NotFound,
    SchemaMismatch,
    StoreError,
    WriteFailed,
)
from ftforensics.store.case_rows import case_schema
from ftforensics.store.registry import registry_schema
from ftforensics.store.schema import Schema, split_statements
from ftforensics.store.sqlite import Database, create_database, open_database

FIRST = "CREATE TABLE a (x INTEGER PRIMARY KEY) STRICT;\n"
SECOND = (
    "CREATE TABLE b (y TEXT NOT NULL) STRICT;\n"
    "CREATE TRIGGER b_no_delete BEFORE DELETE ON b\nBEGIN\n  SELECT RAISE(ABORT, 'append-only: b');\nEND;\n"
)
OLD = Schema(noun="thing", application_id=7, migrations=(FIRST,))
NEW = Schema(noun="thing", application_id=7, migrations=(FIRST, SECOND))


def fill(database: Database) -> None:
    database.insert("INSERT INTO a (x) VALUES (?)", (1,))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.sqlite"
    create_database(path, OLD, fill)
    return path


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def test_a_new_database_is_in_wal_mode_with_foreign_keys(old: Path) -> None:
    with open_database(old, OLD, read_only=False) as database:
        assert database.row("PRAGMA journal_mode") == ("wal",)
        assert database.row("PRAGMA foreign_keys") == (1,)
        assert database.row("SELECT x FROM a") == (1,)


def test_an_older_version_is_migrated_when_opened_for_writing(old: Path) -> None:
    with open_database(old, NEW, read_only=False) as database:
        assert database.row("SELECT x FROM a") == (1,)
        assert database.row("SELECT count(*) FROM b") == (0,)
    assert version(old) == 2
    with open_database(old, NEW, read_only=True) as database:
        assert database.row("SELECT x FROM a") == (1,)


def test_an_older_version_is_not_changed_when_opened_for_reading(old: Path) -> None:
    with pytest.raises(SchemaMismatch, match="open it once for writing"):
        open_database(old, NEW, read_only=True)
    assert version(old) == 1


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_version_asks_for_an_upgrade(tmp_path: Path, read_only: bool) -> None:
    create_database(tmp_path / "new.sqlite", NEW, lambda database: None)
    with pytest.raises(SchemaMismatch, match="upgrade the program"):
        open_database(tmp_path / "new.sqlite", OLD, read_only=read_only)


def test_a_failed_migration_changes_nothing(old: Path) -> None:
    broken = Schema(noun="thing", application_id=7, migrations=(FIRST, SECOND + "INSERT INTO nowhere VALUES (1);\n"))
    with pytest.raises(StoreError):
        open_database(old, broken, read_only=False)
    with open_database(old, OLD, read_only=True) as database:
        assert database.row("SELECT count(*) FROM sqlite_schema WHERE name = 'b'") == (0,)


def test_another_kind_of_database_is_refused(old: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a registry"):
        open_database(old, registry_schema(), read_only=True)
    plain = tmp_path / "plain.sqlite"
    connection = sqlite3.connect(plain)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(StoreError, match="not a case"):
        open_database(plain, case_schema(), read_only=False)


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00", b"SQLite format 3\x00" + bytes(5000)])
@pytest.mark.parametrize("read_only", [True, False])
def test_files_that_are_no_database(tmp_path: Path, content: bytes, read_only: bool) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        open_database(path, OLD, read_only=read_only)
    assert str(path) in caught.value.sentence
    assert path.read_bytes() == content


def test_places_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_database(tmp_path / "missing.sqlite", OLD, read_only=True)
    with pytest.raises(StoreError):
        open_database(tmp_path, OLD, read_only=True)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="no ordinary file"):
        open_database(tmp_path / "pipe", OLD, read_only=True)


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_database_gives_rows_or_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "damaged.sqlite"
    if not (tmp_path / "whole").exists():
        create_database(tmp_path / "whole", NEW, fill)
    content = bytearray((tmp_path / "whole").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(16, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(100, len(content)))])
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    try:
        with open_database(path, NEW, read_only=True) as database:
            database.check_pages()
            list(database.rows("SELECT * FROM a"))
    except FtfError as exc:
        named = exc.subject
        assert named == str(path)


def test_dropped_protections_are_noticed(old: Path) -> None:
    open_database(old, NEW, read_only=False).close()
    connection = sqlite3.connect(old)
    connection.execute("DROP TRIGGER b_no_delete")
    connection.commit()
    connection.close()
    with pytest.raises(ChainBroken, match="b_no_delete"):
        open_database(old, NEW, read_only=True)


def test_an_added_trigger_is_noticed(old: Path) -> None:
    connection = sqlite3.connect(old)
    connection.execute("CREATE TRIGGER evil AFTER INSERT ON a BEGIN DELETE FROM a; END")
    connection.commit()
    connection.close()
    with pytest.raises(ChainBroken, match="evil"):
        open_database(old, OLD, read_only=False)


def insert_all(database: Database, values: list[int]) -> None:
    with database.transaction():
        for value in values:
            database.insert("INSERT INTO a (x) VALUES (?)", (value,))


def test_a_transaction_is_all_or_nothing(old: Path) -> None:
    with open_database(old, OLD, read_only=False) as database:
        with pytest.raises(AlreadyExists):
            insert_all(database, [2, 3, 1])
        with pytest.raises(StoreError, match="cannot hold"):
            insert_all(database, [4, 2**70])
        assert database.all_rows("SELECT x FROM a") == [(1,)]
        insert_all(database, [2])
        assert database.all_rows("SELECT x FROM a") == [(1,), (2,)]


def test_reading_only_means_reading_only(old: Path) -> None:
    with open_database(old, OLD, read_only=True) as database:
        with pytest.raises(StoreError, match="for reading only"), database.transaction():
            pass
        with pytest.raises(FtfError):
            database.insert("INSERT INTO a (x) VALUES (?)", (2,))


def test_a_reader_leaves_no_files_behind(old: Path) -> None:
    before = old.read_bytes()
    open_database(old, OLD, read_only=True).close()
    assert [path.name for path in old.parent.iterdir()] == ["old.sqlite"]
    assert old.read_bytes() == before
    with open_database(old, OLD, read_only=False) as writer:
        insert_all(writer, [2])
        open_database(old, OLD, read_only=True).close()
        insert_all(writer, [3])
    with open_database(old, OLD, read_only=True) as reader:
        assert reader.all_rows("SELECT x FROM a") == [(1,), (2,), (3,)]


def test_a_full_disk_is_a_sentence_and_changes_nothing(old: Path) -> None:
    with open_database(old, NEW, read_only=False) as database:
        pages = database.row("PRAGMA page_count")
        assert pages is not None
        database.row(f"PRAGMA max_page_count = {pages[0]}")
        with pytest.raises(WriteFailed, match="disk is full"):
            insert_all(database, list(range(2, 5000)))
        assert database.all_rows("SELECT x FROM a") == [(1,)]


def test_a_busy_database_is_a_sentence(old: Path) -> None:
    with open_database(old, OLD, read_only=False) as one, open_database(old, OLD, read_only=False) as two:
        two.row("PRAGMA busy_timeout = 10")
        with one.transaction(), pytest.raises(StoreError, match="locked by another program"), two.transaction():
            pass


def test_nothing_is_written_over(old: Path) -> None:
    content = old.read_bytes()
    with pytest.raises(AlreadyExists):
        create_database(old, OLD, fill)
    assert old.read_bytes() == content
    with pytest.raises(WriteFailed):
        create_database(old.parent / "no" / "folder.sqlite", OLD, fill)


def test_a_failed_creation_leaves_nothing(tmp_path: Path) -> None:
    def fail(database: Database) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        create_database(tmp_path / "x.sqlite", OLD, fail)
    assert list(tmp_path.iterdir()) == []


def test_names_with_special_characters(tmp_path: Path) -> None:
    path = tmp_path / "50% of ?mode=memory#\u00e9.sqlite"
    create_database(path, OLD, fill)
    with open_database(path, OLD, read_only=True) as database:
        assert database.row("SELECT x FROM a") == (1,)


def open_as_nobody(path: Path) -> str:
    with open_database(path, OLD, read_only=True) as database:
        found = repr(database.row("SELECT x FROM a"))
    try:
        open_database(path, OLD, read_only=False)
    except FtfError as exc:
        found += type(exc).__name__
    return found


def test_a_copy_that_may_not_be_written_beside_can_be_read() -> None:
    folder = Path(tempfile.mkdtemp())
    create_database(folder / "r.sqlite", OLD, fill)
    (folder / "r.sqlite").chmod(0o444)
    folder.chmod(0o555)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            os.write(write_end, open_as_nobody(folder / "r.sqlite").encode())
        finally:
            os._exit(0)
    os.close(write_end)
    try:
        assert os.read(read_end, 1000) == b"(1,)WriteFailed"
    finally:
        os.waitpid(child, 0)
        os.close(read_end)
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("schema", [registry_schema(), case_schema()], ids=["registry", "case"])
def test_every_table_refuses_updates_deletes_and_replacements(schema: Schema, tmp_path: Path) -> None:
    script = "".join(schema.migrations)
    tables = [line.split()[2] for line in script.splitlines() if line.startswith("CREATE TABLE")]
    assert tables
    for table in tables:
        statements = [one for one in split_statements(script) if f" ON {table}\n" in one or f" ON {table} " in one]
        triggers = " ".join(" ".join(one.split()) for one in statements if "TRIGGER" in one)
        assert f"BEFORE UPDATE ON {table}" in triggers
        assert f"BEFORE DELETE ON {table}" in triggers
        assert f"BEFORE INSERT ON {table}" in triggers


def test_a_script_that_ends_early_is_refused() -> None:
    with pytest.raises(StoreError):
        list(split_statements("CREATE TABLE t (x);\nCREATE TRIGGER u BEFORE DELETE ON t BEGIN SELECT 1;"))
