"""The previews that a measurement's registry keeps: of the pictures of the set, each under its own tag.

As in a scan, a picture is read beside the sources that its content suggests, and beside those of the records that came
nearest to its tag. A real registry keeps a preview for every record; of the random records here there are none, so the
right source has fewer rivals. That a wrong one is not believed does not depend on how many there are: each is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import chain
from pathlib import Path

from ftforensics.engine.compared import KnownSource
from ftforensics.engine.hints import Recall
from ftforensics.engine.tries import Nominee
from ftforensics.flows.bench.tagging import load_exhibit
from ftforensics.flows.frames import follow
from ftforensics.flows.known import LEADS, PANEL_LEADS, LazyFeatures
from ftforensics.flows.parts import cut_panels
from ftforensics.flows.recall import find_frame, find_panel, keep_best, see_within
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import Pixels
from ftforensics.link import fingerprint, register
from ftforensics.link.feature_index import FeatureIndex
from ftforensics.link.features import Features

_KEPT = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptSource:
    """What a record keeps of a photograph."""

    preview: Pixels
    descriptors: bytes

    def attempt(self, picture: Pixels, features: Features | None = None) -> register.Attempt:
        """As ``register.attempt``; ``features`` are the picture's, if they were detected already."""
        return register.attempt(picture, self.preview, self.descriptors, suspect_features=features)


def as_kept(path: Path) -> KeptSource:
    """A photograph as a record keeps it.

    Raises:
        EvidenceUnreadable: It changed since it was listed.
    """
    print_ = fingerprint.build(load_exhibit(path))
    return KeptSource(preview=fingerprint.decode_preview(print_.preview), descriptors=print_.descriptors)


class Previews:
    """Sources by tag id.

    Args:
        key_id: The carrier key that all are tagged under.
        paths: The photographs by tag id.
    """

    def __init__(self, key_id: str, paths: Mapping[str, Path]) -> None:
        self._key_id, self._paths = key_id, paths
        self._tag_ids = sorted(paths)
        self.source = lru_cache(maxsize=_KEPT)(self._make)

    def _make(self, tag_id: str) -> KeptSource:
        return as_kept(self._paths[tag_id])

    def recall(self, picture: Pixels, features: LazyFeatures | None = None) -> Recall:
        """What ``TagReader.identify`` asks for; ``features`` are the picture's, if somebody else needs them too."""
        return partial(self._recall, picture, features or LazyFeatures(picture))

    def prepare(self) -> None:
        """Make what is otherwise made when it is first asked for, as a scan does before its first picture."""
        for tag_id in self._tag_ids:
            self.source(tag_id)
        _ = self._index

    @cached_property
    def _index(self) -> FeatureIndex:
        return FeatureIndex([self.source(tag_id).descriptors for tag_id in self._tag_ids])

    def _recall(
        self,
        picture: Pixels,
        features: LazyFeatures,
        nominees: Sequence[Nominee] | None,
        panels: Sequence[geometry.Rectangle],
    ) -> Iterator[KnownSource]:
        given: set[str] = set()
        placed: Iterable[KnownSource] = self._in_panels(picture, panels)
        if nominees is not None:
            suggested = self._in_the_whole(picture, features, panels)
            placed = chain(placed, suggested, self._near(picture, features, nominees, panels, given))
        for source in placed:
            if source.tag_id not in given:
                given.add(source.tag_id)
                yield source

    def _suggested(
        self, picture: Pixels, features: LazyFeatures, limit: int
    ) -> Iterator[tuple[str, register.Attempt, geometry.Affine]]:
        for at in self._index.nearest(features.get(), limit=limit):
            attempt = self.source(self._tag_ids[at]).attempt(picture, features.get())
            if attempt.matrix is not None:
                yield self._tag_ids[at], attempt, follow(attempt.matrix)

    def _in_panels(self, picture: Pixels, panels: Sequence[geometry.Rectangle]) -> Iterator[KnownSource]:
        found = [
            (tag_id, attempt, part.outward(inner), panel)
            for panel, part in cut_panels(picture, panels)
            for tag_id, attempt, inner in self._suggested(part.pixels, LazyFeatures(part.pixels), PANEL_LEADS)
        ]
        for tag_id, _, frame, panel in keep_best(found, lambda it: it[0], lambda it: it[1]):
            yield self._placed(tag_id, frame, self._see_within(picture, tag_id, frame, panel))

    def _in_the_whole(
        self, picture: Pixels, features: LazyFeatures, panels: Sequence[geometry.Rectangle]
    ) -> Iterator[KnownSource]:
        for tag_id, attempt, frame in self._suggested(picture, features, LEADS):
            within = self._see_within(picture, tag_id, frame, find_panel(attempt, panels))
            yield self._placed(tag_id, frame, within)

    def _near(
        self,
        picture: Pixels,
        features: LazyFeatures,
        nominees: Sequence[Nominee],
        panels: Sequence[geometry.Rectangle],
        given: set[str],
    ) -> Iterator[KnownSource]:
        for nominee in nominees:
            is_kept = nominee.tag_id in self._paths and nominee.carrier_key_id == self._key_id
            if nominee.tag_id in given or not is_kept:
                continue
            source = self.source(nominee.tag_id)
            attempt = partial(source.attempt, picture, features.get())
            found = find_frame(picture, source.preview, nominee.frame, attempt, panels)
            if found is not None:
                yield self._placed(nominee.tag_id, *found)

    def _see_within(
        self, picture: Pixels, tag_id: str, frame: geometry.Affine, panel: geometry.Rectangle | None
    ) -> geometry.Rectangle:
        return see_within(picture, self.source(tag_id).preview, frame, panel)

    def _placed(self, tag_id: str, frame: geometry.Affine, within: geometry.Rectangle) -> KnownSource:
        preview = self.source(tag_id).preview
        return KnownSource(tag_id=tag_id, carrier_key_id=self._key_id, preview=preview, frame=frame, within=within)
