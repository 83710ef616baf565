"""The channel code: round trips up to its limit, and nothing silent beyond it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.codec import channel
from ftforensics.errors import CodecError

tag_ids = st.binary(min_size=8, max_size=8).map(bytes.hex)
keys = st.binary(min_size=32, max_size=32).map(channel.build_channel_key)
seeds = st.integers(0, 2**32 - 1)


def damage(
    soft: np.ndarray, key: channel.ChannelKey, wrong: list[int], weak: list[int], random: np.random.Generator
) -> np.ndarray:
    """Flip at least one bit of every symbol in ``wrong``; make those in ``weak`` random and the least reliable."""
    natural = np.empty(channel.WORD_BITS)
    natural[key.order] = soft
    symbols = natural.reshape(channel.WORD_BYTES, 8)
    for at in wrong:
        flips = np.unpackbits(np.uint8([random.integers(1, 256)])) == 1
        symbols[at, flips] *= -1
    for at in weak:
        symbols[at] = random.choice([-0.05, 0.05], 8)
    return natural[key.order].astype(np.float32)


@st.composite
def damages(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Positions of e errors and f erasures with 2e + f <= 8."""
    erasures = draw(st.integers(0, 8))
    errors = draw(st.integers(0, (8 - erasures) // 2))
    places = draw(st.permutations(range(16)))
    return list(places[:errors]), list(places[errors : errors + erasures])


@settings(max_examples=150)
@given(tag_ids, keys, damages(), seeds)
def test_round_trip_up_to_the_correction_limit(
    tag_id: str, key: channel.ChannelKey, places: tuple[list[int], list[int]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    wrong, weak = places
    soft = channel.encode(tag_id, key) * random.uniform(0.5, 1.5, 128)
    correction = channel.decode(damage(soft, key, wrong, weak, random), key, len(weak))
    assert correction is not None
    assert correction.tag_id == tag_id
    assert correction.erasures == len(weak)
    assert correction.errors == len(wrong)
    assert len(wrong) <= correction.symbols_corrected <= len(wrong) + len(weak)


@settings(max_examples=150)
@given(tag_ids, keys, st.integers(5, 16), st.sampled_from([0, 2, 4, 6, 8]), seeds)
def test_beyond_the_limit_it_never_claims_less_damage_than_there_is(
    tag_id: str, key: channel.ChannelKey, errors: int, erasures: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    soft = damage(channel.encode(tag_id, key), key, list(random.permutation(16)[:errors]), [], random)
    check_claims(soft * random.uniform(0.5, 1.5, 128), key, erasures)


@settings(max_examples=100)
@given(st.lists(st.floats(-4, 4, width=32), min_size=128, max_size=128), keys, st.integers(0, 8))
def test_any_soft_bits_give_nothing_or_a_word_within_the_claimed_distance(
    values: list[float], key: channel.ChannelKey, erasures: int
) -> None:
    check_claims(np.array(values, dtype=np.float32), key, erasures)


@pytest.mark.parametrize("erasures", [1, 3, 5, 7])
def test_one_spare_parity_symbol_corrects_nothing(erasures: int) -> None:
    # With 7 erasures nine symbols are left, and about nine words lie one error away from any of them.
    random = np.random.default_rng(erasures)
    key = channel.build_channel_key(b"spare")
    for _ in range(150):
        check_claims(random.standard_normal(128).astype(np.float32), key, erasures)


def check_claims(soft: np.ndarray, key: channel.ChannelKey, erasures: int) -> None:
    """Whatever is decoded is a code word, and the counts say exactly how far from it the soft bits were."""
    correction = channel.decode(soft, key, erasures)
    if correction is None:
        return
    assert 2 * correction.errors + erasures <= channel.PARITY_BYTES
    natural = np.empty(128)
    natural[key.order] = soft
    heard = np.packbits((natural > 0) ^ (key.mask == 1))
    changed = int((np.packbits(channel.encode_word(correction.tag_id)) != heard).sum())
    assert changed == correction.symbols_corrected
    assert correction.errors <= changed <= correction.errors + erasures


@settings(max_examples=60)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=12), keys)
def test_encode_many_equals_encode(ids: list[int], key: channel.ChannelKey) -> None:
    many = channel.encode_many(np.array(ids, dtype=np.uint64), key)
    assert many.shape == (len(ids), 128)
    assert many.dtype == np.int8
    for row, number in zip(many, ids, strict=True):
        np.testing.assert_array_equal(row, channel.encode(f"{number:016x}", key))


def test_encode_many_of_the_extreme_ids() -> None:
    key = channel.build_channel_key(b"extremes")
    ids = np.array([0, 1, 2**63, 2**64 - 1], dtype=np.uint64)
    expected = np.stack([channel.encode(f"{int(number):016x}", key) for number in ids])
    np.testing.assert_array_equal(channel.encode_many(ids, key), expected)


@settings(max_examples=60)
@given(tag_ids, tag_ids, keys)
def test_two_words_differ_in_at_least_nine_symbols(left: str, right: str, key: channel.ChannelKey) -> None:
    if left == right:
        return
    words = np.packbits(np.stack([channel.encode_word(left), channel.encode_word(right)]), axis=1)
    assert (words[0] != words[1]).sum() >= 9
    assert (channel.encode(left, key) != channel.encode(right, key)).sum() >= 9


@given(keys)
def test_a_channel_key_is_a_mask_and_a_permutation(key: channel.ChannelKey) -> None:
    assert set(key.mask.tolist()) <= {0, 1}
    assert key.mask.shape == (128,)
    assert sorted(key.order.tolist()) == list(range(128))


def test_another_key_reads_nothing() -> None:
    ours, theirs = channel.build_channel_key(b"ours"), channel.build_channel_key(b"theirs")
    word = channel.encode("0123456789abcdef", ours)
    found = channel.decode(word, theirs, 0)
    assert found is None or found.tag_id != "0123456789abcdef"
    assert 35 < int((word != channel.encode("0123456789abcdef", theirs)).sum()) < 93


def test_the_code_word_is_systematic_reed_solomon() -> None:
    word = np.packbits(channel.encode_word("0011223344556677"))
    assert bytes(word[:8]).hex() == "0011223344556677"
    assert len(word) == 16
    assert not np.packbits(channel.encode_word("0" * 16)).any()


@pytest.mark.parametrize(
    "text",
    ["", "0", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg", "٠" * 16, " " * 16],
)
def test_what_is_no_tag_id_is_refused(text: str) -> None:
    with pytest.raises(CodecError, match="16 lower-case hex digits"):
        channel.parse_tag_id(text)
