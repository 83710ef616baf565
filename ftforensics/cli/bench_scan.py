"""The timed scans of ``ftf bench scan``: a real registry, case and scan in a folder of their own, throw-away keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ftforensics import __version__
from ftforensics.cli.opening import machine_facts
from ftforensics.domain.link import Finding
from ftforensics.engine.reading import TagReader
from ftforensics.engine.ring import Book, build_book
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench.keys import draw_ids
from ftforensics.flows.bench.pictures import PictureSet
from ftforensics.flows.bench.scan_speed import ScanTiming, Stopwatch, Timed, measure_floor, measure_search
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.examine import Examined, Examiner, Place
from ftforensics.flows.scan import IntakeLimits, RunFacts, Scanner
from ftforensics.flows.sources import Sources
from ftforensics.flows.tag import Issuer, Tagger, TagSettings
from ftforensics.imaging.resample import Floats, Pixels
from ftforensics.media.container import load_photo
from ftforensics.media.intake import IntakeResult
from ftforensics.media.walk import EvidencePath, walk_evidence
from ftforensics.media.writing import atomic_write
from ftforensics.store.cases import Case
from ftforensics.store.registry import Registry
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.trustlist import TrustList

ISSUER = "Bench"
EXAMINER = "Bench Examiner"

INTAKE = "intake (waited for) and hashing again"
READ = "reading directly"
FRAMES = "reading found frames"
IDENTIFY = "blind search and matching"
LEADS = "content leads"
LINK = "verification, linking and pictures"
RECORD = "recording"
# The main thread's, while others examine; no stage of its own.
_WAIT = "waiting for examinations"
STAGES = (INTAKE, READ, IDENTIFY, FRAMES, LEADS, LINK, RECORD)


class _TimedBackend(Timed):
    """The reader; its time outside the direct read goes to the frames that were found."""

    def read(self, pictures: Pixels) -> Any:
        """See ``engine.reader.Reader.read``."""
        with self._watch.stage(READ if self._watch.current == READ else FRAMES):
            return self._target.read(pictures)


class _TimedExaminer(Examiner):
    """Gives its time to linking, but for what is timed inside it."""

    watch: Stopwatch

    def examine(self, result: IntakeResult, residual: Floats, place: Place) -> Examined:
        """See ``flows.examine.Examiner.examine``."""
        with self.watch.stage(LINK):
            return super().examine(result, residual, place)


class _TimedScanner(Scanner):
    """Its time goes to intake, but for what is timed inside it and for waiting."""

    watch: Stopwatch

    def collect(self, begun: Sequence[Future[Examined]]) -> list[Examined]:
        """See ``flows.scan.Scanner.collect``."""
        with self.watch.stage(_WAIT):
            return super().collect(begun)


def time_scans(
    pictures: PictureSet,
    setup: Setup,
    *,
    records: int,
    jobs: int,
    now: Callable[[], str],
    advance: Callable[[], None],
) -> list[ScanTiming]:
    """Scan the pictures untagged, then tagged, against a registry that holds all of them among random records.

    Raises:
        FtfError: Something cannot be tagged, written, registered or scanned.
    """
    bench = _ScanBench(pictures, replace(setup, threads=0), records=records, jobs=jobs, now=now, advance=advance)
    try:
        untagged, tagged = bench.make_evidence()
        return [bench.time("untagged pictures", untagged), bench.time("tagged pictures", tagged)]
    finally:
        bench.close()


class _ScanBench:
    """What both scans share."""

    def __init__(
        self,
        pictures: PictureSet,
        setup: Setup,
        *,
        records: int,
        jobs: int,
        now: Callable[[], str],
        advance: Callable[[], None],
    ) -> None:
        self._pictures, self._setup, self._records = pictures, setup, records
        self._jobs, self._now, self._advance = jobs, now, advance
        self._bench = Bench(setup)
        self._book: Book | None = None
        self._issuer = SigningKey.generate("bench-issuer", "issuer")
        self._examiner = SigningKey.generate("bench-examiner", "examiner")
        self._registry = Registry.create(
            setup.work / "registry.sqlite", "bench-registry", signer=self._issuer, at=self._now()
        )

    def close(self) -> None:
        """Close the registry."""
        self._registry.close()

    def make_evidence(self) -> tuple[Path, Path]:
        """Folders of untagged and of tagged files; plainly tagged, for shaping does not change what a scan costs."""
        untagged, tagged = self._setup.work / "untagged", self._setup.work / "tagged-files"
        tagger = Tagger(
            issuer=Issuer(name=ISSUER, signer=self._issuer),
            key=self._bench.key,
            registry=self._registry,
            reader=self._bench.reader,
            embedder=None,
            settings=TagSettings(psnr_db=self._setup.psnr_db, informed=None),
            now=self._now,
        )
        for index, picture in enumerate(self._pictures.pictures):
            name = f"{index:05d}{picture.path.suffix.lower()}"
            atomic_write(untagged / name, load_photo(picture.path).data)
            try:
                tagger.tag(picture.path, tagged / name)
            except EvidenceUnreadable:
                # Refused: its plain tag does not read back. It stays among the untagged ones.
                continue
            finally:
                self._advance()
        return untagged, tagged

    def time(self, label: str, folder: Path) -> ScanTiming:
        """The floor, the scan, the floor again."""
        paths = list(walk_evidence([folder]))
        files = [folder / path.path for path in paths]
        before = measure_floor(files, self._jobs)
        watch = Stopwatch()
        reader = self._open_reader(len(paths), watch)  # building the code words is no part of a scan's time
        started = time.perf_counter()
        with watch.stage(INTAKE):
            self._scan(label, paths, reader, watch)
        scan_s = time.perf_counter() - started
        after = measure_floor(files, self._jobs)
        some = [np.ascontiguousarray(load_photo(file).srgb) for file in files[:16]]
        return ScanTiming(
            label=label,
            pictures=len(paths),
            scan_s=scan_s,
            floor_s=float(np.median([*before, *after])),
            search_ms=measure_search(self._bench.reader, some),
            stages={stage: watch.seconds.get(stage, 0.0) for stage in STAGES},
        )

    def _scan(self, label: str, paths: Sequence[EvidencePath], reader: Any, watch: Stopwatch) -> None:
        with Case.create(
            self._setup.work / "cases",
            label.replace(" ", "-"),
            title=label,
            examiner=EXAMINER,
            signer=self._examiner,
            at=self._now(),
        ) as case:
            examiner = _TimedExaminer(
                tag_reader=reader,
                keys=[self._bench.key],
                sources=Sources([self._registry]),
                trust=TrustList().pin(ISSUER, self._issuer.key_id),
                checked_at=self._now(),
                localiser=self._bench.localiser,
            )
            recording = dict.fromkeys(
                ("save_artifact", "append_many", "append", "start_run", "finish_run", "export"), RECORD
            )
            timed_case: Any = Timed(case, watch, recording)
            examiner.watch = watch
            scanner = _TimedScanner(
                case=timed_case,
                tag_reader=reader,
                examiner=examiner,
                facts=self._facts(),
                now=self._now,
                limits=IntakeLimits(jobs=self._jobs),
                acquired_at=None,
                tell=self._tell,
            )
            scanner.watch = watch
            scanner.run(list(paths))

    def _open_reader(self, count: int, watch: Stopwatch) -> Any:
        """The tag reader over a registry as large as asked for."""
        known = [f"{int(value):016x}" for value in self._registry.index(self._bench.key.key_id)[1]]
        if self._book is None:
            self._book = build_book(self._bench.key, draw_ids(self._setup.seed, self._records, known))
        backend: Any = _TimedBackend(self._bench.reader, watch, {})
        reader = TagReader(backend, [self._book], pairs=self._bench.pairs, pictures_in_case=count)
        return Timed(reader, watch, {"residuals": READ, "identify": IDENTIFY}, {"identify": LEADS})

    def _tell(self, finding: Finding, resumed: bool) -> None:
        del finding, resumed
        self._advance()

    def _facts(self) -> RunFacts:
        reader = self._bench.reader
        card = reader.card
        return RunFacts(
            run_id="bench",
            tool_version=__version__,
            argv=("ftf", "bench", "scan"),
            machine=machine_facts(),
            model={
                "model": card.model_id,
                "weights_sha256": card.reader_sha256,
                "backend": reader.backend,
                "precision": reader.precision,
            },
            examiner=EXAMINER,
            trust_list_sha256="0" * 64,
            registry_checkpoint=None,
        )
