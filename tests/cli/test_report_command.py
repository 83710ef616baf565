"""``ftf report export``: what is noted is there, what is there is not lost, and what does not hold is said."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_samples import NOW, Ftf, Result

from ftforensics.domain.evidence import EvidenceItem
from ftforensics.domain.link import Finding, Verdict
from ftforensics.store.cases import Case
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.public_key import public_key_pem

CASE = Path("cases/case-1")
KILLER = """#!{python}
import base64, os, signal, sys
from pathlib import Path
from ftforensics.trust.keys import SigningKey
tally = Path(sys.argv[2])
tally.write_text(tally.read_text() + "x" if tally.exists() else "x")
if len(tally.read_text()) == int(sys.argv[3]):
    os.kill(os.getppid(), signal.SIGKILL)
sys.stdout.buffer.write(base64.b64encode(SigningKey.load(Path(sys.argv[1]), None).sign(sys.stdin.buffer.read())))
"""


@pytest.fixture
def case(ftf: Ftf, examiner: str, home: Path) -> Path:
    """A case with one finding, as if its exhibit had been scanned."""
    ftf("case", "new", "case-1", "--title", "The minister video", "--examiner", "me")
    item = EvidenceItem(
        path="a.jpg",
        path_b64="YS5qcGc=",
        size_bytes=5,
        mtime=NOW,
        sha256="1" * 64,
        media_type="image/jpeg",
        ext_mismatch=False,
    )
    finding = Finding(
        seq=0,
        case_id="case-1",
        exhibit_id="X-1",
        evidence=item,
        verdict=Verdict.NO_TAG_READ,
        reasons=("no tag was read",),
        limitations=("not read is not untagged",),
    )
    with Case.open(CASE, signer=load_signer(home), read_only=False) as opened:
        opened.append_finding(finding, actor="me", at=NOW)
    return CASE


def load_signer(home: Path) -> SigningKey:
    return SigningKey.load(home / "keys" / "me.pem", None)


def export(ftf: Ftf, form: str, *options: str | Path, expect: int = 0) -> Result:
    return ftf("report", "export", "--case", "case-1", "--format", form, *options, expect=expect)


def exported() -> list[dict[str, Any]]:
    """What the case says was exported."""
    with Case.open(CASE) as opened:
        return [row for event in opened.events("report_exported") for row in event.body["files"]]


def notes_of(ftf: Ftf) -> str:
    return " ".join(ftf("case", "verify", "case-1", "--format", "jsonl").facts()["notes"])


def test_a_report_that_was_written_is_noted_with_its_hash(ftf: Ftf, case: Path) -> None:
    for at in range(2):
        export(ftf, "json")
        row = exported()[at]
        assert row["sha256"] == hashlib.sha256((case / "report.json").read_bytes()).hexdigest()
        assert (row["path"], row["inside"], len(exported())) == ("report.json", True, at + 1)
        assert "export" not in notes_of(ftf)
    export(ftf, "json", "--output", "elsewhere/r.json")
    assert (exported()[2]["path"], exported()[2]["inside"]) == ("r.json", False)


def test_a_report_that_was_not_written_is_not_noted(ftf: Ftf, case: Path) -> None:
    Path("taken.html").write_text("mine")
    (case / "kept.csv").write_text("mine")
    Path("file").write_text("")
    Path("loop").symlink_to("loop")
    for target in (
        "taken.html",
        case / "kept.csv",
        "file/r.html",
        "x" * 300,
        "loop/run.json",
        "x" * 300 + "/a",
    ):
        export(ftf, "html", "--output", target, expect=7)
        export(ftf, "html", "--output", "file/r.html", "--clobber", expect=7)
    assert exported() == []
    assert Path("taken.html").read_text() == (case / "kept.csv").read_text() == "mine"
    assert not list(Path().rglob("*.part"))


@pytest.mark.parametrize("target", ["cases/case-1", "cases/case-1/reports", "elsewhere", "pipe", ".", "cases/.."])
def test_a_report_does_not_take_the_place_of_a_folder_or_a_pipe(ftf: Ftf, case: Path, target: str) -> None:
    (case / "reports").mkdir()
    Path("elsewhere").mkdir()
    os.mkfifo("pipe")
    before = (case / "case.sqlite").read_bytes()
    for options in ((), ("--clobber",)):
        assert export(ftf, "json", "--output", target, *options, expect=2).err.count("\n") == 1
    assert (case / "case.sqlite").read_bytes() == before
    assert "announced" not in notes_of(ftf)


def test_a_link_that_was_to_be_replaced_is_a_note_after_a_crash(
    ftf: Ftf, ftf_process: Ftf, case: Path, home: Path, tmp_path: Path
) -> None:
    (case / "report.html").symlink_to("case.sqlite")
    killed_export(ftf_process, home, tmp_path, 1)
    assert (case / "report.html").is_symlink()
    rows = [{"path": "report.html", "inside": True, "sha256": "1" * 64, "size_bytes": 9}]
    with Case.open(case, signer=load_signer(home), read_only=False) as opened:
        opened.append("report_staged", {"files": rows}, actor="me", at=NOW)
    assert "announced as 'report.html', where there is no ordinary file" in notes_of(ftf)


@pytest.mark.parametrize("target", [".", "reports", "gone"])
def test_what_an_earlier_version_announced_in_the_place_of_a_folder_is_a_note(
    ftf: Ftf, case: Path, home: Path, target: str
) -> None:
    (case / "reports").mkdir()
    rows = [{"path": target, "inside": True, "sha256": "1" * 64, "size_bytes": 9}]
    with Case.open(case, signer=load_signer(home), read_only=False) as opened:
        opened.announce_exports({case / target: b"report"}, actor="me", at=NOW)
        assert list(opened.events("report_staged")) == []
        opened.append("report_staged", {"files": rows}, actor="me", at=NOW)
    assert f"A report was announced as '{target}', where there is no ordinary file; it was never exported." in notes_of(
        ftf
    )
    assert "outside" not in notes_of(ftf)
    export(ftf, "json")
    (case / target / "x").mkdir(parents=True, exist_ok=True)
    with Case.open(case, signer=load_signer(home), read_only=False) as opened:
        opened.append("report_exported", {"files": rows}, actor="me", at=NOW)
    if target != ".":
        assert "cannot be read" in ftf("case", "verify", "case-1", expect=4).err


@pytest.mark.parametrize(
    "name",
    [
        "case.sqlite",
        "CASE.SQLITE",
        "case.sqlite-wal",
        "case.sqlite-shm",
        "case.sqlite-journal",
        "scan.jsonl",
        "run.json",
        "custody.jsonl",
        "artifacts",
        "artifacts/x.png",
        "../case-1/case.sqlite",
        "../another/case.sqlite",
    ],
)
def test_what_a_case_is_made_of_is_not_written_over(ftf: Ftf, case: Path, name: str) -> None:
    ftf("case", "new", "another", "--title", "T", "--examiner", "me")
    before = {path: path.read_bytes() for path in Path("cases").rglob("*") if path.is_file()}
    result = export(ftf, "html", "--output", case / name, "--clobber", expect=2)
    assert result.err.count("\n") == 1
    assert {path: path.read_bytes() for path in Path("cases").rglob("*") if path.is_file()} == before
    export(ftf, "html", "--output", Path("elsewhere", Path(name).name))


def killed_export(ftf_process: Ftf, home: Path, tmp_path: Path, at_signature: int) -> None:
    """The report's export, ended by SIGKILL when the signature of that number is asked for."""
    program, public, tally = tmp_path / "killer.py", tmp_path / "me.public.pem", tmp_path / "tally"
    program.write_text(KILLER.format(python=sys.executable))
    program.chmod(0o700)
    public.write_bytes(public_key_pem(load_signer(home).public_key))
    tally.unlink(missing_ok=True)
    command = shlex.join([str(program), str(home / "keys" / "me.pem"), str(tally), str(at_signature)])
    arguments = ("report", "export", "--case", "case-1", "--signer-command", command, "--public-key", public)
    ftf_process(*arguments, expect=-signal.SIGKILL, env=os.environ | {"FTF_NOW": "2026-03-02T12:00:00Z"})


