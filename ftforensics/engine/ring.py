"""The examiner's ring: what every carrier key held derives, and the code words of every record to match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import VALUES, build_carriers
from ftforensics.codec.channel import ChannelKey, build_channel_key
from ftforensics.codec.words import PackedWords, build_words

SECRET_BYTES = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RingKey:
    """One carrier key made ready to read with: carriers (128, 3, 64, 64), mask and interleaver."""

    key_id: str
    carriers: Floats
    channel: ChannelKey

    @property
    def rows(self) -> Floats:
        """Carriers as (128, 12288)."""
        return self.carriers.reshape(-1, VALUES)


def build_ring_key(key_id: str, derive: Callable[[str, int], bytes], model_id: str) -> RingKey:
    """Carriers and channel secrets from a carrier key's ``derive`` (HKDF); labels keep the two independent."""
    return RingKey(
        key_id=key_id,
        carriers=build_carriers(derive("carriers", SECRET_BYTES), model_id),
        channel=build_channel_key(derive("channel", SECRET_BYTES)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Book:
    """Code words of the records under one carrier key, and their ids uint64 (N,), in the same order."""

    key: RingKey
    ids: NDArray[np.uint64]
    words: PackedWords


def build_book(key: RingKey, ids: NDArray[np.uint64]) -> Book:
    """Code words of all ids under a key; an id listed twice counts once, or it would be its own runner-up."""
    unique = np.unique(ids.astype(np.uint64))
    return Book(key=key, ids=unique, words=build_words(unique, key.channel))
