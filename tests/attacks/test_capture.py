from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import features

from ftforensics.attacks import capture
from ftforensics.attacks.collage import collage_of_four, cover
from ftforensics.errors import ModeUnsupported

Pixels = np.ndarray
Attack = Callable[[Pixels, float, np.random.Generator], Pixels]

ATTACKS: dict[str, Attack] = {
    "social_pipeline": capture.social_pipeline,
    "screenshot": capture.screenshot,
    "print_like": capture.print_like,
    "pad": capture.pad,
    "stretch": capture.stretch,
    "collage": lambda image, strength, random: collage_of_four(image, [image] * 3, 0.1 * strength, random)[0],
}
SIZES = st.tuples(st.integers(1, 70), st.integers(1, 70)) | st.sampled_from([(8, 200), (200, 8), (1, 1), (3, 300)])


def make_picture(size: tuple[int, int], seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def error(left: Pixels, right: Pixels) -> float:
    return float(np.abs(left.astype(float) - right).mean())


@pytest.mark.parametrize("name", ATTACKS)
@settings(max_examples=25)
@given(size=SIZES, strength=st.floats(0, 1), seed=st.integers(0, 1000))
def test_any_size_and_strength_gives_a_picture_that_the_generator_alone_decides(
    name: str, size: tuple[int, int], strength: float, seed: int
) -> None:
    picture = make_picture(size, seed)
    before = picture.copy()
    made, again = (ATTACKS[name](picture, strength, np.random.default_rng(seed)) for _ in range(2))
    assert made.dtype == np.uint8
    assert made.ndim == 3
    assert made.shape[2] == 3
    assert min(made.shape) >= 1
    np.testing.assert_array_equal(made, again)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("name", ["screenshot", "print_like", "pad", "stretch"])
def test_strength_zero_changes_nothing(name: str, photographs: dict[str, Pixels]) -> None:
    picture = photographs["astronaut"]
    np.testing.assert_array_equal(ATTACKS[name](picture, 0.0, np.random.default_rng(3)), picture)


def test_a_gentle_platform_only_codes_and_a_harsh_one_does_harm(photographs: dict[str, Pixels]) -> None:
    picture = photographs["astronaut"]
    gentle, harsh = (capture.social_pipeline(picture, strength, np.random.default_rng(3)) for strength in (0.0, 1.0))
    assert gentle.shape == harsh.shape == picture.shape
    assert error(gentle, picture) < 3.0 < error(harsh, picture)


@pytest.mark.parametrize("seed", range(8))
def test_platforms_shrink_large_pictures_and_enlarge_none(seed: int) -> None:
    large = np.zeros((900, 1300, 3), dtype=np.uint8)
    made = capture.social_pipeline(large, 0.6, np.random.default_rng(seed))
    assert made.shape in {(748, 1080, 3), (499, 720, 3)}


def test_a_chain_ends_at_its_smallest_side_and_its_stages_add_up(photographs: dict[str, Pixels]) -> None:
    picture = photographs["coffee"]
    once = capture.coding_chain(picture, [(300, 60)])
    assert once.shape == (200, 300, 3)
    assert capture.coding_chain(picture, [(500, 80), (300, 60), (900, 60)]).shape == (200, 300, 3)
    assert capture.coding_chain(picture, []) is picture


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize("size", [(8, 200), (1, 1), (120, 161)])
def test_avif_keeps_size_and_less_detail_at_lower_quality(
    size: tuple[int, int], photographs: dict[str, Pixels]
) -> None:
    picture = np.ascontiguousarray(photographs["chelsea"][: size[0], : size[1]])
    low, high = capture.avif(picture, 20), capture.avif(picture, 90)
    assert low.shape == high.shape == picture.shape
    assert low.dtype == np.uint8
    np.testing.assert_array_equal(low, capture.avif(picture, 20))
    if size[0] > 100:
        assert error(high, picture) < error(low, picture) < 20


def test_without_avif_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture.features, "check", lambda _: False)
    with pytest.raises(ModeUnsupported, match="AVIF") as raised:
        capture.avif(make_picture((16, 16), 1), 50)
    assert "Pillow" in str(raised.value.remedy)


