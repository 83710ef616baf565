from __future__ import annotations

import numpy as np
import pytest

from ftforensics.codec import channel
from ftforensics.codec.channel import build_channel_key
from ftforensics.flows.bench.manipulations import BATTERY
from ftforensics.flows.bench.message import FAMILIES, MEAN, MEASURES, read_message, summarise_families

KEY = build_channel_key(b"k" * 32)
TAG_ID = "0123456789abcdef"


def broken(symbols: int, rng: np.random.Generator) -> np.ndarray:
    """Soft bits with so many symbols whose eight bits are all turned, faintly, so that they look least reliable."""
    natural = np.empty(128, dtype=np.float32)
    natural[KEY.order] = channel.encode(TAG_ID, KEY)
    for symbol in rng.choice(16, symbols, replace=False):
        natural[8 * symbol : 8 * symbol + 8] *= -0.1
    return natural[KEY.order]


@pytest.mark.parametrize("symbols", [0, 1, 4, 5])
def test_what_the_code_can_correct_is_read_exactly(symbols: int, rng: np.random.Generator):
    message = read_message([broken(symbols, rng)], KEY, TAG_ID)
    assert message.exact
    assert message.bits == 1.0


def test_beyond_the_code_the_bits_count_as_they_are(rng: np.random.Generator):
    soft = -channel.encode(TAG_ID, KEY)
    message = read_message([soft], KEY, TAG_ID)
    assert not message.exact
    assert message.bits < 0.6
    noise = [read_message([rng.normal(size=128).astype(np.float32)], KEY, TAG_ID) for _ in range(40)]
    assert not any(one.exact for one in noise)
    assert 0.4 < np.mean([one.bits for one in noise]) < 0.6


def test_of_two_maps_the_one_with_the_likelier_word_is_read(rng: np.random.Generator):
    noise = rng.normal(size=128).astype(np.float32)
    word = channel.encode(TAG_ID, KEY)
    for hypotheses in ([noise, word], [word, noise]):
        assert read_message(hypotheses, KEY, TAG_ID).exact
    # Where neither is believed, the first is read bit by bit.
    other = rng.normal(size=128).astype(np.float32)
    assert read_message([noise, other], KEY, TAG_ID) == read_message([noise], KEY, TAG_ID)


def test_families_weigh_their_rows_equally_and_stand_in_the_battery():
    names = [name for rows in FAMILIES.values() for name in rows]
    assert set(names) <= {one.name for one in BATTERY}
    by_row = {name: {key: np.full(3, 1.0) for key in MEASURES} for name in names}
    by_row["reenactment warp"]["message"] = np.array([0.6, 0.8, 1.0])
    rows = {row["family"]: row for row in summarise_families(by_row, 1)}
    assert list(rows) == [*FAMILIES, MEAN]
    assert rows["reenactment"]["message"] == pytest.approx(0.8)
    assert rows[MEAN]["message"] == pytest.approx((3 + 0.8) / 4)
    assert rows[MEAN]["exact"] == 1.0
