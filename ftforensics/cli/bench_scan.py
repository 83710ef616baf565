"""The timed scans of ``ftf bench scan``: a real registry, case and scan in a folder of their own, throw-away keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ftforensics import __version__
from ftforensics.cli.opening import machine_facts
from ftforensics.domain.link import Finding
from ftforensics.engine.reading import TagReader
from ftforensics.engine.ring import build_book
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench.keys import draw_ids
from ftforensics.flows.bench.pictures import PictureSet
from ftforensics.flows.bench.scan_speed import ScanTiming, Stopwatch, Timed, measure_floor, measure_search
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.examine import Examined, Examiner, Place, Residual
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
# The main thread's while others examine, and theirs while a batch is read; no stage of its own.
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

    def examine(self, result: IntakeResult, residual: Residual, place: Place) -> Examined:
        """See ``flows.examine.Examiner.examine``."""

        def wait() -> Floats:
            with self.watch.stage(_WAIT):
                return residual()

        with self.watch.stage(LINK):
            return super().examine(result, wait, place)


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
    """Scan pictures that no registry knows, untagged copies of registered ones, and tagged ones, among random records.

    Raises:
        FtfError: Something cannot be tagged, written, registered or scanned.
    """
    bench = _ScanBench(pictures, replace(setup, threads=0), records=records, jobs=jobs, now=now, advance=advance)
    try:
        evidence = bench.make_evidence()
        return [
            bench.time("unknown pictures", evidence.unknown, bench.half),
            bench.time("untagged copies", evidence.untagged, bench.whole),
            bench.time("tagged pictures", evidence.tagged, bench.whole),
        ]
    finally:
        bench.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """Folders: untagged pictures that the smaller registry does not know, all pictures untagged, and all tagged."""

    unknown: Path
    untagged: Path
    tagged: Path


class _ScanBench:
    """What all scans share: the evidence, and a registry of all pictures and one of every second."""

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
        self._issuer = SigningKey.generate("bench-issuer", "issuer")
        self._examiner = SigningKey.generate("bench-examiner", "examiner")
        self.whole, self.half = (
            Registry.create(setup.work / f"{name}.sqlite", f"bench-{name}", signer=self._issuer, at=self._now())
            for name in ("registry", "half")
        )

    def close(self) -> None:
        """Close the registries."""
        self.whole.close()
        self.half.close()

    def make_evidence(self) -> _Evidence:
        """Write and register it; plainly tagged, for shaping does not change what a scan costs."""
        work = self._setup.work
        made = _Evidence(unknown=work / "unknown", untagged=work / "untagged", tagged=work / "tagged-files")
        taggers = [self._tagger(self.whole), self._tagger(self.half)]
        for index, picture in enumerate(self._pictures.pictures):
            name = f"{index:05d}{picture.path.suffix.lower()}"
            data = load_photo(picture.path).data
            known = index % len(taggers) > 0
            for folder in (made.untagged,) if known else (made.untagged, made.unknown):
                atomic_write(folder / name, data)
            outs = (made.tagged, work / "tagged-again")
            for tagger, out in zip(taggers[: 1 + known], outs, strict=False):
                # Refused where its plain tag does not read back. It stays among the untagged ones.
                with suppress(EvidenceUnreadable):
                    tagger.tag(picture.path, out / name)
            self._advance()
        return made

    def _tagger(self, registry: Registry) -> Tagger:
        return Tagger(
            issuer=Issuer(name=ISSUER, signer=self._issuer),
            key=self._bench.key,
            registry=registry,
            reader=self._bench.reader,
            embedder=None,
            settings=TagSettings(psnr_db=self._setup.psnr_db, informed=None),
            now=self._now,
        )

    def time(self, label: str, folder: Path, registry: Registry) -> ScanTiming:
        """The floor, the scan, the floor again."""
        paths = list(walk_evidence([folder]))
        files = [folder / path.path for path in paths]
        before = measure_floor(files, self._jobs)
        watch = Stopwatch()
        reader = self._open_reader(len(paths), registry, watch)  # building the code words is no part of a scan's time
        started = time.perf_counter()
        with watch.stage(INTAKE):
            self._scan(label, paths, registry, reader, watch)
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

    def _scan(
        self, label: str, paths: Sequence[EvidencePath], registry: Registry, reader: Any, watch: Stopwatch
    ) -> None:
        with Case.create(
            self._setup.work / "cases",
            label.replace(" ", "-"),
            title=label,
            examiner=EXAMINER,
            signer=self._examiner,
            at=self._now(),
        ) as case:
            trust, checked_at = TrustList().pin(ISSUER, self._issuer.key_id), self._now()
            examiner = _TimedExaminer(
                tag_reader=reader,
                keys=[self._bench.key],
                sources=Sources([registry], trust, checked_at),
                trust=trust,
                checked_at=checked_at,
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

    def _open_reader(self, count: int, registry: Registry, watch: Stopwatch) -> Any:
        """The tag reader over a registry as large as asked for."""
        known = [f"{int(value):016x}" for value in registry.index(self._bench.key.key_id)[1]]
        book = build_book(self._bench.key, draw_ids(self._setup.seed, self._records, known))
        backend: Any = _TimedBackend(self._bench.reader, watch, {})
        reader = TagReader(backend, [book], pairs=self._bench.pairs, pictures_in_case=count)
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
