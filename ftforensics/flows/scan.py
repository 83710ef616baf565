"""Scan evidence: walk, hash, decode in isolation, read, identify, verify, link, record.

Enters: paths and an open case. Leaves: one finding an input, failures included, each under a signed head of the case.
The order is that of the walk, batches have a fixed size, and nothing of a finding depends on the clock, so that two
runs are byte-identical. A scan that was stopped goes on where it was if it is asked for with the same settings.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftforensics.domain.case import CaseHead, RunInfo
from ftforensics.domain.link import Artifact, Finding, Verdict
from ftforensics.engine.onnx import BATCH
from ftforensics.engine.reading import TagReader
from ftforensics.errors import EngineError, EvidenceUnreadable, FtfError
from ftforensics.flows.examine import Examined, Examiner, Place
from ftforensics.flows.pictures import Picture
from ftforensics.media.intake import IntakeResult, acquire_with, hash_file
from ftforensics.media.limits import WorkerLimits
from ftforensics.media.walk import EvidencePath
from ftforensics.media.workers import WorkerPool
from ftforensics.store.cases import Case
from ftforensics.store.finding_json import render_finding
from ftforensics.trust.canonical import canonical_json

# Pictures of findings that are on their way to the disk at once.
WRITERS = 4
# 160 bits: two files with one id would take their sender 2^80 tries.
EXHIBIT_ID_DIGITS = 40
_MESSAGE_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeLimits:
    """What one file may cost, and how many are decoded, and then examined, at once."""

    jobs: int = 2
    timeout_s: float = 30.0
    memory_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What goes into ``run.json`` and not into findings. ``config`` decides whether a stopped run may go on.

    ``machine_at_end`` gives facts about the machine that only the end can tell.
    """

    run_id: str
    tool_version: str
    argv: tuple[str, ...]
    machine: dict[str, str]
    model: dict[str, str]
    examiner: str
    trust_list_sha256: str
    registry_checkpoint: str | None
    config: dict[str, Any] = field(default_factory=dict)
    machine_at_end: Callable[[], dict[str, str]] = dict


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSummary:
    """What a scan came to.

    ``verdicts`` counts those of exhibits, of inputs that were left out on purpose none; ``further_verdicts`` those of
    tags in other parts of them. ``altered`` are exhibits whose bytes were not the same at the end as at intake.
    """

    counts: dict[str, int]
    verdicts: dict[str, int]
    further_verdicts: dict[str, int]
    altered: tuple[str, ...]
    head: CaseHead
    resumed: int


