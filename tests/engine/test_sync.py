"""The search finds planted frames, and finds nothing as strong in noise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.codec.carriers import (
    VALUES,
    build_carriers,
    build_sync_carrier,
    build_tag_planes,
    planes_from_rows,
    sync_row,
)
from ftforensics.engine import sync
from ftforensics.engine.sync_grid import FrameGrid, opponent_planes, standing_of
from ftforensics.imaging import geometry

MODEL = "ftf-1"
CORNERS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]).T


@pytest.fixture(scope="module")
def search() -> sync.SyncSearch:
    return sync.SyncSearch(build_sync_carrier(MODEL))


@lru_cache(maxsize=1)
def tag_planes() -> np.ndarray:
    signs = np.random.default_rng(0).choice(np.array([-1.0, 1.0], dtype=np.float32), 128)
    return build_tag_planes(signs, build_carriers(b"s" * 32, MODEL), build_sync_carrier(MODEL))


def noise(seed: int) -> np.ndarray:
    """Noise of mean square 1 inside the carriers' band: the worst kind."""
    rows = np.random.default_rng(seed).standard_normal((1, sync_row(MODEL).shape[1]))
    return planes_from_rows(rows * np.sqrt(VALUES) / np.linalg.norm(rows))[0]


def planted(to_suspect: geometry.Affine, seed: int) -> np.ndarray:
    """A residual map as a reader gives it: half the tag seen through a frame, and as much noise as tag."""
    image = np.ascontiguousarray(tag_planes().transpose(1, 2, 0))
    seen = geometry.sample_frame(image, geometry.invert(to_suspect), (64, 64), (0.0, 0.0, 0.0))
    return (0.5 * seen.transpose(2, 0, 1) + 0.5 * noise(seed)).astype(np.float32)


def turned(angle_deg: float, scale: float, aspect: float, centre: tuple[float, float]) -> geometry.Affine:
    """A frame turned rigidly in the pixels of a suspect of this aspect."""
    return geometry.compose(
        sync.turn_about(angle_deg, aspect, centre), geometry.about_centre(scale_x=scale, scale_y=scale, centre=centre)
    )


