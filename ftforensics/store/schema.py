"""What a database must look like: numbered SQL scripts, and the tables and triggers they make.

In: the scripts of ``ftforensics.store.migrations``. Out: statements one by one, and the expected contents of
``sqlite_schema``, so that a database whose append-only triggers were dropped is noticed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from ftforensics.errors import StoreError

# Left out is only what SQLite may have made since, the tables of ANALYZE: no other name is free, however it starts.
SCHEMA_QUERY = (
    "SELECT type || ' ' || name, tbl_name, sql FROM sqlite_schema"
    " WHERE NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat3', 'sqlite_stat4'))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a database must look like.

    ``noun`` is the word for it in sentences; ``migrations`` are the SQL scripts that lead from an empty file to the
    current version, the first one making version 1. ``readable_from`` is the oldest version that the same queries read
    as it is; None where that is the current one alone.
    """

    noun: str
    application_id: int
    migrations: tuple[str, ...]
    readable_from: int | None = None

    @property
    def version(self) -> int:
        """The version this program writes."""
        return len(self.migrations)


def load_schema(noun: str, application_id: int, *, readable_from: int | None = None) -> Schema:
    """Reads the numbered scripts ``migrations/<noun>_NNNN.sql`` that ship with the program."""
    folder = resources.files("ftforensics.store.migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(f"{noun}_"))
    scripts = tuple(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
    return Schema(noun=noun, application_id=application_id, migrations=scripts, readable_from=readable_from)


@lru_cache(maxsize=8)
def build_expected_tables(migrations: tuple[str, ...]) -> tuple[tuple[str, str, str | None], ...]:
    """What ``migrations`` leave in ``sqlite_schema``: "table events" and so on, the table it is of, and its SQL."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for script in migrations:
            for statement in split_statements(script):
                connection.execute(statement)
        return tuple(connection.execute(SCHEMA_QUERY).fetchall())
    finally:
        connection.close()


def split_statements(script: str) -> Iterator[str]:
    """Splits a script at the ends of statements, trigger bodies included.

    Raises:
        StoreError: The script ends in the middle of a statement.
    """
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        raise StoreError("A migration script ends in the middle of a statement")