class Scanner:
    """One run over evidence for one case.

    Args:
        case: Open for writing with its examiner's signer; verified by the caller.
        tag_reader: Reads and identifies; its ``pictures_in_case`` is already right.
        examiner: Makes findings of readings.
        facts: For the run's events.
        now: The clock, UTC ISO 8601.
        limits: For intake; time and memory hold for workers that are made here.
        workers: Of the caller, who closes them; made here, and closed here, where it is None.
        acquired_at: The investigator's statement of when the exhibits were in hand.
        tell: Called with every finding, in order; ``resumed`` says it is from the stopped run.
    """

    def __init__(
        self,
        *,
        case: Case,
        tag_reader: TagReader,
        examiner: Examiner,
        facts: RunFacts,
        now: Callable[[], str],
        limits: IntakeLimits,
        acquired_at: str | None,
        tell: Callable[[Finding, bool], None],
        workers: WorkerPool | None = None,
    ) -> None:
        self._workers = workers
        self._case, self._reader, self._examiner = case, tag_reader, examiner
        self._facts, self._now, self._limits = facts, now, limits
        self._acquired_at, self._tell = acquired_at, tell
        self._verdicts: Counter[str] = Counter()
        self._further_verdicts: Counter[str] = Counter()
        self._counts = {"seen": 0, "ok": 0, "failed": 0, "skipped": 0}
        self._hashed: dict[str, tuple[str, str]] = {}

    def run(self, paths: list[EvidencePath], *, restart: bool = False) -> ScanSummary:
        """Scan all paths.

        Raises:
            StoreError, WriteFailed, TrustError: The case cannot be added to. What is in it stays.
            KeyboardInterrupt: Passed on; all findings told so far are in the case.
        """
        started, done = self._start(restart)
        resumed = self._take_over(paths, done)
        todo = [(seq, path) for seq, path in enumerate(paths) if path.path_b64 not in resumed]
        self._examine_all(todo)
        altered = self._rehash(paths)
        at = self._now()
        machine = started.machine | self._facts.machine_at_end()
        self._case.finish_run(replace(started, ended_at=at, counts=self._counts, machine=machine), at=at)
        self._case.export(actor=self._facts.examiner, at=self._now())
        return ScanSummary(
            counts=dict(self._counts),
            verdicts=dict(self._verdicts),
            further_verdicts=dict(self._further_verdicts),
            altered=altered,
            head=self._case.head(),
            resumed=len(resumed),
        )

    def _start(self, restart: bool) -> tuple[RunInfo, dict[str, Finding]]:
        """Note the run's start; what the last runs with the same settings found is done, if none of them ended."""
        done = {} if restart else self._find_done()
        at = self._now()
        run = RunInfo(
            run_id=self._facts.run_id,
            started_at=at,
            ended_at=None,
            tool_version=self._facts.tool_version,
            argv=self._facts.argv,
            machine=self._facts.machine,
            model=self._facts.model,
            examiner=self._facts.examiner,
            counts=self._counts,
            trust_list_sha256=self._facts.trust_list_sha256,
            registry_checkpoint=self._facts.registry_checkpoint,
            config=self._facts.config,
        )
        self._case.start_run(run, at=at)
        return run, done

    def _find_done(self) -> dict[str, Finding]:
        """The findings, by path, of the runs with these settings that were stopped since one of them last ended.

        Runs with other settings may have gone on in between and at the same time. A finding is of the run that the
        acquisition before it names, and counts only where it is the newest about its exhibit.
        """
        same = [run for run in self._case.runs() if _same(run.config, self._facts.config)]
        stopped = {run.run_id for run in takewhile(lambda run: run.ended_at is None, reversed(same))}
        if not stopped:
            return {}
        theirs = {
            event.seq + 1 for event in self._case.events("exhibit_acquired") if event.body.get("run_id") in stopped
        }
        newest = sorted(entry.seq for entry in self._case.done().values() if entry.seq in theirs)
        return {finding.evidence.path_b64: finding for finding in map(self._case.finding_at, newest)}

    def _take_over(self, paths: list[EvidencePath], done: dict[str, Finding]) -> set[str]:
        """Findings of the stopped run that still hold: same place in the walk and, hashed again, the same bytes."""
        taken: set[str] = set()
        for seq, path in enumerate(paths):
            finding = done.get(path.path_b64)
            if finding is None or finding.seq != seq or path.failure is not None:
                continue
            if _hash_or_none(path) == finding.evidence.sha256:
                taken.add(path.path_b64)
                self._count(finding)
                self._tell(finding, True)
        return taken

    def _acquire(self, todo: list[tuple[int, EvidencePath]]) -> Iterator[tuple[int, IntakeResult]]:
        with self._open_workers() as workers:
            results = acquire_with(workers, (path for _, path in todo), acquired_at=self._acquired_at)
            for (seq, _), result in zip(todo, results, strict=True):
                yield seq, result

    def _open_workers(self) -> AbstractContextManager[WorkerPool]:
        if self._workers is not None:
            return nullcontext(self._workers)
        limits = WorkerLimits(timeout_s=self._limits.timeout_s, memory_bytes=self._limits.memory_bytes)
        return WorkerPool(self._limits.jobs, limits)

    def _examine_all(self, todo: list[tuple[int, EvidencePath]]) -> None:
        """Examine in threads and record batch by batch; while one is recorded, the next is examined."""
        pool = ThreadPoolExecutor(self._limits.jobs, thread_name_prefix="examine")
        writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="write")
        try:
            begun: list[Future[Examined]] = []
            for batch in _batches(self._acquire(todo), BATCH):
                following = self._begin(batch, pool)
                self._record(self.collect(begun), writers)
                begun = following
            self._record(self.collect(begun), writers)
        finally:
            pool.shutdown(cancel_futures=True)
            writers.shutdown(cancel_futures=True)

    def _begin(self, batch: list[tuple[int, IntakeResult]], pool: Executor) -> list[Future[Examined]]:
        """Have a batch read, then its exhibits examined; none of it can fail here."""
        pictures = [result.pixels for _, result in batch if result.pixels is not None]
        reading = pool.submit(self._reader.residuals, pictures) if pictures else None
        places = iter(range(len(pictures)))
        return [
            pool.submit(
                self._examine,
                result,
                Place(seq=seq, case_id=self._case.case_id, exhibit_id=exhibit_id(result)),
                None if reading is None or result.pixels is None else (reading, next(places)),
            )
            for seq, result in batch
        ]

    def _examine(
        self, result: IntakeResult, place: Place, direct: tuple[Future[NDArray[np.float32]], int] | None
    ) -> Examined:
        """Examine one exhibit; ``direct`` are the residual maps of its batch and which of them is its own."""
        if direct is None:
            return self._examiner.unreadable(result, place)
        reading, at = direct
        return self._examiner.examine_or_say_why(result, lambda: _wait_for(reading)[at], place)

    def collect(self, begun: Sequence[Future[Examined]]) -> list[Examined]:
        """Wait for what was begun, in its order.

        Raises:
            FtfError: Of the first exhibit that raises one.
        """
        return [examined.result() for examined in begun]

    def _record(self, made: list[Examined], writers: Executor) -> None:
        """Pictures first, then acquisition and finding of every exhibit under one signed head."""
        if not made:
            return
        items: list[tuple[str, dict[str, Any]]] = []
        findings: list[Finding] = []
        # Writing waits for the disk, and the disk takes several at once.
        saving = [[writers.submit(self._save, picture) for picture in examined.pictures] for examined in made]
        for examined, saved in zip(made, saving, strict=True):
            finding = replace(examined.finding, artifacts=tuple(one.result() for one in saved))
            acquired = {
                "exhibit_id": finding.exhibit_id,
                "path": finding.evidence.path,
                "path_b64": finding.evidence.path_b64,
                "sha256": finding.evidence.sha256,
                "size_bytes": finding.evidence.size_bytes,
                "acquired_at": finding.evidence.acquired_at,
                "purpose": "tag reading",
                "run_id": self._facts.run_id,
            }
            items += [("exhibit_acquired", acquired), ("finding", render_finding(finding))]
            findings.append(finding)
        self._case.append_many(items, actor=self._facts.examiner, at=self._now())
        for finding in findings:
            self._count(finding)
            self._tell(finding, False)

    def _save(self, picture: Picture) -> Artifact:
        return self._case.save_artifact(
            picture.content,
            role=picture.role,
            media_type=picture.media_type,
            width_px=picture.width_px,
            height_px=picture.height_px,
        )

    def _count(self, finding: Finding) -> None:
        self._counts["seen"] += 1
        skipped = _is_skipped(finding)
        failed = finding.verdict is Verdict.UNREADABLE and not skipped
        self._counts["skipped" if skipped else "failed" if failed else "ok"] += 1
        if not skipped:
            self._verdicts[finding.verdict.value] += 1
        self._further_verdicts.update(further.verdict.value for further in finding.further_tags)
        self._hashed[finding.evidence.path_b64] = (finding.exhibit_id, finding.evidence.sha256)

    def _rehash(self, paths: list[EvidencePath]) -> tuple[str, ...]:
        """Hash every exhibit again and note it; evidence that changed under our hands must not go unsaid."""
        altered: list[str] = []
        checked = 0
        for path in paths:
            exhibit, before = self._hashed.get(path.path_b64, ("", ""))
            if not before:
                continue
            checked += 1
            after = _hash_or_none(path)
            if after != before:
                altered.append(path.path)
                body = {"exhibit_id": exhibit, "sha256_before": before, "sha256_after": after}
                self._case.append("exhibit_rehashed", body, actor=self._facts.examiner, at=self._now())
        total: dict[str, Any] = {
            "checked": checked,
            "altered": len(altered),
            "purpose": "evidence hashed again at the end of the run",
        }
        self._case.append("exhibit_rehashed", total, actor=self._facts.examiner, at=self._now())
        return tuple(altered)


