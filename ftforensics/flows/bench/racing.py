"""Timing things side by side in one process, turn by turn, so that a busy machine is equally unkind to all.

Absolute times of a busy machine say little; the ratio within a round says much, since both were timed within moments of
each other. Each contestant's figures are the fastest round, which other work disturbed least, and the median.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ftforensics.errors import UsageError

WARM_UPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of every round of one contestant, in the order of the rounds."""

    name: str
    rounds_s: tuple[float, ...]

    @property
    def fastest_s(self) -> float:
        """The least disturbed round."""
        return min(self.rounds_s)

    @property
    def median_s(self) -> float:
        """The middle of all rounds."""
        return float(np.median(self.rounds_s))


def race(
    contestants: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Timing]:
    """Time every contestant once a round, after two runs that do not count; odd rounds go backwards.

    Raises:
        UsageError: No rounds are asked for.
    """
    if rounds < 1:
        raise UsageError("a timing needs one round at least")
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        for _ in range(WARM_UPS):
            run()
    names = list(contestants)
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            started = clock()
            contestants[name]()
            spent[name].append(clock() - started)
        advance()
    return {name: Timing(name=name, rounds_s=tuple(values)) for name, values in spent.items()}


def ratio(slow: Timing, fast: Timing) -> float:
    """How many times as long ``slow`` takes: of the fastest rounds of both."""
    return slow.fastest_s / max(fast.fastest_s, 1e-12)


def ratio_spread(slow: Timing, fast: Timing) -> tuple[float, float]:
    """The middle half of the ratios within rounds."""
    ratios = np.asarray(slow.rounds_s) / np.maximum(np.asarray(fast.rounds_s), 1e-12)
    low, high = np.percentile(ratios, [25.0, 75.0])
    return float(low), float(high)
