"""The search for tags in one picture: stage after stage, cheapest first, until one finds something.

Enters: a picture and its direct residual map. Leaves: every tag that was found, each with its frame. The stages: the
picture as it lies; frames that content suggests; quarter turns; panels of an assembled picture; inside a plain border;
frames that the synchronisation carrier shows; the picture as it lies with small warps undone; beside the previews of
records that came nearest. Wherever a first tag was found, the panels beside it are read as well, by themselves and
beside the sources that content suggests, since a picture may be assembled from several tagged ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from ftforensics.domain.tag import MatchedTag, Placement, SearchMode
from ftforensics.engine.compared import KnownSource
from ftforensics.engine.hints import NO_HINTS, Hints
from ftforensics.engine.matcher import Matcher
from ftforensics.engine.search_budget import SearchBudget
from ftforensics.engine.sync import TURNS, Frame, SyncSearch, see_map
from ftforensics.engine.sync_grid import standing_of
from ftforensics.engine.sync_warp import straighten
from ftforensics.engine.tries import BAND_VALUES, Candidate, Floats, Nominee, Try, is_silent, presence_of
from ftforensics.imaging import geometry
from ftforensics.imaging.borders import find_bordered
from ftforensics.imaging.panels import find_panels
from ftforensics.imaging.resample import Pixels

# Below, a map shows too little of the carrier to be worth reading anew in that orientation.
LEAST_PRESENCE = 3.0
# Straightening follows the carrier; below, there is none to follow. A warp that can be undone leaves more than this.
_LEAST_TO_STRAIGHTEN = 2.0
# So many of the records that came nearest are looked at more closely.
NOMINEES = 4
# A rectangle of which this much is covered by another holds no further picture.
COVERED_SHARE = 0.5

# Residual maps (B, 3, 64, 64) of the picture seen through frames.
ReadFrames = Callable[[Sequence[geometry.Affine]], Floats]
# The picture read beside a source, and what matches.
Compare = Callable[[KnownSource], tuple[Try, list[MatchedTag]]]


class Find(Protocol):
    """``SyncSearch.find`` or ``find_crops``."""

    def __call__(self, residual: Floats, aspect: float, *, deep: bool, keep: int) -> list[Frame]:
        """Frames in a residual map, most likely first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hit:
    """A hypothesis that matched: one tag for each key that does, strongest first."""

    tags: list[MatchedTag]
    tried: Try