def test_after_a_crash_nothing_is_claimed_that_is_not_there(
    ftf: Ftf, ftf_process: Ftf, case: Path, home: Path, tmp_path: Path
) -> None:
    killed_export(ftf_process, home, tmp_path, 1)
    assert exported() == []
    assert "not of the case, the first is 'report.html'" in notes_of(ftf)
    assert (case / "report.html").read_bytes().endswith(b"</html>")


@pytest.mark.parametrize(("at_signature", "is_new"), [(1, False), (2, True)])
def test_a_crash_while_a_report_is_replaced_breaks_nothing(
    ftf: Ftf, ftf_process: Ftf, case: Path, home: Path, tmp_path: Path, at_signature: int, is_new: bool
) -> None:
    export(ftf, "html")
    before, rows = (case / "report.html").read_bytes(), exported()
    killed_export(ftf_process, home, tmp_path, at_signature)
    assert ((case / "report.html").read_bytes() != before) is is_new
    assert exported() == rows
    assert ("is of an earlier export, or of one that was not noted" in notes_of(ftf)) is is_new
    (case / "report.html").write_bytes(before.replace(b"minister", b"Minister"))
    assert "changed after it was written" in ftf("case", "verify", "case-1", expect=4).err
    (case / "report.html").unlink()
    export(ftf, "html")
    assert "export" not in notes_of(ftf)


