"""From a picture to an identification: what a search found, judged by what may be said of it.

The cost is bounded and mostly paid only when the direct read fails. The E-values of matches count the whole budget of
hypotheses of the chosen search mode, spent or not, so that stopping early buys nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import build_sync_carrier
from ftforensics.domain.tag import AbsenceReason, MatchedTag, TagAbsence, TagOutcome
from ftforensics.engine.compared import KnownSource, read_beside, to_generator
from ftforensics.engine.hints import NO_HINTS, Hints
from ftforensics.engine.matcher import Matcher
from ftforensics.engine.reader import PairReader, Reader
from ftforensics.engine.ring import Book
from ftforensics.engine.search import Hit, PictureSearch, is_same, overlap
from ftforensics.engine.search_budget import SearchBudget
from ftforensics.engine.sync import SyncSearch
from ftforensics.engine.tries import Try, presence_of, soft_bits
from ftforensics.errors import EngineError
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import Pixels, resize

__all__ = ["Reading", "SearchBudget", "TagReader", "soft_bits"]

Floats = NDArray[np.float32]

_DECODED_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What one picture gave: the outcome, and the residual map of the hypothesis it came from, in the tagged frame.

    ``others`` are further tags that claim the same region, read under other carrier keys or in a frame about the same,
    strongest first. ``elsewhere`` are tags read in other regions of the picture, strongest first, each as a reading of
    its own with nothing elsewhere; there are none where the outcome is an absence. ``region`` is the part of the
    picture that shows the tagged frame, or what is left of it; all of it for an absence.
    """

    outcome: TagOutcome
    others: tuple[MatchedTag, ...] = ()
    elsewhere: tuple[Reading, ...] = ()
    region: geometry.Rectangle = geometry.WHOLE
    residual: Floats
    presence: float
    sync_peak: float | None
    hypotheses_tried: int


