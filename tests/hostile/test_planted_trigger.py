"""Attack: plant a trigger, view or index in a case's database, under a name that SQLite keeps for itself too."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stored_case import AT, EXAMINER, make_stored_case, make_verdict

from ftforensics.errors import ChainBroken, FtfError, StoreError
from ftforensics.store.case_rows import case_schema
from ftforensics.store.cases import Case
from ftforensics.store.finding_json import render_finding
from ftforensics.store.registry import Registry
from ftforensics.store.sqlite import create_database, open_database

sys.path.append(str(Path(__file__).parents[1] / "store"))
from registry_samples import make_registry

PLANTED = {
    "trigger": "CREATE TRIGGER planted BEFORE INSERT ON findings BEGIN SELECT RAISE(IGNORE); END",
    "view": "CREATE VIEW planted AS SELECT * FROM findings",
    "index": "CREATE INDEX planted ON findings (verdict)",
    "table": "CREATE TABLE planted (x)",
}
NAMES = ("sqlite_x", "sqlite_stat9", "sqlite_autoindex_x", "SQLITE_STAT1x", "sqlite_sequence", "planted")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with make_stored_case(tmp_path) as case:
        return case.folder


def plant(path: Path, sql: str, name: str) -> None:
    """Make it under an ordinary name, then rename it in the schema, where SQLite checks no names."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(sql)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_schema SET name = ?1, tbl_name = iif(type IN ('table', 'view'), ?1, tbl_name), "
        "sql = replace(sql, 'planted', ?1) WHERE name = 'planted'",
        (name,),
    )
    connection.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", PLANTED)
def test_what_was_planted_is_noticed_on_opening(folder: Path, kind: str, name: str) -> None:
    plant(folder / "case.sqlite", PLANTED[kind], name)
    for read_only in (True, False):
        with pytest.raises(ChainBroken, match="were altered"):
            Case.open(folder, signer=EXAMINER, read_only=read_only)


def test_what_sqlite_itself_makes_is_left_alone(folder: Path) -> None:
    connection = sqlite3.connect(folder / "case.sqlite")
    connection.execute("ANALYZE")
    connection.commit()
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone() == (1,)
    connection.close()
    with Case.open(folder) as case:
        case.verify()


EATING: dict[str, tuple[str, str]] = {
    "findings": (
        "CREATE TRIGGER x BEFORE INSERT ON findings BEGIN SELECT RAISE(IGNORE); END",
        "did not keep what was added",
    ),
    "heads": ("CREATE TRIGGER x BEFORE INSERT ON heads BEGIN SELECT RAISE(IGNORE); END", "did not keep what was added"),
    "the first event": (
        "CREATE TRIGGER x BEFORE INSERT ON events WHEN NEW.kind = 'note' BEGIN SELECT RAISE(IGNORE); END",
        "append-only: events",
    ),
    "the last event": (
        "CREATE TRIGGER x BEFORE INSERT ON events WHEN NEW.kind = 'custom' BEGIN SELECT RAISE(IGNORE); END",
        "did not keep what was added",
    ),
    "one event too many": (
        "CREATE TRIGGER x AFTER INSERT ON events WHEN NEW.kind = 'custom' BEGIN INSERT INTO events "
        "(seq, previous_hash, kind, body, actor, at, hash) VALUES (NEW.seq + 1, '', 'x', '{}', '', '', ''); END",
        "did not keep what was added",
    ),
}


@pytest.mark.parametrize("what", EATING)
def test_rows_that_a_trigger_eats_or_adds_are_missed_at_once(folder: Path, what: str) -> None:
    """Planted after the case was opened: what was added is read back before it is committed."""
    sql, told = EATING[what]
    with Case.open(folder, signer=EXAMINER, read_only=False) as case:
        finding = render_finding(make_verdict(case, 10))
        before = case.head()
        connection = sqlite3.connect(folder / "case.sqlite")
        connection.execute(sql)
        connection.commit()
        with pytest.raises(FtfError, match=told):
            case.append_many([("note", {}), ("finding", finding), ("custom", {})], actor="Ada", at=AT)
        connection.execute("DROP TRIGGER x")
        connection.commit()
        connection.close()
        assert case.head() == before
        case.verify()


def test_two_rows_under_one_name_are_not_taken_for_one(tmp_path: Path) -> None:
    """The one in its place, the other beside it: neither hides the other from the comparison."""
    path = tmp_path / "x.sqlite"
    create_database(path, case_schema(), lambda database: None)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "INSERT INTO sqlite_schema SELECT type, name, tbl_name, rootpage, sql || ' ' FROM sqlite_schema "
        "WHERE name = 'findings_sha256'"
    )
    connection.close()
    with pytest.raises(FtfError, match=r"altered|damaged"):
        open_database(path, case_schema(), read_only=True)


ALTERED_INDEXES: dict[str, tuple[str, str, str]] = {
    "by path": ("findings_path_b64", "(path_b64)", "(path_b64 || 'x')"),
    "by exhibit": ("findings_exhibit_id", "(exhibit_id, seq)", "(exhibit_id || 'x', seq)"),
    "by kind": ("events_kind", "(kind)", "(kind || 'x')"),
}


@pytest.mark.parametrize("which", ALTERED_INDEXES)
def test_an_index_that_says_other_than_its_table_is_noticed(folder: Path, which: str) -> None:
    """Built under a changed expression, its SQL then put back: the text is right and the contents are not."""
    rebuild(folder / "case.sqlite", *ALTERED_INDEXES[which])
    with Case.open(folder) as case, pytest.raises(StoreError, match="database is damaged"):
        case.verify()


def test_an_index_of_a_registry_that_hides_a_record_is_noticed(tmp_path: Path) -> None:
    """The index by which a scan finds the record of a tag."""
    path = tmp_path / "registry.sqlite"
    make_registry(path, 3).close()
    rebuild(path, "entries_tag_id", "(tag_id)", "(tag_id + 1)")
    with Registry.open(path) as registry, pytest.raises(StoreError, match="database is damaged"):
        registry.verify()


def rebuild(path: Path, index: str, plain: str, changed: str) -> None:
    put_sql(path, index, lambda sql: sql.replace(plain, changed))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"REINDEX {index}")
    connection.close()
    put_sql(path, index, lambda sql: sql.replace(changed, plain))


def put_sql(path: Path, index: str, change: Callable[[str], str]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
    assert change(sql) != sql
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (change(sql), index))
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.close()
