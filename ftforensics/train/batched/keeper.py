"""Slots of shaped tags that live on a device; the batched counterpart of ``train.slots``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ftforensics.nets.reader import Reader
from ftforensics.nets.simulator import Simulator
from ftforensics.train.band import BandTransform
from ftforensics.train.batched.linear import FULL, resized, rounded
from ftforensics.train.batched.scenes import SceneMaker
from ftforensics.train.batched.views import light_views
from ftforensics.train.samples import CarrierDraw
from ftforensics.train.shaping import Shaper, Slot, through_manipulation
from ftforensics.train.slots import FIRST_STEPS, LIFETIME, SLOTS


@dataclass(slots=True, eq=False)
class _Kept:
    """A slot, its hosts (B, 3, S, S) as bytes, and the maps of the batch it was last seen in."""

    slot: Slot
    hosts: Tensor
    maps: dict[str, Tensor]


class DeviceSlots:
    """All slots of a run.

    Args:
        supply: Batches of hosts, as ``supply.HostBatches`` makes them.
        model_id: Names the synchronisation carrier.
        simulators: To regenerate pictures through; on the device.
        device: Where they live.
    """

    def __init__(
        self,
        supply: Iterator[dict[str, Tensor]],
        model_id: str,
        simulators: Sequence[Simulator],
        device: torch.device,
    ) -> None:
        self._supply, self._device = supply, device
        self._keys = CarrierDraw(model_id)
        self._to_band = BandTransform(device)
        self._shaper = Shaper(self._to_band, self._keys.sync.astype(np.float32), LIFETIME)
        self._scenes = SceneMaker(simulators, device)
        self._noise = torch.Generator(device)
        self._kept: dict[int, _Kept] = {}

    def advance(self, index: int, net: Reader, slope: Tensor | None, seed: list[int]) -> dict[str, Tensor]:
        """The next batch of slot ``index``; see ``train.slots.SlotKeeper.advance``."""
        random = np.random.default_rng(seed)
        self._noise.manual_seed(int(random.integers(0, 2**62)))
        kept = self._kept.get(index)
        if kept is None or kept.slot.visits >= LIFETIME:
            kept = self._fresh(0 if kept is not None else index * LIFETIME // SLOTS, net, random)
            self._kept[index] = kept
        else:
            if slope is not None:
                _, gain = self._shaper.view(kept.slot)
                self._shaper.update(kept.slot, through_manipulation(slope, kept.maps), gain)
            self._shape(net, kept.slot, random)
        kept.slot.visits += 1
        hosts = kept.hosts.float() / FULL
        with torch.no_grad():
            planes = self._to_band.planes(kept.slot.band)
            batch = self._scenes.manipulate(self._tagged(kept.slot, hosts, planes), hosts, random)
        kept.maps = {name: batch[name] for name in ("present", "to_source", "from_source")}
        return batch | {"signs": kept.slot.signs, "carriers": kept.slot.carriers, "planes": planes}

    def _shape(self, net: Reader, slot: Slot, random: np.random.Generator) -> None:
        self._shaper.shape_through(net, slot, lambda tagged: light_views(tagged, random, self._noise))

    def _fresh(self, visits: int, net: Reader, random: np.random.Generator) -> _Kept:
        content = {name: value.to(self._device, non_blocking=True) for name, value in next(self._supply).items()}
        tags = self._keys.draw_tags(content["hosts"].shape[0], random)
        signs, carriers, poles, band = (
            torch.from_numpy(one.astype(np.float32)).to(self._device, non_blocking=True) for one in tags
        )
        slot = Slot(
            hosts=[],
            host=content["small"],
            mask=content["masks"],
            psnr_db=[],
            rms=content["rms"],
            signs=signs,
            carriers=carriers,
            poles=poles,
            band=band,
            mean=torch.zeros_like(band),
            square=torch.zeros_like(band),
            visits=visits,
        )
        for _ in range(FIRST_STEPS):
            self._shape(net, slot, random)
        return _Kept(slot, content["hosts"], {})

    def _tagged(self, slot: Slot, hosts: Tensor, planes: Tensor) -> Tensor:
        """``imaging.perceptual.add_residual`` for the whole slot."""
        side = hosts.shape[-1]
        gain = torch.nn.functional.interpolate(slot.mask, size=(side, side), mode="bilinear", align_corners=False)
        shaped = resized(planes, side) * gain
        return rounded(hosts + shaped * (slot.rms / shaped.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()))
