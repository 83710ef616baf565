"""Reading a tag id without a registry, and the bounds under which one is believed.

For a picture made without the key, each of the code's 2^64 words is uniform over the mask whatever the soft bits are.
So the chance that any of them scores z or better is at most 2^64 times that of one (``codec.tails``), by whatever
decoder it was found. For a picture that does carry a tag under the key it does not say *which* word it is: bits that
were lost speak for several words alike. Losses that do not know the key's interleaver hit what distinguishes two words
as seldom as chance hits a word; the runner-up is a second guard, and no bound (docs/adr/0006).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

import numpy as np

from ftforensics.codec.channel import WORD_BITS, ChannelKey
from ftforensics.codec.ordered import DATA_BITS, Floats, NearWord, find_near_words
from ftforensics.codec.tails import chance_p

BLIND_LIMIT = 1e-6
# The runner-up must be so many times less likely to have been sent than the word that is believed.
_LEAST_LOG_ODDS = log(1e6)


@dataclass(frozen=True, slots=True)
class BlindDecode:
    """A word found without a registry.

    ``false_accept_p`` bounds the chance of finding one over everything that was tried; ``runner_up_z`` is that of the
    next-best word.
    """

    word: NearWord
    runner_up_z: float
    false_accept_p: float


def chance_words(soft: Floats, z: float) -> float:
    """At most how many of all 2^64 words chance alone is expected to let score z or better with soft bits (128,)."""
    return 2.0**DATA_BITS * chance_p(soft, z)


def decode_blind(soft: Floats, key: ChannelKey, *, trials: int) -> BlindDecode | None:
    """The word nearest to soft bits, if neither chance nor another word explains them; else None.

    Args:
        soft: Soft bits (128,).
        key: The carrier key's mask and interleaver.
        trials: As how many decodings this one counts among all of the case: pictures x carrier keys x hypotheses.
    """
    if not np.isfinite(soft).all() or not np.any(soft):
        return None
    quick = find_near_words(soft, key, 2)[0]
    if chance_words(soft, quick.z) * trials > BLIND_LIMIT:
        return None
    best, runner_up, *_ = find_near_words(soft, key, 4)
    if log_odds(best.z, runner_up.z) < _LEAST_LOG_ODDS:
        return None
    return BlindDecode(word=best, runner_up_z=runner_up.z, false_accept_p=chance_words(soft, best.z) * trials)


def log_odds(z: float, runner_up_z: float) -> float:
    """Natural logarithm of how much likelier the word of score z is than that of a lower score, both equally likely
    before.

    Soft bits are taken for the word's signs in Gaussian noise of one variance, estimated from z: with soft bits of mean
    square 1, an amplitude of z / sqrt(128) and the rest noise. A model, not a bound.
    """
    noise = 1.0 - z * z / WORD_BITS
    return inf if noise <= 0.0 else z * (z - runner_up_z) / noise
