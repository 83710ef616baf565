"""Reading without a registry: what is believed, what is refused, and that the bound is one."""

from __future__ import annotations

from itertools import pairwise
from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ftforensics.codec import blind, channel
from ftforensics.codec.tails import chance_p

KEY = channel.build_channel_key(b"blind")
TAG_ID = "00000000deadbeef"
WORD = channel.encode(TAG_ID, KEY)
softs = hnp.arrays(np.float32, 128, elements=st.floats(-10, 10, width=32))


def test_one_bit_in_fifteen_may_be_wrong() -> None:
    random = np.random.default_rng(1)
    believed = 0
    for _ in range(20):
        soft = (1.5 * WORD + random.standard_normal(128)).astype(np.float32)
        found = blind.decode_blind(soft, KEY, trials=36)
        if found is not None:
            believed += 1
            assert found.word.tag_id == TAG_ID
            assert found.false_accept_p <= blind.BLIND_LIMIT
            assert found.runner_up_z < found.word.z
    assert believed >= 15


def equally_loud(wrong: int) -> np.ndarray:
    soft = WORD.copy()
    soft[np.random.default_rng(5).permutation(128)[:wrong]] *= -1
    return soft


def test_fewer_wrong_bits_are_believed_the_more_was_tried() -> None:
    counted = [blind.chance_words(equally_loud(wrong), (128 - 2 * wrong) / sqrt(128)) for wrong in range(12)]
    assert all(0 < left < right for left, right in pairwise(counted))
    for wrong in (0, 3, 7):
        enough = int(blind.BLIND_LIMIT / counted[wrong])
        found = blind.decode_blind(equally_loud(wrong), KEY, trials=enough)
        assert found is not None
        assert found.word.tag_id == TAG_ID
        assert blind.BLIND_LIMIT / 2 < found.false_accept_p <= blind.BLIND_LIMIT
        assert blind.decode_blind(equally_loud(wrong), KEY, trials=enough + enough // 50 + 2) is None
    assert counted[9] > blind.BLIND_LIMIT


def test_the_bound_is_that_of_one_word_times_all_words() -> None:
    soft = np.random.default_rng(6).standard_normal(128).astype(np.float32)
    assert blind.chance_words(soft, 10.0) == 2.0**64 * chance_p(soft, 10.0)
    # With every sign agreeing, one pattern of 2^128 scores as much.
    assert blind.chance_words(WORD, sqrt(128)) == pytest.approx(2.0**-64, rel=1e-6)


def test_two_words_that_fit_alike_are_both_refused() -> None:
    rival = channel.encode("00000000deadbeee", KEY)
    assert blind.decode_blind(WORD, KEY, trials=1) is not None
    # Only where the two agree was anything read; chance is ruled out, but not which of them it is.
    torn = np.where(rival == WORD, WORD, 0.01 * WORD).astype(np.float32)
    assert blind.chance_words(torn, float(WORD @ torn / np.linalg.norm(torn))) < blind.BLIND_LIMIT
    assert blind.decode_blind(torn, KEY, trials=1) is None


def torn_between(loudness: float) -> tuple[np.ndarray, float]:
    """Soft bits in which all that tells two words apart is so loud, and how much likelier the first word is."""
    rival = channel.encode("00000000deadbeee", KEY)
    soft = np.where(rival == WORD, WORD, loudness * WORD).astype(np.float32)
    best, runner_up = (float(word @ soft / np.linalg.norm(soft)) for word in (WORD, rival))
    return soft, blind.log_odds(best, runner_up)


def test_a_word_must_be_a_million_times_likelier_than_the_next() -> None:
    loud = np.linspace(0.001, 0.5, 200)
    odds = [torn_between(value)[1] for value in loud]
    assert odds == sorted(odds)
    at = int(np.searchsorted(odds, log(1e6)))
    assert 0 < at < len(loud) - 1
    assert blind.decode_blind(torn_between(loud[at - 1])[0], KEY, trials=1) is None
    assert blind.decode_blind(torn_between(loud[at + 1])[0], KEY, trials=1) is not None


def test_odds_grow_with_z_and_with_the_distance_of_the_runner_up() -> None:
    assert blind.log_odds(8.0, 8.0) == 0.0
    assert 0 < blind.log_odds(8.0, 7.9) < blind.log_odds(8.0, 7.5) < blind.log_odds(10.0, 9.5)
    assert blind.log_odds(sqrt(128), 10.0) == inf or blind.log_odds(sqrt(128), 10.0) > 1e9


def test_odds_are_those_of_gaussian_noise() -> None:
    random = np.random.default_rng(7)
    amplitude = 1.2
    soft = amplitude * WORD + random.standard_normal(128)
    rival = channel.encode("00000000deadbeee", KEY)
    exact = amplitude * float((WORD - rival) @ soft)
    norm = np.linalg.norm(soft)
    assert blind.log_odds(float(WORD @ soft / norm), float(rival @ soft / norm)) == pytest.approx(exact, rel=0.35)
    assert exact > log(1e6)


@pytest.mark.parametrize("value", [0.0, -0.0, np.nan, np.inf, -np.inf])
def test_silence_and_nonsense_decode_to_no_tag(value: float) -> None:
    for secret in range(20):
        key = channel.build_channel_key(b"silence %d" % secret)
        assert blind.decode_blind(np.full(128, value, dtype=np.float32), key, trials=1) is None
        one = np.zeros(128, dtype=np.float32)
        one[secret] = 1.0
        # All but one bit are undecided; the mask makes them random, and no word of the code stands out.
        assert blind.decode_blind(one, key, trials=1) is None


@settings(max_examples=60, deadline=None)
@given(softs, st.integers(1, 10**6))
def test_arbitrary_soft_bits_keep_the_budget(soft: np.ndarray, trials: int) -> None:
    found = blind.decode_blind(soft, KEY, trials=trials)
    if found is not None:
        assert found.false_accept_p <= blind.BLIND_LIMIT
        assert found.false_accept_p == min(1.0, blind.chance_words(soft, found.word.z) * trials)


def test_unrelated_soft_bits_decode_to_nothing() -> None:
    random = np.random.default_rng(8)
    for draw in (random.standard_normal, random.standard_cauchy, lambda n: random.choice([-1.0, 1.0], n)):
        for _ in range(100):
            assert blind.decode_blind(np.asarray(draw(128), dtype=np.float32), KEY, trials=1) is None


def test_another_key_decodes_nothing() -> None:
    for number in range(50):
        assert blind.decode_blind(WORD, channel.build_channel_key(b"other %d" % number), trials=1) is None
