"""A device that averages pictures down to maps, with a limited memory and a way to break: slots without a GPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from ftforensics.engine.cuda.slots import Floats, OutOfDeviceMemory, Pixels

SIDE, GRID = 8, 4


def average(pictures: Pixels) -> Floats:
    """Maps (B, 3, 4, 4) of pictures (B, 8, 8, 3): means of two by two pixels."""
    blocks = pictures.astype(np.float32).reshape(len(pictures), GRID, 2, GRID, 2, 3)
    return np.ascontiguousarray(blocks.mean(axis=(2, 4)).transpose(0, 3, 1, 2))


class AveragingSlot:
    def __init__(self, device: AveragingDevice, capacity: int) -> None:
        self.device, self.capacity = device, capacity
        self.buffer = np.zeros((capacity, SIDE, SIDE, 3), dtype=np.uint8)
        self.filled = 0

    def submit(self, pictures: Sequence[Pixels]) -> None:
        assert 1 <= len(pictures) <= self.capacity
        assert not self.filled, "this slot was still in use"
        assert threading.current_thread() is self.device.thread
        self.device.batches.append(len(pictures))
        if self.device.breaks_after is not None and len(self.device.batches) > self.device.breaks_after:
            raise RuntimeError("an illegal memory access was encountered")
        for at, picture in enumerate(pictures):
            self.buffer[at] = picture
        self.filled = len(pictures)

    def collect(self) -> Floats:
        assert self.device.gate.wait(30)
        filled, self.filled = self.filled, 0
        return average(self.buffer[:filled])

    def close(self) -> None:
        self.device.in_use -= self.capacity
        self.device.slots_closed += 1


class AveragingDevice:
    """``room`` is how many pictures all slots together may hold. ``gate`` holds results back while it is cleared."""

    def __init__(
        self, name: str = "averaging", *, room: int | None = None, breaks_after: int | None = None, opens: bool = True
    ) -> None:
        self.name, self.room, self.breaks_after, self.opens = name, room, breaks_after, opens
        self.batches: list[int] = []
        self.in_use = self.slots_opened = self.slots_closed = self.refusals = 0
        self.closed = 0
        self.thread: threading.Thread | None = None
        self.gate = threading.Event()
        self.gate.set()

    def open(self) -> None:
        self.thread = threading.current_thread()
        if not self.opens:
            raise OSError("no such GPU")

    def open_slot(self, capacity: int) -> AveragingSlot:
        if self.room is not None and self.in_use + capacity > self.room:
            self.refusals += 1
            raise OutOfDeviceMemory("no memory left", subject=self.name)
        self.in_use += capacity
        self.slots_opened += 1
        return AveragingSlot(self, capacity)

    def close(self) -> None:
        assert threading.current_thread() is self.thread
        assert self.slots_opened == self.slots_closed, "a slot was left open"
        self.closed += 1
