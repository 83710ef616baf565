"""Keeps one or more devices busy: shares pictures out by queue depth, collects maps in the order asked for.

Every batch runs at one shape, padded where it is not full, so that the same kernels compute every picture. What
remains that could differ between runs is said in docs/adr/0008-backends.md.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import numpy as np

from ftforensics.engine.cuda.lane import GiveBack, Lane, Piece, new_request
from ftforensics.engine.cuda.slots import Device, Floats, Pixels
from ftforensics.errors import EngineError, FtfError

DEFAULT_SLOTS = 2
DEFAULT_BATCH = 32
DEFAULT_LATENCY_S = 0.002


class Runner:
    """Devices with their queues; may be used from several threads at once.

    Args:
        devices: All with the same model; each gets a thread of its own.
        grid: Side of the residual map.
        slots: Batches in flight on one device: with two or more, copies overlap computing.
        batch: Pictures in a batch at most. A device that has no room for it halves it, and keeps to that.
        latency_s: How long a single picture waits for others before it is computed, at most.

    Raises:
        EngineError: No device could be opened; the first one's reason.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        grid: int,
        slots: int = DEFAULT_SLOTS,
        batch: int = DEFAULT_BATCH,
        latency_s: float = DEFAULT_LATENCY_S,
    ) -> None:
        if not devices or slots < 1 or batch < 1 or latency_s < 0:
            raise EngineError("a runner needs a device, a slot, a batch of one and a latency that is not negative")
        self._grid, self._batch, self._slots = grid, batch, slots
        self._turn = 0
        give_back = _Heir(weakref.WeakMethod(self._hand_on))
        self.lanes = [
            Lane(device, slots=slots, batch=batch, latency_s=latency_s, give_back=give_back) for device in devices
        ]
        # Runs at the latest when the interpreter ends, so that no context outlives its driver.
        self._finalizer = weakref.finalize(self, _close_lanes, self.lanes)
        refusals = [refusal for lane in self.lanes if (refusal := _refusal(lane)) is not None]
        self.refusals = tuple(refusals)
        if len(refusals) == len(self.lanes):
            self.close()
            raise refusals[0]

    def read(self, pictures: Pixels) -> Floats:
        """Maps float32 (B, 3, G, G) of pictures uint8 (B, P, P, 3). Starts at once, without waiting for others.

        Raises:
            EngineError: Closed, or every device failed.
        """
        return self._ask(pictures, flush=True).result()

    def submit(self, picture: Pixels) -> Future[Floats]:
        """The map (1, 3, G, G) of one picture uint8 (P, P, 3), to come; waits ``latency_s`` for others to join it."""
        return self._ask(picture[None], flush=False)

    def read_each(self, pictures: Pixels) -> tuple[tuple[str, Floats], ...]:
        """Maps float32 (B, 3, G, G) of the same pictures by every device, with its name; broken devices are left out.

        Raises:
            EngineError: Closed, or every device failed.
        """
        asked = []
        for lane in self.lanes:
            request = new_request(np.asarray(pictures), self._grid, flush=True)
            if lane.put([(request, at) for at in range(len(pictures))]):
                asked.append((lane, request.future))
        maps = [(lane, future.result()) for lane, future in asked]
        # What a device that broke meanwhile owed was read by another.
        found = tuple((lane.device.name, planes) for lane, planes in maps if lane.failure is None)
        if not found:
            raise self._closed_or_failed()
        return found

    def troubles(self) -> tuple[str, ...]:
        """What has gone wrong so far without stopping it, a sentence without a full stop for each device it befell."""
        found = []
        for lane in self.lanes:
            name, failure = lane.device.name, lane.failure
            if failure is not None:
                found.append(f"{name} is done without: {failure.what}")
            elif lane.batch < self._batch or lane.slots < self._slots:
                found.append(f"{name} is short of memory: batches of {lane.batch}, not {self._batch}")
        return tuple(found)

    def close(self) -> None:
        """Finish what was asked for and free everything; may be called again."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, pictures: Pixels, *, flush: bool) -> Future[Floats]:
        request = new_request(np.asarray(pictures), self._grid, flush=flush)
        if not len(pictures):
            request.future.set_result(request.planes)
            return request.future
        self._share_out([(request, at) for at in range(len(pictures))])
        return request.future

    def _share_out(self, pieces: list[Piece]) -> None:
        """Batch by batch to whichever lane has least to do; with equal queues, in turn."""
        while pieces:
            lane = self._choose()
            if lane is None:
                _fail(pieces, self._closed_or_failed())
                return
            if lane.put(pieces[: lane.batch]):
                pieces = pieces[lane.batch :]

    def _choose(self) -> Lane | None:
        lanes = [lane for lane in self.lanes if lane.failure is None] if self._finalizer.alive else []
        if not lanes:
            return None
        self._turn += 1
        turned = [lanes[(self._turn + at) % len(lanes)] for at in range(len(lanes))]
        return min(turned, key=Lane.depth)

    def _closed_or_failed(self) -> FtfError:
        if not self._finalizer.alive:
            return EngineError("the engine was closed", remedy="open it again")
        failures = [lane.failure for lane in self.lanes if lane.failure is not None]
        return failures[-1]

    def _hand_on(self, failed: Lane, pieces: list[Piece], error: FtfError) -> None:
        """A lane broke: the others take over what it owed; without any, whoever asked is told why."""
        if any(lane.failure is None for lane in self.lanes if lane is not failed):
            self._share_out(pieces)
        else:
            _fail(pieces, error)


class _Heir:
    """Who gets what a broken lane owed, without keeping a forgotten runner alive."""

    def __init__(self, hand_on: weakref.WeakMethod[GiveBack]) -> None:
        self._hand_on = hand_on

    def __call__(self, failed: Lane, pieces: list[Piece], error: FtfError) -> None:
        hand_on = self._hand_on()
        if hand_on is None:
            _fail(pieces, error)
        else:
            hand_on(failed, pieces, error)


def _fail(pieces: Sequence[Piece], error: FtfError) -> None:
    for request, _ in pieces:
        request.fail(error)


def _close_lanes(lanes: Sequence[Lane]) -> None:
    for lane in lanes:
        lane.close()


def _refusal(lane: Lane) -> FtfError | None:
    try:
        lane.wait_until_open()
    except FtfError as exc:
        return exc
    return None
