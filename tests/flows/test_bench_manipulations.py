from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ftforensics.domain.model import GeneratorCard
from ftforensics.flows.bench.manipulations import (
    BATTERY,
    Manipulation,
    Means,
    apply_manipulation,
    describe,
    draw_random,
)

Pixels = NDArray[np.uint8]
NAMES = [one.name for one in BATTERY]


def means(photographs: dict[str, Pixels], seed: int, name: str) -> Means:
    return Means(
        donor=photographs["chelsea"], regenerate=lambda _, p, __: p, random=draw_random(seed, "ab" * 32, name, 0)
    )


def test_every_row_of_the_battery_has_a_name_and_a_definition_of_its_own():
    assert len(set(NAMES)) == len(NAMES)
    assert len({one.definition for one in BATTERY}) == len(BATTERY)


@pytest.mark.parametrize("chosen", BATTERY, ids=NAMES)
def test_a_manipulation_gives_pixels_depends_on_its_draw_alone_and_spares_its_input(
    chosen: Manipulation, photographs: dict[str, Pixels]
):
    picture = photographs["coffee"]
    before = picture.copy()
    made = [apply_manipulation(chosen, picture, means(photographs, 5, chosen.name)) for _ in range(2)]
    assert made[0].dtype == np.uint8
    assert made[0].ndim == 3
    assert made[0].flags.c_contiguous
    assert np.array_equal(made[0], made[1])
    assert np.array_equal(picture, before)
    if chosen.name not in ("none", "GAN simulator", "generator A (black box)", "generator B (black box)"):
        assert made[0].shape != picture.shape or not np.array_equal(made[0], picture)


@pytest.mark.parametrize("chosen", [one for one in BATTERY if one.draws > 1], ids=lambda one: one.name)
def test_draws_differ(chosen: Manipulation, photographs: dict[str, Pixels]):
    first, second = (
        apply_manipulation(chosen, photographs["coffee"], means(photographs, seed, chosen.name)) for seed in (1, 2)
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("name", "largest_px"),
    [("JPEG 50 at 640 px", 640), ("resize to 256 px", 256), ("swap, 480 px, JPEG 60", 480), ("social pipeline", 480)],
)
def test_small_pictures_are_never_enlarged(name: str, largest_px: int, photographs: dict[str, Pixels]):
    chosen = next(one for one in BATTERY if one.name == name)
    small = np.ascontiguousarray(photographs["coffee"][:150, :200])
    assert apply_manipulation(chosen, small, means(photographs, 1, name)).shape == small.shape
    large = np.ascontiguousarray(np.tile(photographs["coffee"], (2, 2, 1)))
    assert max(apply_manipulation(chosen, large, means(photographs, 1, name)).shape) == largest_px


@pytest.mark.parametrize("share", [30, 50])
def test_a_box_splice_replaces_what_its_definition_says(share: int, photographs: dict[str, Pixels]):
    chosen = next(one for one in BATTERY if one.name == f"box splice, {share} %")
    picture = np.zeros_like(photographs["coffee"])
    donor = np.full_like(picture, 255)
    random = draw_random(1, "ab" * 32, chosen.name, 0)
    made = apply_manipulation(chosen, picture, Means(donor=donor, regenerate=lambda _, p, __: p, random=random))
    assert np.mean(made == 255) == pytest.approx((share / 100) ** 2, abs=0.005)


def test_a_half_width_swap_covers_half_the_width(photographs: dict[str, Pixels]):
    chosen = next(one for one in BATTERY if one.name == "face-like swap, 50 %")
    picture = photographs["coffee"]
    made = apply_manipulation(chosen, picture, means(photographs, 1, chosen.name))
    touched = np.abs(made.astype(int) - picture).max(axis=2) > 30
    across = np.ptp(np.nonzero(touched.any(axis=0))[0]) / picture.shape[1]
    assert 0.45 < across < 0.6


def test_new_rows_stand_after_those_that_were_there():
    assert NAMES.index("swap, crop to 70 %, 480 px, JPEG 60") < NAMES.index("AVIF 40")
    assert NAMES.index("crop to 60 %") < NAMES.index("generator A (black box)")
    assert NAMES.index("crop to 40 %") < NAMES.index("caption")
    assert NAMES[-1] == "pixelated face"


def test_a_row_through_a_black_box_asks_for_it_by_name_and_says_how_faithful_it_is(photographs: dict[str, Pixels]):
    asked: list[str] = []

    def regenerate(name: str, picture: Pixels, _: np.random.Generator) -> Pixels:
        asked.append(name)
        return picture

    boxes = [one for one in BATTERY if one.generator is not None]
    for chosen in boxes:
        random = draw_random(1, "ab" * 32, chosen.name, 0)
        donor = photographs["chelsea"]
        apply_manipulation(chosen, photographs["coffee"], Means(donor=donor, regenerate=regenerate, random=random))
        card = GeneratorCard(
            name=str(chosen.generator),
            kind="k",
            file="f",
            sha256="0" * 64,
            parameters=1,
            noise_channels=0,
            psnr_db=27.26,
            ssim=0.9,
            pictures=12,
        )
        assert "PSNR 27.3 dB" in describe(chosen, {card.name: card})
        assert describe(chosen, {}) == chosen.definition
    assert asked == [one.generator for one in boxes]
    assert {"A", "B"} <= set(asked)


@pytest.mark.parametrize("name", ["rotation 90°", "collage of four"])
def test_rows_that_a_deeper_search_would_serve_say_how_they_were_read(name: str):
    chosen = next(one for one in BATTERY if one.name == name)
    assert "default search" in chosen.definition


def test_a_collage_keeps_about_the_size_of_its_picture(photographs: dict[str, Pixels]):
    chosen = next(one for one in BATTERY if one.name == "collage of four")
    picture = photographs["coffee"]
    made = apply_manipulation(chosen, picture, means(photographs, 1, chosen.name))
    gutters = 3 * round(0.02 * max(picture.shape))
    assert made.shape == (picture.shape[0] + gutters, picture.shape[1] + gutters, 3)
