"""What sharing does to pictures: platforms' chains of shrinking and coding, screenshots, prints, margins, stretching.

Sizes change where the function says so; none enlarges a picture beyond what its margins add.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, features

from ftforensics.attacks import colour, handling, warps
from ftforensics.errors import ModeUnsupported
from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Floats, Pixels, fit_within, resize

PLATFORM_SIDES_PX = (1080, 720)
_PAPER = (1.0, 0.97, 0.90)


def avif(image: Pixels, quality: int, speed: int = 8) -> Pixels:
    """Lossy AVIF with 4:2:0 chroma at ``quality`` 0..100, through Pillow's coder; ``speed`` 0 (slow) to 10.

    Raises:
        ModeUnsupported: The installed Pillow was built without AVIF.
    """
    if not features.check("avif"):
        raise ModeUnsupported(
            "the installed Pillow cannot write AVIF",
            remedy="install Pillow's own wheel, version 11.3 or newer, which has AVIF",
        )
    data = io.BytesIO()
    coded = Image.fromarray(image)
    coded.save(data, format="AVIF", quality=quality, speed=speed, subsampling="4:2:0", max_threads=1)
    with Image.open(io.BytesIO(data.getvalue())) as decoded:
        return np.array(decoded.convert("RGB"), dtype=np.uint8)


def coding_chain(image: Pixels, stages: Sequence[tuple[int, int]]) -> Pixels:
    """One stage after another: shrunk to at most a long side in pixels, then baseline JPEG at a quality 1..100.

    Args:
        image: uint8 (H, W, 3).
        stages: Pairs of long side and quality. Pictures that are already smaller keep their size.
    """
    for side_px, quality in stages:
        image = handling.jpeg(np.ascontiguousarray(fit_within(image, side_px)), quality)
    return image


def social_pipeline(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Two or three platforms one after another.

    The first takes pictures of at most 1080 px, each later one of 1080 or 720 px. ``strength`` in [0, 1] lowers JPEG
    qualities from 95 to 45, give or take 5; at 0 only shrinking and two near-lossless codings are left.
    """
    stages = [(PLATFORM_SIDES_PX[0], _quality(strength, random))]
    for _ in range(1 + int(random.random() < 0.5 * strength)):
        side_px = PLATFORM_SIDES_PX[int(random.random() < strength)]
        stages.append((side_px, _quality(strength, random)))
    return coding_chain(image, stages)


def _quality(strength: float, random: np.random.Generator) -> int:
    return int(np.clip(round(95 - 50 * strength + float(random.uniform(-5, 5))), 5, 97))


def screenshot(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """The picture between the bars of a telephone's screen, taken at another scale.

    ``strength`` in [0, 1]: a status bar of 10 % of the height above and a bar of 8 % below, with text-like blocks, and
    a scale drawn between 0.55 and 0.9, all at 1; nothing at all at 0. Size changes.
    """
    height = image.shape[0]
    above, below = round(0.10 * strength * height), round(0.08 * strength * height)
    dark = bool(random.integers(0, 2))
    back, ink = ((22, 22, 26), (225, 225, 230)) if dark else ((247, 247, 249), (40, 40, 46))
    framed: Pixels = np.array(
        cv2.copyMakeBorder(image, above, below, 0, 0, cv2.BORDER_CONSTANT, value=back), dtype=np.uint8
    )
    _draw_blocks(framed[:above], ink, random)
    _draw_blocks(framed[above + height :], ink, random)
    scale = 1.0 - strength * float(random.uniform(0.10, 0.45))
    tall, wide = framed.shape[:2]
    return np.ascontiguousarray(resize(framed, max(1, round(wide * scale)), max(1, round(tall * scale))))


def _draw_blocks(bar: Pixels, ink: tuple[int, int, int], random: np.random.Generator) -> None:
    """Words and signs of a bar, as blocks in its middle third, written into it."""
    height, width = bar.shape[:2]
    top, bottom = round(height / 3), round(2 * height / 3)
    for start in random.uniform(0.02, 0.9, 6):
        end = start + float(random.uniform(0.02, 0.08))
        bar[top:bottom, round(start * width) : round(end * width)] = ink


def print_like(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Printed and scanned flat, without perspective; same size.

    ``strength`` in [0, 1]: at 1, turned by up to 2° and scaled to 93 to 99 % on white, blurred by 0.9 px, screened with
    dots of about 4 px and amplitude 8 %, grained by 2.5 %, gamma e^±0.3, blacks lifted by 6 %, yellowish paper. At 0
    nothing changes.
    """
    height, width = image.shape[:2]
    turn = float(random.uniform(-2, 2)) * strength
    scale = 1.0 - float(random.uniform(0.01, 0.07)) * strength
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), turn, scale)
    warped = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))
    placed = colour.tone(np.asarray(warped, dtype=np.uint8), gamma=float(np.exp(random.uniform(-0.3, 0.3) * strength)))
    if strength > 0:
        placed = handling.blur(placed, max(0.05, 0.9 * strength))
    values = placed.astype(np.float32) * (1.0 + 0.08 * strength * _halftone(height, width, random))
    values += random.standard_normal(image.shape, dtype=np.float32) * np.float32(0.025 * 255 * strength)
    lift = np.float32(0.06 * strength)
    paper = np.asarray(_PAPER, dtype=np.float32) ** np.float32(strength)
    return np.asarray(round_pixels((values * (1 - lift) + 255 * lift) * paper))


def _halftone(height: int, width: int, random: np.random.Generator) -> Floats:
    """Dot screens (H, W, 3), -1 to 1, of about 4 px, one angle for each channel."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    screens = []
    for angle in np.deg2rad(np.array([15.0, 75.0, 45.0]) + random.uniform(-3, 3, 3)):
        step = np.float32(2 * np.pi / float(random.uniform(3.5, 4.5)))
        across = np.cos(angle) * columns + np.sin(angle) * rows
        down = np.cos(angle) * rows - np.sin(angle) * columns
        screens.append(np.cos(step * across) * np.cos(step * down))
    return np.stack(screens, axis=2).astype(np.float32)


def pad(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """A plain margin, white, black or grey by chance, that makes both sides longer by the share ``strength`` >= 0.

    How much of it lies left and above is drawn. Size changes.
    """
    left, top = (float(value) for value in random.uniform(0.0, 1.0, 2) * strength)
    grey = int(random.choice([0, 128, 255]))
    return warps.border(image, (left, top, strength - left, strength - top), (grey, grey, grey))


def stretch(image: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """One of the two sides, drawn, shrunk by ``1 + strength``, ``strength`` in [0, 3]: the aspect changes by that."""
    height, width = image.shape[:2]
    if random.random() < 0.5:
        return np.ascontiguousarray(resize(image, max(1, round(width / (1.0 + strength))), height))
    return np.ascontiguousarray(resize(image, width, max(1, round(height / (1.0 + strength)))))


def quarter_turns(image: Pixels, turns: int) -> Pixels:
    """Turned counter-clockwise by ``turns`` times 90°; the sides change places at odd ones."""
    return np.ascontiguousarray(np.rot90(image, turns))
