"""One device and its queue: forms batches, keeps every slot busy, backs off where memory is short.

A batch is started as soon as it is full, or its first picture has waited for ``latency_s``, or whoever asked has
nothing more to add (``flush``). While one slot computes, the next one's pictures are copied.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from ftforensics.engine.cuda.slots import Device, Floats, OutOfDeviceMemory, Pixels, Slot
from ftforensics.errors import EngineError, FtfError


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """Pictures that were asked for together, and their maps as far as they are known."""

    pictures: Pixels
    planes: Floats
    flush: bool
    asked_s: float
    future: Future[Floats] = field(default_factory=Future)
    left: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def finish(self, at: int, planes: Floats) -> None:
        """Take the map of one picture; with the last one the request is done."""
        self.planes[at] = planes
        with self.lock:
            self.left -= 1
            if self.left == 0 and not self.future.done():
                self.future.set_result(self.planes)

    def fail(self, error: BaseException) -> None:
        """Tell whoever asked; only the first error counts."""
        with self.lock:
            if not self.future.done():
                self.future.set_exception(error)


Piece = tuple[Request, int]
GiveBack = Callable[["Lane", list[Piece], FtfError], None]


class Lane:
    """A device, its thread, its queue and its slots.

    Args:
        device: Opened in the lane's own thread.
        slots: Batches in flight at most.
        batch: Pictures in a batch at most; halved, and kept so, whenever the device has no room for it.
        latency_s: How long a picture waits for others, at most.
        give_back: Called once, when the device fails for another reason than memory, with all that it still owed.
    """

    def __init__(self, device: Device, *, slots: int, batch: int, latency_s: float, give_back: GiveBack) -> None:
        self.device = device
        self.batch, self.slots = batch, slots
        self.failure: FtfError | None = None
        self._latency_s, self._give_back = latency_s, give_back
        self._queue: deque[Piece] = deque()
        self._flushes, self._owed = 0, 0
        self._wake = threading.Condition()
        self._closing = False
        self._running: deque[tuple[Slot, list[Piece]]] = deque()
        self._idle: list[Slot] = []
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=f"ftf {device.name}", daemon=True)
        self._thread.start()

    def wait_until_open(self) -> None:
        """Wait for the device to have the model. Raises EngineError where it could not be opened."""
        self._opened.result()

    def depth(self) -> int:
        """Pictures that are waiting or being computed."""
        return self._owed

    def put(self, pieces: list[Piece]) -> bool:
        """Take pictures into the queue; False where the lane is closed or has failed."""
        with self._wake:
            if self._closing or self.failure is not None:
                return False
            self._queue.extend(pieces)
            self._owed += len(pieces)
            self._flushes += sum(request.flush for request, _ in pieces)
            self._wake.notify()
        return True

    def close(self) -> None:
        """Finish what was asked for, give everything back, and end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            self.device.open()
        except Exception as exc:  # noqa: BLE001 - whatever a driver raises becomes the reason why this lane is closed
            self.failure = _as_engine_error(exc, self.device)
            self.device.close()
            self._opened.set_exception(self.failure)
            return
        self._opened.set_result(None)
        try:
            self._serve()
        except Exception as exc:  # noqa: BLE001 - likewise: nobody may wait for ever for a thread that has ended
            self._break(exc)
        finally:
            self._close_slots()
            self.device.close()

    def _serve(self) -> None:
        while True:
            pieces = self._next_batch()
            if pieces is None:
                return
            if not pieces:
                self._finish_oldest()
                continue
            try:
                self._start(pieces)
            except OutOfDeviceMemory as exc:
                self._back_off(exc)

    def _next_batch(self) -> list[Piece] | None:
        """The pieces to start now; none where the oldest batch should be waited for; None at the end.

        A slot is free, or can be opened, whenever pieces are given.
        """
        with self._wake:
            while True:
                if len(self._running) >= self.slots:
                    return []
                if self._is_due():
                    return self._take()
                if self._running:
                    return []
                if self._queue:
                    self._wake.wait(max(0.0, self._queue[0][0].asked_s + self._latency_s - time.monotonic()))
                elif self._closing:
                    return None
                else:
                    self._wake.wait()

    def _is_due(self) -> bool:
        if not self._queue:
            return False
        waited_s = time.monotonic() - self._queue[0][0].asked_s
        return len(self._queue) >= self.batch or self._flushes > 0 or self._closing or waited_s >= self._latency_s

    def _take(self) -> list[Piece]:
        pieces = [self._queue.popleft() for _ in range(min(self.batch, len(self._queue)))]
        self._flushes -= sum(request.flush for request, _ in pieces)
        return pieces

    def _start(self, pieces: list[Piece]) -> None:
        try:
            slot = self._idle.pop() if self._idle else self.device.open_slot(self.batch)
        except Exception:
            self._put_back(pieces)
            raise
        self._running.append((slot, pieces))  # first, so that they are still owed if the device refuses them
        slot.submit([request.pictures[at] for request, at in pieces])

    def _finish_oldest(self) -> None:
        slot, pieces = self._running[0]
        try:
            planes = slot.collect()
        except OutOfDeviceMemory as exc:
            self._back_off(exc)
            return
        self._running.popleft()
        self._idle.append(slot)
        with self._wake:
            self._owed -= len(pieces)
        for (request, at), one in zip(pieces, planes, strict=True):
            request.finish(at, one)

    def _back_off(self, error: OutOfDeviceMemory) -> None:
        """Put back what was running, free all slots, and go on with half the batch; then with one slot; then fail."""
        while self._running:
            slot, pieces = self._running.pop()
            slot.close()
            self._put_back(pieces)
        self._close_slots()
        if self.batch > 1:
            self.batch //= 2
        elif self.slots > 1:
            self.slots = 1
        else:
            raise EngineError(
                f"the device has not even memory for one picture ({error.what})",
                subject=self.device.name,
                remedy="free some of its memory, or choose --engine onnx",
            ) from error

    def _put_back(self, pieces: list[Piece]) -> None:
        with self._wake:
            self._queue.extendleft(reversed(pieces))
            self._flushes += sum(request.flush for request, _ in pieces)

    def _break(self, exc: Exception) -> None:
        """Remember why, and hand on everything that is still owed."""
        with self._wake:
            self.failure = _as_engine_error(exc, self.device)
            owed = [piece for _, pieces in self._running for piece in pieces] + list(self._queue)
            self._queue.clear()
            self._flushes, self._owed = 0, 0
        while self._running:
            self._running.pop()[0].close()
        self._give_back(self, owed, self.failure)

    def _close_slots(self) -> None:
        while self._running:
            self._running.pop()[0].close()
        while self._idle:
            self._idle.pop().close()


def _as_engine_error(exc: Exception, device: Device) -> FtfError:
    _let_go(exc)
    if isinstance(exc, FtfError):
        return exc
    error = EngineError(
        f"the device failed ({type(exc).__name__}: {str(exc)[:200]})",
        subject=device.name,
        remedy="run 'ftf doctor', or choose --engine onnx",
    )
    error.__cause__ = exc
    return error


def _let_go(exc: BaseException | None) -> None:
    """Empty the frames that an error remembers: it is kept, and buffers or contexts must not be kept with it."""
    while exc is not None:
        traceback.clear_frames(exc.__traceback__)
        exc = exc.__cause__ or exc.__context__


def new_request(pictures: Pixels, grid: int, *, flush: bool) -> Request:
    """A request for the maps (B, 3, grid, grid) of pictures (B, P, P, 3)."""
    request = Request(
        pictures=pictures,
        planes=np.empty((len(pictures), 3, grid, grid), dtype=np.float32),
        flush=flush,
        asked_s=time.monotonic(),
        left=len(pictures),
    )
    request.future.set_running_or_notify_cancel()  # from here on nobody can cancel it
    return request
