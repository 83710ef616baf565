"""Train a reader on with shaped tags, all of it on one device: ``train.informed`` for a GPU.

The recipe is that of the processor: the same slots, visits and losses. What differs is that manipulations are the
batched ones, that one side is drawn for a whole slot, and that batches are larger.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from ftforensics.train.batched.keeper import DeviceSlots
from ftforensics.train.batched.supply import HostBatches
from ftforensics.train.data import load_pictures
from ftforensics.train.learner import Learner
from ftforensics.train.reader import learning_rate
from ftforensics.train.slots import LIFETIME, SLOTS
from ftforensics.train.starting import load_generator, load_start, with_norms, without_norms
from ftforensics.train.validation import validate
from ftforensics.train.watch import Watch

_SAID_EVERY = 50


def train_resident(
    images: Path,
    out: Path,
    *,
    start: Path,
    simulators: Sequence[Path],
    steps: int,
    seed: int,
    batch: int,
    peak: float,
    workers: int,
    device: str,
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
        simulators: Checkpoints, or folders of models, of the generators to train through; may be empty.
        steps: Of the whole run; the learning rate follows them.
        seed: Of hosts, keys and manipulations.
        batch: Pictures a step.
        peak: Highest learning rate.
        workers: Processes that make hosts.
        device: As torch names it: "cuda", "cuda:1", or "cpu" to try it out.
        decay: Of the averaged weights, a step.
        stop_after_s: Save and return after so many seconds; the next run goes on from there.
        model_id: Names the synchronisation carrier.
        report: Told how it goes.
    """
    torch.manual_seed(seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    place = torch.device(device)
    # Workers are forked, and OpenCV's threads do not live through that.
    cv2.setNumThreads(0)
    began = time.monotonic()
    shipped, size = load_start(start)
    net = without_norms(shipped.eval()).to(device=place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = Learner(net, size, peak)
    first = learner.load(out) if out.exists() else 0
    generators = [load_generator(path).to(place) for path in simulators]
    # Every slot is drawn once for each LIFETIME of its visits, and all are drawn again when a stopped run goes on.
    fresh = steps // LIFETIME + 2 * SLOTS
    hosts = HostBatches(load_pictures(images, "train"), seed=seed, batch=batch, count=2 * fresh)
    loader = DataLoader(
        Subset(hosts, range(first // LIFETIME + (SLOTS if first else 0), len(hosts))),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        pin_memory=place.type == "cuda",
    )
    slots = DeviceSlots(iter(loader), model_id, generators, place)
    slopes: dict[int, Tensor] = {}
    running = torch.zeros(3, device=place)
    watch = Watch(
        first,
        steps,
        stop_after_s=stop_after_s,
        save=lambda step: learner.save(
            out, step=step, seed=seed, model_id=model_id, shipped=with_norms(learner.average, size)
        ),
        report=report,
        began=began,
    )
    for step in range(first, steps):
        index = step % SLOTS
        content = slots.advance(index, net, slopes.pop(index, None), [seed, step])
        pictures = content["pictures"].contiguous(memory_format=torch.channels_last).requires_grad_(True)
        found = learner.learn(pictures, content, learning_rate(step, steps, peak))
        if pictures.grad is not None:
            slopes[index] = pictures.grad.contiguous()
        learner.follow(step, decay)
        running.lerp_(torch.stack([one.detach() for one in found]), 0.02)
        if step % _SAID_EVERY == 0:
            watch.say(step, (running / (1 - 0.98 ** (step - first + 1))).tolist())
        if watch.keep(step):
            watch.say_stopped(step)
            return
    report(validate(learner.average, load_pictures(images, "validation"), None, model_id))
