"""Work over pictures in several processes, results in the order of the tasks.

A worker is made once in every process, from a picklable class and its arguments, and called with one task after
another.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2

from ftforensics.errors import EngineError

_held: list[Callable[[Any], Any]] = []


def _start(make: Callable[[Any], Callable[[Any], Any]], setup: Any) -> None:
    cv2.setNumThreads(1)
    _held[:] = [make(setup)]


def _work(task: Any) -> Any:
    return _held[0](task)


def collect(
    make: Callable[[Any], Callable[[Any], Any]],
    setup: Any,
    tasks: Sequence[Any],
    jobs: int,
    advance: Callable[[], None],
) -> list[Any]:
    """All results of ``run_tasks``; ``advance`` is called after each.

    Raises:
        EngineError: A process died, most often for lack of memory.
        FtfError: As a task raises it.
    """
    done = []
    for result in run_tasks(make, setup, tasks, jobs):
        done.append(result)
        advance()
    return done


def run_tasks(
    make: Callable[[Any], Callable[[Any], Any]], setup: Any, tasks: Sequence[Any], jobs: int
) -> Iterator[Any]:
    """Results of all tasks, in order; with one job everything happens in this process.

    Args:
        make: A class or function of a module, called with ``setup`` once in every process.
        setup: Picklable.
        tasks: Picklable.
        jobs: How many processes.

    Raises:
        EngineError: A process died, most often for lack of memory.
        FtfError: As a task raises it.
    """
    if jobs <= 1:
        worker = make(setup)
        yield from (worker(task) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(make, setup))
    try:
        yield from pool.map(_work, tasks)
    except BrokenProcessPool as exc:
        raise EngineError("a process of the measurement died", remedy="give fewer --jobs, or free memory") from exc
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
