"""The results file: every measurement as a table that says how it was made, so that anyone can make it again.

Enters: tables. Leaves: one JSON file, ``{"format": "ftf-bench", "version": 1, "tables": [...]}``, and Markdown. A run
replaces the tables of the names that it made and leaves the others. Tables stand in name order.

A table in JSON has the fields of ``Table``, its columns as objects with the fields of ``Column``. A row is an object
from column key to value. Values by the column's ``kind``:

| kind | JSON value | shown as |
| --- | --- | --- |
| ``text`` | string | itself |
| ``count`` | integer | itself |
| ``number`` | number | ``digits`` decimals, then ``unit`` |
| ``rate`` | number in [0, 1] | percent with ``digits`` decimals |

A value that is not known is null. An interval is two columns of the value's kind, named by its ``low`` and ``high``;
those two are ``hidden``: Markdown shows them in brackets after the value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.writing import atomic_write

FORMAT = "ftf-bench"
FORMAT_VERSION = 1

Kind = Literal["text", "count", "number", "rate"]
Value = str | int | float | None
Row = dict[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. ``low`` and ``high`` name the columns of its 95 % interval; ``hidden`` ones are shown only there."""

    key: str
    label: str
    kind: Kind = "text"
    digits: int = 1
    unit: str = ""
    low: str | None = None
    high: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataInfo:
    """Which pictures, without saying where they lay.

    ``sha256`` is of the sorted hex SHA-256s of the files, each followed by a line feed. ``folders`` counts pictures by
    sub-folder, "" being the folder itself.
    """

    count: int
    sha256: str
    folders: dict[str, int] = field(default_factory=dict)
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table and all that is needed to make it again.

    ``command`` is the command line with the folder of pictures left out; ``settings`` are the values that options had;
    ``notes`` are sentences that a reader must know.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    command: str
    seed: int
    data: DataInfo
    machine: dict[str, str]
    tool_version: str
    weights_sha256: str
    settings: dict[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def interval_columns(key: str, label: str, kind: Kind, *, digits: int = 1, unit: str = "") -> tuple[Column, ...]:
    """A column with its interval: three columns ``key``, ``key_low`` and ``key_high``."""
    low, high = f"{key}_low", f"{key}_high"
    return (
        Column(key=key, label=label, kind=kind, digits=digits, unit=unit, low=low, high=high),
        Column(key=low, label=f"{label}, low", kind=kind, digits=digits, unit=unit, hidden=True),
        Column(key=high, label=f"{label}, high", kind=kind, digits=digits, unit=unit, hidden=True),
    )


def render_tables(tables: Sequence[Table]) -> bytes:
    """The results file of these tables."""
    document = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "tables": [asdict(table) for table in sorted(tables, key=lambda table: table.name)],
    }
    return (json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")


def parse_tables(data: bytes, subject: str = "") -> list[Table]:
    """The tables of a results file.

    Raises:
        EvidenceUnreadable: It is not one, or of another version.
    """
    try:
        document = json.loads(data)
        known = document["format"] == FORMAT and document["version"] == FORMAT_VERSION
        tables = [_parse_table(table) for table in document["tables"]] if known else None
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise EvidenceUnreadable(
            "this is not a results file of 'ftf bench'", subject=subject, remedy="give another file with --out"
        ) from exc
    if tables is None:
        raise EvidenceUnreadable(
            "this file is of another program or version", subject=subject, remedy="give another file with --out"
        )
    return tables


def _parse_table(table: Mapping[str, Any]) -> Table:
    columns = tuple(Column(**column) for column in table["columns"])
    if any(column.kind not in get_args(Kind) for column in columns):
        raise ValueError("an unknown kind of column")
    changed = {
        "columns": columns,
        "rows": tuple(dict(row) for row in table["rows"]),
        "data": DataInfo(**table["data"]),
        "notes": tuple(table["notes"]),
    }
    return Table(**{**table, **changed})


def load_tables(path: Path) -> list[Table]:
    """The tables of a results file on disk.

    Raises:
        EvidenceUnreadable: It cannot be read or is not one.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise EvidenceUnreadable(f"the results file cannot be read ({exc.strerror})", subject=str(path)) from exc
    return parse_tables(data, str(path))


def save_tables(path: Path, tables: Sequence[Table]) -> None:
    """Put tables into a results file; those of other names in it stay.

    Raises:
        EvidenceUnreadable: There is a file, and it is no results file.
        WriteFailed: It cannot be written.
    """
    names = {table.name for table in tables}
    kept = [table for table in load_tables(path) if table.name not in names] if path.exists() else []
    atomic_write(path, render_tables([*kept, *tables]), clobber=True)


def render_markdown(table: Table) -> str:
    """A table as Markdown: title, table, notes, and how it was made."""
    shown = [column for column in table.columns if not column.hidden]
    lines = [f"### {table.title}", ""]
    lines.append("| " + " | ".join(column.label for column in shown) + " |")
    lines.append("|" + "|".join(" --- " if column.kind == "text" else " ---: " for column in shown) + "|")
    for row in table.rows:
        lines.append("| " + " | ".join(render_cell(column, row) for column in shown) + " |")
    lines += ["", *(f"- {note}" for note in table.notes)]
    lines += [
        f"- `{table.command}`, seed {table.seed}, {table.data.count} pictures"
        f" (SHA-256 of their hashes {table.data.sha256[:16]}…), ftforensics {table.tool_version},"
        f" weights {table.weights_sha256[:16]}…, {', '.join(table.machine.values())}",
        "",
    ]
    return "\n".join(lines)


def render_cell(column: Column, row: Mapping[str, Value]) -> str:
    """A value as people read it, with its interval in brackets where it has one."""
    text = _render_value(column, row.get(column.key))
    if column.low is None or column.high is None or row.get(column.low) is None or row.get(column.high) is None:
        return text
    low, high = (_render_value(column, row[key], bare=True) for key in (column.low, column.high))
    return f"{text} [{low}, {high}]"


def _render_value(column: Column, value: Value, *, bare: bool = False) -> str:
    if value is None:
        return "-"
    if isinstance(value, str) or column.kind in ("text", "count"):
        return str(value).replace("|", "\\|").replace("\n", " ")
    scaled = 100.0 * value if column.kind == "rate" else value
    unit = "%" if column.kind == "rate" else column.unit
    return f"{scaled:.{column.digits}f}" + (f" {unit}" if unit and not bare else "")
