"""What a scan can have ready by the time the keys are open. In: options. Out: a reader, and modules that are loaded.

Opening a key takes as long as somebody needs to type its passphrase, and after that scrypt is slow on purpose. Both
leave the interpreter free to import what is needed next and to load the model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftforensics.engine.backends import BackendStatus
    from ftforensics.engine.reader import Localiser, PairReader, Reader

    Chosen = tuple[Reader, tuple[BackendStatus, ...]]
    Helpers = tuple[PairReader | None, Localiser | None]

# What ``ftf scan`` uses once the keys are open; every one of them is imported by name where it is used.
SCAN_MODULES = (
    "ftforensics.engine.reading",
    "ftforensics.engine.ring",
    "ftforensics.flows.examine",
    "ftforensics.flows.scan",
    "ftforensics.store.cases",
    "ftforensics.store.registry",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What is made ready; asking for a result waits for it, and raises what its making raised.

    ``reader`` comes with what was passed over, and once all that a scan needs is imported. ``helpers`` are what reads
    pictures beside their sources and what says where tags were replaced, None where the model has none.
    """

    reader: Future[Chosen]
    helpers: Future[Helpers]


@contextmanager
def reader_meanwhile(choose: Callable[[], Chosen], help_it: Callable[[], Helpers]) -> Iterator[Meanwhile]:
    """Open a reader, then import what a scan needs, in a thread of its own; the reader is closed at the end.

    Args:
        choose: Opens it.
        help_it: Opens what helps it.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="meanwhile") as thread:
        chosen = thread.submit(choose)
        ready = thread.submit(_import_all, chosen)
        helpers = thread.submit(help_it)
        try:
            yield Meanwhile(reader=ready, helpers=helpers)
        finally:
            helpers.cancel()
            ready.cancel()
            if not chosen.cancel() and chosen.exception() is None:
                chosen.result()[0].close()


def _import_all(chosen: Future[Chosen]) -> Chosen:
    reader = chosen.result()
    for name in SCAN_MODULES:
        importlib.import_module(name)
    return reader
