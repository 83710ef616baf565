"""How much of a tag survives: bits and identities after every manipulation of the battery.

Each picture is tagged, manipulated and read as a scan of a single picture would read it: through ``TagReader`` with its
default budget and one carrier key whose registry holds as many records as asked for. The registry has no content to
suggest frames, so moved frames must be found by blind search alone. What was not identified so is read once more with
the previews of the set's own pictures at hand, as a registry keeps them unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec import channel
from ftforensics.domain.model import GeneratorCard
from ftforensics.domain.tag import DecodedTag, MatchedTag, TagAbsence
from ftforensics.engine.hints import Hints
from ftforensics.engine.reading import Reading, TagReader, soft_bits
from ftforensics.engine.ring import Book
from ftforensics.engine.sync_warp import straighten
from ftforensics.flows.bench.beside import Previews
from ftforensics.flows.bench.identities import leads_with, names_another
from ftforensics.flows.bench.manipulations import (
    BATTERY,
    Manipulation,
    Means,
    apply_manipulation,
    describe,
    draw_random,
)
from ftforensics.flows.bench.message import FAMILIES, MEASURES, read_message, summarise_families
from ftforensics.flows.bench.paired import PairedSetup, PairedTask, measure_paired
from ftforensics.flows.bench.pictures import PictureSet
from ftforensics.flows.bench.results import Column, Row, interval_columns
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.statistics import estimate_mean, estimate_rate
from ftforensics.flows.bench.tagging import TaggedPicture, load_exhibit
from ftforensics.flows.tag import READ_PX
from ftforensics.imaging.resample import Pixels, fit_within

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What one read of one manipulated picture gave.

    ``bits`` is the share of the 128 soft bits with the right sign in the accepted frame, or in the direct one where no
    frame was accepted. ``right`` means matched to the right record at E <= 1e-6, the leading tag being meant; ``wrong``
    an identity of any other, matched or decoded, in whatever region of the picture; both by the picture alone.
    ``beside`` and ``wrong_beside`` are the same with the previews of the registry's pictures at hand.
    ``message`` is the share of the id's 64 bits that the channel decoder alone gets right in that frame, ``exact`` says
    whether it gets them all.
    """

    manipulation: str
    bits: float
    right: bool
    wrong: bool
    beside: bool
    wrong_beside: bool
    searched: bool
    unreadable: bool
    presence: float
    message: float
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureReads:
    """All reads of one picture; none where ``ftf tag`` would have refused it."""

    name: str
    folder: str
    refused: bool
    stronger_db: float
    reads: tuple[Read, ...]


class RobustnessWorker:
    """Tags, manipulates and reads one picture after another."""

    def __init__(self, setup: PairedSetup) -> None:
        self._bench = Bench(setup.setup)
        self._book: Book = setup.book.open(self._bench.key)
        self._tag_reader = TagReader(self._bench.reader, [self._book], pairs=self._bench.pairs)
        self._previews = Previews(self._bench.key.key_id, setup.photographs)

    def __call__(self, task: PairedTask) -> PictureReads:
        """All reads of a picture."""
        picture = task.picture
        tagged = self._bench.tag(picture)
        if tagged is None:
            return PictureReads(name=picture.name, folder=picture.folder, refused=True, stronger_db=0.0, reads=())
        views = self._manipulate(task, tagged)
        residuals = self._tag_reader.residuals([pixels for _, pixels in views])
        truth = channel.encode(tagged.tag_id, self._book.key.channel)
        reads = []
        for (chosen, pixels), residual in zip(views, residuals, strict=True):
            reading = self._tag_reader.identify(pixels, residual)
            straight = straighten(reading.residual, self._tag_reader.sync)
            read = judge_reading(chosen.name, reading, straight, self._book, tagged.tag_id, truth)
            reads.append(read if read.right else self._read_beside(read, pixels, residual, tagged.tag_id))
        return PictureReads(
            name=picture.name,
            folder=picture.folder,
            refused=False,
            stronger_db=tagged.stronger_db,
            reads=tuple(reads),
        )

    def _read_beside(self, read: Read, pixels: Pixels, residual: NDArray[np.float32], tag_id: str) -> Read:
        """A read that did not identify the picture by itself, and what it gives beside the registry's previews."""
        reading = self._tag_reader.identify(pixels, residual, Hints(recall=self._previews.recall(pixels)))
        return replace(read, beside=leads_with(reading, tag_id), wrong_beside=names_another(reading, tag_id))

    def _manipulate(self, task: PairedTask, tagged: TaggedPicture) -> list[tuple[Manipulation, Pixels]]:
        donor, views = load_exhibit(task.donor.path), []
        for chosen in BATTERY:
            for draw in range(chosen.draws):
                random = draw_random(self._bench.setup.seed, task.picture.sha256, chosen.name, draw)
                means = Means(donor=donor, regenerate=self._bench.regenerate, random=random)
                pixels = apply_manipulation(chosen, tagged.pixels, means)
                views.append((chosen, np.ascontiguousarray(fit_within(pixels, READ_PX))))
        return views


