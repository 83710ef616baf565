"""What a picture's content says of where it comes from, asked for piece by piece, much of it made ready meanwhile.

Enters: a picture and the registries. Leaves: frames to read it through, sources to read it beside, and leads. Nothing
here depends on what is ready when: work that is not ready yet is done when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future

from ftforensics.domain.link import Registration
from ftforensics.domain.tag import MatchedTag
from ftforensics.engine.compared import KnownSource
from ftforensics.engine.hints import Hints
from ftforensics.engine.tries import Nominee
from ftforensics.flows.comparing import show_difference
from ftforensics.flows.frames import frame_of
from ftforensics.flows.known import Candidate, KnownSources, LazyFeatures, Lead, confirmed, preview_of
from ftforensics.flows.pictures import Picture
from ftforensics.imaging import geometry
from ftforensics.imaging.cancel import MOSTLY
from ftforensics.imaging.resample import Pixels

_Shown = tuple[Registration, tuple[Picture, ...]]


class Content:
    """The content of one picture.

    Args:
        pixels: uint8 (H, W, 3).
        known: Finds records.
        beside: Makes things ready.
        expect: Has ready what reading beside a source needs.
    """

    def __init__(
        self, pixels: Pixels, *, known: KnownSources, beside: Executor, expect: Callable[[Pixels], None]
    ) -> None:
        self._pixels, self._known, self._beside, self._expect = pixels, known, beside, expect
        self._candidates: list[Candidate] = []
        self._shown: tuple[Lead, Future[_Shown]] | None = None
        self.features = LazyFeatures(pixels)
        self.leads: list[Lead] = []

    @property
    def hints(self) -> Hints:
        """What a search may ask."""
        return Hints(suggest=self.suggest, recall=self.recall, expect_recall=self.expect_recall, confine=self.confine)

    def suggest(self) -> list[geometry.Affine]:
        """Frames of the records whose content registers to the picture, best first."""
        self._candidates = self._known.look(self._pixels, self.features)
        self.leads = confirmed(self._candidates)
        if self.leads:  # found by tag or by content alone, this record will be asked for
            self._beside.submit(self._known.check, self.leads[0])
        return [frame_of(lead.registration) for lead in self.leads]

    def recall(self, nominees: Sequence[Nominee] | None, panels: Sequence[geometry.Rectangle]) -> Iterator[KnownSource]:
        """Sources to read the picture beside, see ``engine.hints.Hints``."""
        return self._known.recall(self._pixels, self.features, self._candidates, nominees, panels)

    def confine(
        self, tag: MatchedTag, frame: geometry.Affine, panels: Sequence[geometry.Rectangle]
    ) -> geometry.Rectangle:
        """The part of the picture in which a tag's source is seen, see ``engine.hints.Hints``."""
        return self._known.confine(self._pixels, tag, frame, panels)

    def expect_recall(self) -> None:
        """Have ready what will be needed if the picture shows no tag by itself; a failure shows where it is used."""
        if not self.leads:
            return
        lead = self.leads[0]
        preview = preview_of(lead.row)
        if preview is not None and geometry.seen_share(frame_of(lead.registration)) >= MOSTLY:
            self._beside.submit(self._expect, preview)
        self._shown = lead, self._beside.submit(self._show, lead)

    def show(self, lead: Lead) -> _Shown:
        """What differs between the picture and the source of a lead."""
        if self._shown is not None and self._shown[0] is lead:
            return self._shown[1].result()
        return self._show(lead)

    def _show(self, lead: Lead) -> _Shown:
        return show_difference(self._pixels, lead.row, lead.registration)