def test_a_stranger_in_the_place_of_a_report_is_none_after_a_crash_either(
    ftf: Ftf, ftf_process: Ftf, case: Path, home: Path, tmp_path: Path
) -> None:
    (case / "report.html").write_text("planted")
    killed_export(ftf_process, home, tmp_path, 1)
    assert "2 file(s) in the case's folder are not of the case, the first is '.ftf-" in notes_of(ftf)
    killed_export(ftf_process, home, tmp_path, 2)
    assert "'report.html' was written, but its export was not noted" in notes_of(ftf)
    (case / "report.html").write_text("planted")
    assert "'report.html' was never exported by the case" in notes_of(ftf)


def test_a_report_whose_note_cannot_be_signed_does_not_stay(ftf: Ftf, case: Path, home: Path, tmp_path: Path) -> None:
    public = tmp_path / "public.pem"
    public.write_bytes(public_key_pem(load_signer(home).public_key))
    export(ftf, "csv", "--signer-command", "false", "--public-key", public, expect=6)
    assert exported() == []
    assert sorted(path.name for path in case.iterdir()) == ["case.sqlite"]


def test_an_edited_case_is_not_intact_in_any_report(ftf: Ftf, case: Path) -> None:
    edit_verdict(case / "case.sqlite")
    for form in ("html", "json", "csv"):
        assert "does not hold" in export(ftf, form, "--output", f"r.{form}", expect=4).err
    page, document = Path("r.html").read_text(), json.loads(Path("r.json").read_bytes())
    assert "Not intact: this case failed its check." in page
    assert "Chain intact" not in page
    assert (document["integrity"]["state"], document["integrity"]["head_verified"]) == ("broken", False)
    assert [row["integrity"] for row in csv.DictReader(Path("r.csv").read_text().splitlines())] == ["broken"]


def test_evidence_put_back_and_examined_anew_is_not_told_as_changed(ftf: Ftf, case: Path, home: Path) -> None:
    """Whatever the earlier version called it: an exhibit is its path and content."""
    body = {"exhibit_id": "X-1", "sha256_before": "1" * 64, "sha256_after": "2" * 64}
    with Case.open(case, signer=load_signer(home), read_only=False) as opened:
        opened.append("exhibit_rehashed", body, actor="me", at=NOW)
        (finding,) = opened.findings()
        item = replace(finding.evidence, path="b.jpg", path_b64="Yi5qcGc=")
        other = replace(finding, exhibit_id="X-" + "b" * 40, evidence=item)
        opened.append_finding(other, actor="me", at=NOW)
        assert [one.exhibit_id for one in opened.altered()] == ["X-1"]
    assert "the first is 'X-1'" in notes_of(ftf)
    with Case.open(case, signer=load_signer(home), read_only=False) as opened:
        opened.append_finding(replace(finding, exhibit_id="X-" + "a" * 40), actor="me", at=NOW)
    assert ftf("case", "show", "case-1", "--format", "jsonl").facts()["changed_during_scan"] == []
    assert "changed during the scan" not in notes_of(ftf)
    export(ftf, "json")
    document = json.loads((case / "report.json").read_bytes())
    assert document["integrity"]["altered_exhibits"] == []
    assert {one["evidence_changed"] for one in document["findings"]} == {False}


def edit_verdict(path: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("UPDATE events SET body = replace(body, 'NO_TAG_READ', 'VERIFIED_MATCH') WHERE kind = 'finding'")
    connection.execute("UPDATE findings SET verdict = 'VERIFIED_MATCH'")
    for _, sql in triggers:
        connection.execute(sql)
    connection.close()


def test_evidence_that_changed_is_told_everywhere(ftf: Ftf, case: Path, home: Path) -> None:
    assert ftf("case", "show", "case-1", "--format", "jsonl").facts()["changed_during_scan"] == []
    body = {"exhibit_id": "X-1", "sha256_before": "1" * 64, "sha256_after": "2" * 64}
    total = {"checked": 1, "altered": 1, "purpose": "evidence hashed again at the end of the run"}
    with Case.open(case, signer=load_signer(home), read_only=False) as opened:
        opened.append_many([("exhibit_rehashed", body), ("exhibit_rehashed", total)], actor="me", at=NOW)
    assert ftf("case", "show", "case-1", "--format", "jsonl").facts()["changed_during_scan"] == ["X-1"]
    assert "changed during scan" in ftf("case", "show", "case-1").out
    assert "1 exhibit(s) changed during the scan" in notes_of(ftf)
    for form in ("html", "json", "csv"):
        export(ftf, form, "--output", f"r.{form}")
    page = Path("r.html").read_text()
    for text in ("Evidence changed during the scan: 1 of 1 exhibit.", "1 of 1 altered", "1" * 64, "2" * 64):
        assert text in page
    assert json.loads(Path("r.json").read_bytes())["findings"][0]["sha256_after"] == "2" * 64
    (row,) = csv.DictReader(Path("r.csv").read_text().splitlines())
    assert (row["integrity"], row["evidence_changed"], row["sha256_after"]) == ("intact", "true", "2" * 64)
