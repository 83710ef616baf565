"""The tail of a weighted sum of random signs."""

from __future__ import annotations

from itertools import product
from math import comb, exp, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ftforensics.codec import tails

softs = hnp.arrays(np.float32, 128, elements=st.floats(-10, 10, width=32))


@pytest.mark.parametrize("wrong", [0, 5, 15, 20, 24, 30])
def test_equal_soft_bits_give_the_binomial_tail(wrong: int) -> None:
    z = (128 - 2 * wrong) / sqrt(128)
    expected = sum(comb(128, count) for count in range(wrong + 1)) / 2**128
    assert tails.chance_p(np.full(128, 0.3), z) == pytest.approx(expected, rel=1e-9)


def brute_force(soft: np.ndarray, z: float) -> float:
    signs = np.array(list(product((-1.0, 1.0), repeat=len(soft))))
    return float((signs @ soft / np.linalg.norm(soft) >= z).mean())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.5, 4.4))
def test_it_bounds_the_count_of_every_sign_pattern_and_closely(seed: int, z: float) -> None:
    soft = np.random.default_rng(seed).standard_normal(14)
    z = min(z, float(np.abs(soft).sum() / np.linalg.norm(soft)))
    counted = tails._share_of_subsets(
        np.abs(soft) / np.linalg.norm(soft), (np.abs(soft).sum() / np.linalg.norm(soft) - z) / 2 + tails._SLACK
    )
    assert counted >= brute_force(soft, z) * (1 - 1e-12)
    assert counted <= brute_force(soft, z - 0.01) * (1 + 1e-12)


@settings(max_examples=60, deadline=None)
@given(softs, st.floats(-12, 12), st.floats(-12, 12))
def test_it_falls_with_z_and_never_leaves_hoeffdings_bound(soft: np.ndarray, low: float, high: float) -> None:
    low, high = sorted((low, high))
    if not np.any(soft):
        return
    assert 0.0 <= tails.chance_p(soft, high) <= tails.chance_p(soft, low) <= tails.hoeffding_p(low)


def test_scale_and_signs_of_the_soft_bits_do_not_matter() -> None:
    soft = np.random.default_rng(1).standard_normal(128)
    flipped = soft * np.random.default_rng(2).choice([-1.0, 1.0], 128)
    assert tails.chance_p(1e6 * flipped, 7.0) == pytest.approx(tails.chance_p(soft, 7.0), rel=1e-6)


def test_one_loud_bit_is_worth_one_bit() -> None:
    soft = np.r_[1e6, np.full(127, 1e-6)]
    assert tails.chance_p(soft, 0.9) <= 1.0
    # All the weight in 20 bits: no agreement can be rarer than 2^-20, however large z is made to look.
    few = np.r_[np.ones(20), np.zeros(108)]
    assert tails.chance_p(few, sqrt(20)) == pytest.approx(2.0**-20)


def test_silence_and_negative_scores_prove_nothing() -> None:
    assert tails.chance_p(np.zeros(128), 9.0) == 1.0
    assert tails.chance_p(np.full(128, np.nan), 9.0) == tails.chance_p(np.full(128, np.inf), 9.0) == 1.0
    assert tails.chance_p(np.ones(128), -8.0) == 1.0
    assert tails.hoeffding_p(3.0) == exp(-4.5)


def test_more_agreement_than_there_is_weight_has_no_chance() -> None:
    assert tails.chance_p(np.r_[np.ones(16), np.zeros(112)], 4.5) == 0.0
