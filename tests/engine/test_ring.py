"""Keys and books of the ring."""

from __future__ import annotations

import numpy as np

from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.codec.channel import encode, encode_many
from ftforensics.engine.reading import soft_bits
from ftforensics.engine.ring import SECRET_BYTES, RingKey, build_book, build_ring_key


def test_carriers_and_channel_come_from_separate_derivations() -> None:
    asked: list[tuple[str, int]] = []

    def derive(label: str, length: int) -> bytes:
        asked.append((label, length))
        return bytes([len(asked)]) * length

    key = build_ring_key("carrier:x", derive, "ftf-1")
    assert len({label for label, _ in asked}) == len(asked) == 2
    assert all(length == SECRET_BYTES for _, length in asked)
    assert key.key_id == "carrier:x"
    np.testing.assert_array_equal(key.rows.reshape(key.carriers.shape), key.carriers)


def test_a_book_lists_an_id_once_with_its_word(ring_key: RingKey) -> None:
    ids = np.array([9, 2**64 - 1, 9, 0, 5], dtype=np.uint64)
    book = build_book(ring_key, ids)
    assert book.ids.tolist() == [0, 5, 9, 2**64 - 1]
    np.testing.assert_array_equal(book.words.unpack(slice(None)), encode_many(book.ids, ring_key.channel))


def test_an_empty_book_is_allowed(ring_key: RingKey) -> None:
    book = build_book(ring_key, np.empty(0, dtype=np.uint64))
    assert len(book.words) == len(book.ids) == 0


def test_soft_bits_of_a_perfect_map_are_the_channel_signs(ring_key: RingKey, other_key: RingKey) -> None:
    signs = encode("00000000000000aa", ring_key.channel)
    planes = build_tag_planes(signs, ring_key.carriers, build_sync_carrier("ftf-1"))
    none = np.empty(0, dtype=np.uint64)
    np.testing.assert_allclose(soft_bits(planes, build_book(ring_key, none)), signs, atol=0.1)
    assert np.abs(soft_bits(planes, build_book(other_key, none))).mean() < 0.4
