"""Soft bits of parts of a frame: each carrier is heard in the others there, and that can be undone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.codec import channel
from ftforensics.codec.carriers import MESSAGE_BITS, build_carriers, build_sync_carrier, build_tag_planes
from ftforensics.codec.channel import build_channel_key
from ftforensics.codec.separation import Separator

MODEL = "ftf-test"
CARRIERS, SYNC = build_carriers(b"c" * 32, MODEL), build_sync_carrier(MODEL)
KEY = build_channel_key(b"k" * 32)
SEPARATOR = Separator(CARRIERS, SYNC)
ROWS = CARRIERS.reshape(MESSAGE_BITS, -1)


def make_tag(tag_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Signs (128,) and planes (3, 64, 64)."""
    signs = channel.encode(tag_id, KEY)
    return signs, build_tag_planes(signs, CARRIERS, SYNC).astype(np.float32)


def agreement(soft: np.ndarray, signs: np.ndarray) -> float:
    """The z that a match is judged by."""
    return float(soft @ signs / np.sqrt(soft @ soft))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, 64, 64)).astype(np.float32)


def test_a_perfect_map_gives_about_one():
    signs, planes = make_tag("0123456789abcdef")
    soft = SEPARATOR.soft_bits(planes) * signs
    assert soft.min() > 0.85
    assert soft.max() < 1.15
    assert soft.dtype == np.float32


def test_a_map_that_was_read_equally_well_everywhere_is_projected():
    random = np.random.default_rng(3)
    even = random.choice([-0.5, 0.5], size=(3, 64, 64)).astype(np.float32)
    soft, projected = SEPARATOR.soft_bits(even), ROWS @ even.reshape(-1)
    assert np.corrcoef(soft, projected)[0, 1] > 0.999999
    # Every bit by the same positive factor.
    assert np.ptp(soft / projected) < 1e-3 * np.mean(soft / projected)


@pytest.mark.parametrize("side", [24, 32, 40])
def test_in_a_part_of_the_frame_bits_are_told_apart_better(side: int):
    gains = []
    for number in range(12):
        signs, planes = make_tag(f"{number * 7919 + 1:016x}")
        seen = np.zeros((64, 64), np.float32)
        at = np.random.default_rng(number).integers(0, 64 - side, 2)
        seen[at[0] : at[0] + side, at[1] : at[1] + side] = 1.0
        read = (planes + 0.5 * noise(number)) * seen
        gains.append(agreement(SEPARATOR.soft_bits(read), signs) - agreement(ROWS @ read.reshape(-1), signs))
    assert np.mean(gains) > 0.3
    assert np.mean(np.asarray(gains) > 0.0) > 0.9


def test_the_synchronisation_carrier_is_not_heard():
    seen = np.zeros((64, 64), np.float32)
    seen[:32, :32] = 1.0
    loud = 60.0 * SYNC * seen
    projected = ROWS @ loud.reshape(-1)
    assert np.linalg.norm(SEPARATOR.soft_bits(loud)) * 10.0 < np.linalg.norm(projected)


def test_unrelated_maps_agree_with_no_word():
    """A map made without the key, read well in a part only: z is as a standard normal variable."""
    seen = np.zeros((64, 64), np.float32)
    seen[10:40, 20:50] = 1.0
    scores = []
    for number in range(40):
        soft = SEPARATOR.soft_bits(noise(number) * seen)
        ids = np.random.default_rng(1000 + number).integers(0, 2**63, 25)
        scores += [agreement(soft, channel.encode(f"{one:016x}", KEY)) for one in ids]
    assert abs(np.mean(scores)) < 0.1
    assert 0.9 < np.std(scores) < 1.1
    assert np.max(np.abs(scores)) < 5.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 3.0))
def test_the_negative_of_a_map_gives_the_negative(seed: int, strength: float):
    read = np.float32(strength) * noise(seed)
    soft = SEPARATOR.soft_bits(read)
    assert np.array_equal(SEPARATOR.soft_bits(-read), -soft)
    assert np.array_equal(SEPARATOR.soft_bits(read), soft)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_gives_no_bits(value: float):
    read = noise(1)
    read[1, 2, 3] = value
    with np.errstate(all="ignore"):
        assert np.isnan(SEPARATOR.soft_bits(read)).all()


def test_an_empty_map_gives_zeros():
    assert np.array_equal(SEPARATOR.soft_bits(np.zeros((3, 64, 64), np.float32)), np.zeros(MESSAGE_BITS, np.float32))
