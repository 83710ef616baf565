"""What a search may ask of whoever knows registered photographs and what they show.

Nothing here decides which record a tag is of: content says where to look, soft bits say what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ftforensics.domain.tag import MatchedTag
from ftforensics.engine.compared import KnownSource
from ftforensics.engine.tries import Nominee
from ftforensics.imaging import geometry

Suggest = Callable[[], Sequence[geometry.Affine]]
Recall = Callable[[Sequence[Nominee] | None, Sequence[geometry.Rectangle]], Iterable[KnownSource]]
Confine = Callable[[MatchedTag, geometry.Affine, Sequence[geometry.Rectangle]], geometry.Rectangle]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What one picture's content says, asked for when it is needed; what is None is not asked for.

    Attributes:
        suggest: Frames that content suggests, best first; at most two are read. Asked for only when the direct read
            fails.
        recall: Sources to read the picture beside, each record once: those whose content fits one of the panels, those
            whose content fits the picture, and those of the nominated records that lie in it. Nominees are None where a
            tag was found already, and only what lies in the panels is asked for. Panels are all of the picture's,
            whatever was found: where a source is placed must not depend on what was read. Asked for only when all
            else fails, or where panels are left in which nothing was found.
        expect_recall: Called when content's frames are through and nothing was found: a blind search finds little more,
            so that what ``recall`` will need may be made ready beside it.
        confine: The part of the picture that shows the source of a tag which was read in a panel: the panel, or where
            more of the source is seen beyond it, one of those that it was cut from, or the whole picture. Of a tag, its
            frame, and the panel with those that it was cut from, smallest first. Where it is None, the panel it is.
    """

    suggest: Suggest | None = None
    recall: Recall | None = None
    expect_recall: Callable[[], None] | None = None
    confine: Confine | None = None


NO_HINTS = Hints()
