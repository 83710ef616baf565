"""How often chance alone reaches a score: the tail of a weighted sum of random signs, counted and not approximated.

For soft bits l and a word c drawn uniformly from {-1, +1}^128, sum(l c) = sum(|l|) - 2 D, where D is the weight of the
positions in which sign and word differ. P(sum(l c) >= t) is therefore the share of the 2^128 subsets whose weight is at
most (sum(|l|) - t) / 2, a subset-sum count that dynamic programming finds on a grid. Weights are rounded down, so the
count can only be too large: the result is an upper bound for these very soft bits, as Hoeffding's exp(-z^2 / 2) is for
all of them at once (Hoeffding, 1963), and a much closer one where few signs are left to differ.
"""

from __future__ import annotations

from math import exp, inf

import numpy as np
from numpy.typing import NDArray

# Of the grid, for soft bits of norm 1. With some twenty differing signs, rounding costs z less than 0.005.
_GRID = 1.0 / 4096.0
# Below this z the count would be long, and no decision is near.
_COUNT_FROM_Z = 4.0
# Cover the rounding of scores and of this very count, so that the bound stays one.
_SLACK = 1e-5
_ROUNDING = 1.0 + 1e-12


def hoeffding_p(z: float) -> float:
    """Hoeffding's bound exp(-z^2 / 2) on one comparison reaching z by chance, whatever the soft bits; 1 for z <= 0."""
    return exp(-0.5 * z * z) if z > 0.0 else 1.0


def chance_p(soft: NDArray[np.floating], z: float) -> float:
    """Upper bound on the probability that a word drawn by chance scores at least z with these soft bits.

    Args:
        soft: Soft bits (N,), finite.
        z: sum(l c) / sqrt(sum(l^2)).

    Returns:
        A probability, never above Hoeffding's bound; 1 for soft bits that are all zero or not finite.
    """
    norm = float(np.linalg.norm(soft.astype(np.float64)))
    if not 0.0 < norm < inf:
        return 1.0
    bound = hoeffding_p(z)
    if z < _COUNT_FROM_Z:
        return bound
    weights = np.abs(soft.astype(np.float64)) / norm
    share = _share_of_subsets(weights, (float(weights.sum()) - z) / 2.0 + _SLACK)
    return min(bound, share * _ROUNDING)


def _share_of_subsets(weights: NDArray[np.float64], limit: float) -> float:
    """At least the share of all subsets whose total weight is at most ``limit``."""
    if limit < 0.0:
        return 0.0
    room = int(limit / _GRID)
    # Counts are kept as they are, and halved a step all at once in the end: scaling by powers of two loses nothing.
    subsets = np.zeros(room + 1)
    subsets[0] = 1.0
    heaviest = 0
    steps = np.floor(weights / _GRID).astype(np.int64)
    for step in map(int, steps):
        # Either this sign agrees, or it differs and adds its weight; each with probability one half.
        heaviest = min(room, heaviest + step)
        if step <= room:
            subsets[step : heaviest + 1] += subsets[: heaviest + 1 - step]
    return float(subsets.sum()) * 0.5**steps.size