class PictureSearch:
    """One picture's search.

    Args:
        picture: uint8 (H, W, 3) sRGB.
        read_frames: Reads it through frames.
        compare: Reads it beside a source and matches.
        matcher: Compares with the registries.
        sync_search: Finds frames.
        budget: How far to go.
        hints: What content says.

    Attributes:
        tries: Every hypothesis that was matched, in order; the first is the picture as it lies. Of reads beside sources
            only the one that its own record matched, for what they say of other records does not count.
        peak: Of the likeliest frame that the synchronisation carrier showed, where one was looked for.
    """

    def __init__(
        self,
        picture: Pixels,
        read_frames: ReadFrames,
        compare: Compare,
        *,
        matcher: Matcher,
        sync_search: SyncSearch,
        budget: SearchBudget,
        hints: Hints = NO_HINTS,
    ) -> None:
        self._hints = hints
        self._picture, self._read_frames, self._compare = picture, read_frames, compare
        self._matcher, self._sync_search, self._budget = matcher, sync_search, budget
        self._mode: SearchMode = "deep" if budget.mode == "deep" else "blind"
        self._aspect = picture.shape[1] / picture.shape[0]
        self.tries: list[Try] = []
        self.peak: float | None = None

    def run(self, residual: Floats) -> list[Hit]:
        """Every tag that was found, in the order of the search; ``residual`` is the direct residual map (3, 64, 64)."""
        hits, recall = self._look(residual), self._hints.recall
        if recall is None or not self._budget.compared_reads or (hits and not self._free_panels(hits)):
            return hits
        return self._read_beside(recall(None if hits else self.nominees(), self._leaves), hits)

    def _look(self, residual: Floats) -> list[Hit]:
        """Tags that the picture shows by itself."""
        direct = Try(residual=residual, frame=geometry.IDENTITY, mode="direct")
        first = self._match(direct)
        if first is None and self._hints.suggest is not None and self._budget.content_frames:
            first = self._read_suggested(self._hints.suggest())
        if not self._budget.is_blind:
            return [] if first is None else [first]
        if first is None:
            if self._hints.expect_recall is not None and self._budget.compared_reads:
                self._hints.expect_recall()
            first = self._read_turned(direct)
        hits = self._read_panels([] if first is None else [first])
        if hits:
            return hits
        found, bordered = self._read_bordered()
        if found is None:
            found = self._search_blind(direct, bordered)
        if found is None:
            # Last, though cheap: a frame a little off can be straightened too, and would be told as the right one.
            found = self._read_straightened(direct)
        return [] if found is None else [found]

    def nominees(self) -> list[Nominee]:
        """The records that came nearest in any hypothesis, each once, best first."""
        named = [tried.nominee for tried in self.tries if tried.nominee is not None]
        best: dict[tuple[str, str], Nominee] = {}
        for nominee in sorted(named, key=lambda nominee: (-nominee.z, nominee.tag_id, nominee.carrier_key_id)):
            best.setdefault((nominee.tag_id, nominee.carrier_key_id), nominee)
        return list(best.values())[:NOMINEES]

    def presence(self, residual: Floats) -> float:
        """As ``presence_of`` for the model's carrier."""
        return presence_of(residual, self._sync_search.sync)

    def _match(self, tried: Try) -> Hit | None:
        self.tries.append(tried)
        tags = self._matcher.match(tried)
        return Hit(tags=tags, tried=tried) if tags else None

    def _read_beside(self, sources: Iterable[KnownSource], hits: list[Hit]) -> list[Hit]:
        """Read beside each source, and believe it only if it is that very source's record that matches.

        The first is enough where the picture has no panels that do not show it.
        """
        for source in sources:
            if any(overlap(source.region, hit.tried.region) for hit in hits):
                continue
            tried, matches = self._compare(source)
            own = (source.tag_id, source.carrier_key_id)
            tags = [tag for tag in matches if (tag.tag_id, tag.carrier_key_id) == own]
            if tags:
                self.tries.append(tried)
                hits = _with(hits, Hit(tags=tags, tried=tried))
                if not self._free_panels(hits):
                    break
        return hits

    def _free_panels(self, hits: Sequence[Hit]) -> list[geometry.Rectangle]:
        """Panels in which nothing was found."""
        return [panel for panel in self._leaves if not any(overlap(panel, hit.tried.region) for hit in hits)]

    @cached_property
    def _leaves(self) -> list[geometry.Rectangle]:
        """Panels from which no others were cut."""
        regions = [geometry.bounds(frame) for frame in self._panels]
        return [region for at, region in enumerate(regions) if not any(_holds(region, one) for one in regions[:at])]

    @cached_property
    def _panels(self) -> list[geometry.Affine]:
        return find_panels(self._picture, self._budget.panels) if self._budget.panels else []

    def _read(self, frame: geometry.Affine) -> Floats:
        return np.asarray(self._read_frames([frame])[0])

    def _read_straightened(self, direct: Try) -> Hit | None:
        """The picture as it lies with small warps undone, where its map shows enough of the carrier to tell them."""
        if not self._budget.straightened_reads or self.presence(direct.residual) < _LEAST_TO_STRAIGHTEN:
            return None
        straight = straighten(direct.residual, self._sync_search.sync)
        return self._match(Try(residual=straight, frame=direct.frame, mode=self._mode))

    def _read_suggested(self, frames: Sequence[geometry.Affine]) -> Hit | None:
        for frame in frames[: self._budget.content_frames]:
            hit, _ = self._read_twice(frame, self._aspect, "content", geometry.WHOLE)
            if hit is not None:
                return hit
        return None

    def _read_bordered(self) -> tuple[Hit | None, Try | None]:
        """Read inside a plain border, if there is one: a screenshot's, or the photograph's own."""
        inside = find_bordered(self._picture)
        if inside is None:
            return None, None
        return self._read_twice(inside, self._aspect_of(inside), self._mode, geometry.bounds(inside))

    def _read_twice(
        self, frame: geometry.Affine, aspect: float, mode: Placement, within: geometry.Rectangle
    ) -> tuple[Hit | None, Try]:
        """Read through a frame; if it does not match, refine the frame on what was read and read once more.

        Where nothing but a border suggests the frame and the carrier hardly shows even then, nothing is read anew.

        Returns:
            The match, and what was read first.
        """
        first = Try(residual=self._read(frame), frame=frame, mode=mode, within=within)
        hit = self._match(first)
        if hit is None:
            correction = self._sync_search.refine_aligned(first.residual, aspect)
            if mode == "content" or self.presence(see_map(first.residual, correction)) >= LEAST_PRESENCE:
                refined = geometry.compose(frame, correction)
                hit = self._match(Try(residual=self._read(refined), frame=refined, mode=mode, within=within))
        return hit, first

    def _read_turned(self, direct: Try) -> Hit | None:
        """The quarter turn in which the map shows the carrier most, first as it was read, then read anew."""
        best = self._best_turn(direct)
        if best is None:
            return None
        hit = self._match(best.attempt(self._mode))
        if hit is None:
            hit = self._match(self._read_anew(best, 1.0 / self._aspect))
        return hit

    def _best_turn(self, source: Try) -> Candidate | None:
        """A map in the orientation in which the carrier is strongest; None where it is in none."""
        if is_silent(source.residual):
            return None
        turn, correlation = self._sync_search.best_turn(source.residual)
        presence = correlation * float(np.sqrt(BAND_VALUES))
        if presence < LEAST_PRESENCE:
            return None
        standing = standing_of(presence, float(np.log(len(TURNS))))
        return Candidate(source=source, within=turn, peak=None, standing=standing)

    def _read_anew(self, candidate: Candidate, aspect: float) -> Try:
        """Refine a frame, read through it, and average with the map in which it was found.

        Two views of one tag: what the reader imagines differs between them more than the tag does.
        """
        refined = candidate.move(self._sync_search.refine_aligned(candidate.residual, aspect))
        residual = np.float32(0.5) * (self._read(refined.frame) + refined.residual)
        return replace(refined.attempt(self._mode), residual=residual)

    def _read_panels(self, hits: list[Hit]) -> list[Hit]:
        """Read every panel that does not hold what was found already, then look for frames in the most promising."""
        frames = [
            frame
            for frame in self._panels
            if not any(is_same(geometry.bounds(frame), hit.tried.region) for hit in hits)
        ]
        if not frames:
            return hits
        missed: list[Try] = []
        for frame, residual in zip(frames, self._read_frames(frames), strict=True):
            tried = Try(residual=residual, frame=frame, mode=self._mode, within=geometry.bounds(frame))
            hit = self._match(tried)
            if hit is None:
                missed.append(tried)
            else:
                hits = _with(hits, self._confined(hit))
        turned = [(tried, self._best_turn(tried)) for tried in missed]
        turned.sort(key=lambda pair: -self._oriented_presence(*pair))
        left = self._budget.searched_panels
        for tried, turn in turned:
            if left and not any(overlap(tried.region, hit.tried.region) for hit in hits):
                left -= 1
                found = self._search_panel(tried, turn)
                hits = hits if found is None else _with(hits, self._confined(found))
        return hits

    def _oriented_presence(self, tried: Try, turn: Candidate | None) -> float:
        return max(self.presence(tried.residual), 0.0 if turn is None else self.presence(turn.residual))

    def _search_panel(self, tried: Try, turn: Candidate | None) -> Hit | None:
        """Read a panel through the likeliest frame: about its own, turned, or that of a crop."""
        aspect = self._aspect_of(tried.frame)
        own = standing_of(self.presence(tried.residual), 0.0)
        candidates = [Candidate(source=tried, within=geometry.IDENTITY, peak=None, standing=own)]
        candidates += self._find_frames(tried, aspect, self._sync_search.find_crops, 1)
        if turn is not None:
            candidates.append(turn)
        return self._match(self._read_anew(max(candidates, key=lambda candidate: candidate.standing), aspect))

    def _search_blind(self, direct: Try, bordered: Try | None) -> Hit | None:
        """Read through the frames that the synchronisation carrier shows, with and without the plain border."""
        keep = self._budget.blind_frames
        candidates = self._find_frames(direct, self._aspect, self._sync_search.find, keep)
        if bordered is not None:
            aspect = self._aspect_of(bordered.frame)
            candidates += self._find_frames(bordered, aspect, self._sync_search.find_crops, keep)
        candidates.sort(key=lambda candidate: -candidate.standing)
        self.peak = candidates[0].peak if candidates else None
        best = candidates[:keep]
        for candidate in best:
            hit = self._match(candidate.attempt(self._mode))
            if hit is not None:
                return hit
        return self._read_best(best[0]) if best else None

    def _confined(self, hit: Hit) -> Hit:
        """A hit in a panel as one in all that shows its source: the panel, one that it was cut from, or the picture."""
        panel, confine = hit.tried.within, self._hints.confine
        if confine is not None:
            around = [outer for outer in map(geometry.bounds, self._panels) if outer != panel and _holds(outer, panel)]
            hit.tried.within = confine(hit.tags[0], hit.tried.frame, [panel, *sorted(around, key=geometry.area)])
        return hit

    def _read_best(self, best: Candidate) -> Hit | None:
        """Refine the likeliest frame, read through it, then straighten."""
        anew = self._read_anew(best, self._aspect)
        hit = self._match(anew)
        if hit is None:
            straight = straighten(anew.residual, self._sync_search.sync)
            hit = self._match(replace(anew, residual=straight, best_z=None, nominee=None, soft={}))
        return hit

    def _find_frames(self, source: Try, aspect: float, find: Find, keep: int) -> list[Candidate]:
        """Frames found in a residual map that was already read."""
        if is_silent(source.residual):
            return []
        return [
            Candidate(source=source, within=frame.to_suspect, peak=frame.peak, standing=frame.standing)
            for frame in find(source.residual, aspect, deep=self._mode == "deep", keep=keep)
        ]

    def _aspect_of(self, frame: geometry.Affine) -> float:
        """Width over height of an upright frame."""
        return float(self._aspect * frame[0, 0] / frame[1, 1])


def _holds(outer: geometry.Rectangle, inner: geometry.Rectangle) -> bool:
    """Whether nearly all of the second rectangle lies in the first."""
    return geometry.covered_share(inner, outer) > 0.99


def is_same(left: geometry.Rectangle, right: geometry.Rectangle) -> bool:
    """Whether two rectangles hold about the same."""
    return geometry.likeness(left, right) > COVERED_SHARE


def overlap(left: geometry.Rectangle, right: geometry.Rectangle) -> bool:
    """Whether most of one rectangle lies in the other."""
    return max(geometry.covered_share(left, right), geometry.covered_share(right, left)) > COVERED_SHARE


def _with(hits: list[Hit], hit: Hit) -> list[Hit]:
    """Hits with one more, unless it is a tag that was found already, seen again in the same place."""
    key = (hit.tags[0].tag_id, hit.tags[0].carrier_key_id)
    for known in hits:
        if key == (known.tags[0].tag_id, known.tags[0].carrier_key_id) and overlap(
            known.tried.region, hit.tried.region
        ):
            return hits
    return [*hits, hit]
