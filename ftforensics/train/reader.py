"""Train the residual reader: cross-entropy on keyed soft bits plus dense regression on the planes.

Resumable and deterministic by seed: a batch is a function of (seed, step). Averaged weights are what is exported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset

from ftforensics.nets.reader import build_reader
from ftforensics.train.data import load_pictures
from ftforensics.train.learner import Learner, as_input
from ftforensics.train.samples import TaggedBatches
from ftforensics.train.simulator import load_simulator
from ftforensics.train.validation import validate
from ftforensics.train.watch import Watch


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
    learner = Learner(net, size, peak)
    start = learner.load(out) if out.exists() else 0
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
    watch = Watch(
        start,
        steps,
        stop_after_s=stop_after_s,
        save=lambda step: learner.save(out, step=step, seed=seed, model_id=model_id),
        report=report,
    )
    running = np.zeros(3)
    for step, content in enumerate(loader, start):
        content = {name: value.to(place, non_blocking=True) for name, value in content.items()}
        bits, regression, accuracy = learner.learn(
            as_input(content["pictures"]), content, learning_rate(step, steps, peak)
        )
        learner.follow(step, decay)
        if step % 10 == 0:
            running = 0.9 * running + 0.1 * np.array([bits.item(), regression.item(), accuracy.item()])
        if step % 50 == 0:
            watch.say(step, (running / (1 - 0.9 ** (step // 10 - (start - 1) // 10))).tolist())
        out_of_time = watch.keep(step)
        if step % 1000 == 999 or step == steps - 1:
            report(validate(learner.average, held_out, regenerator, model_id))
        if out_of_time:
            watch.say_stopped(step)
            return
