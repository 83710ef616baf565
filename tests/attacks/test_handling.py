"""Handling does what it is called, as hard as it is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.attacks import colour, handling
from ftforensics.imaging.quality import psnr_db

Photographs = dict[str, np.ndarray]


@pytest.mark.parametrize("coder", [handling.jpeg, handling.webp])
def test_lower_quality_is_further_away(coder: object, photographs: Photographs) -> None:
    image = photographs["chelsea"]
    distances = [psnr_db(image, coder(image, quality)) for quality in (95, 60, 20)]  # type: ignore[operator]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 32
    assert distances[2] > 20


@settings(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_resize_long_side_keeps_the_shape_of_the_picture(height: int, width: int, side: int) -> None:
    made = handling.resize_long_side(np.zeros((height, width, 3), dtype=np.uint8), side)
    assert max(made.shape[:2]) == side
    assert abs(min(made.shape[:2]) - side * min(height, width) / max(height, width)) <= 1


def test_noise_has_the_asked_spread() -> None:
    grey = np.full((200, 200, 3), 128, dtype=np.uint8)
    noisy = handling.gaussian_noise(grey, 0.05, np.random.default_rng(0)).astype(float) - 128
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.02)
    assert abs(noisy.mean()) < 0.3
    np.testing.assert_array_equal(handling.gaussian_noise(grey, 0.0, np.random.default_rng(0)), grey)


def test_blur_and_sharpen_go_opposite_ways(photographs: Photographs) -> None:
    image = photographs["coffee"][100:228, 100:228]

    def detail(pixels: np.ndarray) -> float:
        return float(np.abs(np.diff(pixels.astype(float), axis=1)).mean())

    assert detail(handling.blur(image, 1.5)) < 0.8 * detail(image) < detail(handling.sharpen(image, 1.0))
    np.testing.assert_array_equal(handling.sharpen(image, 0.0), image)


def test_median_takes_out_a_lone_pixel() -> None:
    image = np.full((21, 21, 3), 50, dtype=np.uint8)
    image[10, 10] = 255
    assert (handling.median(image, 3) == 50).all()
    assert (handling.median(image, 2) == 50).all()  # an even side is the next odd one


def test_smoothing_keeps_edges(photographs: Photographs) -> None:
    image = np.full((60, 60, 3), 40, dtype=np.uint8)
    image[:, 30:] = 220
    noisy = handling.gaussian_noise(image, 0.03, np.random.default_rng(0))
    smooth = handling.smooth_surfaces(noisy, 1.0)
    assert smooth[10:-10, 5:25].astype(float).std() < 0.6 * noisy[10:-10, 5:25].astype(float).std()
    assert int(smooth[30, 33, 0]) - int(smooth[30, 26, 0]) > 150


def test_a_smooth_field_is_smooth_and_about_of_unit_amplitude() -> None:
    field = handling.smooth_field(90, 120, 3, np.random.default_rng(5))
    assert field.shape == (90, 120)
    assert field.dtype == np.float32
    assert 0.3 < field.std() < 2.5
    assert np.abs(np.diff(field, axis=1)).max() < 0.4


def test_neutral_colour_settings_change_nothing(photographs: Photographs) -> None:
    image = photographs["coffee"][:64, :64]
    np.testing.assert_array_equal(colour.tone(image), image)
    np.testing.assert_array_equal(colour.white_balance(image, (1.0, 1.0, 1.0)), image)
    np.testing.assert_array_equal(colour.relight(image, 0.0, np.random.default_rng(0)), image)


def test_tone_moves_as_named() -> None:
    grey = np.full((4, 4, 3), 100, dtype=np.uint8)
    assert (colour.tone(grey, brightness=0.1) == 126).all()
    assert colour.tone(grey, gamma=0.5)[0, 0, 0] > 100 > colour.tone(grey, gamma=2.0)[0, 0, 0]
    assert colour.tone(grey, contrast=1.5)[0, 0, 0] < 100 < colour.tone(grey, contrast=0.5)[0, 0, 0]


def test_hue_turns_and_saturation_scales() -> None:
    red = np.zeros((8, 8, 3), dtype=np.uint8)
    red[:, :] = (200, 20, 20)
    green = colour.colour_cast(red, hue_deg=120.0)[0, 0]
    assert green[1] > 190
    assert green[0] < 30
    grey = colour.colour_cast(red, saturation=0.0)[0, 0]
    assert grey.min() == grey.max() == 200


def test_white_balance_multiplies_and_clips() -> None:
    image = np.full((2, 2, 3), 100, dtype=np.uint8)
    assert colour.white_balance(image, (1.5, 1.0, 3.0))[0, 0].tolist() == [150, 100, 255]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_random_edits_stay_recognisable(seed: int, strength: float) -> None:
    columns = np.linspace(60, 180, 64)
    image = np.repeat(np.tile(columns, (64, 1))[:, :, None], 3, axis=2).astype(np.uint8)
    edited = colour.random_edit(image, strength, np.random.default_rng(seed))
    assert edited.shape == image.shape
    assert psnr_db(image, edited) > 8
