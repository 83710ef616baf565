from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from ftforensics.engine.hints import Hints
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench.scan_speed import (
    ScanTiming,
    Stopwatch,
    Timed,
    measure_floor,
    summarise_speed,
    summarise_stages,
)
from ftforensics.flows.bench.workers import run_tasks


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """Takes two seconds to read, and five of whoever it asks."""

    budget = "blind"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def identify(self, ask) -> str:
        self.clock.now += 2.0
        ask()
        return "found"


def test_a_stage_inside_another_stops_the_outer_clock():
    clock = Clock()
    watch = Stopwatch(clock)
    clock.now = 100.0
    with watch.stage("outer"):
        clock.now += 1.0
        with watch.stage("inner"):
            clock.now += 10.0
        clock.now += 3.0
    clock.now += 50.0
    assert watch.seconds == {"outer": 4.0, "inner": 10.0}


def test_threads_have_stages_of_their_own_and_their_times_add_up():
    clock = Clock()
    watch = Stopwatch(clock)
    with watch.stage("outer"), ThreadPoolExecutor(2) as threads:
        clock.now += 1.0

        def work() -> str | None:
            with watch.stage("inner"):
                clock.now += 10.0
                return watch.current

        assert [threads.submit(work).result() for _ in range(2)] == ["inner", "inner"]
        assert watch.current == "outer"
        clock.now += 3.0
    assert watch.seconds == {"outer": 24.0, "inner": 20.0}


def test_time_of_an_error_is_counted_too():
    clock = Clock()
    watch = Stopwatch(clock)

    def fail() -> None:
        with watch.stage("failing"):
            clock.now += 1.0
            raise EvidenceUnreadable("a picture is gone")

    with pytest.raises(EvidenceUnreadable):
        fail()
    assert watch.seconds == {"failing": 1.0}


def test_a_timed_object_answers_as_its_target_and_splits_what_it_asks_for():
    clock = Clock()
    watch = Stopwatch(clock)
    timed = Timed(Reader(clock), watch, {"identify": "search"}, {"identify": "leads"})

    def ask() -> None:
        clock.now += 5.0

    assert timed.identify(ask) == "found"
    assert timed.budget == "blind"
    assert watch.seconds == {"search": 2.0, "leads": 5.0}


def test_what_hints_ask_for_is_timed_as_well():
    clock = Clock()
    watch = Stopwatch(clock)
    asking = SimpleNamespace(identify=lambda hints: (hints.suggest(), hints.recall, hints.confine(1, 2, 3)))
    timed = Timed(asking, watch, {"identify": "search"}, {"identify": "leads"})

    def suggest() -> str:
        clock.now += 3.0
        return "frames"

    hints = Hints(suggest=suggest, confine=lambda *given: given)
    assert timed.identify(hints) == ("frames", None, (1, 2, 3))
    assert watch.seconds == {"search": 0.0, "leads": 3.0}


def test_ratios_are_of_the_floor():
    timing = ScanTiming(
        label="untagged", pictures=10, scan_s=4.0, floor_s=1.0, search_ms=50.0, stages={"read": 2.0, "link": 6.0}
    )
    (speed,) = summarise_speed([timing])
    assert (speed["floor_ratio"], speed["times_floor"]) == (0.25, 4.0)
    assert (speed["images_per_s"], speed["floor_images_per_s"]) == (2.5, 10.0)
    assert [(row["stage"], row["share"]) for row in summarise_stages([timing])] == [("read", 0.25), ("link", 0.75)]


def test_the_floor_of_a_file_that_is_gone_says_so(tmp_path: Path):
    with pytest.raises(EvidenceUnreadable):
        measure_floor([tmp_path / "gone.jpg"], 1)


class Adder:
    """Adds what it was made with; fails on purpose at 13."""

    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __call__(self, task: int) -> int:
        if task == 13:
            raise EvidenceUnreadable("an unlucky number", subject="13", remedy="take another")
        return task + self.amount


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_tasks(jobs: int):
    assert list(run_tasks(Adder, 100, [3, 1, 2], jobs)) == [103, 101, 102]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_task_arrives_whole(jobs: int):
    with pytest.raises(EvidenceUnreadable) as caught:
        list(run_tasks(Adder, 100, [13], jobs))
    assert (caught.value.subject, caught.value.remedy) == ("13", "take another")
