"""Readings of pictures of which parts were replaced, to train the localiser with.

Enters: photographs and a model folder. Leaves: sets of readings, each a file. A set has some hosts with a key of their
own, tagged and shaped as ``ftf tag`` does; each is shown several times, with other parts replaced and other handling,
and read by the model's reader. Beside every host stands what a scan knows: the tag encoded anew, and where it shows in
the record's preview. Each set is a function of seed and number alone.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ftforensics.attacks import colour, handling, regions, warps
from ftforensics.codec.carriers import GRID
from ftforensics.domain.tag import DEFAULT_PSNR_DB
from ftforensics.engine.onnx import OnnxReader, OnnxSimulator
from ftforensics.imaging import geometry, perceptual
from ftforensics.imaging.resample import Floats, Pixels, resize
from ftforensics.link.fingerprint import PREVIEW_QUALITY
from ftforensics.nets.reader import INPUT_PX
from ftforensics.train.data import random_view
from ftforensics.train.hosts import PSNR_DB, TaggedHosts, open_hosts, plain_tags
from ftforensics.train.samples import Hardness, Sample, handle, move, recover_frame

HOSTS, VISITS = 16, 8
HARD = Hardness(psnr_db=PSNR_DB, strength=1.0, smallest_crop=0.5)

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplacedMaker:
    """Makes sets."""

    hosts: TaggedHosts
    reader: OnnxReader
    simulator: OnnxSimulator

    def make(self, number: int, seed: int) -> Arrays:
        """Set ``number``.

        Returns:
            ``tag`` and ``source`` (16, 3, 64, 64), of the hosts; ``residual`` (128, 3, 64, 64), ``replaced`` and
            ``seen`` (128, 64, 64) of what was shown, and the ``host`` (128,) of each.
        """
        random = np.random.default_rng([seed, number])
        slot = self.hosts.draw(HOSTS, random)
        tags = plain_tags(slot, self.hosts.keys)
        tagged = [
            perceptual.add_residual(host, planes, perceptual.build_mask(host), strength)
            for host, planes, strength in zip(slot.hosts, slot.planes, slot.psnr_db, strict=True)
        ]
        source = self.reader.read(np.stack([_tag_anew(*pair) for pair in zip(slot.hosts, tags, strict=True)]))
        shown = [
            self._show(one, tagged[(at + 1 + visit) % HOSTS], random)
            for visit in range(VISITS)
            for at, one in enumerate(tagged)
        ]
        residual = self.reader.read(np.stack([view for view, _, _ in shown]))
        return {
            "tag": tags.astype(np.float16),
            "source": source.astype(np.float16),
            "residual": residual.astype(np.float16),
            "replaced": np.clip(np.stack([replaced for _, replaced, _ in shown]), 0.0, 1.0).astype(np.float16),
            "seen": np.stack([seen for _, _, seen in shown]),
            "host": np.tile(np.arange(HOSTS), VISITS),
        }

    def _show(
        self, tagged: Pixels, other: Pixels, random: np.random.Generator
    ) -> tuple[Pixels, Floats, NDArray[np.bool_]]:
        """The reader's view of a tagged picture after what was done to it, where it was replaced, and what is seen."""
        sample = Sample(tagged, np.ones((GRID, GRID), np.float32), geometry.IDENTITY, geometry.IDENTITY)
        if random.random() < 0.88:
            self._replace(sample, other, random)
        self._edit(sample, random)
        if random.random() < 0.3:
            move(sample, HARD, random)
        _handle(sample, random)
        if sample.to_source is geometry.IDENTITY:
            view = np.asarray(resize(sample.pixels, INPUT_PX, INPUT_PX))
            return view, 1.0 - sample.present, np.ones((GRID, GRID), np.bool_)
        frame = recover_frame(sample, float(random.uniform(0.0, 1.0)), random)
        view = np.asarray(geometry.sample_frame(sample.pixels, frame, (INPUT_PX, INPUT_PX)))
        return view, 1.0 - sample.present, geometry.seen_cells(frame, GRID)

    def _replace(self, sample: Sample, other: Pixels, random: np.random.Generator) -> None:
        """Paste one part or two; now and then of a picture that carries a tag itself, and not this one."""
        height, width = sample.pixels.shape[:2]
        for _ in range(1 if random.random() < 0.85 else 2):
            mask = _draw_mask(height, width, random)
            donor = other if random.random() < 0.1 else random_view(self.hosts.pictures.draw(random), width, random)
            if random.random() < 0.25:
                sample.pixels, mask = regions.swap_region_poisson(sample.pixels, donor, mask)
            else:
                matched = random.random() < 0.65
                sample.pixels, mask = regions.swap_region(sample.pixels, donor, mask, colour_matched=matched)
            sample.present = np.asarray(sample.present * (1.0 - resize(mask, GRID, GRID)), np.float32)

    def _edit(self, sample: Sample, random: np.random.Generator) -> None:
        """Regenerated, warped or recoloured as a whole, or, mostly, left as it is."""
        kind = random.random()
        if kind < 0.06:
            sample.pixels = self.simulator.regenerate(sample.pixels)
        elif kind < 0.12:
            sample.pixels = warps.reenact(sample.pixels, float(random.uniform(0.0, 0.02)), random)
        elif kind < 0.3:
            sample.pixels = colour.random_edit(sample.pixels, 1.0, random)


