"""The scan in one process: what only shows from inside, such as evidence that changes under its hands."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from newsroom import CASE, SCANNED_AT, open_reader, save
from PIL import Image

from ftforensics.cli.scan import _exit
from ftforensics.domain.link import Finding, Verdict
from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.errors import EngineError
from ftforensics.flows.examine import Examiner, Place
from ftforensics.flows.scan import (
    IntakeLimits,
    RunFacts,
    Scanner,
    ScanSummary,
    count_pictures,
    exhibit_id,
    matches_fail_on,
)
from ftforensics.flows.sources import Sources
from ftforensics.media.intake import acquire_many
from ftforensics.media.walk import walk_evidence
from ftforensics.report.csv_table import render_csv
from ftforensics.store.cases import Case
from ftforensics.store.finding_json import render_finding
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.trustlist import TrustList

EXAMINER = SigningKey.from_seed("me", "examiner", b"e" * 32)
READER = open_reader()


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    for name in ("a.png", "b.png"):
        save(rng.integers(0, 255, (64, 80, 3), dtype=np.uint8), tmp_path / "evidence" / name)
    return tmp_path / "evidence"


@pytest.fixture
def case(tmp_path: Path):
    with Case.create(tmp_path / "cases", CASE, title="A case", examiner="me", signer=EXAMINER, at=SCANNED_AT) as made:
        yield made


def open_examiner(reader: TagReader) -> Examiner:
    return Examiner(
        tag_reader=reader,
        keys=[],
        sources=Sources([], TrustList(), SCANNED_AT),
        trust=TrustList(),
        checked_at=SCANNED_AT,
        localiser=None,
    )


def scan(
    case: Case,
    evidence: Path,
    tell: Callable[[Finding, bool], None],
    restart: bool = False,
    run_id: str = "0" * 16,
    search: str = "direct",
) -> ScanSummary:
    reader = TagReader(READER, [], budget=SearchBudget(mode="direct"))
    examiner = open_examiner(reader)
    facts = RunFacts(
        run_id=run_id,
        tool_version="1",
        argv=("ftf",),
        machine={},
        model={},
        examiner="me",
        trust_list_sha256="0" * 64,
        registry_checkpoint=None,
        config={"search": search},
    )
    scanner = Scanner(
        case=case,
        tag_reader=reader,
        examiner=examiner,
        facts=facts,
        now=lambda: SCANNED_AT,
        limits=IntakeLimits(jobs=1),
        acquired_at=None,
        tell=tell,
    )
    return scanner.run(list(walk_evidence([evidence])), restart=restart)


def test_evidence_that_changes_during_the_scan_is_an_integrity_failure(case: Case, evidence: Path):
    def meddle(finding: Finding, _: bool) -> None:
        (evidence / "b.png").write_bytes(b"something else")

    summary = scan(case, evidence, meddle)
    assert summary.altered == ("b.png",)
    assert _exit(summary, []) == 4
    told = [event.body for event in case.events("exhibit_rehashed")]
    assert [body["sha256_after"] for body in told if "sha256_after" in body] == [
        hashlib.sha256(b"something else").hexdigest()
    ]
    assert told[-1]["altered"] == 1
    case.verify()


def test_evidence_that_vanishes_during_the_scan_is_told(case: Case, evidence: Path):
    def meddle(finding: Finding, _: bool) -> None:
        (evidence / "a.png").unlink(missing_ok=True)

    assert scan(case, evidence, meddle).altered == ("a.png",)


def test_a_finding_is_in_the_case_before_it_is_told(case: Case, evidence: Path):
    def stop(finding: Finding, _: bool) -> None:
        kept = case.finding(finding.exhibit_id)
        assert kept is not None
        assert render_finding(kept) == render_finding(finding)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(case, evidence, stop)
    case.verify()
    told: list[tuple[str, bool]] = []
    summary = scan(case, evidence, lambda finding, resumed: told.append((finding.evidence.path, resumed)))
    assert told == [("a.png", True), ("b.png", True)]
    assert summary.resumed == 2
    assert summary.counts == {"seen": 2, "ok": 2, "failed": 0, "skipped": 0}


def test_a_file_that_changed_since_the_scan_was_stopped_is_read_again(case: Case, evidence: Path):
    def stop(finding: Finding, _: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(case, evidence, stop)
    save(np.zeros((64, 80, 3), np.uint8), evidence / "b.png")
    told: list[tuple[str, bool]] = []
    scan(case, evidence, lambda finding, resumed: told.append((finding.evidence.path, resumed)))
    assert told == [("a.png", True), ("b.png", False)]


def test_restarting_takes_nothing_over(case: Case, evidence: Path):
    def stop(finding: Finding, _: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(case, evidence, stop)
    assert scan(case, evidence, lambda *_: None, restart=True).resumed == 0


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_scan_that_was_stopped_while_another_ended_goes_on(case: Case, evidence: Path, tmp_path: Path):
    save(np.full((64, 80, 3), 9, np.uint8), tmp_path / "other" / "c.png")

    def meanwhile(*_: object) -> None:
        scan(case, tmp_path / "other", lambda *_: None, run_id="a" * 16, search="deep")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(case, evidence, meanwhile, run_id="b" * 16)
    told: list[tuple[str, bool]] = []
    summary = scan(case, evidence, lambda one, resumed: told.append((one.evidence.path, resumed)), run_id="c" * 16)
    assert told == [("a.png", True), ("b.png", True)]
    assert summary.resumed == 2
    assert scan(case, evidence, lambda *_: None, run_id="d" * 16).resumed == 0
    case.verify()


def test_what_runs_with_other_settings_found_is_not_taken_over(case: Case, evidence: Path):
    for run_id, search in (("a" * 16, "direct"), ("b" * 16, "deep"), ("c" * 16, "direct")):
        with pytest.raises(KeyboardInterrupt):
            scan(case, evidence, stop, run_id=run_id, search=search, restart=True)
    assert scan(case, evidence, lambda *_: None, run_id="d" * 16, search="deep").resumed == 0
    with pytest.raises(KeyboardInterrupt):
        scan(case, evidence, stop, run_id="e" * 16)
    assert scan(case, evidence, lambda *_: None, run_id="f" * 16).resumed == 2


def test_pictures_are_counted_once_over_all_scans_of_a_case(case: Case, evidence: Path):
    paths = list(walk_evidence([evidence]))
    assert count_pictures(case, paths) == 2
    scan(case, evidence, lambda *_: None)
    assert count_pictures(case, paths) == 2
    assert count_pictures(case, []) == 2


def test_other_files_of_a_name_are_other_pictures(case: Case, evidence: Path, tmp_path: Path):
    """Four folders, each with its own ``1.png``, an unreadable pipe and a link that is left out, in one case."""
    for number in range(4):
        folder = tmp_path / f"phone {number}"
        save(np.full((64, 80, 3), 50 * number, np.uint8), folder / "1.png")
        (folder / "link.png").symlink_to(folder / "1.png")
        os.mkfifo(folder / "pipe.png")
        paths = list(walk_evidence([folder]))
        # The pipes cannot be told apart: nothing of them was read.
        assert count_pictures(case, paths) == number + 2
        summary = scan(case, folder, lambda *_: None, run_id=f"{number:016x}")
        assert (summary.counts["failed"], summary.counts["skipped"], summary.verdicts["UNREADABLE"]) == (1, 1, 1)
        assert count_pictures(case, paths) == number + 2
    first = list(walk_evidence([tmp_path / "phone 0"]))
    assert count_pictures(case, first) == count_pictures(case, []) == 5


def test_what_is_left_out_has_no_verdict_to_fail_on_and_is_no_picture(case: Case, evidence: Path):
    for left_out in ("link", "other"):
        (evidence / left_out).symlink_to(evidence / "a.png")
    paths = list(walk_evidence([evidence], skip_larger_bytes=0))
    assert count_pictures(case, paths) == 0
    summary = scan(case, evidence, lambda *_: None)
    assert summary.counts["skipped"] == 2
    assert "UNREADABLE" not in summary.verdicts
    assert not matches_fail_on(summary.verdicts, [Verdict.UNREADABLE])
    assert count_pictures(case, []) == 2
    # What was left out, and is there to be read now, is a picture.
    (evidence / "link").unlink()
    save(np.zeros((64, 80, 3), np.uint8), evidence / "c.png").rename(evidence / "link")
    assert count_pictures(case, walk_evidence([evidence])) == 3


def test_an_exhibit_is_named_by_path_and_content(evidence: Path):
    def names() -> list[str]:
        limits = IntakeLimits()
        results = acquire_many(
            walk_evidence([evidence]), jobs=1, timeout_s=limits.timeout_s, memory_bytes=limits.memory_bytes
        )
        return [exhibit_id(result) for result in results]

    before = names()
    assert len(set(before)) == 2
    assert names() == before
    save(np.zeros((64, 80, 3), np.uint8), evidence / "b.png")
    assert names()[0] == before[0]
    assert names()[1] != before[1]


def test_only_verdicts_that_were_given_match():
    verdicts = {"VERIFIED_MATCH": 2, "NO_TAG_READ": 0}
    assert matches_fail_on(verdicts, [Verdict.CONFLICT, Verdict.VERIFIED_MATCH])
    assert not matches_fail_on(verdicts, [Verdict.NO_TAG_READ, Verdict.CONFLICT])
    assert not matches_fail_on(verdicts, [])


def test_a_verdict_on_a_further_tag_is_heeded_as_well(case: Case, evidence: Path):
    summary = scan(case, evidence, lambda *_: None)
    assert summary.further_verdicts == {}
    assert _exit(summary, [Verdict.VERIFIED_DERIVATIVE]) == 0
    found = replace(summary, further_verdicts={"VERIFIED_DERIVATIVE": 1})
    assert _exit(found, [Verdict.VERIFIED_DERIVATIVE]) == 1
    assert _exit(found, [Verdict.CONFLICT]) == 0


def test_a_picture_without_pixels_is_not_examined(evidence: Path):
    (evidence / "a.png").write_bytes(b"")
    reader = TagReader(READER, [], budget=SearchBudget(mode="direct"))
    examiner = open_examiner(reader)
    result = next(iter(acquire_many(walk_evidence([evidence]), jobs=1, timeout_s=30.0, memory_bytes=2 << 30)))
    place = Place(seq=0, case_id="c", exhibit_id="x")
    with pytest.raises(ValueError, match="needs pixels"):
        examiner.examine(result, lambda: np.zeros((3, 64, 64), np.float32), place)
    assert examiner.unreadable(result, place).finding.verdict is Verdict.UNREADABLE


def test_a_picture_that_breaks_a_library_does_not_take_the_others_with_it(
    case: Case, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(np.full((90, 120, 3), 7, dtype=np.uint8), evidence / "c.png")
    whole = Examiner.examine

    def examine(self: Examiner, result: Any, residual: Any, place: Place) -> Any:
        if result.item.path.endswith("b.png"):
            raise MemoryError("no room for a map")
        return whole(self, result, residual, place)

    monkeypatch.setattr(Examiner, "examine", examine)
    told: list[Finding] = []
    summary = scan(case, evidence, lambda finding, _: told.append(finding))
    assert [finding.verdict for finding in told] == [Verdict.NO_TAG_READ, Verdict.UNREADABLE, Verdict.NO_TAG_READ]
    error = told[1].error
    assert error is not None
    assert (error.stage, error.type) == ("read", "MemoryError")
    assert "no room for a map" in error.message
    assert summary.counts["failed"] == 1


def test_a_batch_that_cannot_be_read_is_no_fault_of_its_pictures(
    case: Case, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is recorded of them, and the scan goes on where it was."""
    calls: list[int] = []
    whole = TagReader.residuals

    def residuals(self: TagReader, pictures: Any) -> Any:
        calls.append(len(pictures))
        if len(calls) == 1:
            raise RuntimeError("bad allocation")
        return whole(self, pictures)

    monkeypatch.setattr(TagReader, "residuals", residuals)
    told: list[Finding] = []
    with pytest.raises(EngineError, match=r"could not be read \(RuntimeError: bad allocation\)"):
        scan(case, evidence, lambda finding, _: told.append(finding))
    assert told == []
    assert list(case.findings()) == []
    scan(case, evidence, lambda finding, _: told.append(finding), run_id="1" * 16)
    assert [finding.verdict for finding in told] == [Verdict.NO_TAG_READ] * len(told)
    assert told


@pytest.mark.parametrize("name", ["moving.png", "pages.tif", "stereo.mpo"])
def test_a_finding_about_the_first_of_several_frames_says_so(case: Case, tmp_path: Path, name: str):
    rng = np.random.default_rng(5)
    frames = [Image.fromarray(rng.integers(0, 255, (64, 80, 3), dtype=np.uint8)) for _ in range(2)]
    (tmp_path / "several").mkdir()
    frames[0].save(tmp_path / "several" / name, save_all=True, append_images=frames[1:])
    scan(case, tmp_path / "several", lambda finding, resumed: None)
    (finding,) = case.findings()
    assert finding.verdict is Verdict.NO_TAG_READ
    assert "The file holds 2 pictures (frames or pages), and only the first was examined." in finding.limitations[-1]
    assert "only the first was examined" in (case.folder / "scan.jsonl").read_text("ascii")
    assert "only the first was examined" in render_csv(case.view()).decode()


def test_a_finding_about_one_frame_does_not_speak_of_others(case: Case, evidence: Path):
    scan(case, evidence, lambda finding, resumed: None)
    assert not any("frames or pages" in text for finding in case.findings() for text in finding.limitations)
