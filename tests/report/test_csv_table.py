from __future__ import annotations

import csv
import io
from dataclasses import replace

from sample_case import with_altered

from ftforensics.domain.case import CaseView
from ftforensics.report.csv_table import COLUMNS, render_csv


def rows_of(view: CaseView) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(view).decode(), newline="")))


def test_one_row_per_exhibit_in_order(view: CaseView) -> None:
    rows = rows_of(view)
    assert [row["exhibit_id"] for row in rows] == [finding.exhibit_id for finding in view.findings]
    assert [row["verdict"] for row in rows] == [str(finding.verdict) for finding in view.findings]
    assert all(set(row) == set(COLUMNS) for row in rows)


def test_lines_end_as_rfc_4180_says(view: CaseView) -> None:
    content = render_csv(view)
    assert content.count(b"\r\n") == len(view.findings) + 1
    assert content.replace(b"\r\n", b"").count(b"\n") == 0
    assert not content.startswith(b"\xef\xbb\xbf")


def test_numbers_are_plain(view: CaseView) -> None:
    first, *_, lead = (rows_of(view)[at] for at in (0, 1, 10))
    assert first["z"] == "10.62"
    assert float(first["e_case"]) < 1e-6
    assert first["changed_fraction"] == "0.0714"
    assert lead["changed_fraction"] == ""
    assert lead["z"] == "5.02"


def test_only_a_link_is_attributed(view: CaseView) -> None:
    attributed = {row["verdict"] for row in rows_of(view) if row["attributed"] == "true"}
    assert attributed == {"VERIFIED_MATCH", "VERIFIED_DERIVATIVE"}


def test_a_failure_fills_the_error_cells(view: CaseView) -> None:
    row = rows_of(view)[12]
    assert (row["error_stage"], row["error_type"]) == ("decode", "EvidenceUnreadable")
    assert row["width_px"] == ""


def test_the_same_case_gives_the_same_bytes(view: CaseView) -> None:
    assert render_csv(view) == render_csv(view)


def test_every_row_says_whether_the_case_holds(view: CaseView) -> None:
    assert {row["integrity"] for row in rows_of(view)} == {"intact"}
    assert {row["integrity"] for row in rows_of(replace(view, head_verified=False))} == {"broken"}


def test_an_exhibit_that_changed_is_marked(view: CaseView) -> None:
    assert {(row["evidence_changed"], row["sha256_after"]) for row in rows_of(view)} == {("false", "")}
    rows = {row["exhibit_id"]: row for row in rows_of(with_altered(view, "E0002", "f" * 64))}
    assert (rows["E0002"]["evidence_changed"], rows["E0002"]["sha256_after"]) == ("true", "f" * 64)
    assert rows["E0001"]["evidence_changed"] == "false"