def exhibit_id(result: IntakeResult) -> str:
    """Names an exhibit by its path and content, so that the same evidence gets the same id in every run.

    Whoever sends the files chooses both, so an id is long enough that no two can be made to share one.
    """
    digest = hashlib.sha256(f"{result.item.path_b64}\0{result.item.sha256}".encode())
    return f"X-{digest.hexdigest()[:EXHIBIT_ID_DIGITS]}"


def count_pictures(case: Case, paths: Iterable[EvidencePath]) -> int:
    """Distinct exhibits of the case with this scan: what ``e_case`` multiplies by.

    An input is known to the case only with the content that it had; other files of the same name, from another folder
    or medium, are other pictures. Those at a path of the case are hashed for that. What is left out on purpose, a link
    or another case's folder, is no exhibit; what cannot be read is one.
    """
    done = case.done()
    # Nothing was read of what was left out, so that only the findings without a hash have to be looked at.
    known = {key for key, one in done.items() if one.sha256 or not _is_skipped(case.finding_at(one.seq))}
    known_paths = {path_b64 for path_b64, _ in known}
    added = 0
    for path in paths:
        if path.is_skipped:
            continue
        if path.path_b64 not in known_paths:
            added += 1
        else:
            content = None if path.failure is not None else _hash_or_none(path)
            added += (path.path_b64, content or "") not in known
    return len(known) + added


def _wait_for(reading: Future[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The residual maps of a batch.

    Raises:
        EngineError: The batch could not be read, which says nothing about any one exhibit of it.
    """
    try:
        return reading.result()
    except FtfError:
        raise
    except Exception as exc:
        raise EngineError(
            f"a batch of pictures could not be read ({type(exc).__name__}: {str(exc)[:_MESSAGE_CHARS]})",
            remedy="look at this machine with ftf doctor, and run the same command again to go on",
        ) from exc


def _is_skipped(finding: Finding) -> bool:
    return finding.error is not None and finding.extra.get("skipped") is True


def _batches(items: Iterator[tuple[int, IntakeResult]], size: int) -> Iterator[list[tuple[int, IntakeResult]]]:
    while batch := list(islice(items, size)):
        yield batch


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return canonical_json(left) == canonical_json(right)


def _hash_or_none(path: EvidencePath) -> str | None:
    try:
        return hash_file(path.full)
    except EvidenceUnreadable:
        return None


def matches_fail_on(verdicts: dict[str, int], fail_on: Iterable[Verdict]) -> bool:
    """Whether any verdict that the caller wants to hear about was given."""
    return any(verdicts.get(verdict.value) for verdict in fail_on)
