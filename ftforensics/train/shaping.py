"""Tags that are shaped while the reader learns: hosts with their tags, kept for a while and improved at every visit.

A tag as it is embedded has been moved along the gradient of the reader that will read it, so a reader that is trained
on plain tags alone never sees what it is used on. Shaping every tag anew for every step would cost fifty times the
step. Instead a slot of hosts keeps its tags; each visit shapes them a little further, reads them after one more
manipulation, and gives the reader's gradient to both: to the weights and, straight through the manipulation, to the
tags. Sources: free adversarial training (Shafahi et al., 2019); the straight-through estimator (Bengio et al., 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ftforensics.codec.carriers import MESSAGE_BITS, SYNC_ENERGY, VALUES, planes_from_rows
from ftforensics.engine.informed import VIEW_PX, View, draw_view, enlarge_matrix, spread_gradient
from ftforensics.imaging import perceptual
from ftforensics.imaging.resample import Floats, Pixels, resize
from ftforensics.nets.reader import Reader
from ftforensics.train.band import BandTransform, warp
from ftforensics.train.data import Pictures, random_view
from ftforensics.train.precision import autocast
from ftforensics.train.samples import SIDES, CarrierDraw

RATE = 0.12
MARGIN, SHARPNESS, SYNC_WEIGHT = 1.0, 6.0, 15.0
PSNR_DB = (42.0, 48.0)
FULL = np.float32(255.0)


@dataclass(slots=True, eq=False)
class Slot:
    """Hosts that share a key. ``host`` (B, 3, 128, 128), ``mask`` (B, 1, 128, 128), ``band`` (B, D) are the tags."""

    hosts: list[Pixels]
    host: Tensor
    mask: Tensor
    psnr_db: list[float]
    rms: Tensor
    signs: Tensor
    carriers: Tensor
    poles: Tensor
    band: Tensor
    mean: Tensor
    square: Tensor
    visits: int = 0
    updates: int = 0

    @property
    def planes(self) -> Floats:
        """The tags as they stand, (B, 3, 64, 64) of mean square 1."""
        return planes_from_rows(self.band.double().numpy())


def host_tensors(hosts: Sequence[Pixels], psnr_db: Sequence[float]) -> tuple[Tensor, Tensor, Tensor]:
    """What shaping takes of hosts: views (B, 3, 128, 128) in [0, 1], masks (B, 1, 128, 128), strengths (B, 1, 1, 1)."""
    small = np.stack([resize(host, VIEW_PX, VIEW_PX) for host in hosts]).astype(np.float32).transpose(0, 3, 1, 2)
    masks = np.stack([perceptual.build_mask(host) for host in hosts])[:, None]
    rms = np.array([perceptual.residual_rms(value) for value in psnr_db], dtype=np.float32)
    return torch.from_numpy(small / FULL), torch.from_numpy(masks), torch.from_numpy(rms)[:, None, None, None]


def draw_slot(
    pictures: Pictures,
    keys: CarrierDraw,
    *,
    batch: int,
    random: np.random.Generator,
    sides: tuple[int, ...] = SIDES,
    psnr_db: tuple[float, float] = PSNR_DB,
) -> Slot:
    """Fresh hosts with plain tags under a fresh key; either sign of the synchronisation carrier."""
    tags = keys.draw_tags(batch, random)
    hosts = [random_view(pictures.draw(random), int(random.choice(sides)), random) for _ in range(batch)]
    strengths = [float(value) for value in random.uniform(*psnr_db, batch)]
    small, masks, rms = host_tensors(hosts, strengths)
    band = torch.from_numpy(tags.rows.astype(np.float32))
    return Slot(
        hosts=hosts,
        host=small,
        mask=masks,
        psnr_db=strengths,
        rms=rms,
        signs=torch.from_numpy(tags.signs),
        carriers=torch.from_numpy(tags.carriers.astype(np.float32)),
        poles=torch.from_numpy(tags.poles.astype(np.float32)),
        band=band,
        mean=torch.zeros_like(band),
        square=torch.zeros_like(band),
    )


class Shaper:
    """Moves the tags of slots along the reader's gradient, inside the band and at fixed energy."""

    def __init__(self, to_band: BandTransform, sync: Floats, lifetime: int) -> None:
        self._to_band, self._lifetime = to_band, lifetime
        place = to_band.dct.device
        self._sync = torch.from_numpy(np.asarray(sync, dtype=np.float32)).to(place)
        self._enlarge = torch.from_numpy(enlarge_matrix()).to(place)

    def view(self, slot: Slot) -> tuple[Tensor, Tensor]:
        """Tagged hosts (B, 3, 128, 128) and what their tags were multiplied with, mask and strength."""
        shaped = self._enlarge @ self._to_band.planes(slot.band) @ self._enlarge.T * slot.mask
        strength = slot.rms / shaped.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return (slot.host + shaped * strength).clamp(0.0, 1.0), slot.mask * strength

    def shape_through(self, net: Reader, slot: Slot, look: Callable[[Tensor], Tensor]) -> None:
        """One step on one light manipulation of every host, which ``look`` makes and gradients pass through."""
        tagged, gain = self.view(slot)
        tagged.requires_grad_(True)
        pictures = look(tagged).contiguous(memory_format=torch.channels_last)
        with autocast(tagged.device.type):
            estimate = net(pictures).float()
        (slope,) = torch.autograd.grad(self._shortfall(slot, self._to_band(estimate)), tagged)
        self.update(slot, slope, gain)

    def shape(self, net: Reader, slot: Slot, random: np.random.Generator) -> None:
        """One step on one light manipulation of every host, picture by picture on the processor."""
        tagged, gain = self.view(slot)
        views: list[View] = [draw_view(picture, random) for picture in tagged.numpy()]
        pictures = torch.from_numpy(np.stack([view.pixels for view in views]))
        pictures = pictures.contiguous(memory_format=torch.channels_last).requires_grad_(True)
        with autocast("cpu"):
            estimate = net(pictures).float()
        (slope,) = torch.autograd.grad(self._shortfall(slot, self._to_band(estimate)), pictures)
        back = [spread_gradient(view, one) for view, one in zip(views, slope.numpy(), strict=True)]
        self.update(slot, torch.from_numpy(np.stack(back)), gain)

    def _shortfall(self, slot: Slot, band: Tensor) -> Tensor:
        """How far bits stay behind their picture's mean bit; the loss of ``nets.folded.ReaderGradient``."""
        soft = band @ slot.carriers.T * slot.signs / (VALUES * (1.0 - SYNC_ENERGY) / MESSAGE_BITS) ** 0.5
        sync = band @ self._sync.T * slot.poles / (VALUES * SYNC_ENERGY) ** 0.5
        level = torch.cat([soft, sync], dim=1).abs().mean(dim=1, keepdim=True).detach() + 1e-3
        bits = level * functional.softplus(SHARPNESS * (MARGIN - soft / level)) / SHARPNESS
        frame = level * functional.softplus(SHARPNESS * (MARGIN - sync / level)) / SHARPNESS
        return bits.sum() + SYNC_WEIGHT * frame.sum()

    def update(self, slot: Slot, slope: Tensor, gain: Tensor) -> None:
        """An Adam step of the tags, given the gradient with respect to the tagged hosts (B, 3, 128, 128)."""
        gradient = self._to_band(self._enlarge.T @ (slope * gain) @ self._enlarge)
        # Views differ in loudness, and a slot takes gradients of two losses: each counts by its direction.
        gradient = gradient / (gradient.square().mean(dim=1, keepdim=True).sqrt() + 1e-12)
        slot.updates += 1
        slot.mean.lerp_(gradient, 0.2)
        slot.square.lerp_(gradient.square(), 0.05)
        mean = slot.mean / (1.0 - 0.8**slot.updates)
        square = slot.square / (1.0 - 0.95**slot.updates)
        share = 1.0 - 0.8 * min(1.0, slot.visits / self._lifetime)
        rate = RATE * share * (VALUES / slot.band.shape[1]) ** 0.5
        slot.band -= rate * mean / (square.sqrt() + 1e-6)
        slot.band *= (VALUES / slot.band.square().sum(dim=1, keepdim=True)).sqrt()


def through_manipulation(slope: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """The gradient with respect to the tagged hosts of one with respect to manipulated views, straight through.

    Where pixels were replaced nothing passes; frames are undone; everything else counts as the identity.

    Args:
        slope: Gradient (B, 3, 128, 128) with respect to the views.
        batch: ``present`` (B, 64, 64) in the views' frame, and the maps between the frames.
    """
    there = functional.interpolate(batch["present"][:, None], size=(VIEW_PX, VIEW_PX), mode="bilinear")
    area = batch["to_source"][:, :, :2].det().abs().clamp_min(0.05)[:, None, None, None]
    return warp(slope * there, batch["from_source"]) / area