def judge_reading(
    name: str, reading: Reading, straight: NDArray[np.float32], book: Book, tag_id: str, truth: NDArray[np.float32]
) -> Read:
    """What a reading is worth, the truth being known; ``straight`` is its map straightened.

    A picture of the battery holds one tag, if any is left. So each other tag that is named is wrong, in a further
    region as well; and the right one counts only where it leads, see ``identities.leads_with``.
    """
    outcome = reading.outcome
    soft = soft_bits(reading.residual, book)
    message = read_message([soft, soft_bits(straight, book)], book.key.channel, tag_id)
    right, wrong = leads_with(reading, tag_id), names_another(reading, tag_id)
    return Read(
        manipulation=name,
        bits=float(np.mean((soft > 0) == (truth > 0))),
        right=right,
        wrong=wrong,
        beside=right,
        wrong_beside=wrong,
        searched=isinstance(outcome, MatchedTag | DecodedTag) and outcome.geometry.mode != "direct",
        unreadable=isinstance(outcome, TagAbsence) and outcome.reason == "present_unreadable",
        presence=reading.presence,
        message=message.bits,
        exact=message.exact,
    )


def measure_robustness(
    pictures: PictureSet, setup: Setup, *, records: int, jobs: int, advance: Callable[[], None]
) -> list[PictureReads]:
    """Tag, manipulate and read every picture.

    Raises:
        FtfError: A picture, the model or the folder for work cannot be used.
    """
    return measure_paired(RobustnessWorker, pictures, setup, records=records, jobs=jobs, advance=advance)


ROBUSTNESS_COLUMNS: tuple[Column, ...] = (
    Column(key="manipulation", label="manipulation"),
    Column(key="reads", label="reads", kind="count"),
    *interval_columns("bits", "bits right", "rate"),
    *interval_columns("identified", "right record of all, picture alone", "rate"),
    *interval_columns("beside", "right record of all, previews at hand", "rate"),
    *interval_columns("exact", "exact message, no registry", "rate"),
    Column(key="wrong", label="wrong identities", kind="count"),
    Column(key="searched", label="found by search", kind="rate", digits=0),
    Column(key="unreadable", label="present, unreadable", kind="rate", digits=0),
    *interval_columns("presence", "presence (sigma)", "number"),
    Column(key="worst_bits", label="worst picture's bits", kind="rate"),
    Column(key="worst", label="worst picture"),
    Column(key="definition", label="definition"),
)

FOLDER_COLUMNS: tuple[Column, ...] = (
    Column(key="manipulation", label="manipulation"),
    Column(key="folder", label="pictures"),
    Column(key="pictures", label="how many", kind="count"),
    *interval_columns("bits", "bits right", "rate"),
    *interval_columns("identified", "right record of all, picture alone", "rate"),
    *interval_columns("beside", "right record of all, previews at hand", "rate"),
)


