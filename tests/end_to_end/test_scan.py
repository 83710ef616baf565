"""The scan as a whole: same bytes in every run, evidence left alone, formats, exit codes, the head that is printed."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from newsroom import CASE, Newsroom, Scan, cat, load, replace_face, save

HEAD = re.compile(r"--expect-head (\d+:[0-9a-f]{64})")


@pytest.fixture(scope="module")
def evidence(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, a fake, a stranger, a torn file and a link; one file cannot be written to."""
    folder = tmp_path_factory.mktemp("evidence") / "seized"
    save(load(newsroom.tagged["coffee.webp"]), folder / "a" / "copy.jpg", quality=85)
    save(replace_face(load(newsroom.tagged["portrait.png"]))[0], folder / "b" / "fake.png")
    save(cat(), folder / "stranger.jpg", quality=85)
    (folder / "torn.png").write_bytes((folder / "b" / "fake.png").read_bytes()[:2000])
    (folder / "link.jpg").symlink_to(folder / "stranger.jpg")
    (folder / "stranger.jpg").chmod(0o400)
    return folder


def look_at(folder: Path) -> dict[str, tuple[str, int, int, int]]:
    """Hash, times and mode of every file and folder."""
    state = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        state[str(path)] = (content, status.st_mtime_ns, status.st_ctime_ns, status.st_mode)
    return state


