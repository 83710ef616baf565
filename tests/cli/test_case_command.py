"""``ftf case``: opened, shown and checked from the command line."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_samples import NOW, Ftf, sqlite_do

from ftforensics.domain.case import shorten_ids
from ftforensics.store.cases import Case
from ftforensics.trust.keys import SigningKey

CASE = Path("cases/case-1")


@pytest.fixture
def case(ftf: Ftf, examiner: str) -> Path:
    ftf("case", "new", "case-1", "--title", "The minister video", "--examiner", "me")
    return CASE


@pytest.fixture
def long_case(case: Path, home: Path) -> Path:
    """A case of five events."""
    signer = SigningKey.load(home / "keys" / "me.pem", None)
    with Case.open(case, signer=signer, read_only=False) as opened:
        for number in range(4):
            opened.append("note", {"text": f"note {number}"}, actor="me", at=NOW)
    return case


def head(ftf: Ftf) -> str:
    return str(ftf("case", "show", "case-1", "--format", "jsonl").facts()["head"])


def test_new(ftf: Ftf, examiner: str) -> None:
    facts = ftf("case", "new", "case-1", "--title", "T", "--examiner", "me", "--format", "jsonl").facts()
    assert (facts["name"], facts["title"], facts["examiner"], facts["opened"]) == ("case-1", "T", "me", NOW)
    count, digest = facts["head"].split(":")
    assert (count, len(digest)) == ("1", 64)
    assert (CASE / "case.sqlite").is_file()
    ftf("case", "new", "case-2")
    assert ftf("case", "show", "case-2", "--format", "jsonl").facts()["title"] == "case-2"


def test_same_clock_and_key_give_the_same_head(ftf: Ftf, examiner: str) -> None:
    heads = []
    for folder in ("a", "b"):
        made = ftf("case", "new", "case-1", "--title", "T", "--cases", folder, "--format", "jsonl")
        heads.append(made.facts()["head"])
    assert heads[0] == heads[1]


def test_new_refuses(ftf: Ftf, case: Path, issuer: str, tmp_path: Path, passphrase_file: Path) -> None:
    before = (case / "case.sqlite").read_bytes()
    assert "not written over" in ftf("case", "new", "case-1", "--examiner", "me", expect=7).err
    assert (case / "case.sqlite").read_bytes() == before
    for name in ("../x", ".x", "", "a/b", "a\nb"):
        ftf("case", "new", name, "--examiner", "me", expect=2)
    ftf("case", "new", "x", "--title", "a\x1bb", "--examiner", "me", expect=2)
    ftf("case", "new", "x", "--examiner", "nobody", expect=6)
    assert "an examiner key is needed" in ftf("case", "new", "x", "--examiner", "agency", expect=6).err
    (tmp_path / "file").write_text("")
    ftf("case", "new", "x", "--examiner", "me", "--cases", tmp_path / "file" / "cases", expect=7)
    assert sorted(path.name for path in Path("cases").iterdir()) == ["case-1"]


def test_wrong_passphrase_is_6_and_makes_nothing(ftf: Ftf, passphrase_file: Path, tmp_path: Path) -> None:
    ftf("key", "new", "me", "--role", "examiner", "--passphrase-file", passphrase_file)
    (tmp_path / "wrong.txt").write_text("wrong\n")
    result = ftf("case", "new", "x", "--examiner", "me", "--passphrase-file", tmp_path / "wrong.txt", expect=6)
    assert "wrong passphrase" in result.err
    assert "no terminal" in ftf("case", "new", "x", "--examiner", "me", expect=6).err
    assert not Path("cases").exists()


def test_list(ftf: Ftf, case: Path) -> None:
    ftf("case", "new", "another", "--title", "[b]A[/b] =1+1")
    assert [row["name"] for row in ftf("case", "list", "--format", "jsonl").lines()] == ["another", "case-1"]
    table = ftf("case", "list").out
    assert "The minister video" in table
    assert "[b]A[/b]" in table
    assert ftf("case", "list", "--format", "csv").out.startswith("name,title,examiner,opened,events,exhibits,head")
    assert "ftf case new" in ftf("case", "list", "--cases", "nowhere").err


def test_list_goes_on_after_a_damaged_case(ftf: Ftf, case: Path) -> None:
    ftf("case", "new", "zzz")
    (case / "case.sqlite").write_text("gone")
    result = ftf("case", "list", "--format", "jsonl", expect=4)
    assert [row["name"] for row in result.lines()] == ["zzz"]
    assert "case-1" in result.err


def test_show(ftf: Ftf, long_case: Path, examiner: str) -> None:
    facts = ftf("case", "show", "case-1", "--format", "jsonl").facts()
    assert (facts["events"], facts["head_key"], facts["exhibits"]) == (5, examiner, 0)
    events = ftf("case", "show", "case-1", "--events", "--format", "jsonl").lines()
    assert [event["kind"] for event in events] == ["case_opened", *["note"] * 4]
    assert f"5:{events[-1]['hash']}" == facts["head"]
    assert ftf("case", "show", "case-1", "--findings", "--format", "jsonl").out == ""
    assert "ftf case verify" in ftf("case", "show", "./cases/case-1").err
    ftf("case", "show", "case-1", "--events", "--findings", expect=2)


def test_missing_case_is_2(ftf: Ftf) -> None:
    for name in ("show", "verify"):
        assert "There is no case" in ftf("case", name, "nope", expect=2).err


def test_verify(ftf: Ftf, long_case: Path, examiner: str) -> None:
    facts = ftf("case", "verify", "case-1", "--format", "jsonl").facts()
    assert (facts["holds"], facts["events"], facts["your_key"]) == (True, 5, "me")
    assert "rollback not excluded" in ftf("case", "verify", "case-1").out.lower()
    for wanted in (facts["head"], facts["head"].split(":")[1]):
        for keys in (("--expect-key", "me"), ("--expect-key", examiner)):
            whole = ftf("case", "verify", "case-1", "--expect-head", wanted, *keys, "--format", "jsonl").facts()
            assert whole["notes"] == []


def test_verify_against_an_earlier_head(ftf: Ftf, case: Path, home: Path) -> None:
    early = head(ftf)
    signer = SigningKey.load(home / "keys" / "me.pem", None)
    with Case.open(case, signer=signer, read_only=False) as opened:
        opened.append("note", {"text": "later"}, actor="me", at=NOW)
    for wanted in (early, early.split(":")[1]):
        notes = ftf("case", "verify", "case-1", "--expect-head", wanted, "--format", "jsonl").facts()["notes"]
        assert any("added after the expected head" in note for note in notes)


def test_rolled_back_case_is_4_with_its_head(ftf: Ftf, case: Path, home: Path, tmp_path: Path) -> None:
    shutil.copytree(case, tmp_path / "older")
    signer = SigningKey.load(home / "keys" / "me.pem", None)
    with Case.open(case, signer=signer, read_only=False) as opened:
        opened.append("note", {"text": "unwelcome"}, actor="me", at=NOW)
    noted = head(ftf)
    shutil.rmtree(case)
    shutil.copytree(tmp_path / "older", case)
    assert "Rollback not excluded" in ftf("case", "verify", "case-1").out
    result = ftf("case", "verify", "case-1", "--expect-head", noted, "--format", "jsonl", expect=4)
    assert (result.facts()["holds"], result.facts()["first_broken"]) == (False, 1)
    assert "set back" in ftf("case", "verify", "case-1", "--expect-head", noted.split(":")[1], expect=4).err


def test_edited_event_is_4_and_named(ftf: Ftf, long_case: Path) -> None:
    path = long_case / "case.sqlite"
    sqlite_do(path, ["PRAGMA journal_mode = DELETE"])
    data = path.read_bytes()
    assert data.count(b"note 1") == 1
    path.write_bytes(data.replace(b"note 1", b"note X"))
    result = ftf("case", "verify", "case-1", "--format", "jsonl", expect=4)
    assert result.facts()["first_broken"] == 2
    assert "vent 2" in result.err


def test_deleted_protections_are_4(ftf: Ftf, long_case: Path) -> None:
    connection = sqlite3.connect(long_case / "case.sqlite")
    (trigger,) = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger' LIMIT 1").fetchone()
    connection.execute(f"DROP TRIGGER {trigger}")
    connection.commit()
    connection.close()
    assert ftf("case", "verify", "case-1", "--format", "jsonl", expect=4).facts()["holds"] is False


def test_unexpected_key_is_4(ftf: Ftf, case: Path) -> None:
    ftf("key", "new", "other", "--role", "examiner", "--no-passphrase")
    assert "not expected" in ftf("case", "verify", "case-1", "--expect-key", "other", expect=4).err
    ftf("case", "verify", "case-1", "--expect-key", "other", "--expect-key", "me")
    ftf("case", "verify", "case-1", "--expect-key", "nobody", expect=6)


def test_malformed_expectations_are_2(ftf: Ftf, case: Path) -> None:
    for text in ("5", "x:" + "a" * 64, "5:abc", ""):
        ftf("case", "verify", "case-1", "--expect-head", text, expect=2)
    ftf("case", "verify", "case-1", "--expect-key", "ed25519:abc", expect=2)


def test_newer_case_is_5(ftf: Ftf, case: Path) -> None:
    sqlite_do(case / "case.sqlite", ["PRAGMA user_version = 99"])
    for name in ("show", "verify"):
        assert "upgrade the program" in ftf("case", name, "case-1", expect=5).err


def test_real_process_from_key_to_checked_case(ftf_process: Ftf) -> None:
    ftf_process("key", "new", "me", "--role", "examiner", "--no-passphrase")
    ftf_process("case", "new", "case-1", "--title", "T", "--examiner", "me")
    assert "holds" in ftf_process("case", "verify", "case-1").out
    assert ftf_process("case", "verify", "case-1", "--expect-head", "a" * 64, expect=4).err.startswith("ftf: ")


@contextmanager
def nobody_writes(folder: Path) -> Iterator[None]:
    """Like a read-only medium: nothing in the folder can be written to, by the superuser neither."""
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    users = os.getresuid()
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(*users)
        for path in paths:
            path.chmod(0o755)


@pytest.fixture
def stopped_case(case: Path, home: Path) -> Iterator[Path]:
    """A case as a killed program leaves it, in a folder of cases that all may read: its last events are in the WAL."""
    signer = SigningKey.load(home / "keys" / "me.pem", None)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with Case.open(case, signer=signer, read_only=False) as opened:
            opened.append("note", {"text": "unsaved"}, actor="me", at=NOW)
            shutil.copytree(case, Path(folder, "case-1"), ignore=shutil.ignore_patterns("*-shm"))
        yield Path(folder, "case-1")


def test_a_stopped_case_on_a_read_only_medium_has_not_failed_its_check(ftf: Ftf, stopped_case: Path) -> None:
    with nobody_writes(stopped_case.parent):
        result = ftf("case", "verify", stopped_case, expect=7)
        assert result.out == ""
        assert result.err.count("\n") == 1
        assert "copy its whole folder" in result.err
        assert "copy its whole folder" in ftf("case", "list", "--cases", stopped_case.parent, expect=7).err
    assert ftf("case", "verify", stopped_case, "--format", "jsonl").facts()["events"] == 2


def test_a_case_in_a_folder_of_another_name_is_called_by_the_name_that_was_signed(ftf: Ftf, case: Path) -> None:
    shutil.copytree(case, "cases/other")
    for name in ("other", "./cases/other"):
        facts = ftf("case", "verify", name, "--format", "jsonl").facts()
        assert (facts["case"], facts["case_id"], facts["title"]) == ("case-1", "case-1", "The minister video")
        assert "The folder is named 'other', but the case in it was opened as 'case-1'." in facts["notes"]
    shown = ftf("case", "show", "other", "--format", "jsonl")
    assert (shown.facts()["name"], "opened as 'case-1'" in shown.err) == ("case-1", True)
    assert "opened as 'case-1'" in ftf("case", "list").err
    Path("link").symlink_to(case.absolute())
    assert "The folder is named 'link'" in ftf("case", "verify", "./link").out
    for own in ("case-1", "./cases/case-1", "./cases/case-1/", "./cases/other/../case-1"):
        assert "opened as" not in ftf("case", "verify", own).out


@pytest.mark.parametrize("name", ["report-final.html", "findings.csv", ".hidden", "scan.jsonl"])
def test_a_file_that_the_case_never_exported_is_noted(ftf: Ftf, case: Path, name: str) -> None:
    assert not any("not of the case" in note for note in notes_of(ftf))
    (case / name).write_text("planted")
    assert f"1 file(s) in the case's folder are not of the case, the first is '{name}'." in notes_of(ftf)


def notes_of(ftf: Ftf) -> list[str]:
    notes: list[str] = ftf("case", "verify", "case-1", "--format", "jsonl").facts()["notes"]
    return notes


def test_an_export_of_another_size_is_not_read(ftf: Ftf, case: Path) -> None:
    ftf("report", "export", "--case", "case-1", "--format", "csv")
    assert notes_of(ftf)[0].startswith("Rollback")
    os.truncate(case / "report.csv", 40 << 30)
    started = time.monotonic()
    result = ftf("case", "verify", "case-1", expect=4)
    assert time.monotonic() - started < 10
    assert "changed after it was written" in result.err


def test_long_ids_are_cut_for_people_as_far_as_they_stay_apart() -> None:
    one, other = "X-0123456789abc" + "0" * 27, "X-0123456789abd" + "0" * 27
    assert shorten_ids([one, other, one]) == {one: "X-0123456789abc", other: "X-0123456789abd"}
    assert shorten_ids(["X-" + "1" * 40]) == {"X-" + "1" * 40: "X-" + "1" * 12}
    assert shorten_ids([one, one[:14]]) == {one: one[:15], one[:14]: one[:14]}
    old, strange = "X-012345678900", "{{ 7*7 }} and more than that"
    assert shorten_ids([old, strange, one]) == {old: old, strange: strange, one: "X-0123456789ab"}
    assert shorten_ids([]) == {}
