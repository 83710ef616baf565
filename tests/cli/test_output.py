"""The sink: hostile text is harmless in every form, results and everything else go where they belong."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftforensics.cli.output import Format, Output

GUARD = re.compile(r"(^|;)'(?=[=+\-@＝＋－＠])")
HOSTILE = "a\x1b[31mred\x07\r\nb\u202egnp.exe\u200b[bold]x[/bold]\x7f\x9b31m<script>"
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)


def sinks(**options: bool) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = io.StringIO(newline=""), io.StringIO(newline="")
    return Output(stdout=out, stderr=err, **options), out, err


def assert_harmless(text: str) -> None:
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        assert not [char for char in line if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}], ascii(line)


@given(ANY_TEXT)
def test_no_text_can_steer_the_terminal(text: str) -> None:
    output, out, err = sinks()
    output.say(text)
    output.note(text)
    output.warn(text)
    output.error(text)
    output.facts({"name": text, "several": [text, text]})
    for form in Format:
        output.rows(["name"], [{"name": text}], form)
    assert_harmless(out.getvalue())
    assert_harmless(err.getvalue())
    assert err.getvalue().count("\n") == 3


@given(ANY_TEXT)
def test_json_lines_keep_every_character(text: str) -> None:
    output, out, _ = sinks()
    output.rows(["name", "none"], [{"name": text}], Format.JSONL)
    assert out.getvalue().isascii()
    assert json.loads(out.getvalue()) == {"name": text, "none": None}


def test_markup_is_shown_as_it_is() -> None:
    output, out, _ = sinks()
    output.rows(["name"], [{"name": "[bold]x[/bold] :smile: [link=http://x]y"}], Format.TABLE)
    assert "[bold]x[/bold] :smile: [link=http://x]y" in out.getvalue()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", " =1+1", "＝1", "\t=1", "\r=1"])
def test_csv_has_no_formulas(text: str) -> None:
    output, out, _ = sinks()
    output.rows(["name", "number"], [{"name": text, "number": -1}], Format.CSV)
    heading, row = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert heading == ["name", "number"]
    assert row[0].startswith("'")
    assert row[1] == "-1"


@pytest.mark.parametrize("text", ["x;=HYPERLINK(1).jpg", "x; =1", "x;\t@SUM(1)", "a;b;-1"])
def test_csv_has_no_formulas_where_semicolons_part_cells(text: str) -> None:
    output, out, _ = sinks()
    output.rows(["name"], [{"name": text}], Format.CSV)
    _, row = out.getvalue().splitlines()
    assert row.strip('"').split(";")[-1].startswith("'")


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1), min_size=1, max_size=4))
def test_csv_round_trip(cells: list[str]) -> None:
    output, out, _ = sinks()
    columns = [f"c{at}" for at in range(len(cells))]
    output.rows(columns, [dict(zip(columns, cells, strict=True))], Format.CSV)
    assert out.getvalue().endswith("\r\n")
    _, row = csv.reader(io.StringIO(out.getvalue(), newline=""))
    for cell, found in zip(cells, row, strict=True):
        assert GUARD.sub(r"\1", found) == GUARD.sub(r"\1", cell) or "⟨U+" in found


def test_results_and_the_rest_are_apart() -> None:
    output, out, err = sinks()
    output.say("result")
    output.note("note")
    output.detail("detail")
    output.warn("careful")
    output.error("failed")
    assert out.getvalue() == "result\n"
    assert err.getvalue() == "note\nftf: warning: careful\nftf: failed\n"


def test_quiet_keeps_results_warnings_and_errors() -> None:
    output, out, err = sinks(quiet=True)
    output.say("result")
    output.note("note")
    output.warn("careful")
    output.error("failed")
    assert out.getvalue() == "result\n"
    assert err.getvalue() == "ftf: warning: careful\nftf: failed\n"


def test_verbose_says_more() -> None:
    output, _, err = sinks(verbose=True)
    output.detail("detail")
    assert err.getvalue() == "detail\n"


def test_a_table_without_rows_is_nothing() -> None:
    output, out, _ = sinks()
    assert output.rows(["name"], [], Format.TABLE) == 0
    assert out.getvalue() == ""


def test_lines_come_as_the_work_goes() -> None:
    output, out, _ = sinks()

    def rows() -> object:
        yield {"n": 1}
        assert out.getvalue() == '{"n": 1}\n'
        yield {"n": 2}

    assert output.rows(["n"], rows(), Format.JSONL) == 2  # type: ignore[arg-type]


def test_no_progress_without_a_terminal() -> None:
    output, out, err = sinks()
    with output.progress("reading", 2) as ticker:
        ticker.advance()
        ticker.update(2, 2)
        output.warn("careful")
    assert (out.getvalue(), err.getvalue()) == ("", "ftf: warning: careful\n")


def drain(terminal: int) -> str:
    """All that was written to a terminal so far; one read gives at most a few kilobytes of it."""
    seen = b""
    while select.select([terminal], [], [], 0.5)[0]:
        seen += os.read(terminal, 4096)
    return seen.decode()


def test_no_progress_where_rows_go_to_a_terminal_meanwhile() -> None:
    main, side = pty.openpty()
    with os.fdopen(side, "w") as terminal:
        output = Output(stdout=terminal, stderr=terminal)
        with output.progress("reading", 3, beside_rows=True) as ticker:
            ticker.advance(2)
            output.rows(("a",), [{"a": 1}], Format.JSONL)
        seen = drain(main)
    os.close(main)
    assert seen == '{"a": 1}\r\n'


@pytest.mark.parametrize(("options", "shown"), [({}, True), ({"progress": False}, False), ({"quiet": True}, False)])
def test_progress_on_a_terminal(options: dict[str, bool], shown: bool) -> None:
    main, side = pty.openpty()
    out = io.StringIO()
    with os.fdopen(side, "w") as terminal:
        output = Output(stdout=out, stderr=terminal, **options)
        with output.progress("reading \x1b]0;x\x07", 3) as ticker:
            ticker.advance(2)
            output.warn("careful [bold]")
            ticker.update(3)
        terminal.flush()
        seen = drain(main)
    os.close(main)
    assert ("reading" in seen) is shown
    assert "warning: careful [bold]" in seen
    assert "\x07" not in seen
    assert out.getvalue() == ""
