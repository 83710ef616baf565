"""Whether backends agree: the same tagged pictures, clean and manipulated, through every one of them.

Enters: held-out pictures and readers. Leaves: how far each reader's soft bits lie from the reference's, how many signs
agree, and how many reads end in the same identity. The reference is the model's float32 graph in ONNX Runtime. Soft
bits are about +-1 for a perfect map, so differences are in those units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ftforensics.domain.tag import DecodedTag, MatchedTag
from ftforensics.engine.plans.agreeing import LEAST_READS, agrees
from ftforensics.engine.reader import Reader
from ftforensics.engine.reading import SearchBudget, TagReader, soft_bits
from ftforensics.engine.ring import Book, build_book
from ftforensics.errors import EngineError
from ftforensics.flows.bench.keys import draw_ids, draw_tag_id
from ftforensics.flows.bench.manipulations import BATTERY, Means, apply_manipulation, draw_random
from ftforensics.flows.bench.pictures import PictureSet
from ftforensics.flows.bench.results import Column, Row
from ftforensics.flows.bench.setup import Bench
from ftforensics.imaging.resample import Floats, Pixels, resize

RECORDS = 20_000
BATCH = 16
# Manipulations that a direct read can survive, so that identities are at stake and not only noise.
MANIPULATIONS = (
    "none",
    "JPEG 50 at 640 px",
    "resize to 256 px",
    "blur",
    "tone",
    "relight",
    "face-like swap, 50 %",
    "swap, 480 px, JPEG 60",
)


class Projects(Protocol):
    """What of a reader is compared: its maps."""

    def read(self, pictures: Pixels) -> Floats:
        """See ``engine.reader.Reader.read``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exam:
    """What every reader is given: views uint8 (N, 128, 128, 3), their names, and the book to match them with."""

    views: Pixels
    names: tuple[str, ...]
    book: Book
    images_sha256: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """One reader's answers: soft bits (N, 128) and the tag id of each read, or "" where nothing was identified."""

    soft: Floats
    identities: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How one reader's answers compare with the reference's; the fields that an engine's manifest carries.

    ``identical_identities`` counts reads of the same identity, none included; ``identified`` those that the reference
    identified at all. ``images_sha256`` says which pictures, ``views_sha256`` which pixels came of them.
    """

    reads: int
    max_abs_difference: float
    mean_abs_difference: float
    sign_agreement: float
    identical_identities: int
    identified: int
    reference: str
    images_sha256: str
    views_sha256: str
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON; differences rounded to nine digits after the point."""
        rounded = {name: round(value, 9) if isinstance(value, float) else value for name, value in asdict(self).items()}
        return rounded

    def holds(self, precision: str) -> bool:
        """Whether a reader of this precision agrees well enough to be used in its stead, on reads enough to say so."""
        return agrees(
            precision,
            reads=self.reads,
            sign_agreement=self.sign_agreement,
            identical_identities=self.identical_identities,
        )


def build_exam(
    pictures: PictureSet, bench: Bench, *, reads: int = LEAST_READS, advance: Callable[[], None] = lambda: None
) -> Exam:
    """Tag pictures of the set until there are enough, each seen untouched and manipulated in seven ways.

    Args:
        pictures: Held-out photographs; those that ``ftf tag`` would refuse are passed over.
        bench: Tags them.
        reads: How many views at least.
        advance: Called once a picture that was looked at.

    Raises:
        EngineError: The set has too few pictures.
    """
    seed = bench.setup.seed
    chosen = {item.name: item for item in BATTERY}
    views: list[Pixels] = []
    names: list[str] = []
    ids: list[str] = []
    side = bench.reader.card.input_px
    for index in _spread(len(pictures.pictures), seed):
        if len(views) >= reads:
            break
        picture = pictures.pictures[index]
        tagged = bench.tag(picture)
        advance()
        if tagged is None:
            continue
        ids.append(draw_tag_id(seed, picture.sha256))
        donor = _load(pictures.donor_of(index, seed).path)
        for name in MANIPULATIONS:
            means = Means(
                donor=donor,
                regenerate=bench.regenerate,
                random=draw_random(seed, picture.sha256, name, 0),
            )
            made = apply_manipulation(chosen[name], tagged.pixels, means)
            views.append(np.asarray(resize(made, side, side)))
            names.append(f"{picture.name}: {name}")
    if len(views) < reads:
        raise EngineError(
            f"{reads} reads are wanted and these pictures give {len(views)}", remedy="name a folder with more of them"
        )
    book = build_book(bench.key, draw_ids(seed, RECORDS, ids))
    return Exam(views=np.stack(views), names=tuple(names), book=book, images_sha256=pictures.data.sha256, seed=seed)