def _draw_mask(height: int, width: int, random: np.random.Generator) -> Floats:
    """An ellipse, a box, or an outline of several that overlap, soft, (H, W)."""
    largest = float(random.uniform(0.25, 0.75))
    if random.random() < 0.7:
        return regions.random_mask(height, width, largest, random)
    return regions.random_outline(height, width, largest, random)


def _handle(sample: Sample, random: np.random.Generator) -> None:
    """Nothing, JPEG, or what training does otherwise."""
    kind = random.random()
    if kind < 0.25:
        return
    if kind < 0.7:
        sample.pixels = handling.jpeg(sample.pixels, int(random.uniform(45.0, 95.0)))
    else:
        handle(sample, HARD, random)


def _tag_anew(host: Pixels, tag: Floats) -> Pixels:
    """The reader's view of a record's preview, tagged plainly, as a scan makes it."""
    preview = handling.jpeg(host, PREVIEW_QUALITY)
    tagged = perceptual.add_residual(preview, tag, perceptual.build_mask(preview), DEFAULT_PSNR_DB)
    return np.asarray(resize(tagged, INPUT_PX, INPUT_PX))


def open_maker(images: Path, part: str, model: Path) -> ReplacedMaker:
    """A maker of readings of a part of the training photographs.

    Raises:
        FtfError: There are no pictures, or the model folder cannot be used.
    """
    return ReplacedMaker(
        hosts=open_hosts(images, part, model),
        reader=OnnxReader(model, threads=1),
        simulator=OnnxSimulator(model, threads=1),
    )


_maker: list[ReplacedMaker] = []


def _start_process(images: Path, part: str, model: Path) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _maker.append(open_maker(images, part, model))


def _make_here(path: Path, number: int, seed: int) -> None:
    _make_file(_maker[0], path, number, seed)


def _make_file(maker: ReplacedMaker, path: Path, number: int, seed: int) -> None:
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, allow_pickle=False, **maker.make(number, seed))
    unfinished.replace(path)


def make_sets(
    images: Path,
    part: str,
    model: Path,
    work: Path,
    *,
    count: int,
    seed: int,
    workers: int,
    report: Callable[[str], None],
) -> list[Path]:
    """The files of ``count`` sets in ``work``; those that are there already are not made again.

    Args:
        images: The training photographs.
        part: "train" or "validation".
        model: A model folder.
        work: Made if it is not there. Sets are named by the reader that read them, part, seed and number.
        count: How many.
        seed: Of everything that is drawn.
        workers: Processes that make them; 0 makes them in this one.
        report: Told of every tenth.

    Raises:
        FtfError: There are no pictures, or the model folder cannot be used.
    """
    work.mkdir(parents=True, exist_ok=True)
    reader = OnnxReader(model, threads=1)
    name = f"{reader.card.reader_sha256[:12]}-{part}-{seed}"
    paths = [work / f"{name}-{number}.npz" for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if not missing:
        return paths
    wanted = [paths[number] for number in missing]
    with ExitStack() as stack:
        if workers:
            context = multiprocessing.get_context("spawn")
            settings = {"initializer": _start_process, "initargs": (images, part, model)}
            pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=context, **settings))  # type: ignore[call-overload]
            made = pool.map(partial(_make_here, seed=seed), wanted, missing)
        else:
            made = map(partial(_make_file, open_maker(images, part, model), seed=seed), wanted, missing)
        for at, _ in enumerate(made, 1):
            if at % 10 == 0 or at == len(missing):
                report(f"{part}: {at} of {len(missing)} sets made")
    return paths
