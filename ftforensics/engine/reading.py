"""From a picture to an identification: direct read, read through content-suggested frames, bounded blind search.

The cost is bounded and only paid when the direct read fails. The E-value of every match counts the whole budget of
hypotheses of the chosen search mode, spent or not, so that stopping early buys nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec import channel, matching
from ftforensics.codec.carriers import MESSAGE_BITS, SYNC_ENERGY, VALUES, build_sync_carrier
from ftforensics.domain.tag import (
    LINK_E_LIMIT,
    AbsenceReason,
    DecodedTag,
    Geometry,
    MatchedTag,
    SearchMode,
    TagAbsence,
    TagOutcome,
)
from ftforensics.engine.reader import Reader
from ftforensics.engine.ring import Book
from ftforensics.engine.sync import SyncSearch, correlate_frame, see_map
from ftforensics.engine.sync_warp import straighten
from ftforensics.errors import EngineError
from ftforensics.imaging import geometry
from ftforensics.imaging.borders import find_bordered
from ftforensics.imaging.resample import Pixels, resize

Floats = NDArray[np.float32]

CONTENT_FRAMES = 2
BLIND_FRAMES = 4
DEEP_FRAMES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBudget:
    """How far to look: ``frames`` blind frames are read, from the short or the deep list of shapes."""

    mode: SearchMode = "blind"

    @property
    def blind_frames(self) -> int:
        """Blind frames that are read and matched."""
        return {"direct": 0, "content": 0, "blind": BLIND_FRAMES, "deep": DEEP_FRAMES}[self.mode]

    @property
    def border_frames(self) -> int:
        """Frames inside a plain border that are read and matched."""
        return 0 if self.mode in ("direct", "content") else 1

    @property
    def content_frames(self) -> int:
        """Frames suggested by content that are read and matched."""
        return 0 if self.mode == "direct" else CONTENT_FRAMES

    @property
    def hypotheses(self) -> int:
        """All that may be matched for one picture: suggested and bordered frames and the best blind one twice more."""
        return 1 + 2 * (self.content_frames + self.border_frames) + self.blind_frames + (2 if self.blind_frames else 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What one picture gave: the outcome, and the residual map of the hypothesis it came from, in the tagged frame.

    ``others`` are further tags read in the same frame under other carrier keys, strongest first.
    """

    outcome: TagOutcome
    others: tuple[MatchedTag, ...] = ()
    residual: Floats
    presence: float
    sync_peak: float | None
    hypotheses_tried: int


@dataclass(slots=True, kw_only=True, eq=False)
class _Try:
    """One hypothesis that was read; ``best_z`` is the largest z of any record with it, once it has been matched.

    ``soft`` keeps its soft bits by carrier key, since a hypothesis that does not match is decoded blind later.
    """

    residual: Floats
    frame: geometry.Affine
    mode: SearchMode
    peak: float | None
    best_z: float | None = None
    soft: dict[str, Floats] = field(default_factory=dict)

    def soft_bits(self, book: Book) -> Floats:
        """As ``soft_bits`` of the residual, projected once a key."""
        if book.key.key_id not in self.soft:
            self.soft[book.key.key_id] = soft_bits(self.residual, book)
        return self.soft[book.key.key_id]


class _Candidate:
    """A frame found ``within`` a residual map that was already read; seen through it, that map needs no new reading."""

    def __init__(self, *, source: _Try, within: geometry.Affine, peak: float) -> None:
        self.source, self.within, self.peak = source, within, peak

    @cached_property
    def residual(self) -> Floats:
        """The map in the tagged frame."""
        return see_map(self.source.residual, self.within)

    @property
    def frame(self) -> geometry.Affine:
        """Tagged frame to picture."""
        return geometry.compose(self.source.frame, self.within)

    def move(self, correction: geometry.Affine) -> _Candidate:
        """The same after a small correction in the tagged frame."""
        return _Candidate(source=self.source, within=geometry.compose(self.within, correction), peak=self.peak)

    def attempt(self, mode: SearchMode) -> _Try:
        """The hypothesis to match."""
        return _Try(residual=self.residual, frame=self.frame, mode=mode, peak=self.peak)


