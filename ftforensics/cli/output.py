"""The only sink: results on standard output, everything else on standard error.

Text from outside (file names, metadata, names in registries and keys) passes ``visible`` before it reaches a terminal,
so that no control character, escape sequence, bidirectional override or markup in it has any effect. JSON is plain
ASCII for the same reason, and a spreadsheet finds no formula in the CSV.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Protocol

from ftforensics.report.spreadsheet import guard_cell
from ftforensics.report.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

PREFIX = "ftf: "
_NOTHING = "-"
_UNBOUNDED = 1_000_000
_WIDE_COLUMNS = 10_000


class Format(StrEnum):
    """How a list of results is written."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


class Ticker(Protocol):
    """What work reports its progress to."""

    def advance(self, steps: int = 1) -> None:
        """``steps`` more are done."""

    def update(self, done: int, total: int | None = None) -> None:
        """``done`` in all are done; ``total`` replaces the total where it is given."""


class Output:
    """Where a command writes to.

    Args:
        quiet: Leave out notes and progress; results, warnings and errors stay.
        verbose: 0, or how much more to say.
        progress: Whether progress may be shown at all; it never is where standard error is not a terminal.
        color: Whether tables and progress may use colours, on a terminal.
        stdout: For results; the process's own where it is None.
        stderr: For everything else.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: int = 0,
        progress: bool = True,
        color: bool = True,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self._progress = progress
        self._color = color
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr
        self._live: Console | None = None
        for stream in (self._stdout, self._stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")

    def say(self, sentence: str) -> None:
        """One line of the result, on standard output."""
        self._write(self._stdout, visible(sentence, limit=_UNBOUNDED))

    def note(self, sentence: str) -> None:
        """What the user should know but did not ask for, on standard error; not with ``--quiet``."""
        if not self.quiet:
            self._tell(visible(sentence))

    def detail(self, sentence: str) -> None:
        """What only ``--verbose`` shows, on standard error."""
        if self.verbose and not self.quiet:
            self._tell(visible(sentence))

    def warn(self, sentence: str) -> None:
        """Something may be wrong, on standard error, with ``--quiet`` too."""
        self._tell(f"{PREFIX}warning: {visible(sentence)}")

    def error(self, sentence: str) -> None:
        """Why a command, or its work on one input, failed; on standard error."""
        self._tell(PREFIX + visible(sentence))

    def raw(self, text: str) -> None:
        """A result that this program made itself and that must stay byte for byte (PEM, help text)."""
        self._stdout.write(text)
        self._stdout.flush()

    def rows(self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], form: Format) -> int:
        """A list of results.

        Args:
            columns: Keys of the rows, in order; also the headings.
            rows: JSON-like values; with ``jsonl`` and ``csv`` each row is written as it comes.
            form: How.

        Returns:
            How many rows there were.
        """
        if form is Format.JSONL:
            return self._json_lines({name: row.get(name) for name in columns} for row in rows)
        if form is Format.CSV:
            return self._csv(columns, rows)
        return self._table(columns, rows)

    def facts(self, facts: Mapping[str, Any], form: Format = Format.TABLE) -> None:
        """One result with named parts: a line each, or one JSON object, or a CSV row under a heading."""
        if form is not Format.TABLE:
            self.rows(list(facts), [facts], form)
            return
        width = max((len(name) for name in facts), default=0)
        for name, value in facts.items():
            values = value if isinstance(value, list | tuple) else [value]
            for at, item in enumerate(values or [None]):
                label = name.replace("_", " ") if at == 0 else ""
                self._write(self._stdout, f"{label:<{width}}  {_cell(item)}")

    @contextmanager
    def progress(self, label: str, total: int | None = None, *, beside_rows: bool = False) -> Iterator[Ticker]:
        """Show progress with rate and remaining time on standard error, if that is a terminal.

        Args:
            label: What is being done.
            total: How many steps there are, if known.
            beside_rows: Rows are written meanwhile: no progress where they go to a terminal too.

        Yields:
            What to report steps to; it does nothing where no progress is shown.
        """
        is_in_the_way = beside_rows and self._stdout.isatty()
        if not self._progress or self.quiet or is_in_the_way or self._live is not None or not self._stderr.isatty():
            yield _SilentTicker()
            return
        from ftforensics.cli.progress import build_bar

        console = self._console(self._stderr)
        bar, ticker = build_bar(console, visible(label), total)
        self._live = console
        try:
            with bar:
                yield ticker
        finally:
            self._live = None

    def _tell(self, line: str) -> None:
        with suppress(BrokenPipeError):
            if self._live is not None:
                from rich.text import Text

                self._live.print(Text(line))
            else:
                self._write(self._stderr, line)

    def _write(self, stream: IO[str], line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    def _json_lines(self, rows: Iterable[Mapping[str, Any]]) -> int:
        count = 0
        for row in rows:
            self._write(self._stdout, render_json_line(row))
            count += 1
        return count

    def _csv(self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
        self._write(self._stdout, _csv_line(columns))
        count = 0
        for row in rows:
            self._write(self._stdout, _csv_line([_csv_cell(row.get(name)) for name in columns]))
            count += 1
        return count

    def _table(self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
        for name in columns:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(Text(_cell(row.get(name))) for name in columns))
        if table.row_count:
            console = self._console(self._stdout)
            with console.capture() as captured:
                console.print(table)
            self._stdout.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))
            self._stdout.flush()
        return table.row_count

    def _console(self, stream: IO[str]) -> Console:
        from rich.console import Console

        return Console(
            file=stream,
            markup=False,
            highlight=False,
            emoji=False,
            no_color=None if self._color else True,
            width=None if stream.isatty() else _WIDE_COLUMNS,
        )


class _SilentTicker:
    def advance(self, steps: int = 1) -> None:
        pass

    def update(self, done: int, total: int | None = None) -> None:
        pass


def render_json_line(value: Any) -> str:
    """One line of ASCII JSON without the line end; every character that could steer a terminal is escaped."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(", ", ": ")).replace("\x7f", "\\u007f")


def _cell(value: Any) -> str:
    if value is None or value == "":
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value) or _NOTHING
    return visible(str(value))


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return guard_cell(text)


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r").writerow(cells)
    return line.getvalue()
