"""Train the reader that sees a picture beside the source that its record registers.

Enters: a model folder, whose reader tags are shaped through and whose weights are the start. Leaves: a checkpoint, to
be added to that folder. Its tags stay what they are: only how they are read beside a source changes.
"""

from __future__ import annotations

import math
import multiprocessing
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ftforensics.engine.models import load_card
from ftforensics.nets.reader import Reader
from ftforensics.train.band import BandTransform, warp
from ftforensics.train.learner import Learner
from ftforensics.train.pairs import make_pairs, open_maker, start_process
from ftforensics.train.precision import autocast
from ftforensics.train.reader import learning_rate
from ftforensics.train.slots import Arrays
from ftforensics.train.starting import load_start, widen
from ftforensics.train.watch import Watch

# Processes that make pairs, each its own slots, and batches that each makes ahead.
MAKERS, AHEAD = 2, 2
HELD_OUT_BATCHES, MEASURE_EVERY = 3, 250


def _as_tensors(arrays: Arrays) -> tuple[Tensor, dict[str, Tensor]]:
    batch = {name: torch.from_numpy(value) for name, value in arrays.items()}
    return batch.pop("pairs").contiguous(memory_format=torch.channels_last), batch


@torch.inference_mode()
def mean_statistic(net: Reader, to_band: BandTransform, batches: Sequence[Arrays]) -> tuple[float, float]:
    """Mean z of the true words, and bit accuracy, over batches of pairs."""
    found, right = [], []
    for arrays in batches:
        pairs, batch = _as_tensors(arrays)
        with autocast("cpu"):
            estimate = net(pairs).float()
        soft = to_band(warp(estimate, batch["from_source"])) @ batch["carriers"].T * batch["signs"]
        found.append(soft.sum(dim=1) / soft.norm(dim=1).clamp_min(1e-9))
        right.append((soft > 0).float().mean(dim=1))
    return float(torch.cat(found).mean()), float(torch.cat(right).mean())


def train_beside(
    images: Path,
    out: Path,
    *,
    model: Path,
    simulators: Sequence[Path],
    steps: int,
    seed: int,
    batch: int,
    peak: float,
    decay: float = 0.995,
    stop_after_s: float = math.inf,
    report: Callable[[str], None],
) -> None:
    """Train until ``steps``, from the checkpoint ``out`` if there is one, else from the model's reader.

    Args:
        images: The training photographs.
        out: Checkpoint to write every few minutes, and to go on from.
        model: A model folder.
        simulators: Checkpoints, or model folders, of GAN simulators to train through.
        steps: Of the whole run; the learning rate follows them.
        seed: Of hosts, keys and manipulations.
        batch: Pictures a step.
        peak: Highest learning rate.
        decay: Of the averaged weights, a step.
        stop_after_s: Save and return after so many seconds; the next run goes on from there.
        report: Told how it goes.
    """
    torch.manual_seed(seed)
    model_id = load_card(model).model_id
    start, size = load_start(model)
    net = widen(start, size)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = Learner(net, size, peak)
    first = learner.load(out) if out.exists() else 0
    watch = Watch(
        first,
        steps,
        stop_after_s=stop_after_s,
        save=lambda step: learner.save(out, step=step, seed=seed, model_id=model_id),
        report=report,
    )
    held_out = open_maker(images, "validation", model, simulators, batch).held_out(HELD_OUT_BATCHES, seed=7)
    to_band = BandTransform(torch.device("cpu"))

    def measure() -> None:
        z, bits = mean_statistic(learner.average, to_band, held_out)
        report(f"held out: z {z:.3f}, bits {bits:.4f}")

    measure()
    running = np.zeros(3)
    context = multiprocessing.get_context("spawn")
    settings = (images, model, tuple(simulators), batch)
    waiting: deque[Future[Arrays]] = deque()
    with ExitStack() as stack:
        makers = [
            stack.enter_context(
                ProcessPoolExecutor(1, mp_context=context, initializer=start_process, initargs=settings)
            )
            for _ in range(MAKERS)
        ]

        def ask(step: int) -> None:
            if step < steps:
                # The number of slots is a multiple of the makers', so a slot is always made by the same one.
                waiting.append(makers[step % MAKERS].submit(make_pairs, step, seed))

        for step in range(first, first + MAKERS * AHEAD):
            ask(step)
        for step in range(first, steps):
            pairs, content = _as_tensors(waiting.popleft().result())
            ask(step + MAKERS * AHEAD)
            found = learner.learn(pairs, content, learning_rate(step, steps, peak))
            learner.follow(step, decay)
            running = 0.98 * running + 0.02 * np.array([value.item() for value in found])
            if step % 50 == 0:
                watch.say(step, (running / (1 - 0.98 ** (step - first + 1))).tolist())
            out_of_time = watch.keep(step)
            if step % MEASURE_EVERY == MEASURE_EVERY - 1 or step == steps - 1:
                measure()
            if out_of_time:
                watch.say_stopped(step)
                for ahead in waiting:
                    ahead.cancel()
                break
