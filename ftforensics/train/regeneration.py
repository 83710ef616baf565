"""One training loop for all networks that regenerate pictures: the simulator, and generators that only measure.

In: a network, its loss and the training pictures. Out: a checkpoint with weights, optimisers and step. What a step
draws depends on (seed, step) alone, so that an interrupted run ends with the weights of an uninterrupted one. A critic
(Isola et al., pix2pix, 2017; hinge loss) joins in the last part of a run, where there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ftforensics.train.checkpoint import save_state
from ftforensics.train.data import Pictures, load_pictures, random_view
from ftforensics.train.precision import autocast

CRITIC_STARTS = 0.7
SAVE_EVERY_S = 120.0

# Regenerates a batch, given the chance of the step.
Forward = Callable[[Tensor, torch.Generator], Tensor]
# How far a regenerated batch is from the batch.
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run: how long, from which seed, on how much at once. ``critic_weight`` is of the adversarial loss."""

    steps: int
    seed: int
    batch: int
    side_px: int
    peak: float
    critic_weight: float = 0.003


def draw_batch(pictures: Pictures, count: int, side_px: int, random: np.random.Generator) -> Tensor:
    """Random views (B, 3, side, side) in [0, 1], channels last."""
    views = np.stack([random_view(pictures.draw(random), side_px, random) for _ in range(count)])
    batch = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255.0
    return batch.contiguous(memory_format=torch.channels_last)


class _Run:
    """Networks and optimisers of a run, taken up from its checkpoint if there is one."""

    def __init__(self, net: nn.Module, critic: nn.Module | None, plan: Plan, out: Path) -> None:
        self.net, self.critic, self.plan, self.out = net, critic, plan, out
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.forward = torch.optim.AdamW(net.parameters(), lr=plan.peak, weight_decay=1e-4)
        self.against = None if critic is None else torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))
        self.start = 0
        if out.exists():
            state = torch.load(out, weights_only=True)
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            self.start = int(state["step"])

    def _parts(self) -> dict[str, Any]:
        parts = {"net": self.net, "critic": self.critic, "forward": self.forward, "against": self.against}
        return {name: part for name, part in parts.items() if part is not None}

    def save(self, step: int, facts: dict[str, Any]) -> None:
        """Replace the checkpoint whole."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        save_state(self.out, {**state, **facts, "step": step, "seed": self.plan.seed})

    def step(self, batch: Tensor, forward: Forward, loss: Loss, noise: torch.Generator, adversarial: bool) -> float:
        """One step of the network and, if ``adversarial``, of its critic; the network's loss."""
        critic = self.critic if adversarial else None
        with autocast("cpu"):
            fake = forward(batch, noise).float()
            scores = None if critic is None else critic(fake)
        total = loss(fake, batch)
        if scores is not None:
            total = total - self.plan.critic_weight * scores.float().mean()
        hinge = None if critic is None else _hinge(critic, batch, fake.detach())
        self.forward.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.forward.step()
        if hinge is not None and self.against is not None:
            self.against.zero_grad()
            hinge.backward()  # type: ignore[no-untyped-call]
            self.against.step()
        return total.item()


def _hinge(critic: nn.Module, batch: Tensor, fake: Tensor) -> Tensor:
    with autocast("cpu"):
        real_scores, fake_scores = critic(batch), critic(fake)
    return functional.relu(1 - real_scores.float()).mean() + functional.relu(1 + fake_scores.float()).mean()


def train_regenerator(
    net: nn.Module,
    critic: nn.Module | None,
    images: Path,
    out: Path,
    *,
    forward: Forward,
    loss: Loss,
    plan: Plan,
    facts: dict[str, Any],
    report: Callable[[str], None],
) -> None:
    """Train ``net`` from ``out`` if it exists, saving there every few minutes.

    Args:
        net: Moved to channels-last memory; ``forward`` runs it.
        critic: Joins for the last 30 % of the steps; None trains without one.
        images: A folder of folders; its training part is used.
        out: Checkpoint.
        forward: Regenerates a batch (B, 3, side, side) in [0, 1].
        loss: Of what was regenerated and the batch.
        plan: Steps, seed, sizes.
        facts: Kept in the checkpoint, to build the network again.
        report: Told of progress.

    Raises:
        EvidenceUnreadable: There are no pictures.
    """
    run = _Run(net, critic, plan, out)
    pictures = load_pictures(images, "train")
    began = saved = time.monotonic()
    for step in range(run.start, plan.steps):
        for group in run.forward.param_groups:
            warm, wave = min(1.0, (step + 1) / 50), 0.5 * (1 + np.cos(np.pi * step / plan.steps))
            group["lr"] = float(plan.peak * warm * wave + 1e-5)
        random = np.random.default_rng([plan.seed, step])
        noise = torch.Generator().manual_seed(int(random.integers(0, 2**31)))
        batch = draw_batch(pictures, plan.batch, plan.side_px, random)
        value = run.step(batch, forward, loss, noise, step > plan.steps * CRITIC_STARTS)
        if step % 50 == 0:
            pace = (time.monotonic() - began) / (step - run.start + 1)
            report(f"step {step}/{plan.steps} loss {value:.4f} {pace:.3f} s/step")
        if time.monotonic() - saved > SAVE_EVERY_S or step == plan.steps - 1:
            saved = time.monotonic()
            run.save(step + 1, facts)