def take_exam(reader: Reader, exam: Exam) -> Answers:
    """A reader's answers, read in batches of sixteen.

    Raises:
        EngineError: The reader fails.
    """
    maps = np.concatenate([reader.read(exam.views[at : at + BATCH]) for at in range(0, len(exam.views), BATCH)])
    judge = TagReader(reader, [exam.book], budget=SearchBudget(mode="direct"))
    soft = np.stack([soft_bits(residual, exam.book) for residual in maps])
    return Answers(soft=soft, identities=tuple(_identities(judge, exam.views, maps)))


def compare_answers(reference: Answers, answers: Answers, exam: Exam, *, name: str) -> Parity:
    """The parity of answers with those of the reference, whose name is ``name``."""
    difference = np.abs(answers.soft.astype(np.float64) - reference.soft)
    same = sum(one == other for one, other in zip(reference.identities, answers.identities, strict=True))
    return Parity(
        reads=len(reference.identities),
        max_abs_difference=float(difference.max()),
        mean_abs_difference=float(difference.mean()),
        sign_agreement=float(np.mean((answers.soft > 0) == (reference.soft > 0))),
        identical_identities=same,
        identified=sum(bool(one) for one in reference.identities),
        reference=name,
        images_sha256=exam.images_sha256,
        views_sha256=hashlib.sha256(exam.views.tobytes()).hexdigest(),
        seed=exam.seed,
    )


def describe_reader(reader: Reader) -> str:
    """Backend and precision, as the columns and manifests name a reader."""
    return f"{reader.backend} {reader.precision}"


PARITY_COLUMNS: tuple[Column, ...] = (
    Column(key="engine", label="engine"),
    Column(key="sign_agreement", label="signs that agree", kind="rate", digits=3),
    Column(key="max_abs_difference", label="largest difference of a soft bit", kind="number", digits=6),
    Column(key="mean_abs_difference", label="mean difference", kind="number", digits=7),
    Column(key="identical_identities", label="reads with the same identity", kind="count"),
    Column(key="reads", label="reads", kind="count"),
    Column(key="holds", label="holds"),
)


def summarise_parity(found: Sequence[tuple[str, str, Parity | str]]) -> tuple[Row, ...]:
    """Rows of (engine, precision, parity or why there is none)."""
    rows: list[Row] = []
    for name, precision, parity in found:
        if isinstance(parity, str):
            rows.append({"engine": name, "holds": f"not measured: {parity}"})
            continue
        values = parity.as_dict()
        row: Row = {column.key: values[column.key] for column in PARITY_COLUMNS if column.key in values}
        rows.append({**row, "engine": name, "holds": "yes" if parity.holds(precision) else "no"})
    return tuple(rows)


def _identities(judge: TagReader, views: Pixels, maps: Floats) -> Iterator[str]:
    for view, residual in zip(views, maps, strict=True):
        outcome = judge.identify(view, residual).outcome
        yield outcome.tag_id if isinstance(outcome, MatchedTag | DecodedTag) else ""


def _spread(count: int, seed: int) -> NDArray[np.int64]:
    """All indices in an order that takes from everywhere at once."""
    return np.random.default_rng([seed, 2]).permutation(count)


def _load(path: Any) -> Pixels:
    from ftforensics.flows.bench.tagging import load_exhibit

    return load_exhibit(path)
