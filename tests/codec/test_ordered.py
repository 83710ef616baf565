"""Ordered statistics decoding: its words are the code's, its scores are right, and it finds the nearest."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ftforensics.codec import channel, matching, ordered

KEY = channel.build_channel_key(b"ordered")
softs = hnp.arrays(np.float32, 128, elements=st.floats(-10, 10, width=32))
tag_ids = st.binary(min_size=8, max_size=8).map(bytes.hex)
keys = st.binary(min_size=32, max_size=32).map(channel.build_channel_key)


def noisy(tag_id: str, key: channel.ChannelKey, amplitude: float, random: np.random.Generator) -> np.ndarray:
    return (amplitude * channel.encode(tag_id, key) + random.standard_normal(128)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(softs, keys, st.sampled_from([2, 4]))
def test_any_soft_bits_give_words_of_the_code_nearest_first(
    soft: np.ndarray, key: channel.ChannelKey, flips: int
) -> None:
    assume(np.linalg.norm(soft.astype(np.float64)) > 1e-12)
    words = ordered.find_near_words(soft, key, flips)
    assert len({word.tag_id for word in words}) == len(words) == 8
    assert all(left.z >= right.z for left, right in pairwise(words))
    heard = np.empty(128)
    heard[key.order] = soft
    for word in words[:4]:
        signs = channel.encode(word.tag_id, key).astype(np.int8)[None]
        assert word.z == pytest.approx(float(matching.z_scores(soft, signs)[0]), abs=1e-6)
        differs = np.packbits((heard > 0) ^ (key.mask == 1)) != np.packbits(channel.encode_word(word.tag_id))
        assert word.symbols_corrected == int(differs.sum())
    assert ordered.find_near_words(soft, key, flips) == words


@settings(max_examples=25, deadline=None)
@given(softs, keys)
def test_more_flips_never_find_a_farther_word(soft: np.ndarray, key: channel.ChannelKey) -> None:
    assume(np.linalg.norm(soft.astype(np.float64)) > 1e-12)
    few, many = (ordered.find_near_words(soft, key, flips)[0] for flips in (2, 4))
    assert many.z >= few.z - 1e-6


@settings(max_examples=40, deadline=None)
@given(tag_ids, keys, st.floats(1e-3, 1e3), st.sampled_from([2, 4]))
def test_a_perfect_reading_is_its_own_nearest_word(
    tag_id: str, key: channel.ChannelKey, scale: float, flips: int
) -> None:
    best = ordered.find_near_words((scale * channel.encode(tag_id, key)).astype(np.float32), key, flips)[0]
    assert (best.tag_id, best.symbols_corrected) == (tag_id, 0)
    assert best.z == pytest.approx(matching.Z_MAX, rel=1e-6)


def test_words_are_found_where_symbols_are_hopeless() -> None:
    # With one bit in ten wrong, most words have ten wrong symbols of sixteen: out of Reed-Solomon's own reach.
    random = np.random.default_rng(2)
    by_bits = by_symbols = 0
    for _ in range(30):
        tag_id = random.bytes(8).hex()
        soft = noisy(tag_id, KEY, 1.3, random)
        by_bits += ordered.find_near_words(soft, KEY, 4)[0].tag_id == tag_id
        tries = (channel.decode(soft, KEY, erasures) for erasures in (0, 2, 4, 6))
        by_symbols += any(found is not None and found.tag_id == tag_id for found in tries)
    assert by_bits >= 29
    assert by_symbols <= 8


def test_where_the_truth_is_missed_another_word_is_nearer() -> None:
    # Close to maximum likelihood: at this noise a third of the words cannot be decoded by anything.
    random = np.random.default_rng(3)
    missed = 0
    for _ in range(30):
        tag_id = random.bytes(8).hex()
        soft = noisy(tag_id, KEY, 1.0, random)
        best = ordered.find_near_words(soft, KEY, 4)[0]
        truth = matching.z_scores(soft, channel.encode(tag_id, KEY).astype(np.int8)[None])[0]
        missed += best.z < truth - 1e-6
    assert missed <= 1


def placed_flips(soft: np.ndarray, sets: list[tuple[int, ...]]) -> list[tuple[float, str]]:
    """Score and id of the word that each set of flips of the most reliable bits gives, worked out one by one."""
    natural = np.empty(128)
    natural[KEY.order] = soft
    weights = np.abs(natural) / np.sqrt((natural**2).sum())
    hard = (natural > 0).astype(np.uint8) ^ KEY.mask
    order, generator = ordered._most_reliable_basis(np.argsort(-weights, kind="stable"))
    scores = []
    for flips in sets:
        data = hard[order][:64].copy()
        data[list(flips)] ^= 1
        word = np.empty(128, np.uint8)
        word[order] = data @ generator % 2
        z = float((weights * np.where(word == hard, 1.0, -1.0)).sum())
        scores.append((z, np.packbits(word[:64]).tobytes().hex()))
    return sorted(scores, key=lambda one: (-one[0], one[1]))


@pytest.mark.parametrize("seed", range(3))
def test_two_flips_give_the_best_of_all_such_words(seed: int) -> None:
    soft = np.random.default_rng(seed).standard_normal(128).astype(np.float32)
    sets = [flips for size in range(3) for flips in combinations(range(64), size)]
    expected = placed_flips(soft, sets)[:8]
    found = ordered.find_near_words(soft, KEY, 2)
    assert [word.tag_id for word in found] == [tag_id for _, tag_id in expected]
    np.testing.assert_allclose([word.z for word in found], [z for z, _ in expected], atol=1e-9)


@pytest.mark.parametrize("flips", [(1, 5, 30, 63), (0, 1, 2, 3), (60, 61, 62, 63), (7, 9, 11), (0, 63), (40,), ()])
def test_a_word_up_to_four_flips_away_is_found(flips: tuple[int, ...]) -> None:
    """A word read perfectly but for these bits of the basis, which are as wrong as they are loud."""
    word = channel.encode("0123456789abcdef", KEY)
    loudness = np.linspace(1.3, 0.7, 128)[np.random.default_rng(5).permutation(128)]
    order, _ = ordered._most_reliable_basis(np.argsort(-loudness[np.argsort(KEY.order)], kind="stable"))
    natural = np.empty(128)
    natural[KEY.order] = word * loudness
    # Wrong bits stay at their rank, so that the basis stays the same.
    natural[order[list(flips)]] *= -1
    soft = natural[KEY.order].astype(np.float32)
    assert ordered.find_near_words(soft, KEY, 4)[0].tag_id == "0123456789abcdef"
    if len(flips) > 2:
        assert "0123456789abcdef" not in {near.tag_id for near in ordered.find_near_words(soft, KEY, 2)}


def test_the_basis_spans_the_code_and_holds_the_loudest_bits() -> None:
    random = np.random.default_rng(4)
    ranked = random.permutation(128)
    order, generator = ordered._most_reliable_basis(ranked)
    np.testing.assert_array_equal(np.sort(order), np.arange(128))
    np.testing.assert_array_equal(generator[:, :64], np.eye(64, dtype=np.uint8))
    placed = np.empty_like(generator)
    placed[:, order] = generator
    for row in placed:
        assert (channel.encode_word(np.packbits(row[:64]).tobytes().hex()) == row).all()
    # The code has distance nine in symbols, so that no nine positions of eight symbols can be dependent.
    assert (order[:8] == ranked[:8]).all()
