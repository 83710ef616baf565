"""Where the source of a record lies in a picture that is to be read beside it, if it lies there at all.

A record is looked at because the picture's soft bits came nearest to its tag, which by itself happens to some record in
every picture. So its preview must look like the picture where the tag was seen before any more is spent on it. The
frame then comes from content alone, never from the tag: were it chosen by how well the tag reads, every frame would be
a hypothesis more. A fit that is not enough to confirm a registration, half of the picture being replaced, will do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ftforensics.flows.frames import follow
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import Pixels
from ftforensics.link.agreement import align, measure_agreement
from ftforensics.link.register import Attempt

# Share of the textured overlap that must agree. In frames of 24 held-out training pictures, previews of other
# photographs stayed under 0.04 in 19 cases of 20, and the right ones had 0.21 and more, half of them replaced or not.
LIKE_SHARE = 0.12
_LOOK_PX = 96
# Of the rectangle around the features that agree.
_IN_PANEL = 0.95


def find_frame(
    picture: Pixels, preview: Pixels, seen_in: geometry.Affine, attempt: Callable[[], Attempt]
) -> geometry.Affine | None:
    """The frame of a source in a picture: where its features fit, or else the picture as it lies.

    Args:
        picture: uint8 (H, W, 3).
        preview: uint8 (h, w, 3) of the source.
        seen_in: The frame in which the tag was seen.
        attempt: Tries to register the picture to the source.

    Returns:
        Tagged frame to picture; None where the two do not look alike.
    """
    if not _look_alike(picture, preview, seen_in):
        return None
    matrix = attempt().matrix
    if matrix is not None:
        return follow(matrix)
    return geometry.IDENTITY if _look_alike(picture, preview, geometry.IDENTITY) else None


def find_panel(attempt: Attempt, panels: Sequence[geometry.Rectangle]) -> geometry.Rectangle:
    """The panel that shows what agrees with a source, whose frame may reach into others; else the whole picture."""
    matched = attempt.matched
    if matched is not None:
        for panel in panels:
            if geometry.covered_share(matched, panel) > _IN_PANEL:
                return panel
    return geometry.WHOLE


def _look_alike(picture: Pixels, preview: Pixels, frame: geometry.Affine) -> bool:
    aligned = align(picture, preview, geometry.homogeneous(frame), long_side_px=_LOOK_PX)
    return measure_agreement(aligned).share >= LIKE_SHARE
