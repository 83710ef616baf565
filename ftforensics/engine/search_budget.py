"""How far a picture is searched, and how many hypotheses that makes: the count in every E-value.

See docs/adr/0006 for the table, and 0011, 0012 and 0015 for what the hypotheses are.
"""

from __future__ import annotations

from dataclasses import dataclass

from ftforensics.domain.tag import Placement, SearchMode

CONTENT_FRAMES = 2
TURNED_READS = 2
BLIND_FRAMES = 4
DEEP_FRAMES = 8
PANELS = 9
SEARCHED_PANELS = 4
COMPARED_READS = 1
# The direct read may use one part in so many of what chance is allowed, and so may reads beside a record's preview; all
# other hypotheses share the half that is left alike.
DIRECT_PART = 4
COMPARED_PART = 4
OTHERS_PART = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchBudget:
    """How far to look; what is counted is counted whole, spent or not."""

    mode: SearchMode = "blind"

    @property
    def is_blind(self) -> bool:
        """Whether frames are looked for that nothing suggests."""
        return self.mode in ("blind", "deep")

    @property
    def blind_frames(self) -> int:
        """Blind frames of the whole picture that are matched."""
        return {"direct": 0, "content": 0, "blind": BLIND_FRAMES, "deep": DEEP_FRAMES}[self.mode]

    @property
    def border_frames(self) -> int:
        """Frames inside a plain border that are read and matched."""
        return 1 if self.is_blind else 0

    @property
    def content_frames(self) -> int:
        """Frames suggested by content that are read and matched."""
        return 0 if self.mode == "direct" else CONTENT_FRAMES

    @property
    def turned_reads(self) -> int:
        """Matches of the best quarter turn or turned mirror image: as the map was read, and read anew."""
        return TURNED_READS if self.is_blind else 0

    @property
    def straightened_reads(self) -> int:
        """Matches of the picture as it lies with small warps undone."""
        return 1 if self.is_blind else 0

    @property
    def panels(self) -> int:
        """Panels that are read and matched."""
        return PANELS if self.is_blind else 0

    @property
    def searched_panels(self) -> int:
        """Panels in which a frame is looked for; the best is read and matched."""
        return SEARCHED_PANELS if self.is_blind else 0

    @property
    def compared_reads(self) -> int:
        """Reads beside a record's preview, for each record: the frame follows from content, so there is but one."""
        return 0 if self.mode == "direct" else COMPARED_READS

    @property
    def hypotheses(self) -> int:
        """All that any one record may be matched with for one picture.

        Suggested and bordered frames are matched twice, and so is the best blind frame once it has been refined.
        """
        whole = 1 + self.straightened_reads + 2 * (self.content_frames + self.border_frames) + self.turned_reads
        whole += self.blind_frames + (2 if self.is_blind else 0) + self.panels + self.searched_panels
        return whole + self.compared_reads

    def counts(self, mode: Placement) -> int:
        """How many times a comparison counts in the E-value of a hypothesis that was found by a mode.

        A union bound with unequal parts: over all hypotheses of the budget, the reciprocals add up to at most 1, so
        that of all pictures made without the key at most a share E reaches an E-value of E by any of them.
        """
        others = self.hypotheses - 1 - self.compared_reads
        if others == 0:
            return 1
        if mode == "compared":
            return self.compared_reads * COMPARED_PART
        return DIRECT_PART if mode == "direct" else others * OTHERS_PART
