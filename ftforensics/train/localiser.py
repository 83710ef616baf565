"""Train the localiser: where in its frame was a tag replaced?

Enters: photographs, and a model folder whose tags and reader it is for. Leaves: a checkpoint, to be added to that
folder. Sets of readings are made first and kept (``train.replaced``); what a step draws of them depends on seed and
step alone, so that a stopped run ends with the weights of one that was not.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ftforensics.engine.models import load_card
from ftforensics.errors import UsageError
from ftforensics.nets.localiser import KIND, Localiser
from ftforensics.nets.reader import update_average
from ftforensics.train.checkpoint import save_state
from ftforensics.train.reader import learning_rate
from ftforensics.train.replaced import make_sets
from ftforensics.train.watch import Watch

VALIDATION_SETS, VALIDATION_SEED = 6, 2
MEASURE_EVERY = 250
OVERLAP_WEIGHT, DECAY, WEIGHT_DECAY = 0.3, 0.995, 1e-3
# A region must be so large for its outline to be scored, in cells.
_LEAST_CELLS = 80


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What sets hold, one row for each picture that was shown; all half precision but ``seen``."""

    maps: tuple[Tensor, Tensor, Tensor]
    seen: Tensor
    replaced: Tensor

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.seen)

    def take(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """What the localiser takes (B, 10, 64, 64), and how far each place was replaced (B, 64, 64)."""
        index = torch.from_numpy(rows)
        maps = torch.cat([*(part[index].float() for part in self.maps), self.seen[index, None].float()], dim=1)
        return maps, self.replaced[index].float().clamp(0.0, 1.0)


def load_sets(paths: Sequence[Path]) -> Readings:
    """All readings of some sets."""
    parts: list[list[NDArray[np.generic]]] = [[], [], [], [], []]
    for path in paths:
        with np.load(path, allow_pickle=False) as held:
            host = held["host"]
            rows = (held["residual"], held["tag"][host], held["source"][host], held["seen"], held["replaced"])
        for part, found in zip(parts, rows, strict=True):
            part.append(found)
    residual, tag, source, seen, replaced = (torch.from_numpy(np.concatenate(part)) for part in parts)
    return Readings((residual, tag, source), seen, replaced)


def turn(maps: Tensor, replaced: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A batch mirrored or turned by quarters: the same question, asked anew."""
    for axis in (-1, -2):
        if random.random() < 0.5:
            maps, replaced = maps.flip(axis), replaced.flip(axis)
    if random.random() < 0.5:
        maps, replaced = maps.transpose(-1, -2), replaced.transpose(-1, -2)
    return maps.contiguous(memory_format=torch.channels_last), replaced


def losses(evidence: Tensor, replaced: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy over what is seen, and what regions lack in overlap (Dice; Milletari et al., V-Net, 2016)."""
    each = functional.binary_cross_entropy_with_logits(evidence, replaced, reduction="none")
    entropy = (each * seen).sum() / seen.sum()
    drawn, wanted = torch.sigmoid(evidence) * seen, replaced * seen
    sizes = wanted.sum(dim=(1, 2))
    shared = 2.0 * (drawn * wanted).sum(dim=(1, 2)) + 1.0
    lacking = 1.0 - shared / (drawn.sum(dim=(1, 2)) + sizes + 1.0)
    scored = (sizes > _LEAST_CELLS / 4).float()
    return entropy, (lacking * scored).sum() / scored.sum().clamp_min(1.0)


@torch.inference_mode()
def measure(net: Localiser, held_out: Readings) -> tuple[float, float, float]:
    """Cross-entropy; mean F1 of the places more likely replaced than not; and their share where nothing was."""
    entropies, scores, alarms = [], [], []
    for first in range(0, len(held_out), 64):
        maps, replaced = held_out.take(np.arange(first, min(first + 64, len(held_out))))
        seen = maps[:, 9]
        evidence = net(maps)
        entropies.append(float(losses(evidence, replaced, seen)[0]) * len(maps))
        for drawn, wanted, frame in zip(evidence > 0.0, replaced > 0.5, seen > 0.5, strict=True):
            found, true = drawn & frame, wanted & frame
            if true.sum() >= _LEAST_CELLS:
                scores.append(2.0 * float((found & true).sum()) / float(found.sum() + true.sum()))
            elif not true.any():
                alarms.append(float(found.sum() / frame.sum()))
    return sum(entropies) / len(held_out), float(np.mean(scores)), float(np.mean(alarms)) if alarms else 0.0


def train_localiser(
    images: Path,
    out: Path,
    *,
    model: Path,
    work: Path,
    sets: int,
    steps: int,
    seed: int,
    batch: int,
    peak: float,
    workers: int,
    stop_after_s: float = math.inf,
    report: Callable[[str], None],
) -> None:
    """Train until ``steps``, from the checkpoint ``out`` if there is one.

    Args:
        images: The training photographs.
        out: Checkpoint to write every few minutes, and to go on from.
        model: A model folder.
        work: Where sets of readings are kept.
        sets: Of the training part.
        steps: Of the whole run; the learning rate follows them.
        seed: Of sets, weights and batches.
        batch: Readings a step.
        peak: Highest learning rate.
        workers: Processes that make sets; 0 makes them in this one.
        stop_after_s: Save and return after so many seconds of training; the next run goes on from there.
        report: Told how it goes.

    Raises:
        FtfError: There are no pictures, the model cannot be used, or the checkpoint is none of a localiser's.
    """
    card = load_card(model)
    make = partial(make_sets, images, model=model, work=work, workers=workers, report=report)
    held_out = load_sets(make("validation", count=VALIDATION_SETS, seed=VALIDATION_SEED))
    readings = load_sets(make("train", count=sets, seed=seed))
    torch.manual_seed(seed)
    net = Localiser()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak, weight_decay=WEIGHT_DECAY)
    parts: dict[str, Any] = {"net": net, "average": average, "optimiser": optimiser}
    first = _take_up(out, parts, card.reader_sha256) if out.exists() else 0
    facts = {"kind": KIND, "seed": seed, "model_id": card.model_id, "reader_sha256": card.reader_sha256}

    def save(step: int) -> None:
        save_state(out, {name: part.state_dict() for name, part in parts.items()} | facts | {"step": step})

    watch = Watch(first, steps, stop_after_s=stop_after_s, save=save, report=report)
    for step in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, peak)
        random = np.random.default_rng([seed, step])
        maps, replaced = turn(*readings.take(random.integers(0, len(readings), batch)), random)
        entropy, lacking = losses(net(maps), replaced, maps[:, 9])
        optimiser.zero_grad()
        (entropy + OVERLAP_WEIGHT * lacking).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        update_average(average, net, min(DECAY, (step + 1) / (step + 20)))
        out_of_time = watch.keep(step)
        if step % MEASURE_EVERY == MEASURE_EVERY - 1 or step == steps - 1:
            found = measure(average, held_out)
            report(
                f"step {step + 1}/{steps} held out: cross-entropy {found[0]:.4f}, F1 {found[1]:.4f}, "
                f"outlined where nothing was replaced {found[2]:.4f}"
            )
        if out_of_time:
            watch.say_stopped(step)
            break


def _take_up(out: Path, parts: dict[str, Any], reader_sha256: str) -> int:
    """Go on from a checkpoint; the step that comes next."""
    state = torch.load(out, weights_only=True, map_location="cpu")
    if state.get("kind") != KIND or state["reader_sha256"] != reader_sha256:
        raise UsageError(
            "the checkpoint is none of a localiser for this model's reader",
            subject=str(out),
            remedy="give another --out",
        )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])
