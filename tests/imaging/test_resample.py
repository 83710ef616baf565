"""Resizing: one convention, dtype kept, nothing aliased."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.imaging.resample import fit_within, planes_to_image, resize

sides = st.integers(1, 70)


@settings(max_examples=60)
@given(sides, sides, sides, sides, st.sampled_from([np.uint8, np.float32]), st.integers(0, 255))
def test_resize_gives_the_asked_size_and_keeps_dtype_and_constants(
    height: int, width: int, tall: int, wide: int, dtype: type, value: int
) -> None:
    image = np.full((height, width, 3), value, dtype=dtype)
    made = resize(image, wide, tall)
    assert made.shape == (tall, wide, 3)
    assert made.dtype == dtype
    np.testing.assert_allclose(made, value, atol=1e-3)


def test_resize_to_the_same_size_is_the_same_picture(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (17, 23, 3), dtype=np.uint8)
    assert resize(image, 23, 17) is image


def test_shrinking_averages_areas(rng: np.random.Generator) -> None:
    image = rng.random((64, 96)).astype(np.float32)
    blocks = image.reshape(16, 4, 32, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(image, 32, 16), blocks, atol=1e-6)


def test_shrinking_one_side_alone_averages_too(rng: np.random.Generator) -> None:
    image = rng.random((64, 20)).astype(np.float32)
    np.testing.assert_allclose(resize(image, 20, 16), image.reshape(16, 4, 20).mean(axis=1), atol=1e-6)


def test_growing_keeps_pixel_centres_at_half_integers() -> None:
    # OpenCV's cubic kernel bends a ramp by up to 0.05; corner alignment would shift it by up to 0.5.
    ramp = np.tile(np.arange(32, dtype=np.float32), (32, 1))
    expected = (np.arange(64) + 0.5) / 2 - 0.5
    grown = resize(ramp, 64, 64)
    np.testing.assert_allclose(grown[:, 4:-4], np.tile(expected[4:-4], (64, 1)), atol=0.06)


@given(sides, sides, st.integers(1, 64))
def test_fit_within_bounds_the_long_side_and_never_grows(height: int, width: int, most: int) -> None:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    made = fit_within(image, most)
    if max(height, width) <= most:
        assert made is image
    else:
        assert max(made.shape[:2]) == most
        assert min(made.shape[:2]) >= 1
        assert abs(min(made.shape[:2]) - most * min(height, width) / max(height, width)) <= 1


def test_planes_to_image_is_cubic_enlargement_of_each_plane(rng: np.random.Generator) -> None:
    planes = rng.standard_normal((3, 16, 16)).astype(np.float32)
    image = planes_to_image(planes, 48, 32)
    assert image.shape == (32, 48, 3)
    for index in range(3):
        np.testing.assert_allclose(image[:, :, index], resize(planes[index], 48, 32), atol=1e-5)
