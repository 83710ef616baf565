"""Changes of geometry keep the pixels they say they keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.attacks import warps
from ftforensics.imaging.quality import psnr_db

Photographs = dict[str, np.ndarray]


def numbered(height: int, width: int) -> np.ndarray:
    """A picture in which every pixel says where it is."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows, columns, (rows + columns) % 256], axis=2).astype(np.uint8)


@settings(max_examples=60)
@given(st.integers(2, 200), st.integers(2, 200), st.floats(0.1, 1.0), st.integers(0, 2**32 - 1))
def test_a_crop_is_a_rectangle_of_the_picture(height: int, width: int, share: float, seed: int) -> None:
    image = numbered(height, width)
    made = warps.crop(image, share, np.random.default_rng(seed))
    tall, wide = made.shape[:2]
    assert (tall, wide) == (max(1, round(height * share)), max(1, round(width * share)))
    top, left = int(made[0, 0, 0]), int(made[0, 0, 1])
    np.testing.assert_array_equal(made, image[top : top + tall, left : left + wide])


def test_mirroring_twice_is_nothing(photographs: Photographs) -> None:
    image = photographs["coffee"]
    np.testing.assert_array_equal(warps.mirror(warps.mirror(image)), image)
    np.testing.assert_array_equal(warps.mirror(image)[:, 0], image[:, -1])


@pytest.mark.parametrize("shape", [(101, 101), (100, 100)])
def test_a_half_turn_about_the_middle_is_exact(shape: tuple[int, int]) -> None:
    image = numbered(*shape)
    turned = warps.rotate(image, 180.0)
    assert abs(turned.astype(int) - image[::-1, ::-1]).max() <= 1


def test_rotation_is_undone_by_its_opposite_away_from_the_corners(photographs: Photographs) -> None:
    image = photographs["chelsea"]
    back = warps.rotate(warps.rotate(image, 7.0), -7.0)
    assert psnr_db(image[80:-80, 80:-80], back[80:-80, 80:-80]) > 30


def test_rotation_fills_the_corners(photographs: Photographs) -> None:
    turned = warps.rotate(photographs["coffee"], 12.0, (9, 8, 7))
    for corner in (turned[0, 0], turned[-1, -1], turned[0, -1], turned[-1, 0]):
        assert corner.tolist() == [9, 8, 7]


@settings(max_examples=40)
@given(st.tuples(*[st.floats(0, 0.5)] * 4))
def test_a_border_lies_around_the_whole_picture(shares: tuple[float, float, float, float]) -> None:
    image = numbered(60, 90)
    made = warps.border(image, shares, (255, 254, 253))
    left, top = round(shares[0] * 90), round(shares[1] * 60)
    assert made.shape[:2] == (60 + top + round(shares[3] * 60), 90 + left + round(shares[2] * 90))
    np.testing.assert_array_equal(made[top : top + 60, left : left + 90], image)
    frame = np.ones(made.shape[:2], dtype=bool)
    frame[top : top + 60, left : left + 90] = False
    assert (made[frame] == [255, 254, 253]).all()


def test_reenactment_moves_pixels_by_a_bounded_distance() -> None:
    rows, columns = np.mgrid[0:128, 0:128]
    image = np.stack([rows, columns, columns], axis=2).astype(np.uint8)
    moved = warps.reenact(image, 0.02, np.random.default_rng(3)).astype(float)
    inner = (slice(12, -12), slice(12, -12))
    shift = np.abs(moved[inner] - image[inner])
    assert 0.2 < shift.max() < 3 * 0.02 * 128
    np.testing.assert_array_equal(warps.reenact(image, 0.0, np.random.default_rng(3)), image)
