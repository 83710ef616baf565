"""Pictures that show a reader what the numbers say: where content differs, and where the tag is left.

In: suspect pixels and the maps of ``difference`` and ``survival``. Out: PNG bytes, the same for the same input, with a
legend printed under the picture. Colours are chosen to be told apart by colour-blind readers and in a grey print
(viridis and inferno); the changed regions are outlined as well, so that no meaning hangs on colour alone.
"""

from __future__ import annotations

import io
import zlib
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ftforensics.link.agreement import F32, U8, Mask
from ftforensics.link.difference import Difference
from ftforensics.link.homography import Reals
from ftforensics.link.survival import Holes, SurvivalMap

RENDER_PX = 768

_FULL_HEAT = 2.5
_LEAST_HEAT = 0.35
# Of a changed region, by what was replaced, to be outlined by that.
_COVERED_SHARE = 0.5
_OUTLINE = (255, 255, 255)
_OUTLINE_EDGE = (20, 20, 20)
_PANEL = (250, 250, 250)
_INK = (25, 25, 25)


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
    base = _fit(suspect)
    size = (base.shape[1], base.shape[0])
    heat = np.clip(cv2.resize(difference.difference, size, interpolation=cv2.INTER_LINEAR) / _FULL_HEAT, 0, 1)
    seen = cv2.resize(difference.seen.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    changed = outline_changed(difference, size)
    drawn = outline_replaced(changed, replaced)
    # What lies between sure places of one changed region is tinted too: a replaced cheek has nothing to differ in.
    heat = np.maximum(heat, _LEAST_HEAT * changed)
    canvas = _grey(base)
    strength = np.clip(heat * 1.6, 0, 0.85)[..., None] * seen[..., None]
    canvas = canvas * (1 - strength) + _colours(np.asarray(heat, np.float32), cv2.COLORMAP_INFERNO) * strength
    picture = np.clip(_veil(canvas, ~seen), 0, 255).astype(np.uint8)
    _outline(picture, drawn)
    share = f"{100 * difference.changed_fraction:.1f} % of the shared area"
    if not np.array_equal(drawn, changed):
        text = f"Outlined: changed, by content and missing tag together. Content differs from the source in {share}"
    elif difference.changed.any():
        text = f"Outlined: content differs from the source ({share})"
    else:
        text = "No changed region was found in the shared area"
    notes = [text] if seen.all() else [text, "Hatched: not shown by the source, not compared"]
    return _with_legend(picture, cv2.COLORMAP_INFERNO, ("agrees", "differs"), notes)


def render_survival(
    suspect: U8, survival: SurvivalMap, frame: Reals | None = None, holes: Holes | None = None
) -> bytes:
    """The suspect in grey under the survival map: bright where the tag is present, dark where it is gone.

    Args:
        suspect: uint8 (H, W, 3).
        survival: As ``build_survival`` made it, over the tagged frame.
        frame: 3 x 3, unit coordinates of the tagged frame to those of the suspect; None if the frame is the whole
            suspect.
        holes: Where the tag is gone that could be seen there; None where that is not known, and nothing is outlined.

    Returns:
        PNG, long side 768 px without the legend.
    """
    base = _fit(suspect)
    size = (base.shape[1], base.shape[0])
    matrix = np.eye(3) if frame is None else frame
    level, inside = carry(survival.correlation, matrix, size), source_mask(matrix, size)
    top = max(2.5 * survival.present_from, float(np.quantile(survival.correlation, 0.95)))
    share = np.clip(level / top, 0, 1)
    colours = _colours(np.asarray(share, np.float32), cv2.COLORMAP_VIRIDIS)
    grey = _grey(base)
    canvas = np.where(inside[..., None], grey * 0.45 + colours * 0.55, grey)
    picture = np.clip(_veil(canvas, ~inside), 0, 255).astype(np.uint8)
    if holes is None:
        notes = ["Dark: no tag seen. Whether one could be seen there is not known, so nothing is outlined"]
    else:
        _outline(picture, _gone_within(inside, holes, matrix))
        notes = _survival_notes(holes)
    if not inside.all():
        notes.append("Hatched: outside the tagged frame")
    return _with_legend(picture, cv2.COLORMAP_VIRIDIS, ("tag gone", "tag present"), notes)


def outline_changed(difference: Difference, size: tuple[int, int]) -> Mask:
    """What ``render_difference`` outlines on a picture of ``size`` (width, height), bool (height, width)."""
    return _enlarge(difference.changed, size)


def outline_replaced(changed: Mask, replaced: Mask | None) -> Mask:
    """What ``render_difference`` outlines by both maps, bool (height, width), given ``outline_changed`` of that size.

    Nothing where no content differs: then there is no change to outline, and where the tag is gone is another picture.

    A changed region that is hardly covered, because the tag can be read in it, is outlined as the difference shows it:
    whoever tags a paste anew must not be able to hide it.
    """
    if replaced is None or not replaced.any() or not changed.any():
        return changed
    height, width = changed.shape
    outlined = _enlarge(replaced, (width, height))
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


def outline_gone(holes: Holes, frame: Reals, size: tuple[int, int]) -> Mask:
    """What ``render_survival`` outlines on a picture of ``size`` (width, height), bool (height, width)."""
    return _gone_within(source_mask(frame, size), holes, frame)


def _gone_within(inside: Mask, holes: Holes, frame: Reals) -> Mask:
    """Where the tag is gone, of what lies ``inside`` the source (height, width)."""
    height, width = inside.shape
    return np.asarray(inside & (carry(holes.region.astype(np.float32), frame, (width, height)) > 0.5), np.bool_)


def _fit(pixels: U8) -> U8:
    height, width = pixels.shape[:2]
    scale = RENDER_PX / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(pixels), size, interpolation=how), np.uint8)


