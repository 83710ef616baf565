"""Readings of pictures of which parts were replaced, to train the localiser with.

Enters: photographs and a model folder. Leaves: sets of readings, each a file. A set has some hosts with a key of their
own, tagged and shaped as ``ftf tag`` does; each is shown several times, with other parts replaced and other handling,
and read by the model's reader. Beside every host stands what a scan knows: the tag encoded anew, and where it shows in
the record's preview. Each set is a function of seed and number alone.
"""

from __future__ import annotations

import hashlib
import json
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
from ftforensics.engine.models import load_card
from ftforensics.engine.onnx import OnnxReader, OnnxSimulator
from ftforensics.imaging import geometry, perceptual
from ftforensics.imaging.resample import Floats, Pixels, resize
from ftforensics.link.fingerprint import PREVIEW_QUALITY
from ftforensics.nets.reader import INPUT_PX
from ftforensics.train.data import choose_files, random_view
from ftforensics.train.hosts import PSNR_DB, TaggedHosts, open_hosts, plain_tags
from ftforensics.train.samples import Hardness, Sample, handle, move, recover_frame
from ftforensics.train.slots import Arrays

# A change of what a set is asks for another number, or old files would be taken for new ones.
RECIPE = 2
HOSTS, VISITS = 16, 8
# Of a cell, to be told from the picture's border.
_LEAST_COVERED = 0.25
_PARTS = ("train", "validation")
HARD = Hardness(psnr_db=PSNR_DB, strength=1.0, smallest_crop=0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tagged:
    """A host with its tag: as it was, the tag as shaped, its strength, and both together."""

    host: Pixels
    planes: Floats
    psnr_db: float
    pixels: Pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shown:
    """A tagged picture after what was done to it.

    ``view`` is the reader's (128, 128, 3), ``replaced`` the share of every cell, ``seen`` which cells it shows.
    """

    view: Pixels
    replaced: Floats
    seen: NDArray[np.bool_]
    touched: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplacedMaker:
    """Makes sets."""

    hosts: TaggedHosts
    reader: OnnxReader
    simulator: OnnxSimulator

    def make(self, number: int, seed: list[int]) -> Arrays:
        """Set ``number``.

        Returns:
            ``tag`` and ``source`` (16, 3, 64, 64), of the hosts; ``residual`` (128, 3, 64, 64), ``replaced`` and
            ``seen`` (128, 64, 64) of what was shown, whether a part was ``touched``, and the ``host`` (128,) of each.
        """
        random = np.random.default_rng([*seed, number])
        slot = self.hosts.draw(HOSTS, random)
        tags = plain_tags(slot, self.hosts.keys)
        tagged = [_tag(*one) for one in zip(slot.hosts, slot.planes, slot.psnr_db, strict=True)]
        source = self.reader.read(np.stack([_tag_anew(*pair) for pair in zip(slot.hosts, tags, strict=True)]))
        shown = [
            self._show(one, tagged[(at + 1 + visit % (HOSTS - 1)) % HOSTS], random)
            for visit in range(VISITS)
            for at, one in enumerate(tagged)
        ]
        residual = self.reader.read(np.stack([one.view for one in shown]))
        return {
            "tag": tags.astype(np.float16),
            "source": source.astype(np.float16),
            "residual": residual.astype(np.float16),
            "replaced": np.stack([one.replaced for one in shown]).astype(np.float16),
            "seen": np.stack([one.seen for one in shown]),
            "touched": np.array([one.touched for one in shown]),
            "host": np.tile(np.arange(HOSTS), VISITS),
        }

    def _show(self, tagged: _Tagged, other: _Tagged, random: np.random.Generator) -> _Shown:
        """Replace parts or not, then edit, move and handle the whole."""
        pixels, gone = self._replace(tagged, other, random)
        # The second plane says how much of a cell is in the picture at all.
        present = np.stack([1.0 - resize(gone, GRID, GRID), np.ones((GRID, GRID))], axis=-1).astype(np.float32)
        sample = Sample(pixels, present, geometry.IDENTITY, geometry.IDENTITY)
        self._edit(sample, random)
        if random.random() < 0.3:
            move(sample, HARD, random)
        _handle(sample, random)
        seen = np.ones((GRID, GRID), np.bool_)
        if sample.to_source is geometry.IDENTITY:
            view = np.asarray(resize(sample.pixels, INPUT_PX, INPUT_PX))
        else:
            frame = recover_frame(sample, float(random.uniform(0.0, 1.0)), random)
            view = np.asarray(geometry.sample_frame(sample.pixels, frame, (INPUT_PX, INPUT_PX)))
            seen = geometry.seen_cells(frame, GRID)
        kept, covered = sample.present[..., 0], sample.present[..., 1]
        replaced = np.clip(1.0 - kept / np.maximum(covered, _LEAST_COVERED), 0.0, 1.0) * (covered > _LEAST_COVERED)
        return _Shown(view=view, replaced=replaced.astype(np.float32), seen=seen, touched=bool((gone > 0.5).any()))

    def _replace(self, tagged: _Tagged, other: _Tagged, random: np.random.Generator) -> tuple[Pixels, Floats]:
        """A picture with one part pasted or two, or none, and the share (H, W) from which its tag is gone.

        Content and tag go together in most pictures that are found, but it is the tag that is asked for. So some parts
        are other content under the same tag, and some the same content without it, or under another tag.
        """
        pixels, kind = tagged.pixels, random.random()
        height, width = pixels.shape[:2]
        gone = np.zeros((height, width), np.float32)
        if kind < 0.12:
            return pixels, gone
        if kind < 0.24:
            pasted = tagged.host
            for _ in range(1 if random.random() < 0.85 else 2):
                pasted, _ = self._paste(pasted, self._draw(width, random), random)
            return _tag(pasted, tagged.planes, tagged.psnr_db).pixels, gone
        for _ in range(1 if random.random() < 0.85 else 2):
            if kind < 0.38:
                pixels, mask = _put_back(pixels, tagged.host, random)
            else:
                donor = other.pixels if random.random() < 0.12 else self._draw(width, random)
                pixels, mask = self._paste(pixels, donor, random)
            gone = np.maximum(gone, mask)
        return pixels, gone

    def _draw(self, width: int, random: np.random.Generator) -> Pixels:
        return random_view(self.hosts.pictures.draw(random), width, random)

    def _paste(self, pixels: Pixels, donor: Pixels, random: np.random.Generator) -> tuple[Pixels, Floats]:
        mask = _draw_mask(pixels, random)
        if random.random() < 0.25:
            return regions.swap_region_poisson(pixels, donor, mask)
        return regions.swap_region(pixels, donor, mask, colour_matched=random.random() < 0.65)

    def _edit(self, sample: Sample, random: np.random.Generator) -> None:
        """Regenerated, warped or recoloured as a whole, or, mostly, left as it is."""
        kind = random.random()
        if kind < 0.06:
            sample.pixels = self.simulator.regenerate(sample.pixels)
        elif kind < 0.12:
            sample.pixels = warps.reenact(sample.pixels, float(random.uniform(0.0, 0.02)), random)
        elif kind < 0.3:
            sample.pixels = colour.random_edit(sample.pixels, 1.0, random)


def _put_back(pixels: Pixels, host: Pixels, random: np.random.Generator) -> tuple[Pixels, Floats]:
    """The untagged content in its own place, as it was or from a compressed copy."""
    donor = host if random.random() < 0.5 else handling.jpeg(host, int(random.uniform(60.0, 95.0)))
    return regions.swap_region(pixels, donor, _draw_mask(pixels, random), colour_matched=False)


def _tag(host: Pixels, planes: Floats, psnr_db: float) -> _Tagged:
    pixels = perceptual.add_residual(host, planes, perceptual.build_mask(host), psnr_db)
    return _Tagged(host=host, planes=planes, psnr_db=psnr_db, pixels=pixels)


def _draw_mask(pixels: Pixels, random: np.random.Generator) -> Floats:
    """An ellipse, a box, or an outline of several that overlap, soft, (H, W)."""
    height, width = pixels.shape[:2]
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
    return np.asarray(resize(_tag(preview, tag, DEFAULT_PSNR_DB).pixels, INPUT_PX, INPUT_PX))


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


def _make_here(path: Path, number: int, seed: list[int]) -> None:
    _make_file(_maker[0], path, number, seed)


def _make_file(maker: ReplacedMaker, path: Path, number: int, seed: list[int]) -> None:
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
        work: Made if it is not there. Sets are named by all that they depend on: the model's graphs, the pictures, the
            recipe and its sizes, seed and number.
        count: How many.
        seed: Of everything that is drawn.
        workers: Processes that make them; 0 makes them in this one.
        report: Told of every tenth.

    Raises:
        FtfError: There are no pictures, or the model folder cannot be used.
    """
    work.mkdir(parents=True, exist_ok=True)
    card = load_card(model)
    names = [f"{folder}/{file.name}" for folder, files in choose_files(images, part).items() for file in files]
    basis = [RECIPE, HOSTS, VISITS, card.reader_sha256, card.simulator_sha256, part, seed, names]
    name = hashlib.sha256(json.dumps(basis).encode()).hexdigest()[:16]
    paths = [work / f"{part}-{name}-{number}.npz" for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if not missing:
        return paths
    wanted, drawn_from = [paths[number] for number in missing], [seed, _PARTS.index(part)]
    with ExitStack() as stack:
        if workers:
            context = multiprocessing.get_context("spawn")
            settings = {"initializer": _start_process, "initargs": (images, part, model)}
            pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=context, **settings))  # type: ignore[call-overload]
            made = pool.map(partial(_make_here, seed=drawn_from), wanted, missing)
        else:
            made = map(partial(_make_file, open_maker(images, part, model), seed=drawn_from), wanted, missing)
        for at, _ in enumerate(made, 1):
            if at % 10 == 0 or at == len(missing):
                report(f"{part}: {at} of {len(missing)} sets made")
    return paths