ABOUT = geometry.about_centre
FRAMES: dict[str, tuple[geometry.Affine, float]] = {
    "whole": (geometry.IDENTITY, 1.0),
    "crop to 75 %": (ABOUT(scale_x=1 / 0.75, scale_y=1 / 0.75, centre=(0.58, 0.44)), 1.3),
    "crop to 60 %": (ABOUT(scale_x=1 / 0.6, scale_y=1 / 0.6, centre=(0.7, 0.5)), 1.0),
    "crop to half": (ABOUT(scale_x=2.0, scale_y=2.0, centre=(0.35, 0.7)), 1.2),
    "crop of unequal shares": (ABOUT(scale_x=1.02, scale_y=1 / 0.7, centre=(0.5, 0.62)), 0.9),
    "mirror": (ABOUT(mirrored=True), 1.5),
    "mirror and crop": (ABOUT(scale_x=1.25, scale_y=1.25, centre=(0.45, 0.6), mirrored=True), 1.0),
    "rotate": (turned(6.0, 1.0, 1.4, (0.5, 0.5)), 1.4),
    "rotate the other way, off the grid": (turned(-10.3, 1.03, 0.8, (0.52, 0.5)), 0.8),
    "rotate by 15": (turned(15.0, 1.0, 1.5, (0.5, 0.5)), 1.5),
    "rotate by 16 the other way": (turned(-16.0, 1.0, 0.7, (0.5, 0.5)), 0.7),
    "border": (ABOUT(scale_x=0.75, scale_y=0.75, centre=(0.47, 0.55)), 1.6),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_planted_frame_is_found(name: str, search: sync.SyncSearch) -> None:
    frame, aspect = FRAMES[name]
    found = search.find(planted(frame, 7), aspect)
    assert 1 <= len(found) <= 3
    assert found[0].peak > 7.0
    best = found[0].to_suspect
    assert np.linalg.det(best[:, :2]) * np.linalg.det(frame[:, :2]) > 0
    seen = np.clip(geometry.invert(frame) @ CORNERS, 0.0, 1.0)
    seen = np.vstack([seen, np.ones(4)])
    assert np.abs((best - frame) @ seen).max() < 0.02


def test_noise_stays_under_the_tagged_peaks(search: sync.SyncSearch) -> None:
    peaks = [search.find(noise(seed), 1.2)[0].peak for seed in range(100, 106)]
    assert max(peaks) < 6.5


def test_frames_come_likeliest_first_and_apart(search: sync.SyncSearch) -> None:
    frames = search.find(noise(3), 1.0, keep=3)
    standings = [frame.standing for frame in frames]
    assert standings == sorted(standings, reverse=True)
    assert len(frames) >= 2
    inverses = [geometry.invert(frame.to_suspect) @ CORNERS for frame in frames]
    for index, one in enumerate(inverses):
        assert all(np.abs(one - other).max() * 64 >= 3.0 for other in inverses[:index])


def test_a_score_among_many_places_counts_for_less() -> None:
    few, many = np.log(50 * 80), np.log(1800 * 360)
    assert standing_of(5.0, few) > standing_of(5.0, many)
    assert standing_of(6.0, many) > standing_of(5.0, few)
    assert standing_of(-9.0, few) == standing_of(0.0, few)


def test_a_faint_turned_frame_is_not_crowded_out_by_crops(search: sync.SyncSearch) -> None:
    frame, found = turned(14.0, 1.0, 1.2, (0.5, 0.5)), 0
    for seed in range(8):
        image = np.ascontiguousarray(tag_planes().transpose(1, 2, 0))
        seen = geometry.sample_frame(image, geometry.invert(frame), (64, 64), (0.0, 0.0, 0.0)).transpose(2, 0, 1)
        frames = search.find((0.25 * seen + noise(seed)).astype(np.float32), 1.2, keep=4)
        found += any(np.abs((one.to_suspect - frame) @ CORNERS).max() < 0.05 for one in frames)
    assert found >= 7


def test_crops_are_found_by_their_own_search(search: sync.SyncSearch) -> None:
    frame, aspect = FRAMES["mirror and crop"]
    found = search.find_crops(planted(frame, 7), aspect, keep=2)
    assert np.abs((found[0].to_suspect - frame) @ CORNERS).max() < 0.03
    assert found[0].peak == search.find(planted(frame, 7), aspect, keep=2)[0].peak


@pytest.mark.parametrize("index", range(len(sync.TURNS)))
def test_the_best_of_all_quarter_turns_is_told(search: sync.SyncSearch, index: int) -> None:
    turned_map = sync.see_map(planted(geometry.IDENTITY, 5), geometry.invert(sync.TURNS[index]))
    turn, correlation = search.best_turn(turned_map)
    np.testing.assert_array_equal(turn, sync.TURNS[index])
    expected = sync.correlate_frame(sync.see_map(turned_map, turn), search.sync, geometry.IDENTITY)
    assert correlation == pytest.approx(expected, abs=1e-3)


def test_scores_are_those_of_the_carrier_laid_into_the_map() -> None:
    """Against plain products with the carrier as the map would show it, at places all over one size."""
    planes, seen = opponent_planes(build_sync_carrier(MODEL)), opponent_planes(noise(2))
    image = np.ascontiguousarray(planes.transpose(1, 2, 0))
    surfaces = list(FrameGrid(planes, (0.75,), reach=0.0, mirror_reach=0.0).surfaces(seen[None]))
    assert [one.mirrored for one in surfaces] == [False, True]
    for one in surfaces:
        scores, places = one.scores[0, 0], np.arange(one.scores.shape[2]) - 3.0
        pairs = [(row, column) for row in range(3, 20, 2) for column in range(3, 20, 2)]
        drawn = []
        for row, column in pairs:
            frame = np.array([[1 / 0.75, 0.0, -places[column] / 48], [0.0, 1 / 0.75, -places[row] / 48]])
            frame = geometry.compose(frame, ABOUT(mirrored=True)) if one.mirrored else frame
            shown = geometry.sample_frame(image, geometry.invert(frame), (64, 64), (0.0, 0.0))
            drawn.append(float(np.vdot(shown.transpose(2, 0, 1), seen)))
        found = [scores[pair] for pair in pairs]
        assert np.corrcoef(found, drawn)[0, 1] > 0.97


def test_the_search_is_deterministic(search: sync.SyncSearch) -> None:
    residual = planted(FRAMES["crop to 75 %"][0], 9)
    left, right = search.find(residual, 1.3), sync.SyncSearch(build_sync_carrier(MODEL)).find(residual, 1.3)
    for one, other in zip(left, right, strict=True):
        assert one.peak == other.peak
        np.testing.assert_array_equal(one.to_suspect, other.to_suspect)


def test_silence_is_searched_without_a_warning(search: sync.SyncSearch) -> None:
    with np.errstate(all="raise"):
        assert all(frame.peak < 1e-3 for frame in search.find(np.zeros((3, 64, 64), np.float32), 1.0))


def test_a_small_error_of_a_frame_is_refined_away(search: sync.SyncSearch) -> None:
    error = geometry.about_centre(scale_x=1.012, scale_y=0.993, angle_deg=0.8, centre=(0.506, 0.495))
    corrected = search.refine_aligned(planted(error, 5), 1.0)
    assert np.abs((corrected - error) @ CORNERS).max() < 0.006


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.78])
def test_a_turn_is_rigid_in_pixels(aspect: float) -> None:
    linear = sync.turn_about(25.0, aspect)[:, :2]
    squeeze = np.diag([aspect, 1.0])
    rotation = squeeze @ linear @ np.linalg.inv(squeeze)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(2), atol=1e-12)
    assert rotation[1, 0] == pytest.approx(np.sin(np.deg2rad(25.0)))


