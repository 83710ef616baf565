"""Train a reader on, with tags that are shaped to it as it changes.

Enters: a reader that plain training made. Leaves: a checkpoint of the same kind, to be exported in the same way. The
reader's normalisation stays as it was left, because tags are shaped through the reader as it is used, not through batch
statistics. Slots of shaped tags are not kept in checkpoints: a run that was stopped draws new ones when it goes on.
"""

from __future__ import annotations

import math
import multiprocessing
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ftforensics.nets.reader import Reader
from ftforensics.train.data import load_pictures
from ftforensics.train.learner import Learner, as_input
from ftforensics.train.reader import learning_rate
from ftforensics.train.slots import SLOTS, Arrays, advance, start_process
from ftforensics.train.starting import load_generator, load_start
from ftforensics.train.validation import validate
from ftforensics.train.watch import Watch

# Batches that are made ahead, with weights that are as many steps old.
AHEAD = 2


def _weights(net: Reader) -> Arrays:
    """A copy of the reader's weights."""
    return {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}


def _learn(learner: Learner, arrays: Arrays, rate: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """One step; the gradient with respect to the pictures, and the losses with the bit accuracy."""
    batch = {name: torch.from_numpy(value) for name, value in arrays.items()}
    pictures = as_input(batch["pictures"]).requires_grad_(True)
    found = learner.learn(pictures, batch, rate)
    slope = torch.zeros_like(pictures) if pictures.grad is None else pictures.grad
    return slope.contiguous().numpy(), np.array([value.item() for value in found])


def train_informed(
    images: Path,
    out: Path,
    *,
    start: Path,
    simulator: Path | None,
    steps: int,
    seed: int,
    batch: int,
    peak: float,
    decay: float = 0.998,
    stop_after_s: float = math.inf,
    model_id: str,
    report: Callable[[str], None],
) -> None:
    """Train until ``steps``, from the checkpoint ``out`` if there is one, else from ``start``.

    Args:
        images: The training photographs.
        out: Checkpoint to write every few minutes, and to go on from.
        start: A reader's checkpoint, or the folder of an exported model.
        simulator: Checkpoint of the GAN simulator to train through.
        steps: Of the whole run; the learning rate follows them.
        seed: Of hosts, keys and manipulations.
        batch: Pictures a step.
        peak: Highest learning rate.
        decay: Of the averaged weights, a step.
        stop_after_s: Save and return after so many seconds; the next run goes on from there.
        model_id: Names the synchronisation carrier.
        report: Told how it goes.
    """
    torch.manual_seed(seed)
    net, size = load_start(start)
    net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = Learner(net, size, peak)
    first = learner.load(out) if out.exists() else 0
    held_out = load_pictures(images, "validation")
    regenerator = load_generator(simulator) if simulator is not None else None
    slopes: dict[int, NDArray[np.float32]] = {}
    waiting: deque[Future[Arrays]] = deque()
    watch = Watch(
        first,
        steps,
        stop_after_s=stop_after_s,
        save=lambda step: learner.save(out, step=step, seed=seed, model_id=model_id),
        report=report,
    )
    running = np.zeros(3)
    settings = (images, simulator, size, batch, model_id)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=start_process, initargs=settings) as keeper:

        def ask(step: int) -> None:
            slope = slopes.pop(step % SLOTS, None)
            waiting.append(keeper.submit(advance, step % SLOTS, _weights(net), slope, [seed, step]))

        for step in range(first, min(first + AHEAD, steps)):
            ask(step)
        for step in range(first, steps):
            slope, found = _learn(learner, waiting.popleft().result(), learning_rate(step, steps, peak))
            slopes[step % SLOTS] = slope
            if step + AHEAD < steps:
                ask(step + AHEAD)
            learner.follow(step, decay)
            running = 0.98 * running + 0.02 * found
            if step % 50 == 0:
                watch.say(step, (running / (1 - 0.98 ** (step - first + 1))).tolist())
            out_of_time = watch.keep(step)
            if step % 1000 == 999 or step == steps - 1:
                report(validate(learner.average, held_out, regenerator, model_id))
            if out_of_time:
                watch.say_stopped(step)
                break
