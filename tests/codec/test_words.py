"""Packed code words and the search for the two nearest: the same as scoring every word."""

from __future__ import annotations

from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ftforensics.codec import channel, matching, words

KEY = channel.build_channel_key(b"words")
signs = hnp.arrays(np.int8, st.tuples(st.integers(0, 40), st.just(128)), elements=st.sampled_from([-1, 1]))
seeds = st.integers(0, 2**32 - 1)
SHAPES = ("gaussian", "flat", "loud", "few", "steps", "tiny", "wide")


def draw_soft(random: np.random.Generator, shape: str) -> np.ndarray:
    soft = random.standard_normal(128)
    if shape == "flat":
        soft = np.sign(soft)
    elif shape == "loud":
        soft[3] = 1e4
    elif shape == "few":
        soft[6:] = 0.0
    elif shape == "steps":
        soft = np.round(soft)
    elif shape == "tiny":
        soft = soft * 1e-40
    elif shape == "wide":
        soft = soft * np.exp(4.0 * random.standard_normal(128))
    return soft.astype(np.float32)


def naive(soft: np.ndarray, book: np.ndarray) -> np.ndarray:
    wide = soft.astype(np.float64)
    return book.astype(np.float64) @ wide / sqrt(float(wide @ wide))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that a few hundred words are filtered, in several chunks, the last one short."""
    monkeypatch.setattr(words, "_CHUNK", 100)


@settings(max_examples=80)
@given(seeds, st.sampled_from(SHAPES), st.integers(1, 700), st.booleans())
def test_the_search_finds_what_scoring_every_word_finds(seed: int, shape: str, count: int, planted: bool) -> None:
    random = np.random.default_rng(seed)
    book = random.choice(np.array([-1, 1], dtype=np.int8), (count, 128))
    soft = draw_soft(random, shape)
    if planted:
        at = int(random.integers(count))
        flips = np.where(random.random(128) < 0.1, -1, 1)
        book[at] = np.where(soft >= 0, 1, -1) * flips
    expected = naive(soft, book)
    found = matching.match(soft, book)
    assert found is not None
    assert found.z == pytest.approx(expected.max(), abs=1e-8)
    # To the rounding, several may be the best; of those that are exactly equal it is the first.
    scores = matching.z_scores(soft, book)
    np.testing.assert_allclose(scores, expected, atol=1e-8)
    assert found.index == int(np.argmax(scores))
    assert found.z == scores.max()
    assert found.runner_up_z == (np.partition(scores, -2)[-2] if count > 1 else -inf)
    assert found.bit_agreement == np.mean((soft > 0) == (book[found.index] > 0))
    if planted and shape == "gaussian" and count > 1:
        assert found.runner_up_z < found.z


@settings(max_examples=60)
@given(seeds, st.sampled_from(SHAPES))
def test_no_word_out_of_reach_has_one_of_the_two_best_scores(seed: int, shape: str) -> None:
    random = np.random.default_rng(seed)
    book = random.choice(np.array([-1, 1], dtype=np.int8), (400, 128))
    levels = matching._levels(draw_soft(random, shape))
    scores = words.exact_scores(levels, book)
    reached = np.concatenate(list(words._in_reach(levels, words.pack_words(book))))
    assert reached.tolist() == sorted(set(reached.tolist()))
    missed = np.setdiff1d(np.arange(400), reached)
    assert missed.size == 0 or scores[missed].max() < np.partition(scores, -2)[-2]


def test_few_words_are_in_reach_of_soft_bits_as_they_come() -> None:
    """A filter that lets everything through would be exact too, and of no use."""
    random = np.random.default_rng(8)
    book = words.build_words(random.integers(0, 2**63, 100_000, dtype=np.uint64), KEY)
    for _ in range(5):
        levels = matching._levels(draw_soft(random, "gaussian"))
        assert sum(part.size for part in words._in_reach(levels, book)) < 3_000


def test_few_words_are_in_reach_of_soft_bits_of_nearly_one_size() -> None:
    """Their coarse distances are large; one that a byte cannot hold must not look like the nearest of all."""
    random = np.random.default_rng(9)
    book = words.build_words(random.integers(0, 2**63, 100_000, dtype=np.uint64), KEY)
    for _ in range(5):
        soft = random.choice([-1.0, 1.0], 128) * random.uniform(0.5, 1.0, 128)
        levels = matching._levels(soft.astype(np.float32))
        assert sum(part.size for part in words._in_reach(levels, book)) < 3_000


@given(seeds)
def test_of_equal_words_the_first_is_the_match_and_the_other_the_runner_up(seed: int) -> None:
    random = np.random.default_rng(seed)
    book = random.choice(np.array([-1, 1], dtype=np.int8), (500, 128))
    first, second = sorted(int(at) for at in random.choice(500, 2, replace=False))
    book[second] = book[first]
    found = matching.match(book[first].astype(np.float32), book)
    assert found is not None
    assert found.index == first
    assert found.z == found.runner_up_z == pytest.approx(matching.Z_MAX)


@given(seeds, st.integers(1, 300))
def test_scores_do_not_depend_on_what_else_is_in_the_registry(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    book = random.choice(np.array([-1, 1], dtype=np.int8), (count, 128))
    soft = draw_soft(random, "gaussian")
    whole = matching.match(soft, book)
    assert whole is not None
    alone = matching.match(soft, book[whole.index : whole.index + 1])
    assert alone is not None
    assert (alone.index, alone.z, alone.runner_up_z) == (0, whole.z, -inf)
    turned = matching.match(soft, book[::-1])
    assert turned is not None
    assert (turned.z, turned.runner_up_z) == (whole.z, whole.runner_up_z)


@pytest.mark.parametrize("hostile", [nan, inf, -inf])
@pytest.mark.parametrize("count", [1, 2, 500])
def test_soft_bits_that_are_no_numbers_say_nothing(hostile: float, count: int) -> None:
    random = np.random.default_rng(1)
    book = random.choice(np.array([-1, 1], dtype=np.int8), (count, 128))
    soft = draw_soft(random, "gaussian")
    soft[17] = hostile
    found = matching.match(soft, book)
    assert found is not None
    assert (found.index, found.z, found.runner_up_z) == (0, 0.0, 0.0 if count > 1 else -inf)
    np.testing.assert_array_equal(matching.z_scores(soft, book), 0.0)


@pytest.mark.parametrize("count", [1, 2, 500])
def test_silence_matches_nothing_better_than_anything_else(count: int) -> None:
    book = np.ones((count, 128), dtype=np.int8)
    found = matching.match(np.zeros(128, dtype=np.float32), book)
    assert found is not None
    assert (found.index, found.z, found.runner_up_z) == (0, 0.0, 0.0 if count > 1 else -inf)


def test_there_is_no_match_in_no_words() -> None:
    empty = words.pack_words(np.empty((0, 128), dtype=np.int8))
    assert len(empty) == 0
    assert matching.match(np.ones(128, dtype=np.float32), empty) is None
    assert matching.z_scores(np.ones(128, dtype=np.float32), empty).shape == (0,)
    assert len(words.build_words(np.empty(0, dtype=np.uint64), KEY)) == 0


@given(signs)
def test_packing_loses_nothing(book: np.ndarray) -> None:
    packed = words.pack_words(book)
    assert len(packed) == len(book)
    np.testing.assert_array_equal(packed.unpack(slice(None)), book)
    order = np.arange(len(book))[::-2]
    np.testing.assert_array_equal(packed.unpack(order), book[order])


@given(st.lists(st.integers(0, 2**64 - 1), max_size=250), st.binary(min_size=1, max_size=8))
def test_words_built_at_once_are_those_of_the_code(ids: list[int], secret: bytes) -> None:
    key = channel.build_channel_key(secret)
    tag_ids = np.array(ids, dtype=np.uint64)
    built = words.build_words(tag_ids, key).unpack(slice(None))
    np.testing.assert_array_equal(built, channel.encode_many(tag_ids, key))


@pytest.mark.parametrize("kind", ["normal", "equal", "few"])
def test_hardly_any_word_is_scored_exactly_however_loud_the_bits_are(kind: str, rng: np.random.Generator):
    packed = words.PackedWords(rng.integers(0, 2**64, (2, 100_000), dtype=np.uint64, endpoint=False))
    for _ in range(12):
        soft = rng.normal(size=128)
        soft = np.sign(soft) if kind == "equal" else soft * (rng.random(128) < 0.5) if kind == "few" else soft
        levels = np.rint(soft / np.linalg.norm(soft) * 2**40).astype(np.int64)
        scored = sum(indices.size for indices in words._in_reach(levels, packed))
        assert scored < 2000
