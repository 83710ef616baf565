"""How often nothing is taken for something: wrong identities, blind decodes and false presence.

Three kinds of pictures are read against a large registry of random records: untagged ones, ones tagged under a carrier
key that the reader does not hold, and ones tagged under the key it holds whose record is in no registry. Each is looked
at in many views: whole, cropped, mirrored, turned, recompressed.

Direct reads do no more than they must; a test holds them to ``TagReader``'s own outcome. A part of the views is read by
``TagReader`` with its default budget, blind search included. What a picture gave is kept in the folder for work, named
by everything that it depends on, so that a stopped measurement goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ftforensics import attacks, codec, engine, imaging
from ftforensics.attacks import handling, warps
from ftforensics.codec import matching
from ftforensics.codec.blind import decode_blind
from ftforensics.codec.channel import WORD_BITS
from ftforensics.domain.tag import LINK_E_LIMIT, DecodedTag, MatchedTag, TagAbsence
from ftforensics.engine.reading import Reading, SearchBudget, TagReader, soft_bits
from ftforensics.engine.ring import Book
from ftforensics.errors import WriteFailed
from ftforensics.flows.bench import identities
from ftforensics.flows.bench.identities import named_tags
from ftforensics.flows.bench.keys import BookFile, draw_ids, save_book
from ftforensics.flows.bench.manipulations import draw_random
from ftforensics.flows.bench.pictures import BenchPicture, PictureSet
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.statistics import upper_bound
from ftforensics.flows.bench.tagging import load_exhibit
from ftforensics.flows.bench.workers import collect
from ftforensics.flows.tag import READ_PX
from ftforensics.imaging.resample import Floats, Pixels, fit_within

# Views of a picture that are in memory together.
BATCH = 32
_READ_BY = (attacks, codec, engine, imaging, identities)

# Share of the untagged reads that pictures of the other two kinds get, each.
TAGGED_SHARE = 0.1

UNTAGGED, OTHER_KEY, UNREGISTERED = "untagged", "tagged under another key", "tagged, record in no registry"
POPULATIONS = (UNTAGGED, OTHER_KEY, UNREGISTERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One read.

    ``decoded`` means that a tag was decoded blind that is not in the picture. ``present`` means "tag present,
    unreadable", which is false of untagged pictures alone. ``best_z`` is the largest over all records and frames.
    """

    population: str
    mode: str
    wrong: bool
    decoded: bool
    present: bool
    best_z: float | None
    presence: float
    sync_peak: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalsePositiveSetup:
    """For one worker: two registries of random records, and how many views of a picture are read how."""

    setup: Setup
    issuer_book: BookFile
    other_book: BookFile
    views: int
    blind_views: int


class FalsePositiveWorker:
    """Reads all views of one picture after another."""

    def __init__(self, setup: FalsePositiveSetup) -> None:
        self._setup = setup
        self._bench = Bench(setup.setup)
        self._kept = setup.setup.work / "false-positives"
        self._basis = _describe(setup, self._bench)
        books = {
            OTHER_KEY: setup.other_book.open(self._bench.other_key),
            UNREGISTERED: setup.issuer_book.open(self._bench.key),
        }
        self._books = {UNTAGGED: books[UNREGISTERED], **books}
        reader = self._bench.reader
        direct = SearchBudget(mode="direct")
        self._direct = {kind: TagReader(reader, [book], budget=direct) for kind, book in self._books.items()}
        self._blind = {kind: TagReader(reader, [book]) for kind, book in self._books.items()}

    def __call__(self, task: BenchPicture) -> list[Outcome]:
        """All reads of a picture, of all three kinds; taken from the folder for work where they were made before."""
        kept = self._kept / f"{hashlib.sha256(f'{self._basis}{task.sha256}'.encode()).hexdigest()[:32]}.json"
        if kept.exists():
            return [Outcome(**fields) for fields in json.loads(kept.read_text(encoding="ascii"))]
        outcomes = self._read_all(task)
        try:
            self._kept.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(".part")
            partial.write_text(json.dumps([asdict(outcome) for outcome in outcomes]), encoding="ascii")
            partial.replace(kept)
        except OSError as exc:
            raise WriteFailed(
                f"what was read cannot be kept ({exc.strerror})", subject=str(kept), remedy="free some space"
            ) from exc
        return outcomes

    def _read_all(self, task: BenchPicture) -> list[Outcome]:
        outcomes = self._read(UNTAGGED, task, load_exhibit(task.path), None)
        tagged = self._bench.tag(task)
        if tagged is not None:
            for kind in (OTHER_KEY, UNREGISTERED):
                outcomes += self._read(kind, task, tagged.pixels, tagged.tag_id)
        return outcomes

    def _read(self, kind: str, task: BenchPicture, pixels: Pixels, tag_id: str | None) -> list[Outcome]:
        setup, share = self._setup, 1.0 if tag_id is None else TAGGED_SHARE
        views = draw_views(pixels, max(1, round(setup.views * share)), setup.setup.seed, task.sha256)
        # The fraction of a read that a picture is owed is a chance of one.
        chance = draw_random(setup.setup.seed, task.sha256, kind, 0).random()
        unsearched = int(setup.blind_views * share + chance)
        outcomes: list[Outcome] = []
        # A thousand views of one picture at once would not fit into memory.
        while batch := list(islice(views, BATCH)):
            residuals = self._direct[kind].residuals(batch)
            outcomes += read_direct(self._direct[kind], self._books[kind], residuals, kind, tag_id)
            for view, residual in list(zip(batch, residuals, strict=True))[:unsearched]:
                outcomes.append(_search(self._blind[kind], view, residual, kind, tag_id))
            unsearched = max(0, unsearched - len(batch))
        return outcomes


