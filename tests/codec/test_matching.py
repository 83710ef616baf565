"""The matching statistic and its bounds."""

from __future__ import annotations

from functools import partial
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ftforensics.codec import channel, matching
from ftforensics.codec.tails import chance_p

softs = hnp.arrays(np.float32, 128, elements=st.floats(-10, 10, width=32))
words = hnp.arrays(np.int8, st.tuples(st.integers(1, 20), st.just(128)), elements=st.sampled_from([-1, 1]))
zs = st.floats(-12, 12)
counts = st.integers(1, 10**9)


@settings(max_examples=60)
@given(softs, words)
def test_z_is_the_formula_and_never_above_its_maximum(soft: np.ndarray, book: np.ndarray) -> None:
    scores = matching.z_scores(soft, book)
    wide = soft.astype(np.float64)
    norm = sqrt(float((wide**2).sum()))
    expected = book.astype(np.float64) @ wide / norm if norm > 1e-30 else np.zeros(len(book))
    if norm > 1e-15:
        np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert (np.abs(scores) <= sqrt(128) + 1e-4).all()


@settings(max_examples=40)
@given(st.binary(min_size=8, max_size=8).map(bytes.hex), st.floats(0.01, 100))
def test_a_perfect_reading_has_the_largest_z_there_is(tag_id: str, scale: float) -> None:
    key = channel.build_channel_key(b"perfect")
    word = channel.encode(tag_id, key)
    score = matching.z_scores((scale * word).astype(np.float32), word[None].astype(np.int8))
    assert score[0] == pytest.approx(matching.Z_MAX, rel=1e-5)
    assert pytest.approx(11.3137, abs=1e-4) == matching.Z_MAX


@settings(max_examples=40)
@given(softs, words, st.floats(0.125, 8))
def test_match_gives_the_best_the_runner_up_and_ignores_scale(soft: np.ndarray, book: np.ndarray, scale: float) -> None:
    scores = matching.z_scores(soft, book)
    found = matching.match(soft, book)
    assert found is not None
    assert found.z == scores.max()
    assert scores[found.index] == found.z
    rest = np.delete(scores, found.index)
    assert found.runner_up_z == (rest.max() if rest.size else float("-inf"))
    assert found.bit_agreement == pytest.approx(np.mean((soft > 0) == (book[found.index] > 0)))
    again = matching.match((soft * np.float32(scale)).astype(np.float32), book)
    assert again is not None
    if np.linalg.norm(soft) > 1e-6:
        assert again.z == pytest.approx(found.z, abs=1e-3)


def test_an_empty_registry_matches_nothing_and_silence_scores_zero() -> None:
    assert matching.match(np.ones(128, dtype=np.float32), np.empty((0, 128), dtype=np.int8)) is None
    np.testing.assert_array_equal(matching.z_scores(np.zeros(128, np.float32), np.ones((3, 128), np.int8)), 0.0)


def test_scores_do_not_depend_on_how_a_large_registry_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    book = random.choice(np.array([-1, 1], dtype=np.int8), (1000, 128))
    soft = random.standard_normal(128).astype(np.float32)
    whole = matching.z_scores(soft, book)
    monkeypatch.setattr(matching, "_CHUNK", 7)
    np.testing.assert_array_equal(matching.z_scores(soft, book), whole)
    one_by_one = [matching.z_scores(soft, word[None])[0] for word in book[::-1]]
    assert one_by_one[::-1] == whole.tolist()


SHAPES = {
    "flat": np.ones(128),
    "one loud bit": np.r_[100.0, np.ones(127)],
    "gaussian": np.random.default_rng(0).standard_normal(128),
    "heavy tails": np.random.default_rng(1).standard_cauchy(128),
}


@given(zs, zs, counts, counts, st.integers(1, 100))
def test_e_is_monotone(low: float, high: float, records: int, more: int, hypotheses: int) -> None:
    low, high = sorted((low, high))
    of = partial(matching.e_value, SHAPES["gaussian"])
    weak = of(low, records=records, carrier_keys=2, hypotheses=hypotheses)
    assert of(high, records=records, carrier_keys=2, hypotheses=hypotheses) <= weak
    assert of(low, records=records + more, carrier_keys=2, hypotheses=hypotheses) >= weak
    assert of(low, records=records, carrier_keys=3, hypotheses=hypotheses) >= weak
    assert of(low, records=records, carrier_keys=2, hypotheses=hypotheses + 1) >= weak


def test_a_million_records_need_less_than_hoeffdings_z() -> None:
    counted = {"records": 10**6, "carrier_keys": 1, "hypotheses": 1}
    even = np.ones(128, dtype=np.float32)
    assert matching.e_value(even, 7.44, **counted) < 1e-6
    # 25 of 128 bits wrong: Hoeffding would not accept it.
    assert matching.e_value(even, (128 - 2 * 25) / sqrt(128), **counted) < 1.1e-6
    assert matching.e_value(even, 6.0, **counted) > 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_chance_is_bounded_over_uniform_masks(shape: str) -> None:
    random = np.random.default_rng(9)
    masks = random.choice(np.array([-1, 1], dtype=np.int8), (100_000, 128))
    scores = matching.z_scores(SHAPES[shape].astype(np.float32), masks)
    for threshold in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0):
        bound = chance_p(SHAPES[shape], threshold)
        slack = 4 * sqrt(bound * (1 - bound) / len(scores)) + 1 / len(scores)
        assert (scores >= threshold).mean() <= bound + slack
    assert (scores >= 1.0).mean() > 0.01 or shape == "one loud bit"


def test_chance_is_bounded_for_real_code_words_over_real_keys() -> None:
    soft = np.random.default_rng(5).standard_normal(128).astype(np.float32)
    ids = np.array([0x0123456789ABCDEF], dtype=np.uint64)
    secrets = [b"chance %d" % number for number in range(6000)]
    book = np.concatenate([channel.encode_many(ids, channel.build_channel_key(secret)) for secret in secrets])
    scores = matching.z_scores(soft, book)
    assert abs(float(scores.mean())) < 4 / sqrt(len(scores))
    assert float(scores.var()) == pytest.approx(1.0, abs=0.1)
    for threshold in (1.0, 2.0, 3.0):
        bound = chance_p(soft, threshold)
        assert (scores >= threshold).mean() <= bound + 4 * sqrt(bound / len(scores))
