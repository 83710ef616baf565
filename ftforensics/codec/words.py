"""Code words of many records, a bit each, and the search for the two that fit soft bits best.

Enters: words of 128 signs. Leaves: the two largest scores and where the largest is, exactly. Scores are integers, so
they are the same on every machine and however the work is cut. A coarse score of the packed words (three bit planes of
the soft bits, counted with AND and population count) rules out nearly all of them; what coarseness can hide is bounded
for the very soft bits at hand, and every word within that bound is scored exactly. See docs/adr/0010.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.channel import ID_BYTES, WORD_BITS, WORD_BYTES, ChannelKey, encode_many

HALVES = WORD_BITS // 64
# Small enough that what a chunk needs stays in the processor's cache.
_CHUNK = 16_384
_PLANES = 3
_LEVELS = 2**_PLANES - 1
_STEPS = 72
# Standard deviations within which the distances of a million words lie.
_SPREAD = 5.5

Signs = NDArray[np.int8]
Levels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PackedWords:
    """N code words, 16 bytes each.

    ``halves`` is uint64 (2, N): row 0 holds the first 64 bits of every word and row 1 the others, as ``numpy.packbits``
    orders them in memory. A set bit is the sign +1.
    """

    halves: NDArray[np.uint64]

    def __len__(self) -> int:
        return int(self.halves.shape[1])

    def unpack(self, chosen: NDArray[np.intp] | slice) -> Signs:
        """Signs (n, 128) in {-1, +1} of some words."""
        some = np.ascontiguousarray(self.halves[:, chosen].T)
        bits = np.unpackbits(some.view(np.uint8).reshape(-1, WORD_BYTES), axis=1)
        return bits.view(np.int8) * np.int8(2) - np.int8(1)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The best word and two best scores; ``runner_up`` is None where there is only one word."""

    index: int
    score: int
    runner_up: int | None


def pack_words(words: Signs) -> PackedWords:
    """Words (N, 128) of signs, packed."""
    rows = np.ascontiguousarray(np.packbits(words > 0, axis=1)).view(np.uint64).reshape(-1, HALVES)
    return PackedWords(np.ascontiguousarray(rows.T))


def build_words(tag_ids: NDArray[np.uint64], key: ChannelKey) -> PackedWords:
    """The words of all ids (N,) under a key: those of ``channel.encode_many``, packed.

    The code is linear over GF(2) and mask and interleaver are affine, so a word is the word of id 0 with, for each bit
    of the id, what that bit changes; bits go by bytes, whose 256 changes are tabled.
    """
    bits = np.uint64(1) << np.arange(8 * ID_BYTES, dtype=np.uint64)
    plain = pack_words(encode_many(np.zeros(1, dtype=np.uint64), key)).halves
    of_bits = pack_words(encode_many(bits, key)).halves ^ plain
    changes = np.zeros((HALVES, ID_BYTES, 256), dtype=np.uint64)
    for bit in range(8):
        half = 1 << bit
        changes[:, :, half : 2 * half] = changes[:, :, :half] ^ of_bits[:, bit::8, None]
    halves = np.repeat(plain, len(tag_ids), axis=1)
    for at in range(0, len(tag_ids), _CHUNK):
        ids = tag_ids[at : at + _CHUNK]
        for byte in range(ID_BYTES):
            chosen = ((ids >> np.uint64(8 * byte)) & np.uint64(0xFF)).astype(np.intp)
            halves[:, at : at + _CHUNK] ^= changes[:, byte][:, chosen]
    return PackedWords(halves)


def exact_scores(levels: Levels, signs: Signs) -> Levels:
    """Scores sum(l c) (n,) of integer levels (128,) under 2^40 with signs (n, 128).

    The products are those of whole numbers under 2^53, so that floating point gives them exactly in whatever order.
    """
    return np.asarray(signs.astype(np.float64) @ levels.astype(np.float64), dtype=np.int64)


