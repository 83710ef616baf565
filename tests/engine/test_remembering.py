"""What was made of a picture is made once, for whoever asks, and a failure is not remembered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from ftforensics.engine.remembering import Remembered


def picture(value: int, shape: tuple[int, int, int] = (4, 6, 3)) -> np.ndarray:
    return np.full(shape, value, np.uint8)


def test_it_is_made_once_a_picture():
    made: list[int] = []

    def make(given: np.ndarray) -> np.ndarray:
        made.append(int(given[0, 0, 0]))
        return given + np.uint8(1)

    remembered = Remembered(make)
    assert [int(remembered(picture(value))[0, 0, 0]) for value in (1, 2, 1, 2)] == [2, 3, 2, 3]
    assert made == [1, 2]
    assert not remembered(picture(1)).flags.writeable
    own = picture(5)
    assert not Remembered(lambda given: given)(own).flags.writeable
    assert own.flags.writeable
    # The same bytes in another shape are another picture.
    assert remembered(picture(1, (6, 4, 3))).shape == (6, 4, 3)
    assert made == [1, 2, 1]


def test_those_asked_for_last_are_kept():
    made: list[int] = []
    remembered = Remembered(lambda given: made.append(int(given[0, 0, 0])) or given.copy(), kept=2)
    for value in (1, 2, 1, 3, 1, 2):
        remembered(picture(value))
    assert made == [1, 2, 3, 2]


def test_threads_that_ask_at_once_wait_for_one_making():
    made: list[int] = []
    together = Barrier(4)

    def make(given: np.ndarray) -> np.ndarray:
        made.append(1)
        return given.copy()

    remembered = Remembered(make)

    def ask() -> np.ndarray:
        together.wait()
        return remembered(picture(7))

    with ThreadPoolExecutor(4) as threads:
        results = [one.result() for one in [threads.submit(ask) for _ in range(4)]]
    assert made == [1]
    assert all(result is results[0] for result in results)


def test_a_failure_is_raised_and_tried_again():
    answers = iter([ValueError("not now"), picture(9)])

    def make(_: np.ndarray) -> np.ndarray:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    remembered = Remembered(make)
    with pytest.raises(ValueError, match="not now"):
        remembered(picture(1))
    assert int(remembered(picture(1))[0, 0, 0]) == 9
