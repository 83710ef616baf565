"""A picture as one of several in a collage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftforensics.imaging.resample import Pixels, resize


def collage_of_four(
    image: Pixels, others: Sequence[Pixels], strength: float, random: np.random.Generator
) -> tuple[Pixels, int]:
    """Four pictures in two rows of two, each at half of ``image``'s sides, on white with a gutter around and between.

    Args:
        image: The picture that is followed, uint8 (H, W, 3).
        others: Three pictures for the other places, of any size; they are cut to the place's aspect about their middle.
        strength: The gutter as a share of the long side, in [0, 0.5].
        random: Draws the place of ``image``.

    Returns:
        The collage, about as large as ``image``, and the place of ``image``: 0 to 3, row by row.

    Raises:
        ValueError: Not three other pictures.
    """
    if len(others) != 3:
        raise ValueError(f"three other pictures are needed, not {len(others)}")
    height, width = image.shape[:2]
    tall, wide = max(1, height // 2), max(1, width // 2)
    gutter = round(strength * max(height, width))
    place = int(random.integers(0, 4))
    cells = [cover(other, wide, tall) for other in others]
    cells.insert(place, np.asarray(resize(image, wide, tall)))
    sheet = np.full((2 * tall + 3 * gutter, 2 * wide + 3 * gutter, 3), 255, dtype=np.uint8)
    for index, cell in enumerate(cells):
        top, left = gutter + index // 2 * (tall + gutter), gutter + index % 2 * (wide + gutter)
        sheet[top : top + tall, left : left + wide] = cell
    return sheet, place


def cover(image: Pixels, width_px: int, height_px: int) -> Pixels:
    """The largest middle part of a picture that has the wanted aspect, resized to the wanted size."""
    height, width = image.shape[:2]
    scale = min(width / width_px, height / height_px)
    wide, tall = max(1, min(width, round(width_px * scale))), max(1, min(height, round(height_px * scale)))
    left, top = (width - wide) // 2, (height - tall) // 2
    return np.ascontiguousarray(resize(image[top : top + tall, left : left + wide], width_px, height_px))