class TagReader:
    """Reads pictures with a model, a ring of carrier keys and their books.

    Args:
        reader: A backend.
        books: One a carrier key; an empty book still allows blind decoding.
        pictures_in_case: Multiplies every E-value; a scan of a million files must not be owed a false match.
        budget: How far to search.
    """

    def __init__(
        self, reader: Reader, books: Sequence[Book], *, pictures_in_case: int = 1, budget: SearchBudget | None = None
    ) -> None:
        self.reader = reader
        self.books = list(books)
        self.pictures = max(1, pictures_in_case)
        self.budget = budget or SearchBudget()
        self.sync = build_sync_carrier(reader.card.model_id)
        self._search = SyncSearch(self.sync)
        self.records = sum(book.ids.size for book in self.books)

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
        """Residual maps of views; a backend that computes nonsense must stop the run, not read as "no tag".

        Raises:
            EngineError: A map holds something that is no number.
        """
        maps = self.reader.read(np.stack(views))
        if not np.isfinite(maps).all():
            raise EngineError(
                "the reader gave values that are no numbers",
                subject=f"{self.reader.backend}, {self.reader.precision}",
                remedy="read with --engine onnx, and look at this machine with ftf doctor",
            )
        return maps

    def presence(self, residual: Floats) -> float:
        """Strength of the sync carrier in a map of the tagged frame, in standard deviations of unrelated maps."""
        if _is_silent(residual):
            return 0.0
        return correlate_frame(residual, self.sync, geometry.IDENTITY) * float(np.sqrt(_BAND_VALUES))

    def identify(
        self,
        picture: Pixels,
        residual: Floats,
        suggest_frames: Callable[[], Sequence[geometry.Affine]] | None = None,
    ) -> Reading:
        """Identify the tag of a picture whose direct residual map is known.

        Args:
            picture: uint8 (H, W, 3) sRGB, display-oriented.
            residual: Its direct residual map (3, 64, 64).
            suggest_frames: Called only when the direct read fails: frames that content suggests, best first; at most
                two are read.
        """
        tries = [_Try(residual=residual, frame=geometry.IDENTITY, mode="direct", peak=None)]
        matches = self._match(tries[0])
        if matches:
            return self._reading(matches, tries[0], 1)
        suggested = suggest_frames() if suggest_frames is not None and self.budget.content_frames else ()
        for frame in suggested[: self.budget.content_frames]:
            found = self._read_twice(picture, frame, picture.shape[1] / picture.shape[0], "content", None, tries)
            if found is not None:
                return found
        if self.budget.blind_frames:
            return self._search_blind(picture, tries)
        return self._give_up(tries, None)

    def _search_blind(self, picture: Pixels, tries: list[_Try]) -> Reading:
        """Read inside a plain border if there is one, then through the frames that the synchronisation carrier shows.

        A plain border may be a screenshot's or the photograph's own, so frames are looked for with and without it.
        """
        mode: SearchMode = "deep" if self.budget.mode == "deep" else "blind"
        aspect = picture.shape[1] / picture.shape[0]
        candidates = self._find_frames(tries[0], aspect, mode)
        inside = find_bordered(picture)
        if inside is not None:
            inner_aspect = aspect * inside[0, 0] / inside[1, 1]
            found = self._read_twice(picture, inside, inner_aspect, mode, None, tries)
            if found is not None:
                return found
            candidates += self._find_frames(tries[-2], inner_aspect, mode)
        candidates.sort(key=lambda candidate: -candidate.peak)
        for candidate in candidates[: self.budget.blind_frames]:
            tries.append(candidate.attempt(mode))
            if matched := self._match(tries[-1]):
                return self._reading(matched, tries[-1], len(tries))
        if candidates:
            found = self._read_best(picture, aspect, candidates[: self.budget.blind_frames], mode, tries)
            if found is not None:
                return found
        return self._give_up(tries, candidates[0].peak if candidates else None)

    def _read_best(
        self,
        picture: Pixels,
        aspect: float,
        candidates: Sequence[_Candidate],
        mode: SearchMode,
        tries: list[_Try],
    ) -> Reading | None:
        """Refine the frame in which the synchronisation carrier stands out most, read through it, then straighten."""
        best = max(candidates, key=lambda candidate: self.presence(candidate.residual))
        refined = best.move(self._search.refine_aligned(best.residual, aspect))
        read = self._read([self.view(picture, refined.frame)])[0]
        # Two views of one tag: what the reader imagines differs between them more than the tag does.
        residual = np.float32(0.5) * (read + refined.residual)
        for seen in (residual, straighten(residual, self.sync)):
            tries.append(_Try(residual=seen, frame=refined.frame, mode=mode, peak=best.peak))
            if matched := self._match(tries[-1]):
                return self._reading(matched, tries[-1], len(tries))
        return None

    def _find_frames(self, source: _Try, aspect: float, mode: SearchMode) -> list[_Candidate]:
        """Frames found in a residual map that was already read."""
        if _is_silent(source.residual):
            return []
        frames = self._search.find(source.residual, aspect, deep=mode == "deep", keep=self.budget.blind_frames)
        return [_Candidate(source=source, within=frame.to_suspect, peak=frame.peak) for frame in frames]

    def _read_twice(
        self,
        picture: Pixels,
        frame: geometry.Affine,
        aspect: float,
        mode: SearchMode,
        peak: float | None,
        tries: list[_Try],
    ) -> Reading | None:
        """Read through a frame; if it does not match, refine the frame on what was read and read once more."""
        found = self._read_frame(picture, frame, mode, peak, tries)
        if found is not None:
            return found
        refined = geometry.compose(frame, self._search.refine_aligned(tries[-1].residual, aspect))
        return self._read_frame(picture, refined, mode, peak, tries)

    def _read_frame(
        self, picture: Pixels, frame: geometry.Affine, mode: SearchMode, peak: float | None, tries: list[_Try]
    ) -> Reading | None:
        residual = self._read([self.view(picture, frame)])[0]
        tries.append(_Try(residual=residual, frame=frame, mode=mode, peak=peak))
        matched = self._match(tries[-1])
        return self._reading(matched, tries[-1], len(tries)) if matched else None

    def _match(self, tried: _Try) -> list[MatchedTag]:
        """The accepted match under every key, strongest first."""
        accepted = [tag for book in self.books if (tag := self._match_book(tried, book)) is not None]
        return sorted(accepted, key=lambda tag: (-tag.z, tag.carrier_key_id))

    def _match_book(self, tried: _Try, book: Book) -> MatchedTag | None:
        soft = tried.soft_bits(book)
        found = matching.match(soft, book.words)
        tried.best_z = max(0.0 if found is None else found.z, 0.0 if tried.best_z is None else tried.best_z)
        if found is None:
            return None
        # Each record is compared under its own key alone, so all records of all keys are all comparisons made.
        counted = {"records": self.records, "carrier_keys": 1, "hypotheses": self.budget.hypotheses}
        e_value = matching.e_value(soft, found.z, **counted)
        if e_value * self.pictures > LINK_E_LIMIT:
            return None
        tag_id = f"{int(book.ids[found.index]):016x}"
        corrected, erasures = _corrections(soft, book, tag_id)
        return MatchedTag(
            tag_id=tag_id,
            carrier_key_id=book.key.key_id,
            z=found.z,
            runner_up_z=found.runner_up_z if np.isfinite(found.runner_up_z) else 0.0,
            e_value=e_value,
            e_case=e_value * self.pictures,
            records=self.records,
            hypotheses=self.budget.hypotheses,
            bit_agreement=found.bit_agreement,
            symbols_corrected=corrected,
            erasures=erasures,
            geometry=_geometry(tried),
            runner_up_e_case=matching.e_value(soft, found.runner_up_z, **counted) * self.pictures,
        )

    def _give_up(self, tries: list[_Try], peak: float | None) -> Reading:
        trials = self.pictures * max(1, len(self.books)) * self.budget.hypotheses
        for tried in tries:
            for book in self.books:
                blind = matching.decode_blind(tried.soft_bits(book), book.key.channel, trials=trials)
                # A registered id that did not match well enough must not be called unregistered.
                if blind is not None and not _is_registered(blind.correction.tag_id, book):
                    decoded = DecodedTag(
                        tag_id=blind.correction.tag_id,
                        carrier_key_id=book.key.key_id,
                        symbols_corrected=blind.correction.symbols_corrected,
                        erasures=blind.correction.erasures,
                        false_accept_p=blind.false_accept_p,
                        geometry=_geometry(tried),
                    )
                    return self._reading([decoded], tried, len(tries))
        presence = max(self.presence(tried.residual) for tried in tries)
        scores = [tried.best_z for tried in tries if tried.best_z is not None]
        card = self.reader.card
        seen = presence >= card.presence_threshold or (peak is not None and peak >= card.sync_threshold)
        reason: AbsenceReason = (
            "no_carrier_key" if seen and not self.books else "present_unreadable" if seen else "not_present"
        )
        absence = TagAbsence(reason=reason, presence=presence, best_z=max(scores, default=None))
        return Reading(
            outcome=absence,
            residual=tries[0].residual,
            presence=presence,
            sync_peak=peak,
            hypotheses_tried=len(tries),
        )

    def _reading(self, outcomes: Sequence[MatchedTag | DecodedTag], tried: _Try, count: int) -> Reading:
        return Reading(
            outcome=outcomes[0],
            others=tuple(tag for tag in outcomes[1:] if isinstance(tag, MatchedTag)),
            residual=tried.residual,
            presence=self.presence(tried.residual),
            sync_peak=tried.peak,
            hypotheses_tried=count,
        )