def _describe(setup: FalsePositiveSetup, bench: Bench) -> str:
    """All that a picture's outcomes depend on, the code that draws and reads included."""
    files = [file for package in _READ_BY for file in sorted(Path(str(package.__file__)).parent.glob("*.py"))]
    code = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (*files, Path(__file__))]
    facts = {
        "code": code,
        "tags": bench.tagger.basis,
        "seed": setup.setup.seed,
        "books": [setup.issuer_book.words_path.name, setup.other_book.words_path.name],
        "views": [setup.views, setup.blind_views],
    }
    return json.dumps(facts, sort_keys=True)


def draw_views(pixels: Pixels, count: int, seed: int, picture_sha256: str) -> Iterator[Pixels]:
    """``count`` views of a picture as a scan would read them: the first is the picture itself, the others are drawn.

    A drawn view keeps 50 to 100 % of each side; a half are mirrored, a third turned by up to 15°, a third shrunk to 200
    to 640 px, a half compressed as JPEG 30 to 95.
    """
    for index in range(count):
        view = pixels
        if index:
            random = draw_random(seed, picture_sha256, "view", index)
            view = warps.crop(view, float(random.uniform(0.5, 1.0)), random)
            if random.random() < 0.5:
                view = warps.mirror(view)
            if random.random() < 1 / 3:
                view = warps.rotate(view, float(random.uniform(-15.0, 15.0)))
            if random.random() < 1 / 3:
                view = fit_within(view, int(random.integers(200, 641)))
            if random.random() < 0.5:
                view = handling.jpeg(view, int(random.integers(30, 96)))
        yield np.ascontiguousarray(fit_within(view, READ_PX))


def read_direct(
    tag_reader: TagReader, book: Book, residuals: Floats, population: str, tag_id: str | None
) -> list[Outcome]:
    """What ``TagReader`` with the budget "direct" makes of residual maps (N, 3, 64, 64)."""
    hypotheses, threshold = tag_reader.budget.hypotheses, tag_reader.reader.card.presence_threshold
    outcomes = []
    for residual in residuals:
        bits = soft_bits(residual, book)
        found = matching.match(bits, book.words)
        z = 0.0 if found is None else found.z
        e_value = matching.e_value(bits, z, records=tag_reader.records, carrier_keys=1, hypotheses=hypotheses)
        wrong = e_value * tag_reader.pictures <= LINK_E_LIMIT
        trials = tag_reader.pictures * hypotheses
        blind = None if wrong else decode_blind(bits, book.key.channel, trials=trials)
        presence = tag_reader.presence(residual)
        outcomes.append(
            Outcome(
                population=population,
                mode="direct",
                wrong=wrong,
                decoded=blind is not None and blind.word.tag_id != tag_id,
                present=not wrong and blind is None and presence >= threshold,
                best_z=z,
                presence=presence,
                sync_peak=None,
            )
        )
    return outcomes


def _search(tag_reader: TagReader, view: Pixels, residual: Floats, population: str, tag_id: str | None) -> Outcome:
    return judge_search(tag_reader.identify(view, residual), population, tag_id)


def judge_search(found: Reading, population: str, tag_id: str | None) -> Outcome:
    """What a reading with blind search is worth: every tag in it counts, those of further regions too.

    ``tag_id`` is that of the tag in the picture, which no registry at hand holds; None where there is none.
    """
    outcome, named = found.outcome, named_tags(found)
    absent = outcome if isinstance(outcome, TagAbsence) else None
    return Outcome(
        population=population,
        mode="blind",
        wrong=any(isinstance(tag, MatchedTag) for tag in named),
        decoded=any(isinstance(tag, DecodedTag) and tag.tag_id != tag_id for tag in named),
        present=absent is not None and absent.reason == "present_unreadable",
        best_z=_largest([tag.z for tag in named if isinstance(tag, MatchedTag)]) if absent is None else absent.best_z,
        presence=found.presence,
        sync_peak=found.sync_peak,
    )


