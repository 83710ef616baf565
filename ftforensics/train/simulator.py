"""Train the GAN simulator: L1 + gradient + hinge adversarial loss on training pictures.

Resumable, as ``train.regeneration`` is. ``python -m ftforensics.train simulator --help``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ftforensics.nets.simulator import PatchCritic, Simulator, gradient_difference
from ftforensics.train.regeneration import Plan, train_regenerator

LATENT_NOISE = 0.05


def _loss(fake: Tensor, batch: Tensor) -> Tensor:
    return functional.l1_loss(fake, batch) + gradient_difference(fake, batch)


def train_simulator(
    images: Path,
    out: Path,
    *,
    steps: int,
    seed: int,
    width: int,
    latent: int,
    batch: int = 12,
    side_px: int = 160,
    report: Callable[[str], None],
) -> None:
    """Train for ``steps`` steps from ``out`` if it exists, saving there every few minutes."""
    torch.manual_seed(seed)
    net, critic = Simulator(width, latent), PatchCritic()

    def forward(pictures: Tensor, noise: torch.Generator) -> Tensor:
        regenerated: Tensor = net(pictures, latent_noise=LATENT_NOISE, generator=noise)
        return regenerated

    train_regenerator(
        net,
        critic,
        images,
        out,
        forward=forward,
        loss=_loss,
        plan=Plan(steps=steps, seed=seed, batch=batch, side_px=side_px, peak=6e-4),
        facts={"width": width, "latent": latent},
        report=report,
    )


def load_simulator(path: Path) -> Simulator:
    """The simulator of a checkpoint, ready to run."""
    state = torch.load(path, weights_only=True, map_location="cpu")
    net = Simulator(int(state["width"]), int(state["latent"]))
    net.load_state_dict(state["net"])
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net.eval()
