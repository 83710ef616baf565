"""Maximum-likelihood matching of soft bits against a registry, and the bounds on being wrong.

For soft bits l and a code word c in {-1, +1}^128, z = sum(l c) / sqrt(sum(l^2)). For a picture made without the key c
is uniform over the mask whatever l is, so the chance that one record scores z or better is the tail of a weighted sum
of random signs, which ``codec.tails`` counts. The E-value multiplies it by every record, key and hypothesis that was
compared. For pictures tagged with the *same* key and another record the bound does not hold; there the distance of the
code and the runner-up's z are what there is to go by.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, sqrt

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.channel import WORD_BITS
from ftforensics.codec.tails import chance_p
from ftforensics.codec.words import PackedWords, exact_scores, find_nearest, pack_words

Z_MAX = sqrt(WORD_BITS)
_CHUNK = 8192
_UNIT = 2.0**40

Floats = NDArray[np.float32]
# Signs (N, 128) as int8, or packed.
Words = NDArray[np.int8] | PackedWords


@dataclass(frozen=True, slots=True)
class Match:
    """The best record for some soft bits, by index into the code words given."""

    index: int
    z: float
    runner_up_z: float
    bit_agreement: float


def z_scores(soft: Floats, words: Words) -> NDArray[np.float64]:
    """Scores z (N,) of soft bits (128,) with every word; at most sqrt(128).

    The same to the last bit however many words there are and in whatever order they are scored. Zeros where the soft
    bits are all zero, or where one of them is not a finite number: such a reading says nothing.
    """
    packed, levels = _packed(words), _levels(soft)
    parts = [
        exact_scores(levels, packed.unpack(slice(at, at + _CHUNK))) / _UNIT for at in range(0, len(packed), _CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def match(soft: Floats, words: Words) -> Match | None:
    """The record of largest z and the runner-up's z (-inf where there is no second); None for an empty registry.

    Of records with equal z the first is the match. The values are exactly those of ``z_scores``.
    """
    packed = _packed(words)
    nearest = find_nearest(_levels(soft), packed)
    if nearest is None:
        return None
    word = packed.unpack(slice(nearest.index, nearest.index + 1))[0]
    return Match(
        index=nearest.index,
        z=nearest.score / _UNIT,
        runner_up_z=float("-inf") if nearest.runner_up is None else nearest.runner_up / _UNIT,
        bit_agreement=float(np.mean((soft > 0) == (word > 0))),
    )


def _packed(words: Words) -> PackedWords:
    return words if isinstance(words, PackedWords) else pack_words(words)


def _levels(soft: Floats) -> NDArray[np.int64]:
    """Soft bits (128,) divided by their norm, in whole multiples of 2^-40: enough for ten digits of z."""
    wide = soft.astype(np.float64)
    if not np.isfinite(wide).all():
        return np.zeros(WORD_BITS, dtype=np.int64)
    norm = sqrt(fsum(wide * wide))
    return np.zeros(WORD_BITS, dtype=np.int64) if norm == 0.0 else np.rint(wide / norm * _UNIT).astype(np.int64)


def e_value(soft: Floats, z: float, *, records: int, carrier_keys: int, hypotheses: int) -> float:
    """Expected number of chance matches as good as z, for soft bits (128,), among everything that was compared."""
    return records * carrier_keys * hypotheses * chance_p(soft, z)
