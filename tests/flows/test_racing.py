from __future__ import annotations

import pytest

from ftforensics.errors import UsageError
from ftforensics.flows.bench.racing import WARM_UPS, Timing, race, ratio, ratio_spread


class Clock:
    """Moves only when a contestant moves it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def contestant(self, name: str, seconds: list[float]):
        left = iter([0.0] * WARM_UPS + seconds)

        def run() -> None:
            self.order.append(name)
            self.now += next(left)

        return run


def test_rounds_alternate_and_warm_ups_do_not_count():
    clock = Clock()
    contestants = {"a": clock.contestant("a", [3.0, 1.0, 2.0]), "b": clock.contestant("b", [6.0, 4.0, 8.0])}
    found = race(contestants, rounds=3, clock=clock)
    assert found["a"].rounds_s == (3.0, 1.0, 2.0)
    assert (found["b"].fastest_s, found["b"].median_s) == (4.0, 6.0)
    assert clock.order[2 * WARM_UPS :] == ["a", "b", "b", "a", "a", "b"]


def test_ratios_are_of_the_least_disturbed_rounds():
    slow, fast = Timing(name="s", rounds_s=(4.0, 40.0, 8.0)), Timing(name="f", rounds_s=(1.0, 2.0, 20.0))
    assert ratio(slow, fast) == 4.0
    low, high = ratio_spread(slow, fast)
    assert (low, high) == (pytest.approx(2.2), pytest.approx(12.0))


def test_no_rounds_are_refused():
    with pytest.raises(UsageError):
        race({"a": lambda: None}, rounds=0)
