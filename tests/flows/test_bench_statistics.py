from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftforensics.flows.bench.statistics import estimate_mean, estimate_rate, upper_bound


@pytest.mark.parametrize(
    ("count", "trials", "expected"),
    # One-sided 95 % limits, from tables of the beta distribution.
    [(0, 10, 0.2589), (0, 100, 0.02951), (1, 100, 0.04656), (5, 50, 0.19883), (0, 10_000, 0.00029953)],
)
def test_upper_bounds_are_those_of_clopper_and_pearson(count: int, trials: int, expected: float):
    assert upper_bound(count, trials) == pytest.approx(expected, rel=2e-3)


def test_nothing_seen_in_no_trials_bounds_nothing():
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(7, 7) == 1.0


@given(st.integers(0, 40), st.integers(1, 400))
def test_an_upper_bound_lies_above_what_was_seen_and_falls_with_more_trials(count: int, more: int):
    trials = 50
    bound = upper_bound(count, trials)
    assert count / trials < bound <= 1.0
    assert upper_bound(count, trials + more) < bound


def test_a_bootstrap_interval_covers_the_truth_about_as_often_as_it_says(rng: np.random.Generator):
    held = 0
    for seed in range(200):
        estimate = estimate_mean(rng.normal(3.0, 1.0, 40), seed)
        assert estimate.low <= estimate.mean <= estimate.high
        held += estimate.low <= 3.0 <= estimate.high
    assert 175 <= held <= 200


def test_an_interval_is_the_same_for_the_same_seed():
    values = np.array([0.0, 1.0, 1.0, 0.5])
    assert estimate_mean(values, 4) == estimate_mean(values, 4)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_pictures_that_all_agree_do_not_make_certain(value: float):
    estimate = estimate_rate(np.full(20, value), 0)
    assert estimate.mean == value
    # Two-sided 95 %: 1 - 0.025 ** (1 / 20).
    assert estimate.high - estimate.low == pytest.approx(0.16843, abs=1e-4)
