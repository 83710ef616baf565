"""Train a reader on, with tags that are shaped to it as it changes.

Enters: a reader that plain training made. Leaves: a checkpoint of the same kind, to be exported in the same way. The
reader's normalisation stays as it was left, because tags are shaped through the reader as it is used, not through batch
statistics. Slots of shaped tags are not kept in checkpoints: a run that was stopped draws new ones when it goes on.
"""

from __future__ import annotations

import copy
import math
import multiprocessing
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ftforensics.nets.reader import Reader, update_average
from ftforensics.train.band import BandTransform
from ftforensics.train.data import load_pictures
from ftforensics.train.reader import REGRESSION_WEIGHT, as_input, learning_rate, losses, save_state
from ftforensics.train.simulator import load_simulator
from ftforensics.train.slots import SLOTS, Arrays, advance, start_process
from ftforensics.train.starting import load_start
from ftforensics.train.validation import validate

SAVE_EVERY_S = 150.0
# Batches that are made ahead, with weights that are as many steps old.
AHEAD = 2


class Learner:
    """The reader, its average and its optimiser."""

    def __init__(self, start: Path, peak: float) -> None:
        self.net, self.size = load_start(start)
        self.net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: Reader = copy.deepcopy(self.net)
        self.sharpness = torch.nn.Parameter(torch.tensor(1.0))
        groups: list[dict[str, Any]] = [
            {"params": list(self.net.parameters())},
            {"params": [self.sharpness], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=peak, weight_decay=1e-4, betas=(0.9, 0.98))
        self._to_band = BandTransform(torch.device("cpu"))

    def weights(self) -> Arrays:
        """A copy of the reader's weights."""
        return {name: value.detach().numpy().copy() for name, value in self.net.state_dict().items()}

    def learn(self, arrays: Arrays, rate: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """One step; the gradient with respect to the pictures, and the losses with the bit accuracy."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = {name: torch.from_numpy(value) for name, value in arrays.items()}
        pictures = as_input(batch["pictures"]).requires_grad_(True)
        bits, regression, accuracy = losses(self.net, self._to_band, self.sharpness, pictures, batch)
        self.optimiser.zero_grad()
        (bits + REGRESSION_WEIGHT * regression).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        slope = torch.zeros_like(pictures) if pictures.grad is None else pictures.grad
        return slope.contiguous().numpy(), np.array([bits.item(), regression.item(), accuracy.item()])

    def load(self, path: Path) -> int:
        """Go on from a checkpoint; the step that comes next."""
        state = torch.load(path, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        with torch.no_grad():
            self.sharpness.copy_(state["sharpness"])
        return int(state["step"])

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write a checkpoint."""
        state = {"net": self.net.state_dict(), "average": self.average.state_dict(), "size": self.size}
        state |= {"optimiser": self.optimiser.state_dict(), "sharpness": self.sharpness.data}
        save_state(path, state | facts)


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
    learner = Learner(start, peak)
    first = learner.load(out) if out.exists() else 0
    held_out = load_pictures(images, "validation")
    regenerator = load_simulator(simulator) if simulator is not None else None
    slopes: dict[int, NDArray[np.float32]] = {}
    waiting: deque[Future[Arrays]] = deque()
    began = saved = time.monotonic()
    running = np.zeros(3)
    settings = (images, simulator, learner.size, batch, model_id)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=start_process, initargs=settings) as keeper:

        def ask(step: int) -> None:
            slope = slopes.pop(step % SLOTS, None)
            waiting.append(keeper.submit(advance, step % SLOTS, learner.weights(), slope, [seed, step]))

        for step in range(first, min(first + AHEAD, steps)):
            ask(step)
        for step in range(first, steps):
            slope, found = learner.learn(waiting.popleft().result(), learning_rate(step, steps, peak))
            slopes[step % SLOTS] = slope
            if step + AHEAD < steps:
                ask(step + AHEAD)
            update_average(learner.average, learner.net, min(decay, (step + 1) / (step + 20)))
            running = 0.98 * running + 0.02 * found
            if step % 50 == 0:
                pace = (time.monotonic() - began) / (step - first + 1)
                bce, mse, bits = running / (1 - 0.98 ** (step - first + 1))
                report(f"step {step}/{steps} bce {bce:.4f} mse {mse:.4f} bits {bits:.4f} {pace:.3f} s/step")
            out_of_time = time.monotonic() - began > stop_after_s
            if time.monotonic() - saved > SAVE_EVERY_S or step == steps - 1 or out_of_time:
                saved = time.monotonic()
                learner.save(out, {"step": step + 1, "seed": seed, "model_id": model_id})
            if step % 1000 == 999 or step == steps - 1:
                report(validate(learner.average, held_out, regenerator, model_id))
            if out_of_time:
                report(f"stopped after step {step + 1} of {steps}; run the same command again to go on")
                break
