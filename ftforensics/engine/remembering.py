"""What a network made of a picture, kept for the next who asks: many suspects of a scan may come from one source."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock

from ftforensics.imaging.resample import Pixels

# Previews are at most 256 px wide or tall, a fifth of a megabyte each.
KEPT = 32


class Remembered:
    """A function of pictures that remembers its last results; may be used from several threads at once.

    Whoever asks for a result that another thread is making waits for it.

    Args:
        make: Of a picture uint8 (H, W, 3), a picture of the same size; the same for the same pixels.
        kept: So many results are kept, those asked for last.
    """

    def __init__(self, make: Callable[[Pixels], Pixels], *, kept: int = KEPT) -> None:
        self._make, self._kept, self._lock = make, kept, Lock()
        self._results: OrderedDict[tuple[tuple[int, ...], bytes], Future[Pixels]] = OrderedDict()

    def __call__(self, picture: Pixels) -> Pixels:
        """The result, not to be written to; raises what making it raised, and tries again the next time."""
        key = (picture.shape, hashlib.sha256(picture.tobytes()).digest())
        with self._lock:
            made = self._results.get(key)
            is_new = made is None
            if made is None:
                made = self._results[key] = Future()
                if len(self._results) > self._kept:
                    self._results.popitem(last=False)
            self._results.move_to_end(key)
        if is_new:
            self._fill(key, made, picture)
        return made.result()

    def _fill(self, key: tuple[tuple[int, ...], bytes], made: Future[Pixels], picture: Pixels) -> None:
        try:
            result = self._make(picture).view()
            result.setflags(write=False)
            made.set_result(result)
        except BaseException as exc:  # noqa: BLE001 - whoever waits is told, whatever it was
            with self._lock:
                if self._results.get(key) is made:
                    del self._results[key]
            made.set_exception(exc)
