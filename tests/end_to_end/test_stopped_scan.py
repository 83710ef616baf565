"""A scan that is stopped, by Ctrl-C or by a power cut, goes on where it was and comes to the same bytes."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from newsroom import CASE, TAGGED_AT, Newsroom, Scan, load, save

from ftforensics.engine.onnx import BATCH
from ftforensics.store.case_lock import hold_case
from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission
from ftforensics.trust.keys import SigningKey

PICTURES = 3 * BATCH + 2


@pytest.fixture(scope="module")
def evidence(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three batches and a bit: small tagged copies and pictures of nothing."""
    folder = tmp_path_factory.mktemp("many") / "pictures"
    copy, rng = load(newsroom.tagged["coffee.webp"]), np.random.default_rng(9)
    for number in range(PICTURES):
        noise = rng.integers(0, 255, (96, 128, 3), dtype=np.uint8)
        save(copy if number % 3 == 0 else noise, folder / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def whole(newsroom: Newsroom, evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return newsroom.scan([evidence], tmp_path_factory.mktemp("whole"))


def stop_in_the_middle(
    newsroom: Newsroom, evidence: Path, cases: Path, how: signal.Signals, **options: Any
) -> tuple[int, str, int]:
    """Start a scan, stop it once more findings are in the case; exit code, standard error, findings kept."""
    before = count_findings(cases / CASE)
    argv, given = newsroom.command("scan", evidence, "--case", CASE, "--cases", cases, "--jobs", "1", **options)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **given)
    deadline = time.monotonic() + 240
    while count_findings(cases / CASE) == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(how)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors.decode(), count_findings(cases / CASE)


def count_findings(case: Path) -> int:
    with sqlite3.connect(case / "case.sqlite") as database:
        (count,) = database.execute("SELECT count(*) FROM findings").fetchone()
    database.close()
    return int(count)


def test_after_a_power_cut_the_scan_goes_on(newsroom: Newsroom, evidence: Path, whole: Scan, tmp_path: Path):
    newsroom.new_case(tmp_path)
    code, _, kept = stop_in_the_middle(newsroom, evidence, tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert 0 < kept < PICTURES
    newsroom.ftf("case", "verify", CASE, "--cases", tmp_path)
    resumed = newsroom.scan([evidence], tmp_path, "--jobs", "2", now="2026-06-02T00:00:00Z")
    assert f"{kept} taken over from the stopped scan" in resumed.run.err
    assert count_findings(tmp_path / CASE) == PICTURES
    assert (resumed.folder / "scan.jsonl").read_bytes() == (whole.folder / "scan.jsonl").read_bytes()
    newsroom.ftf("case", "verify", CASE, "--cases", tmp_path)


def test_a_stopped_scan_does_not_go_on_with_another_registry(newsroom: Newsroom, evidence: Path, tmp_path: Path):
    """The other one has the same log of its own, empty as well, and as many imported records, logged elsewhere."""
    with Registry.open(newsroom.home / "registry.sqlite") as source:
        submissions = [
            RecordSubmission(**{name: getattr(row, name) for name in RecordSubmission.__slots__})
            for row in source.records()
        ]
        source.export_bundle(tmp_path / "genuine")
    mallory = SigningKey.generate("mallory", "issuer")
    with Registry.create(tmp_path / "mirror.sqlite", "agency-2026", signer=mallory, at=TAGGED_AT) as mirror:
        mirror.append(submissions, signer=mallory, at=TAGGED_AT, check_tag_ids=False)
        mirror.export_bundle(tmp_path / "mirrored")
    homes = {name: newsroom.copy_home(tmp_path / f"home of {name}") for name in ("genuine", "mirrored")}
    for name, home in homes.items():
        for old in home.glob("registry.sqlite*"):
            old.unlink()
        newsroom.ftf("registry", "init", "mine", "--key", "agency", home=home, now=TAGGED_AT)
        newsroom.ftf("registry", "import", tmp_path / name, home=home)
    newsroom.new_case(tmp_path)
    code, _, kept = stop_in_the_middle(newsroom, evidence, tmp_path, signal.SIGKILL, home=homes["genuine"])
    assert code == -signal.SIGKILL
    assert kept > 0
    resumed = newsroom.scan([evidence], tmp_path, home=homes["mirrored"])
    assert "taken over" not in resumed.run.err
    standings = {row["source"]["log_standing"] for row in resumed.rows.values() if row["source"] is not None}
    assert standings == {"unpinned"}


def test_ctrl_c_gives_130_and_two_stops_are_as_good_as_one(
    newsroom: Newsroom, evidence: Path, whole: Scan, tmp_path: Path
):
    newsroom.new_case(tmp_path)
    for _ in range(2):
        code, errors, kept = stop_in_the_middle(newsroom, evidence, tmp_path, signal.SIGINT)
        assert code == 130
        assert "Traceback" not in errors
        how, told = errors.splitlines()
        assert how.startswith("Reading with ")
        assert told == "ftf: interrupted; run the same command again to go on."
        assert 0 < kept < PICTURES
    resumed = newsroom.scan([evidence], tmp_path)
    assert count_findings(tmp_path / CASE) == PICTURES
    assert (resumed.folder / "scan.jsonl").read_bytes() == (whole.folder / "scan.jsonl").read_bytes()


def test_a_finished_or_restarted_scan_takes_nothing_over(newsroom: Newsroom, evidence: Path, tmp_path: Path):
    newsroom.new_case(tmp_path)
    code, _, kept = stop_in_the_middle(newsroom, evidence, tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    again = newsroom.scan([evidence / "000.png"], tmp_path, "--restart", "--search", "direct")
    assert "taken over" not in again.run.err
    assert count_findings(tmp_path / CASE) == kept + 1


def test_a_second_scan_into_a_case_that_is_being_scanned_is_refused(newsroom: Newsroom, evidence: Path, tmp_path: Path):
    case = newsroom.new_case(tmp_path)
    before = (case / "case.sqlite").read_bytes()
    scan = ("scan", evidence / "000.png", "--case", CASE, "--cases", tmp_path, "-q")
    with hold_case(case):
        refused = newsroom.ftf(*scan, expect=5)
        newsroom.ftf("case", "verify", CASE, "--cases", tmp_path)
    assert refused.err == (
        f"ftf: Another scan is writing to this case: {case}; wait until it has finished and run the same command "
        "again.\n"
    )
    assert (case / "case.sqlite").read_bytes() == before
    newsroom.ftf(*scan)
