"""What holds for all manipulations: 8-bit pictures in and out, inputs untouched, a function of the generator alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ftforensics.attacks import colour, handling, regions, warps

Pixels = np.ndarray
Attack = Callable[[Pixels, np.random.Generator], Pixels]


def donor_of(image: Pixels) -> Pixels:
    return np.ascontiguousarray(255 - image[::-1, : image.shape[1] // 2])


def soft_middle(image: Pixels) -> np.ndarray:
    return regions.ellipse_mask(*image.shape[:2], (0.5, 0.5), (0.2, 0.25), 0.02)


ATTACKS: dict[str, Attack] = {
    "jpeg": lambda image, _: handling.jpeg(image, 50),
    "webp": lambda image, _: handling.webp(image, 50),
    "down_up": lambda image, _: handling.down_up(image, 3.0),
    "gaussian_noise": lambda image, random: handling.gaussian_noise(image, 0.05, random),
    "blur": lambda image, _: handling.blur(image, 1.2),
    "sharpen": lambda image, _: handling.sharpen(image, 1.0),
    "median": lambda image, _: handling.median(image, 3),
    "smooth_surfaces": lambda image, _: handling.smooth_surfaces(image, 0.7),
    "tone": lambda image, _: colour.tone(image, brightness=0.1, contrast=1.2, gamma=0.8),
    "colour_cast": lambda image, _: colour.colour_cast(image, hue_deg=20.0, saturation=1.4),
    "white_balance": lambda image, _: colour.white_balance(image, (1.2, 1.0, 0.8)),
    "relight": lambda image, random: colour.relight(image, 1.0, random),
    "random_edit": lambda image, random: colour.random_edit(image, 1.0, random),
    "swap_region": lambda image, _: regions.swap_region(image, donor_of(image), soft_middle(image))[0],
    "swap_region_poisson": lambda image, _: regions.swap_region_poisson(image, donor_of(image), soft_middle(image))[0],
    "mirror": lambda image, _: warps.mirror(image),
    "rotate": lambda image, _: warps.rotate(image, 10.0),
    "reenact": lambda image, random: warps.reenact(image, 0.02, random),
}
RESIZING: dict[str, Attack] = {
    "crop": lambda image, random: warps.crop(image, 0.7, random),
    "border": lambda image, _: warps.border(image, (0.1, 0.05, 0.2, 0.0), (255, 255, 255)),
    "resize_long_side": lambda image, _: handling.resize_long_side(image, 96),
}
EVERY = ATTACKS | RESIZING


@pytest.fixture(params=[(120, 160), (131, 97)], ids=["even", "odd"])
def picture(request: pytest.FixtureRequest, photographs: dict[str, Pixels]) -> Pixels:
    height, width = request.param
    return np.ascontiguousarray(photographs["chelsea"][40 : 40 + height, 60 : 60 + width])


@pytest.mark.parametrize("name", EVERY)
def test_a_picture_comes_out_changed_and_the_input_is_untouched(name: str, picture: Pixels) -> None:
    before = picture.copy()
    made = EVERY[name](picture, np.random.default_rng(1))
    assert made.dtype == np.uint8
    assert made.ndim == 3
    assert made.shape[2] == 3
    if name in ATTACKS:
        assert made.shape == picture.shape
        assert not np.array_equal(made, picture)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("name", EVERY)
def test_the_result_is_a_function_of_the_generator(name: str, picture: Pixels) -> None:
    np.random.seed(0)  # a global generator must play no part
    first = EVERY[name](picture, np.random.default_rng(7))
    np.random.seed(1)
    np.testing.assert_array_equal(EVERY[name](picture, np.random.default_rng(7)), first)


@pytest.mark.parametrize("name", ["gaussian_noise", "relight", "random_edit", "reenact", "crop"])
def test_other_randomness_gives_another_result(name: str, picture: Pixels) -> None:
    left, right = (EVERY[name](picture, np.random.default_rng(seed)) for seed in (1, 2))
    assert left.shape == right.shape
    assert not np.array_equal(left, right)


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("name", EVERY)
def test_black_and_white_pictures_are_survived_without_wrapping(name: str, value: int) -> None:
    plain = np.full((64, 80, 3), value, dtype=np.uint8)
    made = EVERY[name](plain, np.random.default_rng(1))
    assert made.dtype == np.uint8
    if name in {"jpeg", "webp", "down_up", "blur", "sharpen", "median", "smooth_surfaces", "mirror", "crop", "reenact"}:
        assert abs(made.astype(int) - value).max() <= 1