# The reader answers plain fills with a map this faint, whose shape means nothing; photographs give far more.
_SILENT_RMS = 0.05


def _is_silent(residual: Floats) -> bool:
    """Whether the reader saw nothing in a picture that might have been added."""
    return float(np.sqrt(np.mean(np.square(residual, dtype=np.float64)))) < _SILENT_RMS


def _is_registered(tag_id: str, book: Book) -> bool:
    return bool(np.any(book.ids == np.uint64(int(tag_id, 16))))


# Independent values of a map inside the carriers' band; the scale of ``presence``.
_BAND_VALUES = 2773


def soft_bits(residual: Floats, book: Book) -> Floats:
    """Soft bits (128,) of a residual map under a book's key; about +-1 for a perfect map."""
    weight = np.float32(np.sqrt(VALUES * (1.0 - SYNC_ENERGY) / MESSAGE_BITS))
    return np.asarray(book.key.rows @ residual.reshape(-1) / weight, dtype=np.float32)


def _corrections(soft: Floats, book: Book, tag_id: str) -> tuple[int | None, int | None]:
    """Symbols corrected and erasures with which Reed-Solomon alone reaches the matched id, or (None, None)."""
    for erasures in (0, 2, 4, 6):
        correction = channel.decode(soft, book.key.channel, erasures)
        if correction is not None and correction.tag_id == tag_id:
            return correction.symbols_corrected, erasures
    return None, None


def _geometry(tried: _Try) -> Geometry:
    a, b, c, d, e, f = (float(value) for value in tried.frame.ravel())
    return Geometry(mode=tried.mode, matrix=(a, b, c, d, e, f), sync_peak=tried.peak)
