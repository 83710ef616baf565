"""A reader in training: its average, its optimiser, one step of it, and its checkpoint."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ftforensics.codec.carriers import MESSAGE_BITS, SYNC_ENERGY, VALUES
from ftforensics.errors import UsageError
from ftforensics.nets.reader import Reader, update_average
from ftforensics.train.band import BandTransform, warp
from ftforensics.train.checkpoint import save_state
from ftforensics.train.precision import autocast

REGRESSION_WEIGHT = 0.3


def as_input(pictures: Tensor) -> Tensor:
    """Pixels uint8 (B, 128, 128, 3) as the reader takes them."""
    return (pictures.permute(0, 3, 1, 2).float() / 255.0).contiguous(memory_format=torch.channels_last)


def losses(
    net: Reader, to_band: BandTransform, sharpness: Tensor, pictures: Tensor, batch: dict[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of the bits, regression error and bit accuracy of a batch."""
    with autocast(pictures.device.type):
        estimate = net(pictures).float()
    target = warp(batch["planes"], batch["to_source"]) * batch["present"][:, None]
    regression = functional.mse_loss(estimate, target)
    weight = (VALUES * (1.0 - SYNC_ENERGY) / MESSAGE_BITS) ** 0.5
    soft = to_band(warp(estimate, batch["from_source"])) @ batch["carriers"].T / weight
    bits = functional.softplus(-sharpness.exp() * soft * batch["signs"]).mean()
    accuracy = (soft * batch["signs"] > 0).float().mean()
    return bits, regression, accuracy


class Learner:
    """Trains a reader step by step.

    Args:
        net: On its device, as it is to be trained: normalising by batches or not.
        size: Its name in ``nets.reader.SIZES``.
        peak: Highest learning rate.
    """

    def __init__(self, net: Reader, size: str, peak: float) -> None:
        self.net, self.size = net, size
        self.average: Reader = copy.deepcopy(net)
        place = next(net.parameters()).device
        self.sharpness = torch.nn.Parameter(torch.tensor(1.0, device=place))
        groups: list[dict[str, Any]] = [
            {"params": list(net.parameters())},
            {"params": [self.sharpness], "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(
            groups, lr=peak, weight_decay=1e-4, betas=(0.9, 0.98), fused=place.type == "cuda"
        )
        self._to_band = BandTransform(place)

    def learn(self, pictures: Tensor, batch: dict[str, Tensor], rate: float) -> tuple[Tensor, Tensor, Tensor]:
        """One step on pictures (B, channels, 128, 128) at a learning rate; what ``losses`` gave."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        bits, regression, accuracy = losses(self.net, self._to_band, self.sharpness, pictures, batch)
        self._optimiser.zero_grad()
        (bits + REGRESSION_WEIGHT * regression).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimiser.step()
        return bits, regression, accuracy

    def follow(self, step: int, decay: float) -> None:
        """Move the averaged weights; quicker in the first steps, when there is little to average."""
        update_average(self.average, self.net, min(decay, (step + 1) / (step + 20)))

    def load(self, path: Path) -> int:
        """Go on from a checkpoint; the step that comes next.

        Raises:
            UsageError: It holds a reader of another size, or one that is trained in another form.
        """
        state = torch.load(path, weights_only=True, map_location=self.sharpness.device)
        same_input = state["net"]["stem.weight"].shape == self.net.stem.weight.shape
        if state.get("size", "cpu") != self.size or not same_input:
            raise UsageError(
                f"the checkpoint holds a reader of another kind or size than {self.size}",
                subject=str(path),
                remedy="give another --out",
            )
        if state["net"].keys() != self.net.state_dict().keys():
            raise UsageError(
                "a run on a GPU does not go on on the processor, nor the other way round",
                subject=str(path),
                remedy="start from this checkpoint with --start, and give another --out",
            )
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state.get("plain", state["average"]))
        self._optimiser.load_state_dict(state["optimiser"])
        with torch.no_grad():
            self.sharpness.copy_(state["sharpness"])
        return int(state["step"])

    def save(self, path: Path, *, step: int, seed: int, model_id: str, shipped: Reader | None = None) -> None:
        """Write a checkpoint; ``step`` comes next.

        ``shipped`` is the average as it is exported, where it is trained in another form.
        """
        state = {"net": self.net.state_dict(), "average": (shipped or self.average).state_dict()}
        if shipped is not None:
            state["plain"] = self.average.state_dict()
        state |= {"optimiser": self._optimiser.state_dict()}
        facts = {"step": step, "seed": seed, "model_id": model_id, "size": self.size}
        save_state(path, state | facts | {"sharpness": self.sharpness.data})
