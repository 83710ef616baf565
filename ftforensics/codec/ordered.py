"""Soft-decision decoding of the channel code: the code words nearest to soft bits, or very nearly.

Over bits, RS(16, 8) over GF(2^8) is a linear (128, 64) code. Ordered statistics decoding (Fossorier and Lin, 1995)
takes the 64 most reliable bits that determine a word, encodes them as they were read and with up to four of them
flipped, and keeps the word that agrees best with all 128 soft bits. Reed-Solomon's own decoder works on whole symbols
and knows of each bit only whether its symbol is to be erased; this one weighs every bit. Order four is close to maximum
likelihood where half of the words can be decoded at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import fsum, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.channel import ID_BYTES, WORD_BITS, ChannelKey, generator, unmask

DATA_BITS = 8 * ID_BYTES
# Candidates whose scores are taken again in double precision, so that rounding decides nothing between them.
_FINALISTS = 8

Bits = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NearWord:
    """A word near some soft bits l: its id, z = sum(l c) / sqrt(sum(l^2)), and the symbols in which it differs from
    the hard bits, of 16.
    """

    tag_id: str
    z: float
    symbols_corrected: int


@lru_cache(maxsize=1)
def _flips() -> NDArray[np.intp]:
    """Index pairs (2081, 2) of at most two of 64 bits to flip, no flip first; 64 stands for none."""
    sets = [(DATA_BITS, DATA_BITS), *((bit, DATA_BITS) for bit in range(DATA_BITS))]
    return np.array([*sets, *combinations(range(DATA_BITS), 2)], dtype=np.intp)


@lru_cache(maxsize=1)
def _repeated() -> NDArray[np.bool_]:
    """Which pairs of flip sets (2081, 2081) say what another pair says: all but those in ascending order.

    The first set holds the lowest flips, and two of them before the second holds any; then every set of at most four
    flips stands in one place.
    """
    low, high = _flips().T
    alone = low == DATA_BITS
    full = high < DATA_BITS
    in_order = full[:, None] & (low[None] > high[:, None])
    return np.asarray(~(in_order | alone[None]))


def find_near_words(soft: Floats, key: ChannelKey, flips: Literal[2, 4]) -> list[NearWord]:
    """The words that agree best with soft bits, of all that differ in at most ``flips`` of the most reliable bits.

    Any soft bits have such words; whether one means anything is for a bound to say.

    Args:
        soft: Soft bits (128,), finite and not all zero.
        key: The carrier key's mask and interleaver.
        flips: Two take a millisecond, four some fifteen.

    Returns:
        Eight words, nearest first; the same ones every time.
    """
    hard, magnitudes = unmask(soft, key)
    # An exact sum, so that scores do not depend on how a linear algebra library adds.
    weights = magnitudes / sqrt(fsum(magnitudes * magnitudes))
    order, systematic = _most_reliable_basis(np.argsort(-weights, kind="stable"))
    words = np.empty((_FINALISTS, WORD_BITS), dtype=np.uint8)
    words[:, order] = _nearest(hard[order], weights[order], systematic, flips)
    return sorted((_near_word(row, hard, weights) for row in words), key=lambda word: (-word.z, word.tag_id))


def _near_word(word: Bits, hard: Bits, weights: NDArray[np.float64]) -> NearWord:
    differs = word ^ hard
    return NearWord(
        tag_id=np.packbits(word)[:ID_BYTES].tobytes().hex(),
        z=float(weights.sum() - 2.0 * (differs * weights).sum()),
        symbols_corrected=int(np.count_nonzero(np.packbits(differs))),
    )


def _most_reliable_basis(ranked: NDArray[np.intp]) -> tuple[NDArray[np.intp], Bits]:
    """The first 64 independent positions in an order of reliability, and the code's generator with these up front.

    Returns:
        All 128 positions, the 64 of the basis first; and the generator (64, 128) in that order, which is the identity
        on the basis.
    """
    rows = generator()[:, ranked].copy()
    basis: list[int] = []
    for column in range(WORD_BITS):
        at = len(basis)
        if at == DATA_BITS:
            break
        below = np.flatnonzero(rows[at:, column])
        if below.size:
            rows[[at, at + below[0]]] = rows[[at + below[0], at]]
            others = rows[:, column].astype(bool)
            others[at] = False
            rows[others] ^= rows[at]
            basis.append(column)
    columns = np.concatenate([basis, np.setdiff1d(np.arange(WORD_BITS), basis)]).astype(np.intp)
    return ranked[columns], rows[:, columns]


def _nearest(hard: Bits, weights: NDArray[np.float64], systematic: Bits, flips: Literal[2, 4]) -> Bits:
    """The best words (n, 128), the basis first, in single precision and in no order.

    A word's agreement is sum(w) - 2 sum(w where it differs). Flipping a bit of the basis costs its weight and turns the
    signs of the parity by the bit's row. With the rows of at most two flips multiplied out, the agreement of every two
    such sets of flips is one matrix product.
    """
    encoded = (hard[:DATA_BITS] @ systematic & 1).astype(np.uint8)
    parity = encoded[DATA_BITS:] ^ hard[DATA_BITS:]
    pull = (weights[DATA_BITS:] * (1.0 - 2.0 * parity)).astype(np.float32)
    signs = np.ones((DATA_BITS + 1, WORD_BITS - DATA_BITS), dtype=np.float32)
    signs[:-1] -= 2.0 * systematic[:, DATA_BITS:]
    first, second = _flips().T
    costs = np.append(weights[:DATA_BITS], 0.0)
    spent = (2.0 * (costs[first] + costs[second])).astype(np.float32)
    products = signs[first] * signs[second]
    ones = np.ones_like(spent)
    partners = slice(0, 1) if flips == 2 else slice(None)
    agreement = np.column_stack([products * pull, -spent, ones]) @ np.column_stack([products, ones, -spent])[partners].T
    np.putmask(agreement, _repeated()[:, partners], -np.inf)
    # The best pairs of all stand in the rows that have the best of their own.
    rows = np.argsort(-agreement.max(axis=1), kind="stable")[:_FINALISTS]
    best = np.argsort(-agreement[rows], axis=None, kind="stable")[:_FINALISTS]
    row, column = np.unravel_index(best, (rows.size, agreement.shape[1]))
    flipped = np.zeros((_FINALISTS, DATA_BITS + 1), dtype=np.uint8)
    for sets in (rows[row], column):
        for bits in (first[sets], second[sets]):
            flipped[np.arange(_FINALISTS), bits] ^= 1
    return np.asarray(encoded ^ (flipped[:, :DATA_BITS] @ systematic & 1), dtype=np.uint8)
