"""Pairs of a manipulated picture and the source that its record registers, for the reader that sees both.

Tags are shaped through the reader as it is shipped, which does not change here: that is how they are embedded. Hosts
keep their tags for a while, as shaping costs most; every visit manipulates them anew. Everything is a function of the
seed and the step, so a run that was stopped goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ftforensics.attacks import handling
from ftforensics.codec.carriers import GRID
from ftforensics.engine.compared import line_up, stack_pair
from ftforensics.imaging import geometry, perceptual
from ftforensics.imaging.resample import Floats, Pixels
from ftforensics.link.fingerprint import PREVIEW_QUALITY
from ftforensics.nets.reader import INPUT_PX
from ftforensics.nets.simulator import Simulator
from ftforensics.train.hosts import PSNR_DB, TaggedHosts, open_hosts
from ftforensics.train.samples import Hardness, Sample, change, recover_frame, stack_maps
from ftforensics.train.shaping import Slot
from ftforensics.train.slots import Arrays
from ftforensics.train.starting import load_generator

SLOTS, USES = 8, 20
HARD = Hardness(psnr_db=PSNR_DB, strength=1.0, smallest_crop=0.36)
# A frame that local features found is nearer than one found by the tag's own carrier.
FRAME_ERROR = 0.5


def see_pair(sample: Sample, preview: Pixels, random: np.random.Generator) -> Floats:
    """A manipulated picture beside its source, in a frame as content tells it: float32 (7, 128, 128)."""
    frame = recover_frame(sample, FRAME_ERROR, random)
    sample.present = sample.present * geometry.seen_cells(frame, GRID)
    return stack_pair(*line_up(sample.pixels, preview, frame, INPUT_PX))


@dataclass(slots=True, kw_only=True, eq=False)
class PairMaker:
    """Makes batches. Of ``simulators`` one is drawn for every picture."""

    hosts: TaggedHosts
    simulators: Sequence[Simulator]
    batch: int
    slots: dict[int, tuple[int, Slot]] = field(default_factory=dict)

    def make(self, step: int, seed: int) -> Arrays:
        """Batch number ``step``: pairs (B, 7, 128, 128), and of its tags what ``learner.losses`` takes."""
        index, visit = step % SLOTS, step // SLOTS
        # Ages are spread, so that not all slots are drawn at once.
        generation = (visit + index * USES // SLOTS) // USES
        known = self.slots.get(index)
        if known is None or known[0] != generation:
            known = generation, self.hosts.draw(self.batch, np.random.default_rng([seed, 0, index, generation]))
            self.slots[index] = known
        return self.show(known[1], np.random.default_rng([seed, 1, step]))

    def show(self, slot: Slot, random: np.random.Generator) -> Arrays:
        """Add a slot's tags at full size, manipulate every picture, and lay it beside its source."""
        planes = slot.planes
        seen = []
        for host, tag, strength in zip(slot.hosts, planes, slot.psnr_db, strict=True):
            tagged = perceptual.add_residual(host, tag, perceptual.build_mask(host), strength)
            simulator = self.simulators[int(random.integers(0, len(self.simulators)))] if self.simulators else None
            sample = change(tagged, self.hosts.pictures, simulator, HARD, random)
            seen.append((sample, see_pair(sample, handling.jpeg(host, PREVIEW_QUALITY), random)))
        batch = stack_maps([sample for sample, _ in seen])
        batch |= {"signs": slot.signs, "carriers": slot.carriers, "planes": torch.from_numpy(planes)}
        arrays: Arrays = {name: value.numpy() for name, value in batch.items()}
        return arrays | {"pairs": np.stack([pair for _, pair in seen])}

    def held_out(self, batches: int, seed: int) -> list[Arrays]:
        """Batches that do not change, to watch training with."""
        return [
            self.show(
                self.hosts.draw(self.batch, np.random.default_rng([seed, 2, at])), np.random.default_rng([seed, 3, at])
            )
            for at in range(batches)
        ]


def open_maker(images: Path, part: str, model: Path, simulators: Sequence[Path], batch: int) -> PairMaker:
    """A maker of pairs of a part of the training photographs, with tags shaped through a model folder's reader."""
    return PairMaker(
        hosts=open_hosts(images, part, model),
        simulators=[load_generator(path) for path in simulators],
        batch=batch,
    )


_maker: list[PairMaker] = []


def start_process(images: Path, model: Path, simulators: Sequence[Path], batch: int) -> None:
    """Make this process one that makes pairs."""
    torch.set_num_threads(1)
    _maker.append(open_maker(images, "train", model, simulators, batch))


def make_pairs(step: int, seed: int) -> Arrays:
    """``PairMaker.make`` of this process's maker."""
    return _maker[0].make(step, seed)
