"""Hosts that are tagged as ``ftf tag`` tags them: under fresh keys, shaped through the reader of a model folder.

That reader does not change here. What is trained is something else, which meets its tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ftforensics.codec.carriers import planes_from_rows
from ftforensics.engine.models import load_card
from ftforensics.imaging.resample import Floats
from ftforensics.nets.reader import Reader
from ftforensics.train.band import BandTransform
from ftforensics.train.data import Pictures, load_pictures
from ftforensics.train.samples import CarrierDraw
from ftforensics.train.shaping import Shaper, Slot, draw_slot
from ftforensics.train.starting import load_start

SHAPING_STEPS = 12
SIDES = (224, 256, 320, 384)
PSNR_DB = (43.0, 47.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaggedHosts:
    """Draws them from ``pictures``; ``net`` is the reader that tags are shaped through."""

    pictures: Pictures
    keys: CarrierDraw
    net: Reader
    shaper: Shaper

    def draw(self, count: int, random: np.random.Generator) -> Slot:
        """Hosts that share a key, with their tags."""
        slot = draw_slot(self.pictures, self.keys, batch=count, random=random, sides=SIDES, psnr_db=PSNR_DB)
        for _ in range(SHAPING_STEPS):
            self.shaper.shape(self.net, slot, random)
            slot.visits += 1
        return slot


def open_hosts(images: Path, part: str, model: Path) -> TaggedHosts:
    """Hosts of a part of the training photographs.

    Raises:
        FtfError: There are no pictures, or the model folder cannot be used.
    """
    keys = CarrierDraw(load_card(model).model_id)
    net, _ = load_start(model)
    net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TaggedHosts(
        pictures=load_pictures(images, part),
        keys=keys,
        net=net,
        shaper=Shaper(BandTransform(torch.device("cpu")), keys.sync.astype(np.float32), SHAPING_STEPS),
    )


def plain_tags(slot: Slot, keys: CarrierDraw) -> Floats:
    """The tags of a slot as they were before shaping, as a scan encodes them again: (B, 3, 64, 64)."""
    rows = keys.plain_rows(slot.signs.numpy(), slot.carriers.numpy(), slot.poles.numpy())
    return planes_from_rows(rows)
