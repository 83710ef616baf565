"""Train the GAN simulator: L1 + gradient + hinge adversarial loss on training pictures.

Resumable: the checkpoint holds weights, optimisers and step, and what a step draws depends on (seed, step) alone.
``python -m ftforensics.train simulator --help``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ftforensics.nets.simulator import PatchCritic, Simulator, gradient_difference
from ftforensics.train.data import Pictures, load_pictures, random_view

CRITIC_STARTS = 0.7
CRITIC_WEIGHT = 0.003
PEAK = 6e-4


def draw_batch(pictures: Pictures, count: int, side_px: int, random: np.random.Generator) -> Tensor:
    """Random views (B, 3, side, side) in [0, 1], channels last."""
    views = np.stack([random_view(pictures.draw(random), side_px, random) for _ in range(count)])
    batch = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255.0
    return batch.contiguous(memory_format=torch.channels_last)


def _losses(
    net: Simulator, critic: PatchCritic, batch: Tensor, adversarial: bool, noise: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fake = net(batch, latent_noise=0.05, generator=noise).float()
        scores = critic(fake) if adversarial else None
    loss = functional.l1_loss(fake, batch) + gradient_difference(fake, batch)
    if scores is None:
        return loss, None
    loss = loss - CRITIC_WEIGHT * scores.float().mean()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        real_scores, fake_scores = critic(batch), critic(fake.detach())
    hinge = functional.relu(1 - real_scores.float()).mean() + functional.relu(1 + fake_scores.float()).mean()
    return loss, hinge


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
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward = torch.optim.AdamW(net.parameters(), lr=PEAK, weight_decay=1e-4)
    against = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))
    start = 0
    if out.exists():
        state = torch.load(out, weights_only=True)
        net.load_state_dict(state["net"])
        critic.load_state_dict(state["critic"])
        forward.load_state_dict(state["forward"])
        against.load_state_dict(state["against"])
        start = int(state["step"])
    pictures = load_pictures(images, "train")
    began = saved = time.monotonic()
    for step in range(start, steps):
        for group in forward.param_groups:
            group["lr"] = float(PEAK * min(1.0, (step + 1) / 50) * 0.5 * (1 + np.cos(np.pi * step / steps)) + 1e-5)
        adversarial = step > steps * CRITIC_STARTS
        random = np.random.default_rng([seed, step])
        noise = torch.Generator().manual_seed(int(random.integers(0, 2**31)))
        loss, hinge = _losses(net, critic, draw_batch(pictures, batch, side_px, random), adversarial, noise)
        forward.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        forward.step()
        if hinge is not None:
            against.zero_grad()
            hinge.backward()  # type: ignore[no-untyped-call]
            against.step()
        if step % 50 == 0:
            pace = (time.monotonic() - began) / (step - start + 1)
            report(f"step {step}/{steps} loss {loss.item():.4f} {pace:.3f} s/step")
        if time.monotonic() - saved > 120 or step == steps - 1:
            saved = time.monotonic()
            state = {"net": net.state_dict(), "critic": critic.state_dict(), "step": step + 1, "width": width}
            state |= {"forward": forward.state_dict(), "against": against.state_dict(), "latent": latent, "seed": seed}
            temporary = out.with_suffix(".part")
            torch.save(state, temporary)
            temporary.replace(out)


def load_simulator(path: Path) -> Simulator:
    """The simulator of a checkpoint, ready to run."""
    state = torch.load(path, weights_only=True)
    net = Simulator(int(state["width"]), int(state["latent"]))
    net.load_state_dict(state["net"])
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net.eval()
