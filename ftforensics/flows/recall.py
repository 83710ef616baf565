"""Where the source of a record lies in a picture that is to be read beside it, if it lies there at all.

A record is looked at because the picture's soft bits came nearest to its tag, which by itself happens to some record in
every picture. So its preview must look like the picture where the tag was seen before any more is spent on it. The
frame then comes from content alone, never from the tag: were it chosen by how well the tag reads, every frame would be
a hypothesis more. A fit that is not enough to confirm a registration, half of the picture being replaced, will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ftforensics.flows.frames import follow
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import Pixels
from ftforensics.link.agreement import Aligned, align, measure_agreement
from ftforensics.link.register import Attempt

# Share of the textured overlap that must agree. In frames of 24 held-out training pictures, previews of other
# photographs stayed under 0.04 in 19 cases of 20, and the right ones had 0.21 and more, half of them replaced or not.
LIKE_SHARE = 0.12
_LOOK_PX = 96
Placed = TypeVar("Placed")
# Of the rectangle around the features that agree.
_IN_PANEL = 0.95
# Of the overlap: textured, and another content.
_OTHER = 0.1
# The same, and of the texture beyond a panel that share: more than other photographs agree on by chance.
_SAME, _SAME_SHARE = 0.01, 0.05


def find_frame(
    picture: Pixels,
    preview: Pixels,
    seen_in: geometry.Affine,
    attempt: Callable[[], Attempt],
    panels: Sequence[geometry.Rectangle] = (),
) -> tuple[geometry.Affine, geometry.Rectangle] | None:
    """The frame of a source in a picture: where its features fit, or else the picture as it lies.

    Args:
        picture: uint8 (H, W, 3).
        preview: uint8 (h, w, 3) of the source.
        seen_in: The frame in which the tag was seen.
        attempt: Tries to register the picture to the source.
        panels: Of the picture.

    Returns:
        Tagged frame to picture, and the part of the picture that shows it; None where the two do not look alike.
    """
    if not _look_alike(picture, preview, seen_in):
        return None
    tried = attempt()
    if tried.matrix is not None:
        frame = follow(tried.matrix)
        return frame, see_within(picture, preview, frame, find_panel(tried, panels))
    return (geometry.IDENTITY, geometry.WHOLE) if _look_alike(picture, preview, geometry.IDENTITY) else None


def keep_best(
    placed: Iterable[Placed], key: Callable[[Placed], object], fit: Callable[[Placed], Attempt]
) -> list[Placed]:
    """Of what was placed in several panels, where it fits best: a face fits wherever the same person is shown.

    A confirmed registration comes before any other fit, then the one on which more features agree. Order is kept.
    """
    best: dict[object, Placed] = {}
    for one in placed:
        kept = best.setdefault(key(one), one)
        if _merit(fit(one)) > _merit(fit(kept)):
            best[key(one)] = one
    return list(best.values())


def _merit(attempt: Attempt) -> tuple[bool, int]:
    return attempt.registration is not None, attempt.inliers


def find_panel(attempt: Attempt, panels: Sequence[geometry.Rectangle]) -> geometry.Rectangle | None:
    """The panel in which the features lie that agree with a source, whose frame may reach into others."""
    matched = attempt.matched
    if matched is None:
        return None
    return next((panel for panel in panels if geometry.covered_share(matched, panel) > _IN_PANEL), None)


def see_within(
    picture: Pixels, preview: Pixels, frame: geometry.Affine, panel: geometry.Rectangle | None
) -> geometry.Rectangle:
    """The part of a picture in which a source is seen that was placed in a panel: the panel, or the whole picture.

    One photograph in seven is cut into panels by mistake, along a shaded sky for instance. So the whole picture counts
    where hardly anything beyond the panel has another content than the source, or where some of it has the source's:
    half of a picture may have been replaced.
    """
    if panel is None:
        return geometry.WHOLE
    beyond = _look_beyond(_lay_over(picture, preview, frame), panel)
    return panel if beyond.other > _OTHER and beyond.likeness < LIKE_SHARE else geometry.WHOLE


def confine(
    picture: Pixels, preview: Pixels, frame: geometry.Affine, panels: Sequence[geometry.Rectangle]
) -> geometry.Rectangle:
    """The part of a picture in which a tag's source is seen, the tag being read in a panel.

    The panel counts, unless more of the source is seen beyond it: then the picture was cut by mistake, and what was
    replaced beyond would be left out of the comparison. A part of a collage may be cut by mistake too: then all of that
    part counts. Where hardly anything is left of the source beyond, a collage and a photograph of which the rest was
    replaced are one, and what is said is said of the part.

    Args:
        picture: uint8 (H, W, 3).
        preview: uint8 (h, w, 3) of the source.
        frame: Of the tag, to the picture.
        panels: The panel, and those that it was cut from, smallest first.

    Returns:
        One of the panels, or the whole picture.
    """
    aligned = _lay_over(picture, preview, frame)
    for panel in panels:
        beyond = _look_beyond(aligned, panel)
        if beyond.same < _SAME or beyond.likeness < _SAME_SHARE:
            return panel
    return geometry.WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beyond:
    """What a picture shows of a source's frame beyond a panel: the textured parts of all that it shows of the frame
    that are the ``same`` as the source's and that are ``other``, and the share of the same in both.
    """

    same: float
    other: float
    likeness: float


def _look_beyond(aligned: Aligned, panel: geometry.Rectangle) -> _Beyond:
    beyond = aligned.seen.copy()
    height, width = beyond.shape
    left, top, right, bottom = panel
    beyond[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = False
    found = measure_agreement(replace(aligned, seen=beyond))
    part = float(beyond.sum()) / max(1.0, float(aligned.seen.sum()))
    return _Beyond(
        same=part * found.agreeing_fraction,
        other=part * (found.textured_fraction - found.agreeing_fraction),
        likeness=found.share,
    )


def _look_alike(picture: Pixels, preview: Pixels, frame: geometry.Affine) -> bool:
    return measure_agreement(_lay_over(picture, preview, frame)).share >= LIKE_SHARE


def _lay_over(picture: Pixels, preview: Pixels, frame: geometry.Affine) -> Aligned:
    """A source's preview over a picture, for a look."""
    return align(picture, preview, geometry.homogeneous(frame), long_side_px=_LOOK_PX)
