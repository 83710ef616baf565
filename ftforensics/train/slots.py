"""The process that keeps slots: it shapes and adds their tags, manipulates pictures, and gives the trainer batches.

Enters: the reader's weights as they are and the gradient that the last batch of a slot gave. Leaves: that slot's next
batch, as arrays. Everything is a function of the arguments in their order, so runs repeat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ftforensics.imaging import perceptual
from ftforensics.nets.reader import Reader, build_reader
from ftforensics.nets.simulator import Simulator
from ftforensics.train.band import BandTransform
from ftforensics.train.data import Pictures, load_pictures
from ftforensics.train.samples import CarrierDraw, hardness_at, manipulate, stack_samples
from ftforensics.train.shaping import Shaper, Slot, draw_slot, through_manipulation
from ftforensics.train.starting import load_generator

SLOTS, LIFETIME = 8, 24
# Shaped before its first use, so that few batches show tags that nobody would embed.
FIRST_STEPS = 3

Arrays = dict[str, NDArray[np.generic]]


@dataclass(slots=True, kw_only=True, eq=False)
class SlotKeeper:
    """All slots, and what it takes to go on with them."""

    pictures: Pictures
    simulator: Simulator | None
    keys: CarrierDraw
    net: Reader
    shaper: Shaper
    batch: int
    slots: dict[int, Slot] = field(default_factory=dict)
    maps: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def advance(self, index: int, weights: Arrays, slope: NDArray[np.float32] | None, seed: list[int]) -> Arrays:
        """The next batch of slot ``index``.

        Args:
            index: From 0 to ``SLOTS`` - 1.
            weights: Of the reader.
            slope: Gradient (B, 3, 128, 128) of the loss with respect to the pictures of the slot's last batch.
            seed: Of all that is drawn.
        """
        self.net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        random = np.random.default_rng(seed)
        slot = self.slots.get(index)
        if slot is None or slot.visits >= LIFETIME:
            # Ages are spread over the slots from the first round on.
            slot = self._fresh(random, 0 if slot is not None else index * LIFETIME // SLOTS)
            self.slots[index] = slot
        else:
            if slope is not None:
                _, gain = self.shaper.view(slot)
                self.shaper.update(slot, through_manipulation(torch.from_numpy(slope), self.maps[index]), gain)
            self.shaper.shape(self.net, slot, random)
        slot.visits += 1
        return self._show(index, slot, random)

    def _fresh(self, random: np.random.Generator, visits: int) -> Slot:
        slot = draw_slot(self.pictures, self.keys, batch=self.batch, random=random)
        slot.visits = visits
        for _ in range(FIRST_STEPS):
            self.shaper.shape(self.net, slot, random)
        return slot

    def _show(self, index: int, slot: Slot, random: np.random.Generator) -> Arrays:
        """Add the tags at full size and manipulate every picture."""
        planes, hard = slot.planes, hardness_at(1.0)
        seen = []
        for host, tag, strength in zip(slot.hosts, planes, slot.psnr_db, strict=True):
            tagged = perceptual.add_residual(host, tag, perceptual.build_mask(host), strength)
            seen.append(manipulate(tagged, self.pictures, self.simulator, hard, random))
        batch = stack_samples(seen)
        self.maps[index] = {name: batch[name] for name in ("present", "to_source", "from_source")}
        batch |= {"signs": slot.signs, "carriers": slot.carriers, "planes": torch.from_numpy(planes)}
        return {name: value.numpy() for name, value in batch.items()}


def open_keeper(images: Path, simulator: Path | None, size: str, batch: int, model_id: str) -> SlotKeeper:
    """A keeper without slots."""
    keys, to_band = CarrierDraw(model_id), BandTransform(torch.device("cpu"))
    net = build_reader(size).eval()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return SlotKeeper(
        pictures=load_pictures(images, "train"),
        simulator=load_generator(simulator) if simulator is not None else None,
        keys=keys,
        net=net,
        shaper=Shaper(to_band, keys.sync.astype(np.float32), LIFETIME),
        batch=batch,
    )


_keeper: list[SlotKeeper] = []


def start_process(images: Path, simulator: Path | None, size: str, batch: int, model_id: str) -> None:
    """Make this process the one that keeps the slots."""
    torch.set_num_threads(1)
    _keeper.append(open_keeper(images, simulator, size, batch, model_id))


def advance(index: int, weights: Arrays, slope: NDArray[np.float32] | None, seed: list[int]) -> Arrays:
    """``SlotKeeper.advance`` of this process's keeper."""
    return _keeper[0].advance(index, weights, slope, seed)