@pytest.fixture(scope="module")
def first(newsroom: Newsroom, evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    before = look_at(evidence)
    scan = newsroom.scan([evidence], tmp_path_factory.mktemp("first"), "--jobs", "1", "--format", "jsonl", expect=3)
    assert look_at(evidence) == before, "evidence was touched"
    return scan


@pytest.fixture(scope="module")
def second(newsroom: Newsroom, evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """The same evidence, another day, in another case folder, with other workers and another format."""
    cases = tmp_path_factory.mktemp("second") / "deeper"
    options = ("--jobs", "3", "--format", "csv", "--fail-on", "VERIFIED_DERIVATIVE")
    return newsroom.scan([evidence], cases, *options, expect=3, now="2026-07-01T00:00:00Z")


def test_two_runs_give_the_same_bytes(first: Scan, second: Scan):
    lines = (first.folder / "scan.jsonl").read_bytes()
    assert lines == (second.folder / "scan.jsonl").read_bytes()
    assert lines.count(b"\n") == 5
    for clock in (b"2026-06-01", b"2026-07-01"):
        assert clock not in lines


def test_json_lines_on_standard_output_are_those_of_the_file(first: Scan):
    assert first.run.out == (first.folder / "scan.jsonl").read_text("ascii")
    assert [row["path"] for row in first.run.rows()] == [
        "a/copy.jpg",
        "b/fake.png",
        "link.jpg",
        "stranger.jpg",
        "torn.png",
    ]


def test_csv_has_a_row_for_every_input(second: Scan):
    rows = second.run.csv_rows()
    assert {row["path"]: row["verdict"] for row in rows} == {
        "a/copy.jpg": "VERIFIED_MATCH",
        "b/fake.png": "VERIFIED_DERIVATIVE",
        "link.jpg": "UNREADABLE",
        "stranger.jpg": "NO_TAG_READ",
        "torn.png": "UNREADABLE",
    }
    assert float(rows[0]["z"]) > 7
    assert float(rows[0]["e_case"]) <= 1e-6


def test_a_skipped_link_is_counted_as_skipped_and_not_as_failed(first: Scan):
    assert "5 inputs: 3 examined, 1 unreadable, 1 skipped" in first.run.err
    assert first.rows["link.jpg"]["error"]["type"] == "SymlinkNotFollowed"


def test_the_printed_head_holds_and_anything_less_does_not(newsroom: Newsroom, first: Scan, tmp_path: Path):
    shutil.copytree(first.folder, tmp_path / CASE)
    (head,) = HEAD.findall(first.run.err)
    check = ("case", "verify", CASE, "--cases", tmp_path)
    assert "rollback" not in newsroom.ftf(*check, "--expect-head", head).out.lower()
    assert "rollback not excluded" in newsroom.ftf(*check).out.lower()

    database = sqlite3.connect(tmp_path / CASE / "case.sqlite", isolation_level=None)
    rows = database.execute("SELECT seq, body FROM events WHERE kind = 'finding' ORDER BY seq").fetchall()
    (trigger,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'events_no_update'").fetchone()
    database.execute("DROP TRIGGER events_no_update")
    seq, body = rows[0]
    assert "VERIFIED_MATCH" in body
    database.execute("UPDATE events SET body = ? WHERE seq = ?", (body.replace("VERIFIED_MATCH", "NO_TAG_READ"), seq))
    database.execute(trigger)
    database.close()
    run = newsroom.ftf(*check, "--expect-head", head, "--format", "jsonl", expect=4)
    assert run.rows()[0]["holds"] is False
    assert run.rows()[0]["first_broken"] == seq
    assert run.err.count("\n") == 1


def test_a_case_cut_off_at_its_end_does_not_hold(newsroom: Newsroom, first: Scan, tmp_path: Path):
    """The last events and the heads over them are gone: only the noted head can tell."""
    shutil.copytree(first.folder, tmp_path / CASE)
    (head,) = HEAD.findall(first.run.err)
    database = sqlite3.connect(tmp_path / CASE / "case.sqlite", isolation_level=None)
    triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE name LIKE '%_no_delete'").fetchall()
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER {name}")
    for statement in ("heads WHERE event_count > 2", "findings", "events WHERE seq >= 2"):
        database.execute(f"DELETE FROM {statement}")
    for _, sql in triggers:
        database.execute(sql)
    database.close()
    for path in (tmp_path / CASE).iterdir():
        if path.name != "case.sqlite":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    check = ("case", "verify", CASE, "--cases", tmp_path)
    newsroom.ftf(*check)
    assert "expected head counts" in newsroom.ftf(*check, "--expect-head", head, expect=4).err
    (tmp_path / CASE / "case.sqlite").write_bytes((tmp_path / CASE / "case.sqlite").read_bytes()[:5000])
    assert newsroom.ftf(*check, expect=4).err.count("\n") == 1


def test_an_edited_export_does_not_hold(newsroom: Newsroom, first: Scan, tmp_path: Path):
    shutil.copytree(first.folder, tmp_path / CASE)
    lines = tmp_path / CASE / "scan.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b"VERIFIED_DERIVATIVE", b"VERIFIED_MATCH"))
    assert "scan.jsonl" in newsroom.ftf("case", "verify", CASE, "--cases", tmp_path, expect=4).err


def test_a_verdict_that_was_asked_about_gives_1_and_another_0(newsroom: Newsroom, evidence: Path, tmp_path: Path):
    options = ("--search", "direct", "--fail-on", "VERIFIED_MATCH", "--fail-on", "CONFLICT")
    copy = evidence / "a" / "copy.jpg"
    scan = newsroom.scan([copy], tmp_path, *options, expect=1)
    assert "VERIFIED_MATCH" in scan.run.out
    assert "copy.jpg" in scan.run.out
    # A second scan of the same exhibit into the same case is no resumption: it is examined again.
    again = newsroom.scan([copy], tmp_path, *options[:2], "--fail-on", "CONFLICT", expect=0)
    assert "taken over" not in again.run.err
    assert (scan.folder / "scan.jsonl").read_bytes().count(b"\n") == 1


def test_two_folders_with_files_of_the_same_name_in_one_case(newsroom: Newsroom, evidence: Path, tmp_path: Path):
    """Exhibits are told apart by content too; neither scan takes the other's file for an altered one."""
    for name, source in (("one", evidence / "a" / "copy.jpg"), ("two", evidence / "stranger.jpg")):
        (tmp_path / name).mkdir()
        shutil.copy(source, tmp_path / name / "picture.jpg")
    for name, order in (("one", 1), ("two", 2), ("one", 2)):
        options = ("--search", "direct", "--format", "jsonl")
        scan = newsroom.scan([tmp_path / name], tmp_path / "cases", *options)
        assert len(scan.run.rows()) == 1
        assert "changed while" not in scan.run.err
        assert (scan.folder / "scan.jsonl").read_bytes().count(b"\n") == order
    newsroom.ftf("case", "verify", CASE, "--cases", tmp_path / "cases")


def test_a_dry_run_lists_and_writes_nothing(newsroom: Newsroom, evidence: Path, tmp_path: Path):
    run = newsroom.ftf("scan", evidence, "--dry-run", "--format", "jsonl", cwd=tmp_path)
    assert [row["path"] for row in run.rows()][:2] == ["a/copy.jpg", "b/fake.png"]
    assert list(tmp_path.iterdir()) == []


def test_run_and_custody_name_what_a_certificate_needs(newsroom: Newsroom, first: Scan):
    import json

    run = json.loads((first.folder / "run.json").read_text("ascii"))
    text = json.dumps(run)
    for word in ("2026-06-01T09:00:00Z", "onnxruntime", "weights_sha256", "trust_list_sha256", "scan"):
        assert word in text
    custody = [json.loads(line) for line in (first.folder / "custody.jsonl").read_text("ascii").splitlines()]
    kinds = {row["event"] for row in custody}
    assert {"case_opened", "run_started", "exhibit_acquired", "finding", "exhibit_rehashed", "run_finished"} <= kinds
