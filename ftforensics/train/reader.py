"""Train the residual reader: cross-entropy on keyed soft bits plus dense regression on the planes.

Resumable and deterministic by seed: a batch is a function of (seed, step). Averaged weights are what is exported.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Subset

from ftforensics.codec.carriers import MESSAGE_BITS, SYNC_ENERGY, VALUES
from ftforensics.nets.reader import Reader, build_reader, update_average
from ftforensics.train.band import BandTransform, warp
from ftforensics.train.data import load_pictures
from ftforensics.train.samples import TaggedBatches
from ftforensics.train.simulator import load_simulator
from ftforensics.train.validation import validate

REGRESSION_WEIGHT = 0.3
SAVE_EVERY_S = 150.0


def as_input(pictures: Tensor) -> Tensor:
    """Pixels uint8 (B, 128, 128, 3) as the reader takes them."""
    return (pictures.permute(0, 3, 1, 2).float() / 255.0).contiguous(memory_format=torch.channels_last)


def losses(
    net: Reader, to_band: BandTransform, sharpness: Tensor, pictures: Tensor, batch: dict[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy of the bits, regression error and bit accuracy of a batch."""
    with torch.autocast(pictures.device.type, dtype=torch.bfloat16):
        estimate = net(pictures).float()
    target = warp(batch["planes"], batch["to_source"]) * batch["present"][:, None]
    regression = functional.mse_loss(estimate, target)
    weight = (VALUES * (1.0 - SYNC_ENERGY) / MESSAGE_BITS) ** 0.5
    soft = to_band(warp(estimate, batch["from_source"])) @ batch["carriers"].T / weight
    bits = functional.softplus(-sharpness.exp() * soft * batch["signs"]).mean()
    accuracy = (soft * batch["signs"] > 0).float().mean()
    return bits, regression, accuracy


def _load(
    path: Path, net: Reader, average: Reader, optimiser: torch.optim.Optimizer, sharpness: Tensor, size: str
) -> int:
    state = torch.load(path, weights_only=True, map_location=sharpness.device)
    if state.get("size", "cpu") != size:
        raise ValueError(f"{path} holds a reader of another size than {size}; give another --out")
    net.load_state_dict(state["net"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    with torch.no_grad():
        sharpness.copy_(state["sharpness"])
    return int(state["step"])


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that a kill in the middle leaves the previous one."""
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(path)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm-up over 200 steps, then a cosine to a hundredth."""
    return float(peak * min(1.0, (step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * step / steps))))


def train_reader(
    images: Path,
    out: Path,
    *,
    simulator: Path | None,
    steps: int,
    seed: int,
    batch: int,
    peak: float,
    workers: int,
    decay: float = 0.998,
    size: str = "cpu",
    device: str = "cpu",
    stop_after_s: float = math.inf,
    model_id: str,
    report: Callable[[str], None],
) -> None:
    """Train until ``steps``, from the checkpoint ``out`` if there is one.

    Args:
        images: The training photographs.
        out: Checkpoint to write every few minutes, and to go on from.
        simulator: Checkpoint of the GAN simulator to train through.
        steps: Of the whole run; annealing and learning rate follow them.
        seed: Of weights and batches.
        batch: Pictures a step.
        peak: Highest learning rate.
        workers: Processes that make batches.
        decay: Of the averaged weights, a step.
        size: A key of ``nets.reader.SIZES``.
        device: As torch names it: "cpu", "cuda", "cuda:1".
        stop_after_s: Save and return after so many seconds; the next run goes on from there.
        model_id: Names the synchronisation carrier.
        report: Told how it goes.
    """
    torch.manual_seed(seed)
    place = torch.device(device)
    net = build_reader(size)
    net.to(device=place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(net)
    sharpness = torch.nn.Parameter(torch.tensor(1.0, device=place))
    groups: list[dict[str, Any]] = [{"params": list(net.parameters())}, {"params": [sharpness], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=peak, weight_decay=1e-4, betas=(0.9, 0.98))
    start = _load(out, net, average, optimiser, sharpness, size) if out.exists() else 0
    regenerator = load_simulator(simulator) if simulator is not None else None
    data = TaggedBatches(
        load_pictures(images, "train"), regenerator, seed=seed, batch=batch, steps=steps, model_id=model_id
    )
    loader = DataLoader(
        Subset(data, range(start, steps)),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=3 if workers else None,
        pin_memory=place.type == "cuda",
    )
    held_out = load_pictures(images, "validation")
    began = saved = time.monotonic()
    running = np.zeros(3)
    to_band = BandTransform(place)
    for step, content in enumerate(loader, start):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, peak)
        content = {name: value.to(place, non_blocking=True) for name, value in content.items()}
        bits, regression, accuracy = losses(net, to_band, sharpness, as_input(content["pictures"]), content)
        optimiser.zero_grad()
        (bits + REGRESSION_WEIGHT * regression).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        update_average(average, net, min(decay, (step + 1) / (step + 20)))
        if step % 10 == 0:
            running = 0.9 * running + 0.1 * np.array([bits.item(), regression.item(), accuracy.item()])
        if step % 50 == 0:
            pace = (time.monotonic() - began) / (step - start + 1)
            shown = running / (1 - 0.9 ** (step // 10 - (start - 1) // 10))
            report(f"step {step}/{steps} bce {shown[0]:.4f} mse {shown[1]:.4f} bits {shown[2]:.4f} {pace:.3f} s/step")
        out_of_time = time.monotonic() - began > stop_after_s
        if time.monotonic() - saved > SAVE_EVERY_S or step == steps - 1 or out_of_time:
            saved = time.monotonic()
            state = {"net": net.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
            facts = {"step": step + 1, "seed": seed, "model_id": model_id, "size": size}
            save_state(out, state | facts | {"sharpness": sharpness.data})
        if step % 1000 == 999 or step == steps - 1:
            report(validate(average, held_out, regenerator, model_id))
        if out_of_time:
            report(f"stopped after step {step + 1} of {steps}; run the same command again to go on")
            return