def measure_false_positives(
    pictures: PictureSet,
    setup: Setup,
    *,
    reads: int,
    blind_reads: int,
    records: int,
    jobs: int,
    advance: Callable[[], None],
) -> list[list[Outcome]]:
    """Outcomes picture by picture.

    Args:
        pictures: What to look at.
        setup: As for tagging.
        reads: Direct reads of untagged pictures at least; the other kinds get a tenth of it each.
        blind_reads: Reads of untagged pictures with blind search, about; the other kinds get a tenth of it each.
        records: Size of the registry.
        jobs: Processes.
        advance: Called after every picture.

    Raises:
        FtfError: A picture, the model or the folder for work cannot be used.
    """
    bench, count = Bench(setup), len(pictures.pictures)
    ids = draw_ids(setup.seed, records, [])
    views = -(-reads // count)
    worker_setup = FalsePositiveSetup(
        setup=setup,
        issuer_book=save_book(setup.work, "issuer", bench.key, ids),
        other_book=save_book(setup.work, "other issuer", bench.other_key, ids),
        views=views,
        blind_views=min(views, -(-blind_reads // count)),
    )
    return collect(FalsePositiveWorker, worker_setup, pictures.pictures, jobs, advance)


def _bounded(key: str, label: str) -> tuple[Column, ...]:
    return (
        Column(key=key, label=label, kind="count"),
        Column(key=f"{key}_upper", label="at most, 95 %", kind="rate", digits=3),
    )


FALSE_POSITIVE_COLUMNS: tuple[Column, ...] = (
    Column(key="population", label="pictures"),
    Column(key="mode", label="search"),
    Column(key="pictures", label="pictures", kind="count"),
    Column(key="reads", label="reads", kind="count"),
    *_bounded("wrong", "wrong identities"),
    *_bounded("decoded", "blind decodes accepted"),
    *_bounded("present", "'tag present, unreadable'"),
    Column(key="present_pictures", label="pictures with one", kind="count"),
    Column(key="largest_z", label="largest z", kind="number", digits=2),
    Column(key="needed_z", label="z needed, bits equally loud", kind="number", digits=2),
    Column(key="largest_presence", label="largest presence", kind="number", digits=2),
    Column(key="largest_peak", label="largest sync peak", kind="number", digits=2),
)


def summarise_false_positives(results: Sequence[Sequence[Outcome]], records: int) -> tuple[Row, ...]:
    """One row a kind of picture and search mode."""
    rows: list[Row] = []
    for population in POPULATIONS:
        for mode, budget in (("direct", SearchBudget(mode="direct")), ("blind", SearchBudget())):
            by_picture = [[o for o in part if o.population == population and o.mode == mode] for part in results]
            by_picture = [part for part in by_picture if part]
            outcomes = [outcome for part in by_picture for outcome in part]
            if not outcomes:
                continue
            row: Row = {"population": population, "mode": mode, "pictures": len(by_picture), "reads": len(outcomes)}
            for key in ("wrong", "decoded", "present"):
                seen = sum(getattr(outcome, key) for outcome in outcomes)
                row |= {key: seen, f"{key}_upper": upper_bound(seen, len(outcomes))}
            rows.append(
                row
                | {
                    "present_pictures": sum(any(outcome.present for outcome in part) for part in by_picture),
                    "largest_z": _largest([outcome.best_z for outcome in outcomes]),
                    "needed_z": needed_z(records, budget.counts(budget.mode)),
                    "largest_presence": _largest([outcome.presence for outcome in outcomes]),
                    "largest_peak": _largest([outcome.sync_peak for outcome in outcomes]),
                }
            )
    return tuple(rows)


def needed_z(records: int, hypotheses: int) -> float:
    """The z at which one picture's E-value is at the limit for a link, where all soft bits are equally loud."""
    even = np.ones(WORD_BITS, dtype=np.float32)
    steps = (WORD_BITS - 2.0 * np.arange(WORD_BITS // 2)) / np.sqrt(WORD_BITS)
    counted = {"records": records, "carrier_keys": 1, "hypotheses": hypotheses}
    return float(min(z for z in steps if matching.e_value(even, float(z), **counted) <= LINK_E_LIMIT))


def _largest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None