def summarise_robustness(
    results: Sequence[PictureReads], seed: int, cards: Mapping[str, GeneratorCard]
) -> tuple[Row, ...]:
    """One row a manipulation; a picture's draws are averaged first, so that every picture counts once.

    ``cards`` are of the generators that only measure, by name.
    """
    tagged = [result for result in results if not result.refused]
    return tuple(_row(chosen, tagged, seed) | {"definition": describe(chosen, cards)} for chosen in BATTERY)


def summarise_message(results: Sequence[PictureReads], seed: int) -> tuple[Row, ...]:
    """What the channel decoder alone gives, by family of deepfakes; none where no picture was tagged."""
    tagged = [result for result in results if not result.refused]
    if not tagged:
        return ()
    names = {name for rows in FAMILIES.values() for name in rows}
    by_row = {
        name: {
            key: _averages([[read for read in result.reads if read.manipulation == name] for result in tagged], key)
            for key in MEASURES
        }
        for name in names
    }
    return summarise_families(by_row, seed)


def summarise_folders(results: Sequence[PictureReads], seed: int) -> tuple[Row, ...]:
    """Bits and identities by manipulation and kind of picture, where there are several kinds."""
    folders = sorted({result.folder for result in results if not result.refused})
    rows: list[Row] = []
    for chosen in BATTERY:
        for folder in folders:
            part = [result for result in results if not result.refused and result.folder == folder]
            row = _row(chosen, part, seed)
            row |= {"folder": folder or ".", "pictures": len(part)}
            rows.append({column.key: row[column.key] for column in FOLDER_COLUMNS})
    return tuple(rows)


def describe_tagging(results: Sequence[PictureReads]) -> str:
    """One sentence on how tagging itself went."""
    refused = sum(result.refused for result in results)
    stronger = sum(result.stronger_db > 0.0 for result in results)
    return (
        f"{len(results) - refused} of {len(results)} pictures were tagged, {stronger} of them 1.5 or 3 dB stronger "
        "than asked, as 'ftf tag' does where a tag does not read back; pictures that it would refuse, left out here: "
        f"{refused}"
    )


def _averages(by_picture: Sequence[Sequence[Read]], field: str) -> Floats:
    """One value a picture (n,): the mean over its draws."""
    return np.array([np.mean([getattr(read, field) for read in reads]) for reads in by_picture], dtype=np.float64)


def _row(chosen: Manipulation, results: Sequence[PictureReads], seed: int) -> Row:
    by_picture = [[read for read in result.reads if read.manipulation == chosen.name] for result in results]
    row: Row = {"manipulation": chosen.name, "definition": chosen.definition}
    if not by_picture:
        return row | {column.key: row.get(column.key) for column in ROBUSTNESS_COLUMNS}
    bits, worst = _averages(by_picture, "bits"), 0
    # A picture that was not identified is worse than any that was.
    worst = int(np.lexsort((bits, _averages(by_picture, "right")))[0])
    estimates = {
        "bits": estimate_mean(bits, seed),
        "identified": estimate_rate(_averages(by_picture, "right"), seed),
        "beside": estimate_rate(_averages(by_picture, "beside"), seed),
        "exact": estimate_rate(_averages(by_picture, "exact"), seed),
        "presence": estimate_mean(_averages(by_picture, "presence"), seed),
    }
    for key, estimate in estimates.items():
        row |= {key: estimate.mean, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
    return row | {
        "reads": sum(len(reads) for reads in by_picture),
        "wrong": sum(read.wrong or read.wrong_beside for reads in by_picture for read in reads),
        "searched": float(_averages(by_picture, "searched").mean()),
        "unreadable": float(_averages(by_picture, "unreadable").mean()),
        "worst_bits": float(bits[worst]),
        "worst": results[worst].name,
    }
