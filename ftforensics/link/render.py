"""Pictures that show a reader what the numbers say: where content differs, and where the tag is left.

In: suspect pixels and the maps of ``difference`` and ``survival``. Out: PNG bytes, the same for the same input, with a
legend printed under the picture. Colours are chosen to be told apart by colour-blind readers and in a grey print
(viridis and inferno); the changed regions are outlined as well, so that no meaning hangs on colour alone.
"""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.link.agreement import U8, Mask
from ftforensics.link.canvas import add_legend, blend, colour, draw_outline, enlarge, fit_shown, hatch, paint_grey
from ftforensics.link.difference import Difference
from ftforensics.link.placement import Placement
from ftforensics.link.survival import Holes, SurvivalMap

_FULL_HEAT = 2.5
_LEAST_HEAT = 0.35
# Of a changed region, by what was replaced, to be outlined by that.
_COVERED_SHARE = 0.5


def render_difference(suspect: U8, difference: Difference, replaced: Mask | None = None) -> bytes:
    """The suspect in grey, what differs as heat over it, and every changed region outlined.

    Args:
        suspect: uint8 (H, W, 3).
        difference: As ``compare`` made it for this suspect.
        replaced: bool (h, w) over the whole suspect, what was replaced by content and tag together; outlined in place
            of the changed regions that it covers. None where no tag was read.

    Returns:
        PNG, long side 768 px without the legend.
    """
    base = fit_shown(suspect)
    size = (base.shape[1], base.shape[0])
    heat = cv2.resize(difference.difference, size, interpolation=cv2.INTER_LINEAR) / np.float32(_FULL_HEAT)
    seen = cv2.resize(difference.seen.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    changed = outline_changed(difference, size)
    drawn = outline_replaced(changed, replaced)
    # What lies between sure places of one changed region is tinted too: a replaced cheek has nothing to differ in.
    heat = np.clip(np.maximum(heat, np.float32(_LEAST_HEAT) * changed), 0, 1)
    strength = np.clip(heat * np.float32(1.6), 0, 0.85) * seen
    canvas = blend(paint_grey(base), colour(heat, cv2.COLORMAP_INFERNO), strength)
    picture = np.clip(hatch(canvas, ~seen), 0, 255).astype(np.uint8)
    draw_outline(picture, drawn)
    share = f"{100 * difference.changed_fraction:.1f} % of the shared area"
    if not np.array_equal(drawn, changed):
        text = f"Outlined: changed, by content and missing tag together. Content differs from the source in {share}"
    elif difference.changed.any():
        text = f"Outlined: content differs from the source ({share})"
    else:
        text = "No changed region was found in the shared area"
    notes = [text] if seen.all() else [text, "Hatched: not shown by the source, not compared"]
    return add_legend(picture, cv2.COLORMAP_INFERNO, ("agrees", "differs"), notes)


def render_survival(
    suspect: U8, survival: SurvivalMap, frame: Placement | None = None, holes: Holes | None = None
) -> bytes:
    """The suspect in grey under the survival map: bright where the tag is present, dark where it is gone.

    Args:
        suspect: uint8 (H, W, 3).
        survival: As ``build_survival`` made it, over the tagged frame.
        frame: How the tagged frame lies in the suspect; None if it is the whole suspect.
        holes: Where the tag is gone that could be seen there; None where that is not known, and nothing is outlined.

    Returns:
        PNG, long side 768 px without the legend.
    """
    base = fit_shown(suspect)
    size = (base.shape[1], base.shape[0])
    placement = Placement(matrix=np.eye(3)) if frame is None else frame
    level, inside = placement.carry(survival.correlation, size), placement.covers(size)
    top = max(2.5 * survival.present_from, float(np.quantile(survival.correlation, 0.95)))
    share = np.clip(level / np.float32(top), 0, 1)
    colours = colour(share, cv2.COLORMAP_VIRIDIS)
    canvas = blend(paint_grey(base), colours, np.float32(0.55) * inside)
    picture = np.clip(hatch(canvas, ~inside), 0, 255).astype(np.uint8)
    if holes is None:
        notes = ["Dark: no tag seen. Whether one could be seen there is not known, so nothing is outlined"]
    else:
        draw_outline(picture, _gone_within(inside, holes, placement))
        notes = _survival_notes(holes)
    if not inside.all():
        notes.append("Hatched: outside the tagged frame")
    return add_legend(picture, cv2.COLORMAP_VIRIDIS, ("tag gone", "tag present"), notes)


def outline_changed(difference: Difference, size: tuple[int, int]) -> Mask:
    """What ``render_difference`` outlines on a picture of ``size`` (width, height), bool (height, width)."""
    return enlarge(difference.changed, size)


def outline_replaced(changed: Mask, replaced: Mask | None) -> Mask:
    """What ``render_difference`` outlines by both maps, bool (height, width), given ``outline_changed`` of that size.

    Nothing where no content differs: then there is no change to outline, and where the tag is gone is another picture.

    A changed region that is hardly covered, because the tag can be read in it, is outlined as the difference shows it:
    whoever tags a paste anew must not be able to hide it.
    """
    if replaced is None or not replaced.any() or not changed.any():
        return changed
    height, width = changed.shape
    outlined = enlarge(replaced, (width, height))
    count, parts = cv2.connectedComponents(changed.astype(np.uint8))
    for number in range(1, count):
        part = parts == number
        if float(outlined[part].mean()) < _COVERED_SHARE:
            outlined = outlined | part
    return outlined


def _survival_notes(holes: Holes) -> list[str]:
    """What the survival map's outline means here, and what its darkness does not."""
    least = int(holes.visible.sum())
    missing = f"it is missing in {100 * float(holes.gone.sum()) / max(1, least):.0f} % of where it could be seen"
    measured = f"By measurement {missing}" if least else "Nowhere could it be measured whether it is missing"
    if holes.region.any():
        gone = "where a trained network takes the tag for gone" if holes.by_network else "where the tag is gone"
        return [
            f"Outlined: {gone}, places included in which none could be seen. {measured}",
            "Dark but not outlined: too busy or too plain to see a tag, or too small or unsure a loss",
        ]
    return [
        f"No region without the tag was found. {measured}",
        "Dark: too busy or too plain to see a tag, or too small or unsure a loss",
    ]


def outline_gone(holes: Holes, frame: Placement, size: tuple[int, int]) -> Mask:
    """What ``render_survival`` outlines on a picture of ``size`` (width, height), bool (height, width)."""
    return _gone_within(frame.covers(size), holes, frame)


def _gone_within(inside: Mask, holes: Holes, frame: Placement) -> Mask:
    """Where the tag is gone, of what lies ``inside`` the source (height, width)."""
    height, width = inside.shape
    return np.asarray(inside & (frame.carry(holes.region.astype(np.float32), (width, height)) > 0.5), np.bool_)
