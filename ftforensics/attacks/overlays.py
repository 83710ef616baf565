"""What people lay over pictures that they pass on: captions, watermarks, squares over a face.

None replaces the scene: between letters and under a watermark the picture, and its tag, are what they were.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ftforensics.attacks.attributes import draw_face, mix
from ftforensics.imaging.resample import Floats, Pixels, resize

CAPTIONS = ("BREAKING NEWS", "when you see it", "they did not want you to know", "LIVE FROM THE SCENE", "no comment")
WATERMARK = "SAMPLE IMAGE   NOT FOR SALE   "
_EDGE_SHARE = 0.09
_WATERMARK_OPACITY = 0.35
_BLOCKS_ACROSS = 10


def caption(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """A line of white letters with black edges near the top and one near the bottom, each 60 to 90 % of the width.

    ``strength`` in [0, 1] is how opaque they are.
    """
    height, width = image.shape[:2]
    for middle in (0.1, 0.9):
        text = CAPTIONS[int(random.integers(0, len(CAPTIONS)))]
        font = _fit(text, float(random.uniform(0.6, 0.9)) * width)
        edge = max(1, round(_EDGE_SHARE * font.size))
        for ink, grown in ((0.0, edge), (255.0, 0)):
            letters = _letters((width, height), (0.5 * width, middle * height), text, font, grown)
            image = _lay(image, ink, letters * np.float32(strength))
    return image


def watermark(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Slanted rows of the same words all over, light or dark, as photograph agencies lay over previews.

    ``strength`` in [0, 1]: at 1 the letters hide 35 % of what lies under them.
    """
    height, width = image.shape[:2]
    side = int(1.5 * max(height, width))
    font = _fit(WATERMARK, 0.8 * width)
    rows = np.zeros((side, side), np.float32)
    for row, top in enumerate(np.arange(0.0, side, 3.0 * font.size)):
        start = (row % 2) * 0.25 * side
        rows = np.maximum(rows, _letters((side, side), (start, float(top)), WATERMARK * 4, font, 0))
    turned = cv2.warpAffine(rows, cv2.getRotationMatrix2D((side / 2, side / 2), 30.0, 1.0), (side, side))
    left, top = (side - width) // 2, (side - height) // 2
    ink = 255.0 if random.random() < 0.5 else 0.0
    share = np.asarray(turned[top : top + height, left : left + width], np.float32)
    return _lay(image, ink, share * np.float32(_WATERMARK_OPACITY * strength))


def pixelate_face(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """A face-like ellipse in the middle in squares of one colour each, ten across it, as faces are made unknown.

    ``strength`` in [0, 1] is how opaque the squares are.
    """
    height, width = image.shape[:2]
    face = draw_face(random)
    block = max(1.0, 2.0 * face.across * width / _BLOCKS_ACROSS)
    small = resize(image, max(1, round(width / block)), max(1, round(height / block)))
    squares = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.float32)
    return mix(image, squares, face.mask(height, width) * np.float32(strength))


def _fit(text: str, width_px: float) -> ImageFont.FreeTypeFont:
    """Pillow's own typeface, in the size in which the text is so wide."""
    probe = ImageFont.load_default(100)
    assert isinstance(probe, ImageFont.FreeTypeFont)
    return probe.font_variant(size=max(4.0, 100.0 * width_px / probe.getlength(text)))


def _letters(
    size: tuple[int, int], middle: tuple[float, float], text: str, font: ImageFont.FreeTypeFont, grown: int
) -> Floats:
    """How much of each pixel letters about a middle cover, 0 to 1, (H, W)."""
    canvas = Image.new("L", size, 0)
    ImageDraw.Draw(canvas).text(middle, text, fill=255, font=font, anchor="mm", stroke_width=grown)
    return np.asarray(canvas, np.float32) / np.float32(255.0)


def _lay(image: Pixels, ink: float, share: Floats) -> Pixels:
    return mix(image, np.broadcast_to(np.float32(ink), image.shape), share)
