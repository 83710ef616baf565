"""The examiner's ring: what every carrier key held derives, and the code words of every record to match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import VALUES, build_carriers, build_sync_carrier
from ftforensics.codec.channel import ChannelKey, build_channel_key
from ftforensics.codec.separation import Separator
from ftforensics.codec.words import PackedWords, build_words

SECRET_BYTES = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class RingKey:
    """One carrier key made ready to read with: carriers (128, 3, 64, 64), mask and interleaver.

    ``sync`` (3, 64, 64) is the synchronisation carrier of the model, which is laid under every message.
    """

    key_id: str
    carriers: Floats
    channel: ChannelKey
    sync: Floats

    @property
    def rows(self) -> Floats:
        """Carriers as (128, 12288)."""
        return self.carriers.reshape(-1, VALUES)

    @cached_property
    def separator(self) -> Separator:
        """Reads soft bits; made when first needed."""
        return Separator(self.carriers, self.sync)


def build_ring_key(key_id: str, derive: Callable[[str, int], bytes], model_id: str) -> RingKey:
    """Carriers and channel secrets from a carrier key's ``derive`` (HKDF); labels keep the two independent."""
    return RingKey(
        key_id=key_id,
        carriers=build_carriers(derive("carriers", SECRET_BYTES), model_id),
        channel=build_channel_key(derive("channel", SECRET_BYTES)),
        sync=build_sync_carrier(model_id),
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
