"""The Reader protocol: what every backend promises, whatever it runs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ftforensics.domain.model import ModelCard

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def to_input(picture: Pixels) -> Floats:
    """A picture uint8 (P, P, 3) as reader graphs take it: float32 (1, 3, P, P) in [0, 1]."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None] * np.float32(1.0 / 255.0))


class Reader(Protocol):
    """Runs one model. ``backend``, ``precision`` and ``engine_sha256`` go into every finding.

    ``engine_sha256`` is that of the built engine, None where the model's own graph or weights are run.
    """

    backend: str
    precision: str
    engine_sha256: str | None
    card: ModelCard

    def read(self, pictures: Pixels) -> Floats:
        """Residual maps (B, 3, 64, 64) of pictures uint8 (B, 128, 128, 3) sRGB.

        Any B and order give the same maps on a processor; how far GPUs promise that stands in docs/adr/0008.
        """
        ...

    def close(self) -> None:
        """Give back what the reader holds; may be called again. Nothing can be read afterwards."""
        ...


class PairReader(Protocol):
    """Reads pictures beside the sources that their records register.

    ``sha256`` is that of its graph, ``simulator_sha256`` that of the model's generator, None where there is none.
    """

    sha256: str
    simulator_sha256: str | None

    @property
    def regenerate(self) -> Callable[[Pixels], Pixels] | None:
        """Puts a picture through the model's generator, same size, for others may have gone through the like."""
        ...

    def read(self, pairs: Floats) -> Floats:
        """Residual maps (B, 3, 64, 64) of pairs (B, 7, 128, 128) in [0, 1], see ``engine.compared.stack_pair``."""
        ...


class Localiser(Protocol):
    """Says where in its frame a tag was replaced; ``sha256`` is that of its graph."""

    sha256: str

    def locate(self, residual: Floats, tag: Floats, source: Floats, seen: NDArray[np.bool_]) -> Floats:
        """Log odds (64, 64) that a place was replaced since the tag was added.

        Args:
            residual: Map (3, 64, 64) of the suspect in the tagged frame.
            tag: The re-encoded tag (3, 64, 64).
            source: Map (3, 64, 64) of the source's preview, tagged anew.
            seen: bool (64, 64), the part of the frame that the suspect shows.
        """
        ...


@runtime_checkable
class OnDevices(Protocol):
    """What a reader that shares its pictures out to devices offers beside ``Reader``."""

    def read_each(self, pictures: Pixels) -> Sequence[tuple[str, Floats]]:
        """The maps of the same pictures by every device in use, each with the device's name."""
        ...

    def troubles(self) -> tuple[str, ...]:
        """What whoever relies on it should know by now: devices done without, smaller batches, doubtful plans."""
        ...


class Embedder(Protocol):
    """The reader's gradient with respect to the picture, for informed embedding."""

    def gradient(
        self, pictures: Floats, carriers: Floats, weights: Floats, margin: float, sharpness: float
    ) -> tuple[Floats, Floats]:
        """Soft values (B, K) and gradient (B, 3, 128, 128) for pictures float32 (B, 3, 128, 128) in [0, 1]."""
        ...

    @property
    def regenerate(self) -> Callable[[Pixels], Pixels] | None:
        """Rebuilds a picture uint8 (H, W, 3) as a deepfake generator does; None where the model has no generator."""
        ...