class TagReader:
    """Reads pictures with a model, a ring of carrier keys and their books.

    Args:
        reader: A backend.
        books: One a carrier key; an empty book still allows blind decoding.
        pairs: What reads beside a source; without one, the reader sees what is left of the picture.
        pictures_in_case: Multiplies every E-value; a scan of a million files must not be owed a false match.
        budget: How far to search.
    """

    def __init__(
        self,
        reader: Reader,
        books: Sequence[Book],
        *,
        pairs: PairReader | None = None,
        pictures_in_case: int = 1,
        budget: SearchBudget | None = None,
    ) -> None:
        self.reader = reader
        self.pairs = pairs
        self.books = list(books)
        self.pictures = max(1, pictures_in_case)
        self.budget = budget or SearchBudget()
        self.sync = build_sync_carrier(reader.card.model_id)
        self.records = sum(book.ids.size for book in self.books)
        self._sync_search = SyncSearch(self.sync)
        self._matcher = Matcher(self.books, pictures=self.pictures, budget=self.budget)

    def view(self, picture: Pixels, frame: geometry.Affine | None = None) -> Pixels:
        """The reader's square view (P, P, 3) of a picture, squeezed whole or through a frame."""
        side = self.reader.card.input_px
        if frame is None:
            return np.asarray(resize(picture, side, side))
        return np.asarray(geometry.sample_frame(picture, frame, (side, side)))

    def residuals(self, pictures: Sequence[Pixels]) -> Floats:
        """Direct residual maps (B, 3, 64, 64) of whole pictures."""
        return self._read([self.view(picture) for picture in pictures])

    def _read(self, views: Sequence[Pixels]) -> Floats:
        """Residual maps of views.

        Raises:
            EngineError: A map holds something that is no number.
        """
        maps = self.reader.read(np.stack(views))
        return _refuse_nonsense(maps, f"{self.reader.backend}, {self.reader.precision}")

    @property
    def _read_pair(self) -> Callable[[Floats], Floats] | None:
        pairs = self.pairs
        return None if pairs is None else lambda pair: _refuse_nonsense(pairs.read(pair[None]), "pair reader")[0]

    def presence(self, residual: Floats) -> float:
        """Strength of the sync carrier in a map of the tagged frame, in standard deviations of unrelated maps."""
        return presence_of(residual, self.sync)

    def compare(self, picture: Pixels, source: KnownSource) -> tuple[Try, list[MatchedTag]]:
        """A picture read beside a source, and what matches there, whichever record it is.

        ``identify`` believes a match only with the source's own record.
        """
        regenerate = None if self.pairs is None else self.pairs.regenerate
        read = read_beside(picture, source, self._read, self.reader.card.input_px, self._read_pair, regenerate)
        tried = Try(
            residual=read.residual,
            message=read.message,
            explained=read.explained,
            frame=source.frame,
            within=source.within,
            mode="compared",
        )
        return tried, self._matcher.match(tried)

    def expect(self, preview: Pixels) -> None:
        """Have ready what reading a picture beside this source will need; it only saves time."""
        if self.pairs is not None and self.pairs.regenerate is not None:
            self.pairs.regenerate(to_generator(preview))

    def identify(self, picture: Pixels, residual: Floats, hints: Hints = NO_HINTS) -> Reading:
        """Identify the tags of a picture whose direct residual map is known.

        Args:
            picture: uint8 (H, W, 3) sRGB, display-oriented.
            residual: Its direct residual map (3, 64, 64).
            hints: What the picture's content says.
        """
        search = PictureSearch(
            picture,
            lambda frames: self._read([self.view(picture, frame) for frame in frames]),
            lambda source: self.compare(picture, source),
            matcher=self._matcher,
            sync_search=self._sync_search,
            budget=self.budget,
            hints=hints,
        )
        hits = search.run(residual)
        readings = [self._found(hit, search) for hit in hits] + self._decoded(hits, search)
        return _assemble(readings) if readings else self._absent(search)

    def _found(self, hit: Hit, search: PictureSearch) -> Reading:
        return self._reading(hit.tags[0], tuple(hit.tags[1:]), hit.tried, len(search.tries))

    def _decoded(self, hits: Sequence[Hit], search: PictureSearch) -> list[Reading]:
        """Tags of no registry at hand: of the whole picture where nothing matched, and of panels beside what did.

        Only where the carrier stands out most: a word that can be told without a registry needs a clear tag, and
        decoding every hypothesis would cost an untagged picture a fifth of its search.
        """
        decoded: list[Reading] = []
        taken = [hit.tried.region for hit in hits]
        free = [tried for tried in search.tries if not any(overlap(tried.region, region) for region in taken)]
        free.sort(key=lambda tried: -self.presence(tried.residual))
        for tried in free[:_DECODED_TRIES]:
            if any(overlap(tried.region, region) for region in taken):
                continue
            tag = self._matcher.decode(tried)
            if tag is not None:
                taken.append(tried.region)
                decoded.append(self._reading(tag, (), tried, len(search.tries)))
        return decoded

    def _reading(self, outcome: TagOutcome, others: tuple[MatchedTag, ...], tried: Try, count: int) -> Reading:
        return Reading(
            outcome=outcome,
            others=others,
            region=tried.region,
            residual=tried.residual,
            presence=self.presence(tried.residual),
            sync_peak=tried.peak,
            hypotheses_tried=count,
        )

    def _absent(self, search: PictureSearch) -> Reading:
        presence = max(self.presence(tried.residual) for tried in search.tries)
        scores = [tried.best_z for tried in search.tries if tried.best_z is not None]
        card, peak = self.reader.card, search.peak
        seen = presence >= card.presence_threshold or (peak is not None and peak >= card.sync_threshold)
        reason: AbsenceReason = (
            "no_carrier_key" if seen and not self.books else "present_unreadable" if seen else "not_present"
        )
        absence = TagAbsence(reason=reason, presence=presence, best_z=max(scores, default=None))
        return Reading(
            outcome=absence,
            residual=search.tries[0].residual,
            presence=presence,
            sync_peak=peak,
            hypotheses_tried=len(search.tries),
        )


def _refuse_nonsense(maps: Floats, subject: str) -> Floats:
    """The maps; a backend that computes nonsense must stop the run, not read as "no tag".

    Raises:
        EngineError: A map holds something that is no number.
    """
    if not np.isfinite(maps).all():
        raise EngineError(
            "the reader gave values that are no numbers",
            subject=subject,
            remedy="read with --engine onnx, and look at this machine with ftf doctor",
        )
    return maps


def _assemble(readings: Sequence[Reading]) -> Reading:
    """One reading of several: the strongest match leads, what claims its region goes with it, the rest elsewhere."""
    ordered = sorted(readings, key=_strength)
    first, *rest = ordered
    claims = [reading for reading in rest if is_same(reading.region, first.region)]
    rivals = [tag for reading in claims for tag in (reading.outcome, *reading.others) if isinstance(tag, MatchedTag)]
    known = {(tag.tag_id, tag.carrier_key_id) for tag in (first.outcome, *first.others) if isinstance(tag, MatchedTag)}
    others = [tag for tag in rivals if (tag.tag_id, tag.carrier_key_id) not in known]
    return replace(
        first,
        others=(*first.others, *others),
        elsewhere=tuple(reading for reading in rest if reading not in claims),
    )


def _strength(reading: Reading) -> tuple[float, geometry.Rectangle]:
    """Sorts the strongest first; a decoded word comes after every match."""
    z = reading.outcome.z if isinstance(reading.outcome, MatchedTag) else 0.0
    return -z, reading.region
