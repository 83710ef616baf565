"""What a scan can have ready by the time the keys are open. In: options. Out: a reader, and modules that are loaded.

Opening a key takes as long as somebody needs to type its passphrase, and after that scrypt is slow on purpose. Both
leave the interpreter free to import what is needed next and to load the model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftforensics.engine.backends import BackendStatus
    from ftforensics.engine.reader import Reader

    Chosen = tuple[Reader, tuple[BackendStatus, ...]]

# What ``ftf scan`` uses once the keys are open; every one of them is imported by name where it is used.
SCAN_MODULES = (
    "ftforensics.engine.reading",
    "ftforensics.engine.ring",
    "ftforensics.flows.examine",
    "ftforensics.flows.scan",
    "ftforensics.store.cases",
    "ftforensics.store.registry",
)


@contextmanager
def reader_meanwhile(choose: Callable[[], Chosen]) -> Iterator[Future[Chosen]]:
    """Open a reader, then import what a scan needs, in a thread of its own; the reader is closed at the end.

    Args:
        choose: Opens it.

    Yields:
        The reader and what was passed over, once all is ready. Asking for the result raises what ``choose`` raised.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="meanwhile") as thread:
        chosen = thread.submit(choose)
        ready = thread.submit(_import_all, chosen)
        try:
            yield ready
        finally:
            ready.cancel()
            if not chosen.cancel() and chosen.exception() is None:
                chosen.result()[0].close()


def _import_all(chosen: Future[Chosen]) -> Chosen:
    reader = chosen.result()
    for name in SCAN_MODULES:
        importlib.import_module(name)
    return reader
