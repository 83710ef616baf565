"""How sure a measured rate is: bootstrap over pictures, and exact binomial bounds.

Reads of the same picture are not independent, so the picture is what is drawn again. Bootstrap: Efron (1979),
percentile intervals. Binomial bounds: Clopper and Pearson (1934).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log, log1p

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def estimate_mean(values: NDArray[np.float64], seed: int) -> Estimate:
    """Mean and 95 % percentile bootstrap interval of one value a picture (n,), n at least 1."""
    mean = float(values.mean())
    if values.size == 1 or np.ptp(values) == 0.0:
        return Estimate(mean, mean, mean)
    chosen = np.random.default_rng(seed).integers(0, values.size, (DRAWS, values.size))
    tail = 100.0 * (1.0 - CONFIDENCE) / 2.0
    low, high = np.percentile(values[chosen].mean(axis=1), [tail, 100.0 - tail])
    return Estimate(mean, float(low), float(high))


def estimate_rate(values: NDArray[np.float64], seed: int) -> Estimate:
    """As ``estimate_mean`` for values in [0, 1]; where all pictures say 0, or all say 1, the exact bound on pictures.

    A bootstrap of equal values would claim certainty.
    """
    mean = float(values.mean())
    if mean in (0.0, 1.0):
        open_end = upper_bound(0, values.size, 1.0 - (1.0 - CONFIDENCE) / 2.0)
        return Estimate(mean, 0.0, open_end) if mean == 0.0 else Estimate(mean, 1.0 - open_end, 1.0)
    return estimate_mean(values, seed)


def upper_bound(count: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """One-sided upper bound on the rate of something seen ``count`` times in ``trials`` independent trials.

    With none seen it is about 3 / trials at 95 %.
    """
    if trials <= 0 or count >= trials:
        return 1.0
    low, high = count / trials, 1.0
    for _ in range(100):
        middle = (low + high) / 2.0
        if _at_most(count, trials, middle) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(count: int, trials: int, rate: float) -> float:
    """Chance of at most ``count`` successes; 0 < rate < 1."""
    total = 0.0
    for k in range(count + 1):
        ways = lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1)
        total += exp(ways + (k * log(rate) if k else 0.0) + (trials - k) * log1p(-rate)) if rate < 1.0 else 0.0
    return min(1.0, total)
