"""Panels lie within the picture, never cross, and stand where pictures were put together."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ftforensics.attacks import capture, handling
from ftforensics.attacks.collage import collage_of_four, cover
from ftforensics.imaging import geometry
from ftforensics.imaging.panels import MOST_PANELS, find_panels, jump_shares
from ftforensics.imaging.resample import resize

Pixels = np.ndarray
Photographs = dict[str, Pixels]
Rectangle = tuple[float, float, float, float]


def rectangles(picture: Pixels, most: int = MOST_PANELS) -> list[Rectangle]:
    return [geometry.bounds(frame) for frame in find_panels(picture, most)]


def nearest(found: list[Rectangle], wanted: Rectangle) -> float:
    """How far the best of the rectangles is off at its worst edge."""
    return min(float(np.abs(np.subtract(one, wanted)).max()) for one in found)


def crosses(left: Rectangle, right: Rectangle) -> bool:
    """Whether two rectangles overlap and neither holds the other, but for rounding."""
    shared = geometry.area(geometry.common_part(left, right))
    return shared > 1e-9 and shared < min(geometry.area(left), geometry.area(right)) - 1e-9


def check(picture: Pixels, most: int) -> None:
    frames = find_panels(picture, most)
    assert len(frames) <= most
    for frame in frames:
        assert frame[0, 1] == frame[1, 0] == 0.0
        left, top, right, bottom = frame[0, 2], frame[1, 2], frame[0, 2] + frame[0, 0], frame[1, 2] + frame[1, 1]
        assert 0.0 <= left < right <= 1.0 + 1e-12
        assert 0.0 <= top < bottom <= 1.0 + 1e-12
        assert frame[0, 0] * frame[1, 1] < 0.93
    assert not any(crosses(*pair) for pair in combinations(map(geometry.bounds, frames), 2))
    again = find_panels(picture, most)
    assert [frame.tobytes() for frame in again] == [frame.tobytes() for frame in frames]


SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))


@given(arrays.arrays(np.uint8, SHAPES, elements=st.integers(0, 255)), st.integers(0, MOST_PANELS))
@settings(deadline=None, max_examples=60)
def test_panels_of_any_pixels_are_few_lie_within_and_never_cross(picture: Pixels, most: int) -> None:
    check(picture, most)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_so_are_those_of_any_chequered_picture(seed: int, rows: int, columns: int, gutter: int) -> None:
    random = np.random.default_rng(seed)
    cells = random.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    picture = cells.repeat(20, axis=0).repeat(20, axis=1)
    picture[np.arange(len(picture)) % 20 < gutter] = 255
    check(picture, MOST_PANELS)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_fill_has_no_panels(level: int) -> None:
    assert find_panels(np.full((300, 400, 3), level, dtype=np.uint8)) == []


def test_noise_has_no_panels() -> None:
    assert find_panels(np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_nothing_is_proposed_for_a_photograph(name: str, photographs: Photographs) -> None:
    assert find_panels(photographs[name]) == []


def test_a_plain_border_alone_is_no_panel(photographs: Photographs) -> None:
    bordered = np.pad(photographs["coffee"], ((40, 60), (50, 50), (0, 0)), constant_values=250)
    assert nearest([*rectangles(bordered), (0.0, 0.0, 1.0, 1.0)], (0.0, 0.0, 1.0, 1.0)) == 0.0


@pytest.mark.parametrize("gutter", [0.0, 0.004, 0.02, 0.06])
def test_all_four_of_a_collage_are_found(gutter: float, photographs: Photographs) -> None:
    others = [photographs[name] for name in ("chelsea", "coffee", "rocket")]
    sheet, _ = collage_of_four(photographs["astronaut"], others, gutter, np.random.default_rng(2))
    found = rectangles(handling.jpeg(sheet, 80))
    height, width = sheet.shape[:2]
    edge = round(gutter * 512)
    for left in (edge, edge + 256 + edge):
        for top in (edge, edge + 256 + edge):
            wanted = (left / width, top / height, (left + 256) / width, (top + 256) / height)
            assert nearest(found, wanted) < 0.012
    assert len(found) <= MOST_PANELS


def test_two_pictures_side_by_side_touch_without_a_gutter(photographs: Photographs) -> None:
    pair = np.concatenate([cover(photographs["coffee"], 300, 400), cover(photographs["astronaut"], 240, 400)], axis=1)
    found = rectangles(handling.jpeg(np.ascontiguousarray(resize(pair, 400, 296)), 70))
    assert nearest(found, (0.0, 0.0, 300 / 540, 1.0)) < 0.01
    assert nearest(found, (300 / 540, 0.0, 1.0, 1.0)) < 0.01


def test_the_picture_between_bars_of_text_is_found(photographs: Photographs) -> None:
    """A dark picture between dark bars may be missed; nearly all others are found to the pixel."""
    off = []
    for name in ("astronaut", "coffee", "chelsea"):
        for seed in range(4):
            shot = handling.jpeg(capture.screenshot(photographs[name], 1.0, np.random.default_rng(seed)), 75)
            off.append(nearest(rectangles(shot), (0.0, 0.10 / 1.18, 1.0, 1.10 / 1.18)))
    assert sum(one < 0.012 for one in off) >= 10


def test_a_picture_in_a_chat_window_is_found(photographs: Photographs) -> None:
    window = np.full((900, 500, 3), 245, dtype=np.uint8)
    window[30:60, 20:300] = 60
    window[100:140, 20:260] = (210, 235, 250)
    window[112:128, 40:230] = 40
    window[200:500, 30:430] = cover(photographs["coffee"], 400, 300)
    window[560:600, 240:480] = (200, 240, 200)
    window[830:870, 20:480] = 255
    assert nearest(rectangles(handling.jpeg(window, 80)), (0.06, 200 / 900, 0.86, 500 / 900)) < 0.012


def test_the_largest_come_first_and_only_as_many_as_wanted(photographs: Photographs) -> None:
    others = [photographs[name] for name in ("chelsea", "coffee", "rocket")]
    sheet, _ = collage_of_four(photographs["astronaut"], others, 0.03, np.random.default_rng(2))
    assert rectangles(sheet, 2) == rectangles(sheet)[:2]
    areas = [geometry.area(one) for one in rectangles(sheet, 4)]
    assert areas == sorted(areas, reverse=True)


def test_a_jump_counts_where_it_is_all_along_the_line() -> None:
    levels = np.zeros((20, 40, 3), dtype=np.uint8)
    levels[10:] = 50
    shares = jump_shares(levels)
    assert shares.shape == (19,)
    assert shares[9] == 1.0
    assert np.delete(shares, 9).max() == 0.0
    levels[10:, 30:] = 0
    assert jump_shares(levels).max() == 0.0  # three quarters of the line jump, the last does not
