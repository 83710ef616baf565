"""Train a generator that only measures: another architecture, seed and loss than the simulator's.

Nothing that trains a reader or shapes a tag may import this. Resumable, as ``train.regeneration`` is.
``python -m ftforensics.train generator --help``. SSIM: Wang et al. (2004), here over 7 x 7 px boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ftforensics.nets.generators import FOLD, NoisedGenerator, QuantisedGenerator
from ftforensics.nets.simulator import PatchCritic
from ftforensics.train.regeneration import Forward, Loss, Plan, train_regenerator

KINDS = ("quantised", "noised")
PEAK = 1.5e-3
BATCH = 8
SIDE_PX = 128
SSIM_BOX_PX = 7
_C1, _C2 = 0.01**2, 0.03**2


def build_generator(kind: str) -> QuantisedGenerator | NoisedGenerator:
    """A fresh generator of one of ``KINDS``.

    Raises:
        ValueError: Of no such kind.
    """
    if kind == "quantised":
        return QuantisedGenerator()
    if kind == "noised":
        return NoisedGenerator()
    raise ValueError(f"no generator is called {kind!r}; there are {', '.join(KINDS)}")


def structural_difference(left: Tensor, right: Tensor) -> Tensor:
    """One less the mean structural similarity of two batches (B, 3, H, W) in [0, 1], channel by channel."""

    def mean(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, SSIM_BOX_PX, 1)

    mean_left, mean_right = mean(left), mean(right)
    spread = mean(left * left) - mean_left**2 + mean(right * right) - mean_right**2
    shared = mean(left * right) - mean_left * mean_right
    top = (2 * mean_left * mean_right + _C1) * (2 * shared + _C2)
    return 1.0 - (top / ((mean_left**2 + mean_right**2 + _C1) * (spread + _C2))).mean()


def _squares(fake: Tensor, batch: Tensor) -> Tensor:
    """Squares at full, half and quarter size, under the root of each picture, and a little L1."""
    total = functional.l1_loss(fake, batch)
    for shrink in (1, 2, 4):
        difference = functional.avg_pool2d(fake - batch, shrink) if shrink > 1 else fake - batch
        total = total + 0.5 * (difference.square().mean(dim=(1, 2, 3)) + 1e-6).sqrt().mean()
    return total


def _structure(fake: Tensor, batch: Tensor) -> Tensor:
    return functional.l1_loss(fake, batch) + 0.3 * structural_difference(fake, batch)


def _recipe(net: QuantisedGenerator | NoisedGenerator) -> tuple[Forward, Loss, nn.Module | None]:
    """How a generator is run in training, its loss, and its critic if it has one."""
    if isinstance(net, QuantisedGenerator):
        return lambda pictures, _: net(pictures), _squares, PatchCritic()

    latent = net.latent

    def noised(pictures: Tensor, noise: torch.Generator) -> Tensor:
        count, _, height, width = pictures.shape
        drawn = torch.randn((count, latent, height // FOLD, width // FOLD), generator=noise)
        regenerated: Tensor = net(pictures, drawn)
        return regenerated

    return noised, _structure, None


def train_generator(
    kind: str,
    images: Path,
    out: Path,
    *,
    steps: int,
    seed: int,
    batch: int = BATCH,
    side_px: int = SIDE_PX,
    report: Callable[[str], None],
) -> None:
    """Train for ``steps`` steps from ``out`` if it exists, saving there every few minutes.

    Raises:
        EvidenceUnreadable: There are no pictures.
        ValueError: No such kind, or ``out`` is of another.
    """
    if out.exists() and torch.load(out, weights_only=True)["kind"] != kind:
        raise ValueError(f"{out} is a generator of another kind than {kind!r}; give another --out")
    torch.manual_seed(seed)
    net = build_generator(kind)
    forward, loss, critic = _recipe(net)
    train_regenerator(
        net,
        critic,
        images,
        out,
        forward=forward,
        loss=loss,
        plan=Plan(steps=steps, seed=seed, batch=batch, side_px=side_px, peak=PEAK),
        facts={"kind": kind, "batch": batch, "side_px": side_px},
        report=report,
    )


def load_generator(path: Path) -> tuple[QuantisedGenerator | NoisedGenerator, dict[str, Any]]:
    """The generator of a checkpoint, ready to run, and how it was trained: kind, seed, steps, batch, side."""
    state = torch.load(path, weights_only=True)
    net = build_generator(str(state["kind"]))
    net.load_state_dict(state["net"])
    facts = {name: state[name] for name in ("kind", "seed", "batch", "side_px")} | {"steps": state["step"]}
    return net.eval(), facts