def _grey(pixels: U8) -> F32:
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _colours(share: F32, colour_map: int) -> F32:
    painted = cv2.applyColorMap((share * 255).astype(np.uint8), colour_map)
    return np.asarray(cv2.cvtColor(painted, cv2.COLOR_BGR2RGB), np.float32)


def _veil(canvas: NDArray[np.floating], where: Mask) -> F32:
    """Hatch what was not examined, so that it does not look like agreement."""
    out = np.asarray(canvas, np.float32).copy()
    if where.any():
        y, x = np.ogrid[: where.shape[0], : where.shape[1]]
        stripes = ((x + y) // 6) % 2 == 0
        out[where] = out[where] * 0.55 + 90
        out[where & stripes] -= 35
    return out


def carry(values: F32, matrix: Reals, size: tuple[int, int]) -> F32:
    """Bring a map over the source onto the suspect at ``size``."""
    grid = values.shape[0]
    start = np.array([[1 / grid, 0.0, 0.5 / grid], [0.0, 1 / grid, 0.5 / grid], [0.0, 0.0, 1.0]])
    end = np.array([[size[0], 0.0, -0.5], [0.0, size[1], -0.5], [0.0, 0.0, 1.0]])
    carried = cv2.warpPerspective(values, end @ matrix @ start, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(carried, np.float32)


def source_mask(matrix: Reals, size: tuple[int, int]) -> Mask:
    """Where the source lies in the suspect at ``size``."""
    if np.array_equal(matrix, np.eye(3)):  # the direct read: the source is the whole suspect
        return np.ones((size[1], size[0]), np.bool_)
    unit = np.empty((size[1], size[0], 3))
    unit[..., 0] = (np.arange(size[0]) + 0.5) / size[0]
    unit[..., 1] = ((np.arange(size[1]) + 0.5) / size[1])[:, None]
    unit[..., 2] = 1.0
    across, down, depth = np.moveaxis(unit @ np.linalg.inv(matrix).T, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = across / depth, down / depth
    return np.asarray((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1) & (depth > 0), np.bool_)


def _enlarge(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask at the picture's size, its steps smoothed."""
    grown = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), 3.0) > 0.5, np.bool_)


def _outline(picture: U8, region: Mask) -> None:
    contours, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, contours, -1, _OUTLINE_EDGE, 5, cv2.LINE_AA)
    cv2.drawContours(picture, contours, -1, _OUTLINE, 2, cv2.LINE_AA)


def _with_legend(picture: U8, colour_map: int, ends: tuple[str, str], notes: list[str]) -> bytes:
    """Print scale and notes on a white panel under the picture."""
    width = picture.shape[1]
    small = width < 560
    font = _font(13 if small else 16)
    line_px = 20 if small else 24
    lines = [line for note in notes for line in _wrap(note, font, width - 24)]
    panel_px = 44 + line_px * len(lines)
    canvas = Image.new("RGB", (width, picture.shape[0] + panel_px), _PANEL)
    canvas.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(canvas)
    top = picture.shape[0] + 12
    left_px = 12 + round(draw.textlength(ends[0], font=font)) + 8
    right_px = max(left_px + 20, min(width - 20 - round(draw.textlength(ends[1], font=font)), left_px + 260))
    scale = np.linspace(0, 1, right_px - left_px, dtype=np.float32)[None, :].repeat(14, axis=0)
    canvas.paste(Image.fromarray(_colours(scale, colour_map).astype(np.uint8)), (left_px, top + 2))
    draw.text((12, top), ends[0], fill=_INK, font=font)
    draw.text((right_px + 8, top), ends[1], fill=_INK, font=font)
    for index, line in enumerate(lines):
        draw.text((12, top + 26 + index * line_px), line, fill=_INK, font=font)
    buffer = io.BytesIO()
    # Runs alone, without search for longer matches: for maps over photographs five times as fast, and no larger.
    canvas.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(joined) <= width_px:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
