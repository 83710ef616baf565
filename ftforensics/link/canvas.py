"""What the pictures of maps share: size, ground, colours, outlines, and the legend printed underneath.

Colours are chosen to be told apart by colour-blind readers and in a grey print; PNG bytes are the same for the same
input.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ftforensics.errors import LinkError
from ftforensics.link.agreement import F32, U8, Mask

RENDER_PX = 768

_OUTLINE = (255, 255, 255)
_OUTLINE_EDGE = (20, 20, 20)
_PANEL = (250, 250, 250)
_INK = (25, 25, 25)
_STRIPES, _STRIPE_PX, _HATCHED = (122.0, 200.0), 6, 0.45


def fit_shown(pixels: U8) -> U8:
    """A picture at the size at which it is shown."""
    height, width = pixels.shape[:2]
    scale = RENDER_PX / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(pixels), size, interpolation=how), np.uint8)


def paint_grey(pixels: U8) -> F32:
    """A picture without its colours, still with three channels."""
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)
    return np.repeat(grey[:, :, None], 3, axis=2)


def colour(share: F32, colour_map: int) -> F32:
    """Values of 0..1 (h, w) as colours (h, w, 3), 0..255, of one of OpenCV's colour maps."""
    painted = cv2.applyColorMap((share * 255).astype(np.uint8), colour_map)
    return np.asarray(cv2.cvtColor(painted, cv2.COLOR_BGR2RGB), np.float32)


def blend(ground: F32, over: F32, share: F32) -> F32:
    """One picture over another, float32 (h, w, 3), by a share of 0..1 a place (h, w)."""
    return np.asarray(cv2.blendLinear(ground, over, 1 - share, share), np.float32)


def hatch(canvas: F32, where: Mask) -> F32:
    """Hatch what was not examined, so that it does not look like agreement; float32 (h, w, 3)."""
    if not where.any():
        return canvas
    height, width = where.shape
    along = np.where(np.arange(height + width) // _STRIPE_PX % 2 == 0, *map(np.float32, _STRIPES))
    stripes = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(along, width)[:height])
    return blend(canvas, np.asarray(cv2.merge([stripes] * 3), np.float32), where * np.float32(_HATCHED))


def enlarge(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask at the picture's size, its steps smoothed."""
    grown = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), 3.0) > 0.5, np.bool_)


def draw_outline(picture: U8, region: Mask) -> None:
    """Draw the outer edges of a region into a picture, white with dark sides."""
    contours, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, contours, -1, _OUTLINE_EDGE, 5, cv2.LINE_AA)
    cv2.drawContours(picture, contours, -1, _OUTLINE, 2, cv2.LINE_AA)


def add_legend(picture: U8, colour_map: int, ends: tuple[str, str], notes: list[str]) -> bytes:
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
    canvas.paste(Image.fromarray(colour(scale, colour_map).astype(np.uint8)), (left_px, top + 2))
    draw.text((12, top), ends[0], fill=_INK, font=font)
    draw.text((right_px + 8, top), ends[1], fill=_INK, font=font)
    for index, line in enumerate(lines):
        draw.text((12, top + 26 + index * line_px), line, fill=_INK, font=font)
    return _encode(np.asarray(canvas, np.uint8))


def _encode(pixels: U8) -> bytes:
    """PNG; with this filter and level, maps over photographs take little time and little space."""
    how = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]
    made, content = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), how)
    if not made:
        raise LinkError("a picture of a map could not be written as PNG", remedy="reinstall opencv-python-headless")
    return content.tobytes()


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