def test_a_screenshot_has_bars_above_and_below_and_is_smaller(photographs: dict[str, Pixels]) -> None:
    picture = np.full((400, 300, 3), 128, dtype=np.uint8)
    made = capture.screenshot(picture, 1.0, np.random.default_rng(1))
    tall, wide = made.shape[:2]
    assert 0.55 * 300 <= wide <= 0.9 * 300
    assert tall / wide == pytest.approx(1.18 * 400 / 300, rel=0.01)
    bars = (made != 128).any(axis=2).mean(axis=1) > 0.9
    assert bars[0]
    assert bars[-1]
    assert bars.mean() == pytest.approx(0.18 / 1.18, abs=0.02)


def test_a_print_is_yellowish_and_keeps_its_size(photographs: dict[str, Pixels]) -> None:
    grey = np.full((200, 260, 3), 128, dtype=np.uint8)
    made = capture.print_like(grey, 1.0, np.random.default_rng(1))
    assert made.shape == grey.shape
    red, green, blue = made.reshape(-1, 3).mean(axis=0)
    assert red > green > blue
    assert made.std() > 4


@given(seed=st.integers(0, 1000), strength=st.floats(0.02, 0.6))
def test_padding_adds_what_it_says_and_keeps_the_picture_whole(seed: int, strength: float) -> None:
    picture = make_picture((100, 150), 1)
    made = capture.pad(picture, strength, np.random.default_rng(seed))
    assert made.shape[0] == pytest.approx(100 * (1 + strength), abs=1)
    assert made.shape[1] == pytest.approx(150 * (1 + strength), abs=1)
    corner = picture[0, :8].tobytes()
    assert any(corner in row.tobytes() for row in made)


@given(seed=st.integers(0, 1000))
def test_stretching_shrinks_one_side_alone(seed: int) -> None:
    made = capture.stretch(make_picture((115, 230), 1), 0.15, np.random.default_rng(seed))
    assert made.shape in {(100, 230, 3), (115, 200, 3)}


@given(turns=st.integers(-5, 9))
def test_quarter_turns_undo_each_other(turns: int) -> None:
    picture = make_picture((8, 20), 1)
    turned = capture.quarter_turns(picture, turns)
    assert turned.shape == ((8, 20, 3) if turns % 2 == 0 else (20, 8, 3))
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(capture.quarter_turns(turned, -turns), picture)


@given(seed=st.integers(0, 1000), gutter=st.floats(0, 0.2), size=st.tuples(st.integers(2, 60), st.integers(2, 60)))
def test_a_collage_holds_the_picture_at_half_its_sides_in_the_place_that_it_says(
    seed: int, gutter: float, size: tuple[int, int]
) -> None:
    picture = np.full((*size, 3), 200, dtype=np.uint8)
    others = [np.full((9 + index, 30 - index, 3), 10 * index, dtype=np.uint8) for index in range(3)]
    sheet, place = collage_of_four(picture, others, gutter, np.random.default_rng(seed))
    tall, wide, gap = size[0] // 2, size[1] // 2, round(gutter * max(size))
    assert sheet.shape == (2 * tall + 3 * gap, 2 * wide + 3 * gap, 3)
    cells = [
        sheet[top : top + tall, left : left + wide] for top in (gap, 2 * gap + tall) for left in (gap, 2 * gap + wide)
    ]
    shown = [int(cell[0, 0, 0]) for cell in cells]
    assert shown.pop(place) == 200
    assert shown == [0, 10, 20]
    assert all((cell == cell[0, 0]).all() for cell in cells)
    if gap:
        assert (sheet[:gap] == 255).all()


def test_every_place_of_a_collage_is_drawn() -> None:
    picture = make_picture((8, 200), 1)
    assert {collage_of_four(picture, [picture] * 3, 0.02, np.random.default_rng(s))[1] for s in range(40)} == {
        0,
        1,
        2,
        3,
    }


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_collage_of_four_needs_three_others(count: int) -> None:
    picture = make_picture((20, 20), 1)
    with pytest.raises(ValueError, match=str(count)):
        collage_of_four(picture, [picture] * count, 0.02, np.random.default_rng(1))


def test_covering_cuts_about_the_middle_and_keeps_proportions() -> None:
    picture = np.zeros((40, 100, 3), dtype=np.uint8)
    picture[:, 30:70] = 255
    assert (cover(picture, 20, 20) == 255).all()