def find_nearest(levels: Levels, words: PackedWords) -> Nearest | None:
    """The two largest scores of all words; of equal ones the lowest index is the best. None where there are no words.

    Args:
        levels: Integer soft bits (128,), each under 2^40 in size.
        words: What to compare them with.
    """
    if len(words) == 0:
        return None
    if not levels.any():
        return Nearest(index=0, score=0, runner_up=0 if len(words) > 1 else None)
    best: tuple[int, int] | None = None
    second: int | None = None
    for indices in _in_reach(levels, words):
        scores = exact_scores(levels, words.unpack(indices))
        at = int(np.argmax(scores))
        score = int(scores[at])
        rest = int(np.partition(scores, -2)[-2]) if scores.size > 1 else None
        if best is None or score > best[0]:
            # The best so far is now one of those that lost, and so is this chunk's second.
            beaten = [value for value in (best[0] if best else None, rest) if value is not None]
            second = max(beaten, default=None)
            best = (score, int(indices[at]))
        else:
            second = score if second is None else max(second, score)
    if best is None:  # never: the words that set the reach are in it
        return None
    return Nearest(index=best[1], score=best[0], runner_up=second)


def _in_reach(levels: Levels, words: PackedWords) -> Iterator[NDArray[np.intp]]:
    """Indices, ascending, of all words that can be among the two best; in chunks."""
    if len(words) <= _CHUNK // 16:
        yield np.arange(len(words))
        return
    sizes = np.abs(levels)
    multiples, step, hidden = _coarsen(sizes)
    distances, promising = _coarse_distances(levels > 0, multiples, words)
    # Two words are known to score this much, so none below it matters.
    enough = int(np.partition(exact_scores(levels, words.unpack(promising)), -2)[-2])
    reach = min(255, (int(sizes.sum()) + 2 * hidden - enough) // (2 * step))
    for at in range(0, len(words), _CHUNK):
        near = np.flatnonzero(distances[at : at + _CHUNK] <= reach)
        if near.size:
            yield near + at


def _coarsen(sizes: Levels) -> tuple[Levels, int, int]:
    """Sizes of the soft bits (128,) as multiples 0 to 7 of a step, the step, and how much score that can hide.

    With D = sum of the multiples where a word differs from the signs, and e = size - multiple x step, its score is
    sum(sizes) - 2 step D - 2 sum(e where it differs). The last sum is at least that of all negative e, which is what
    can be hidden: no score is above sum(sizes) - 2 step D + 2 hidden.
    """
    largest = int(sizes.max())
    # A finer step serves the many small sizes, a coarser one the few large ones; what misses least is best, among those
    # whose sums of differing multiples hardly ever wrap: a far word that looks near hides which words really are.
    steps = np.maximum(1, np.rint(largest / _LEVELS * np.linspace(0.3, 3.5, _STEPS))).astype(np.int64)
    multiples = np.minimum(_LEVELS, (sizes + steps[:, None] // 2) // steps[:, None])
    errors = sizes - multiples * steps[:, None]
    missed = np.abs(errors).sum(axis=1)
    farthest = 0.5 * multiples.sum(axis=1) + _SPREAD * 0.5 * np.sqrt((multiples * multiples).sum(axis=1))
    best = int(np.argmin(np.where(farthest <= 255, missed, missed + missed.max())))
    return multiples[best], int(steps[best]), -int(np.minimum(errors[best], 0).sum())


def _coarse_distances(
    signs: NDArray[np.bool_], multiples: Levels, words: PackedWords
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Of every word the sum of the multiples (128,), each 0 to 7, where it differs from the signs (128,), modulo 256.

    A sum that wraps looks nearer than it is, which lets a word through that need not have been scored exactly.

    Returns:
        The distances (N,), and the indices of at least two words that are near; N must be at least two.
    """
    signed = _halves_of(signs)
    planes = [_halves_of((multiples >> plane) & 1 == 1) for plane in reversed(range(_PLANES))]
    distances = np.zeros(len(words), dtype=np.uint8)
    near = [0, 1]
    differing, masked = np.empty((HALVES, _CHUNK), np.uint64), np.empty((HALVES, _CHUNK), np.uint64)
    counts = np.empty((HALVES, _CHUNK), np.uint8)
    for at in range(0, len(words), _CHUNK):
        part = words.halves[:, at : at + _CHUNK]
        size = part.shape[1]
        there, some, count = differing[:, :size], masked[:, :size], counts[:, :size]
        np.bitwise_xor(part, signed, out=there)
        total = distances[at : at + size]
        for plane in planes:
            np.bitwise_and(there, plane, out=some)
            np.bitwise_count(some, out=count)
            total += total
            total += count[0]
            total += count[1]
        near.append(at + int(np.argmin(total)))
    return distances, np.unique(near)


def _halves_of(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """128 bits as (2, 1) words, in the order of ``PackedWords``."""
    return np.packbits(bits).view(np.uint64).reshape(HALVES, 1)