def test_a_deep_search_finds_a_quarter_turn_and_a_narrow_crop(search: sync.SyncSearch) -> None:
    quarter = turned(90.0, 1.0, 1.0, (0.5, 0.5))
    for frame in (quarter, ABOUT(scale_x=1 / 0.5, scale_y=1 / 0.95, centre=(0.6, 0.5))):
        found = search.find(planted(frame, 11), 1.0, deep=True, keep=1)[0]
        assert np.abs((found.to_suspect - frame) @ CORNERS).max() < 0.02


def off_by_cells(search: sync.SyncSearch, across: float, down: float, left: float, top: float, mirrored: bool) -> float:
    """How far the corners of the likeliest frame lie from a planted crop's; root mean square, in cells."""
    across = min(max(across, down * 0.8), down / 0.8)
    frame = np.array([[1 / across, 0.0, -left * (1 - across) / across], [0.0, 1 / down, -top * (1 - down) / down]])
    if mirrored:
        frame = geometry.compose(frame, ABOUT(mirrored=True))
    best = search.find(planted(frame, 21), 1.3, keep=4)[0].to_suspect
    error = (geometry.invert(best) - geometry.invert(frame)) @ CORNERS
    return float(np.sqrt(np.square(error).sum(axis=0).mean()) * 64)


# What a frame is off by here is mended when the picture is read anew through it.
@given(
    across=st.floats(0.55, 1.0),
    down=st.floats(0.55, 1.0),
    left=st.floats(0.0, 1.0),
    top=st.floats(0.0, 1.0),
    mirrored=st.booleans(),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_any_crop_is_found(
    search: sync.SyncSearch, across: float, down: float, left: float, top: float, mirrored: bool
) -> None:
    assert off_by_cells(search, across, down, left, top, mirrored) < 1.5


def test_most_crops_are_found_to_within_half_a_cell(search: sync.SyncSearch) -> None:
    random = np.random.default_rng(4)
    off = [
        off_by_cells(search, *random.uniform(0.55, 1.0, 2), *random.uniform(0.0, 1.0, 2), bool(random.integers(2)))
        for _ in range(20)
    ]
    assert np.quantile(off, 0.9) < 0.5


def test_shares_go_from_end_to_end_in_even_steps() -> None:
    steps, ladder = sync.share_steps(1.0, 0.5, 0.06), sync.share_ladder(1.0, 2.0, 0.1)
    assert (steps[0], steps[-1]) == (1.0, 0.5)
    assert (ladder[0], ladder[-1]) == pytest.approx((1.0, 2.0))
    np.testing.assert_allclose(np.diff(steps), steps[1] - steps[0])
    np.testing.assert_allclose(np.diff(np.log(ladder)), np.log(ladder[1]))
    assert abs(steps[1] - steps[0]) <= 0.06
    assert ladder[1] <= 1.1


def test_a_map_seen_through_a_frame_is_the_tagged_frame_again() -> None:
    frame = ABOUT(scale_x=1.25, scale_y=1.25, centre=(0.5, 0.5))
    image = np.ascontiguousarray(tag_planes().transpose(1, 2, 0))
    seen = geometry.sample_frame(image, geometry.invert(frame), (64, 64), (0.0, 0.0, 0.0)).transpose(2, 0, 1)
    back = sync.see_map(np.ascontiguousarray(seen, dtype=np.float32), frame)
    inner = (slice(None), slice(8, 56), slice(8, 56))
    assert np.corrcoef(back[inner].ravel(), tag_planes()[inner].ravel())[0, 1] > 0.9
    assert np.all(back[:, :4] == 0.0)


def test_correlation_with_itself_is_one_and_with_its_negative_minus_one() -> None:
    carrier = build_sync_carrier(MODEL)
    assert sync.correlate_frame(3 * carrier, carrier, geometry.IDENTITY) == pytest.approx(1.0, abs=1e-5)
    assert sync.correlate_frame(-carrier, carrier, geometry.IDENTITY) == pytest.approx(-1.0, abs=1e-5)
    assert sync.correlate_frame(0 * carrier, carrier, geometry.IDENTITY) == 0.0
    assert abs(sync.correlate_frame(noise(1), carrier, geometry.IDENTITY)) < 0.08
