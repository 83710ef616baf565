from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.attacks import attributes

Pixels = np.ndarray
Attack = Callable[[Pixels, float, np.random.Generator], Pixels]

ATTACKS: dict[str, Attack] = {
    name: getattr(attributes, name) for name in ("recolour_hair", "recolour_skin", "age", "glasses", "relight_face")
}
SIZES = st.tuples(st.integers(1, 70), st.integers(1, 70)) | st.sampled_from([(8, 200), (200, 8), (1, 1), (3, 300)])
SKIN = (200, 150, 125)


@pytest.mark.parametrize("name", ATTACKS)
@settings(max_examples=25)
@given(size=SIZES, strength=st.floats(0, 1), seed=st.integers(0, 1000))
def test_size_is_kept_and_the_generator_alone_decides(
    name: str, size: tuple[int, int], strength: float, seed: int
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = picture.copy()
    made, again = (ATTACKS[name](picture, strength, np.random.default_rng(seed)) for _ in range(2))
    assert made.dtype == np.uint8
    assert made.shape == picture.shape
    np.testing.assert_array_equal(made, again)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("name", ATTACKS)
def test_strength_zero_changes_nothing_and_more_changes_more(name: str, photographs: dict[str, Pixels]) -> None:
    picture = photographs["astronaut"]
    changes = [
        np.abs(ATTACKS[name](picture, strength, np.random.default_rng(5)).astype(float) - picture).mean()
        for strength in (0.0, 0.4, 1.0)
    ]
    assert changes[0] == 0.0
    assert changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("seed", range(4))
def test_the_corners_of_a_portrait_stay(name: str, seed: int, photographs: dict[str, Pixels]) -> None:
    picture = photographs["astronaut"]
    made = ATTACKS[name](picture, 1.0, np.random.default_rng(seed))
    changed = np.abs(made.astype(int) - picture).max(axis=2) > 2
    assert not changed[-40:].any()
    assert not changed[:30, :30].any()
    assert changed.mean() < 0.5


@pytest.mark.parametrize("name", ATTACKS)
def test_draws_differ(name: str, photographs: dict[str, Pixels]) -> None:
    picture = photographs["astronaut"]
    left, right = (ATTACKS[name](picture, 1.0, np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(left, right)


def test_hair_is_recoloured_where_skin_is_not() -> None:
    brown, skin = np.full((200, 200, 3), (40, 60, 40), np.uint8), np.full((200, 200, 3), SKIN, np.uint8)
    changes = [
        np.abs(attributes.recolour_hair(picture, 1.0, np.random.default_rng(2)).astype(int) - picture).max()
        for picture in (brown, skin)
    ]
    assert changes[0] > 20
    assert changes[1] <= 2


def test_skin_is_recoloured_where_foliage_is_not() -> None:
    green, skin = np.full((200, 200, 3), (40, 120, 60), np.uint8), np.full((200, 200, 3), SKIN, np.uint8)
    changes = [
        np.abs(attributes.recolour_skin(picture, 1.0, np.random.default_rng(2)).astype(int) - picture).max()
        for picture in (green, skin)
    ]
    assert changes[0] <= 2
    assert changes[1] > 8


def test_wrinkles_run_sideways() -> None:
    plain = np.full((400, 400, 3), 128, dtype=np.uint8)
    middle = attributes.age(plain, 1.0, np.random.default_rng(1))[160:240, 170:230, 0].astype(float)
    assert middle.std() > 5
    assert np.abs(np.diff(middle, axis=0)).mean() > 2 * np.abs(np.diff(middle, axis=1)).mean()


@pytest.mark.parametrize("seed", range(6))
def test_glasses_are_dark_drawn_on_both_sides_and_soft(seed: int) -> None:
    white = np.full((300, 300, 3), 255, dtype=np.uint8)
    made = attributes.glasses(white, 1.0, np.random.default_rng(seed)).max(axis=2).astype(int)
    rows, columns = np.nonzero(made < 120)
    assert columns.min() < 125
    assert columns.max() > 175
    assert np.ptp(rows) < 0.3 * 300
    assert ((made > 120) & (made < 250)).sum() > 100


def test_light_on_a_face_makes_one_side_brighter_and_the_other_darker() -> None:
    plain = np.full((200, 200, 3), 100, dtype=np.uint8)
    made = attributes.relight_face(plain, 1.0, np.random.default_rng(4))
    assert made.min() < 75
    assert made.max() > 130
