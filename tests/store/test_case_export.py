"""Exported files: stable bytes, complete custody, and edits that are noticed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from case_samples import AT, EXAMINER, LATER, make_case, make_finding, make_run

from ftforensics.errors import ChainBroken, StoreError
from ftforensics.store.case_export import parse_run, render_run
from ftforensics.store.cases import Case
from ftforensics.trust.canonical import canonical_json


@pytest.fixture
def case(tmp_path: Path) -> Case:
    with make_case(tmp_path) as made:
        yield made


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_two_runs_write_the_same_scan(tmp_path: Path) -> None:
    contents = []
    for at, run_id in ((AT, "run-1"), (LATER, "run-2")):
        with Case.create(tmp_path / run_id, "same", title=run_id, examiner="Ada", signer=EXAMINER, at=at) as case:
            case.start_run(make_run(run_id), at=at)
            for number in (2, 0, 1):
                case.append_finding(make_finding(number, case_id=case.case_id), actor="Ada", at=at)
            case.export(actor="Ada", at=at)
            contents.append((case.folder / "scan.jsonl").read_bytes())
    assert contents[0] == contents[1]
    assert [json.loads(line)["seq"] for line in contents[0].splitlines()] == [0, 1, 2]


def test_custody_can_be_recomputed_from_the_file_alone(case: Case) -> None:
    rows = lines(case.folder / "custody.jsonl")
    names = "seq event exhibit_id sha256_before sha256_after actor host authority purpose at prev_hash hash".split()  # noqa: SIM905
    previous = "0" * 64
    for row in rows:
        assert list(row)[: len(names)] == names
        assert row["prev_hash"] == previous
        covered = {
            "seq": row["seq"],
            "kind": row["event"],
            "body": row["body"],
            "actor": row["actor"],
            "at": row["at"],
            "previous_hash": row["prev_hash"],
        }
        assert hashlib.sha256(canonical_json(covered)).hexdigest() == row["hash"]
        previous = str(row["hash"])
    assert [row["event"] for row in rows] == ["case_opened", "run_started", *["finding"] * 3, "run_finished"]
    assert rows[2]["exhibit_id"] == "E-0000"
    assert rows[2]["sha256_before"] == "4" * 64


def test_custody_shows_what_a_body_says_about_hashes(case: Case) -> None:
    body = {
        "exhibit_id": "E-1",
        "sha256_before": "a",
        "sha256_after": "b",
        "host": "h",
        "purpose": "p",
        "authority": "w",
    }
    case.append("exhibit_rehashed", body, actor="Ada", at=LATER)
    case.export(actor="Ada", at=LATER)
    row = lines(case.folder / "custody.jsonl")[-1]
    assert {name: row[name] for name in body} == body


def test_run_json_is_of_the_newest_run(case: Case) -> None:
    run = json.loads((case.folder / "run.json").read_bytes())
    assert (run["run_id"], run["ended_at"], run["counts"]) == ("run-1", LATER, {"seen": 2})
    assert run["config_sha256"] == hashlib.sha256(canonical_json(run["config"])).hexdigest()
    assert parse_run(run) == make_run(ended_at=LATER)


def test_runs_round_trip() -> None:
    assert parse_run(json.loads(json.dumps(render_run(make_run())))) == make_run()
    for change in ({"argv": "ftf"}, {"surprise": 1}, {"counts": {"seen": "2"}}):
        with pytest.raises(StoreError):
            parse_run(render_run(make_run()) | change)


@pytest.mark.parametrize("name", ["scan.jsonl", "custody.jsonl", "run.json"])
def test_an_edited_export_is_noticed(case: Case, name: str) -> None:
    path = case.folder / name
    path.write_bytes(path.read_bytes().replace(b"4", b"5", 1))
    with pytest.raises(ChainBroken, match="changed after it was written") as caught:
        case.verify()
    assert caught.value.subject == str(path)
    case.export(actor="Ada", at=LATER)
    case.verify()


def test_a_missing_or_older_export_is_only_noted(case: Case) -> None:
    old = (case.folder / "custody.jsonl").read_bytes()
    case.append("note", {}, actor="Ada", at=LATER)
    case.export(actor="Ada", at=LATER)
    (case.folder / "custody.jsonl").write_bytes(old)
    (case.folder / "run.json").unlink()
    notes = case.verify().notes
    assert any("'custody.jsonl' is of an earlier export" in note for note in notes)
    assert any("'run.json' is not there any more" in note for note in notes)


def test_a_report_inside_the_case_is_watched_and_one_outside_is_named(case: Case, tmp_path: Path) -> None:
    inside, outside = case.folder / "report.html", tmp_path / "elsewhere.html"
    event = case.log_exports({inside: b"report", outside: b"report"}, actor="Ada", at=LATER)
    assert [(row["path"], row["inside"]) for row in event.body["files"]] == [
        ("report.html", True),
        ("elsewhere.html", False),
    ]
    inside.write_bytes(b"report")
    outside.write_bytes(b"edited")
    case.verify()
    inside.write_bytes(b"edited")
    with pytest.raises(ChainBroken):
        case.verify()


def test_a_link_in_the_place_of_an_export_is_refused(case: Case, tmp_path: Path) -> None:
    (case.folder / "scan.jsonl").unlink()
    (case.folder / "scan.jsonl").symlink_to("/etc/hostname")
    with pytest.raises(StoreError, match="cannot be read"):
        case.verify()
