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
from typing import Any, NamedTuple

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
    """What sets hold, one row for each picture that was shown; ``maps`` and ``replaced`` in half precision."""

    maps: tuple[Tensor, Tensor, Tensor]
    seen: Tensor
    replaced: Tensor
    touched: Tensor

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
    parts: list[list[NDArray[np.generic]]] = [[], [], [], [], [], []]
    for path in paths:
        with np.load(path, allow_pickle=False) as held:
            host = held["host"]
            of_hosts = (held["tag"][host], held["source"][host])
            rows = (held["residual"], *of_hosts, held["seen"], held["replaced"], held["touched"])
        for part, found in zip(parts, rows, strict=True):
            part.append(found)
    residual, tag, source, *rest = (torch.from_numpy(np.concatenate(part)) for part in parts)
    return Readings((residual, tag, source), *rest)


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


class Score(NamedTuple):
    """How outlines of held-out readings are: cells more likely replaced than not, against those that were.

    ``f1`` is its mean over readings with a region of at least 80 cells, ``alarm`` the mean share of the frame that is
    outlined where no part was touched.
    """

    entropy: float
    f1: float
    alarm: float


@torch.inference_mode()
def measure(net: Localiser, held_out: Readings) -> Score:
    """Scores of a localiser."""
    entropies: list[float] = []
    scores, alarms = [], []
    for first in range(0, len(held_out), 64):
        rows = np.arange(first, min(first + 64, len(held_out)))
        maps, replaced = held_out.take(rows)
        seen = maps[:, 9]
        evidence = net(maps)
        entropies.append(float(losses(evidence, replaced, seen)[0]) * len(maps))
        touched = held_out.touched[torch.from_numpy(rows)]
        each = zip(evidence > 0.0, replaced > 0.5, seen > 0.5, touched, strict=True)
        for drawn, wanted, frame, is_touched in each:
            found, true = drawn & frame, wanted & frame
            if true.sum() >= _LEAST_CELLS:
                scores.append(2.0 * float((found & true).sum()) / float(found.sum() + true.sum()))
            elif not is_touched:
                alarms.append(float(found.sum() / frame.sum()))
    return Score(sum(entropies) / len(held_out), _mean(scores), _mean(alarms))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


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
    settings = {"seed": seed, "steps": steps, "sets": sets, "batch": batch, "peak": peak}
    facts = {"kind": KIND, "settings": settings, "model_id": card.model_id, "reader_sha256": card.reader_sha256}
    parts: dict[str, Any] = {"net": net, "average": average, "optimiser": optimiser}
    first = _take_up(out, parts, facts) if out.exists() else 0

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
            score = measure(average, held_out)
            report(
                f"step {step + 1}/{steps} held out: cross-entropy {score.entropy:.4f}, F1 {score.f1:.4f}, "
                f"outlined where nothing was replaced {score.alarm:.4f}"
            )
        if out_of_time:
            watch.say_stopped(step)
            break


def _take_up(out: Path, parts: dict[str, Any], facts: dict[str, Any]) -> int:
    """Go on from a checkpoint; the step that comes next."""
    state = torch.load(out, weights_only=True, map_location="cpu")
    if state.get("kind") != KIND or state["reader_sha256"] != facts["reader_sha256"]:
        raise UsageError(
            "the checkpoint is none of a localiser for this model's reader",
            subject=str(out),
            remedy="give another --out",
        )
    if state["settings"] != facts["settings"]:
        raise UsageError(
            f"the checkpoint is of a run with other settings ({state['settings']})",
            subject=str(out),
            remedy="give those settings, or another --out",
        )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])
