import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftforensics.link.features import Features
from ftforensics.link.homography import fit_homography, log10_chance, map_points, overlap


def _features(points):
    return Features(
        points=points.astype(np.float32),
        bits=np.zeros((len(points), 16), np.uint8),
        width_px=400,
        height_px=300,
    )


def _matched(matrix, count=80, wrong=0, seed=0):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0.05, 0.95, (count, 2))
    end = map_points(matrix, start)
    end[:wrong] = rng.uniform(0, 1, (wrong, 2))
    pairs = np.stack([np.arange(count)] * 2, axis=1)
    return _features(start), _features(end), pairs


CROP = np.array([[1.6, 0.0, -0.3], [0.0, 1.6, -0.2], [0.0, 0.0, 1.0]])
MIRRORED = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(("matrix", "mirrored"), [(np.eye(3), False), (CROP, False), (MIRRORED, True)])
def test_the_map_is_found_among_wrong_matches(matrix, mirrored):
    source, suspect, pairs = _matched(matrix, wrong=40)
    fit = fit_homography(source, suspect, pairs, mirrored=mirrored)
    assert fit is not None
    corners = np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]])
    assert np.max(np.abs(map_points(fit.matrix, corners) - map_points(matrix, corners))) < 0.01
    assert 35 <= fit.distinct <= 45
    assert fit.log10_chance < -40


def test_a_mirrored_map_is_refused_where_none_was_asked_for():
    source, suspect, pairs = _matched(MIRRORED)
    assert fit_homography(source, suspect, pairs, mirrored=False) is None


@pytest.mark.parametrize(
    "matrix",
    [
        np.array([[0.02, 0.0, 0.5], [0.0, 0.02, 0.5], [0.0, 0.0, 1.0]]),  # all onto one spot
        np.array([[1.0, 0.0, 0.0], [0.0, 0.2, 0.4], [0.0, 0.0, 1.0]]),  # squashed
        np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.6, 0.0, 1.2]]),  # vanishing line in the picture
    ],
)
def test_degenerate_maps_are_refused(matrix):
    source, suspect, pairs = _matched(matrix, count=120)
    assert fit_homography(source, suspect, pairs, mirrored=False) is None


def test_too_few_matches_give_no_map():
    source, suspect, pairs = _matched(np.eye(3), count=5)
    assert fit_homography(source, suspect, pairs, mirrored=False) is None


def test_random_matches_never_exclude_chance():
    for seed in range(30):
        source, suspect, pairs = _matched(np.eye(3), count=60, wrong=60, seed=seed)
        fit = fit_homography(source, suspect, pairs, mirrored=False)
        assert fit is None or fit.log10_chance > -2


@given(st.integers(5, 60), st.integers(0, 200))
def test_more_agreement_is_less_likely_by_chance(agreeing, others):
    total = agreeing + others
    assert log10_chance(agreeing + 1, total + 1, 1e-4) < log10_chance(agreeing, total + 1, 1e-4)
    assert log10_chance(agreeing, total + 1, 1e-4) >= log10_chance(agreeing, total, 1e-4)


def test_the_chance_bound_is_the_binomial_one():
    expected = math.log10(10 - 4) + math.log10(math.comb(10, 7)) + math.log10(math.comb(7, 4)) + 3 * math.log10(0.01)
    assert log10_chance(7, 10, 0.01) == pytest.approx(expected)


def test_overlap_of_a_crop_is_the_share_of_the_source_that_it_shows():
    side = 1 / 0.6
    matrix = np.array([[side, 0.0, -0.2], [0.0, side, -0.3], [0.0, 0.0, 1.0]])
    assert overlap(matrix)[0] == pytest.approx(0.36, abs=1e-9)
    assert overlap(np.eye(3))[0] == pytest.approx(1.0)
    assert overlap(np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))[0] == 0.0
