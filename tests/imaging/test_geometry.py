"""The algebra of affine maps, and pictures seen through known frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftforensics.imaging import geometry

numbers = st.floats(-3, 3, allow_nan=False)


@st.composite
def maps(draw: st.DrawFn) -> geometry.Affine:
    return geometry.about_centre(
        scale_x=draw(st.floats(0.2, 4)),
        scale_y=draw(st.floats(0.2, 4)),
        angle_deg=draw(st.floats(-180, 180)),
        centre=(draw(numbers), draw(numbers)),
        mirrored=draw(st.booleans()),
    )


def apply(affine: geometry.Affine, x: float, y: float) -> np.ndarray:
    return affine @ np.array([x, y, 1.0])


@given(maps(), maps(), numbers, numbers)
def test_compose_applies_the_inner_map_first(
    outer: geometry.Affine, inner: geometry.Affine, x: float, y: float
) -> None:
    np.testing.assert_allclose(
        apply(geometry.compose(outer, inner), x, y), apply(outer, *apply(inner, x, y)), atol=1e-9
    )


@given(maps(), maps(), maps())
def test_compose_is_associative_with_identity(a: geometry.Affine, b: geometry.Affine, c: geometry.Affine) -> None:
    left = geometry.compose(geometry.compose(a, b), c)
    np.testing.assert_allclose(left, geometry.compose(a, geometry.compose(b, c)), atol=1e-8)
    np.testing.assert_array_equal(geometry.compose(a, geometry.IDENTITY), a)
    np.testing.assert_array_equal(geometry.compose(geometry.IDENTITY, a), a)


@given(maps(), maps())
def test_invert_undoes_and_turns_products_around(a: geometry.Affine, b: geometry.Affine) -> None:
    np.testing.assert_allclose(geometry.compose(a, geometry.invert(a)), geometry.IDENTITY, atol=1e-9)
    np.testing.assert_allclose(geometry.compose(geometry.invert(a), a), geometry.IDENTITY, atol=1e-9)
    product = geometry.invert(geometry.compose(a, b))
    np.testing.assert_allclose(product, geometry.compose(geometry.invert(b), geometry.invert(a)), atol=1e-7)


def test_invert_refuses_a_degenerate_map() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        geometry.invert(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]]))


@given(numbers, numbers)
def test_about_centre_sends_the_middle_to_the_centre(x: float, y: float) -> None:
    made = geometry.about_centre(scale_x=0.7, scale_y=1.3, angle_deg=33.0, centre=(x, y), mirrored=True)
    np.testing.assert_allclose(apply(made, 0.5, 0.5), [x, y], atol=1e-12)


def test_about_centre_turns_mirrors_and_scales_as_named() -> None:
    quarter = geometry.about_centre(angle_deg=90.0)
    np.testing.assert_allclose(apply(quarter, 1.0, 0.5), [0.5, 1.0], atol=1e-12)  # y grows downwards: clockwise
    np.testing.assert_allclose(apply(geometry.about_centre(mirrored=True), 0.0, 0.25), [1.0, 0.25], atol=1e-12)
    assert np.linalg.det(geometry.about_centre(mirrored=True)[:, :2]) < 0
    np.testing.assert_allclose(apply(geometry.about_centre(scale_x=0.5, scale_y=0.25), 1.0, 1.0), [0.75, 0.625])


def test_to_pixels_keeps_corners_at_half_integers() -> None:
    pixels = geometry.to_pixels(geometry.IDENTITY, (10, 20), (5, 40))
    np.testing.assert_allclose(apply(pixels, -0.5, -0.5), [-0.5, -0.5], atol=1e-12)
    np.testing.assert_allclose(apply(pixels, 39.5, 4.5), [19.5, 9.5], atol=1e-12)


def test_sample_frame_through_the_identity_changes_nothing(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(geometry.sample_frame(image, geometry.IDENTITY, (40, 60)), image)


def test_sample_frame_of_a_whole_pixel_shift_is_that_shift(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    frame = np.array([[1.0, 0.0, 7 / 60], [0.0, 1.0, 5 / 40]])
    seen = geometry.sample_frame(image, frame, (40, 60), (1.0, 2.0, 3.0))
    np.testing.assert_array_equal(seen[:-5, :-7], image[5:, 7:])
    assert (seen[-5:] == [1, 2, 3]).all()
    assert (seen[:, -7:] == [1, 2, 3]).all()


def test_sample_frame_mirrors_exactly(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    seen = geometry.sample_frame(image, geometry.about_centre(mirrored=True), (40, 60))
    np.testing.assert_array_equal(seen, image[:, ::-1])


def test_sample_frame_of_a_crop_is_the_crop(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    frame = np.array([[0.5, 0.0, 0.25], [0.0, 0.5, 0.125]])
    np.testing.assert_array_equal(geometry.sample_frame(image, frame, (32, 32)), image[8:40, 16:48])


def test_sample_frame_fills_outside_with_the_mean() -> None:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[:16] = (200, 100, 60)
    outside = geometry.about_centre(centre=(5.0, 5.0))
    assert (geometry.sample_frame(image, outside, (32, 32)) == [100, 50, 30]).all()


def test_sample_frame_keeps_dtype_of_single_planes() -> None:
    image = np.ones((32, 32), dtype=np.float32)
    seen = geometry.sample_frame(image, geometry.about_centre(angle_deg=20.0), (16, 16), (0.0,))
    assert seen.dtype == np.float32
    assert seen.shape == (16, 16)
    assert seen[8, 8] == pytest.approx(1.0, abs=1e-5)


def test_sample_frame_shrinks_without_aliasing() -> None:
    columns = np.arange(512)
    stripes = np.where(columns % 2 == 0, 0, 255).astype(np.uint8)
    image = np.repeat(np.tile(stripes, (512, 1))[:, :, None], 3, axis=2)
    seen = geometry.sample_frame(image, geometry.about_centre(angle_deg=1.0), (64, 64))
    assert abs(seen[16:48, 16:48].astype(float) - 127.5).max() < 8


def test_a_frame_and_its_inverse_bring_a_smooth_picture_back() -> None:
    rows, columns = np.mgrid[0:96, 0:96] / 96.0
    smooth = np.stack([np.sin(5 * rows), np.cos(4 * columns), rows * columns], axis=2).astype(np.float32)
    frame = geometry.about_centre(scale_x=0.9, scale_y=0.95, angle_deg=7.0, centre=(0.52, 0.49), mirrored=True)
    back = geometry.sample_frame(geometry.sample_frame(smooth, frame, (96, 96)), geometry.invert(frame), (96, 96))
    np.testing.assert_allclose(back[24:72, 24:72], smooth[24:72, 24:72], atol=0.01)


spans = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda ends: (min(ends), max(ends)))


@given(spans, spans)
def test_what_is_cut_out_is_told_as_what_it_is(across, down) -> None:
    """Cut to whole pixels, as near as they come, and told as what they are."""
    image = np.arange(40 * 60).reshape(40, 60)
    rectangle = (across[0], down[0], across[1], down[1])
    pixels, kept = geometry.cut(image, rectangle)
    assert np.abs(np.subtract(kept, rectangle)).max() <= 0.5 / 40 + 1e-9
    assert pixels.shape == (round((kept[3] - kept[1]) * 40), round((kept[2] - kept[0]) * 60))
    if pixels.size:
        assert pixels[0, 0] == image[round(kept[1] * 40), round(kept[0] * 60)]
        assert pixels[-1, -1] == image[round(kept[3] * 40) - 1, round(kept[2] * 60) - 1]
        np.testing.assert_allclose(apply(geometry.upright(kept), 0.0, 1.0), [kept[0], kept[3]], atol=1e-12)
