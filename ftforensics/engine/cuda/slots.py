"""What a device must offer to be kept busy: slots that take a batch and give it back, each on a stream of its own.

Enter: pictures uint8 (P, P, 3). Leave: residual maps float32 (n, 3, G, G). All calls to a device and its slots come
from one thread, in which it was opened: a CUDA context belongs to a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ftforensics.errors import EngineError

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class OutOfDeviceMemory(EngineError):
    """The device has no room for a batch of this size; a smaller one may fit."""


class Slot(Protocol):
    """Buffers for one batch, host and device, and the stream it runs on."""

    def submit(self, pictures: Sequence[Pixels]) -> None:
        """Start at most ``capacity`` pictures: copy in, compute, copy out. Returns before they are done, if it can.

        Raises:
            OutOfDeviceMemory: The device has no room for it.
            EngineError: The device refuses for another reason; its slots cannot be used any more.
        """

    def collect(self) -> Floats:
        """Wait for what was submitted, and give its maps in an array that is the caller's own. Raises as ``submit``."""
        ...

    def close(self) -> None:
        """Give back buffers, stream and execution context. Never raises."""


class Device(Protocol):
    """One GPU, or the processor, with the model on it."""

    name: str

    def open(self) -> None:
        """Load the model, in the thread that will use it. Raises EngineError where that fails."""

    def open_slot(self, capacity: int) -> Slot:
        """A slot for batches of ``capacity``. Raises OutOfDeviceMemory where it has no room for one."""
        ...

    def close(self) -> None:
        """Give back the model and the context, after all slots. Never raises."""
