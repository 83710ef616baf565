"""One training batch: pictures tagged with fresh carriers, then manipulated as pictures are in the wild.

No gradient passes through a manipulation: the carriers are fixed, so codecs, blends and generators are the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ftforensics.attacks import colour, handling, regions, warps
from ftforensics.codec.carriers import (
    GRID,
    MESSAGE_BITS,
    SYNC_ENERGY,
    VALUES,
    carrier_rows,
    planes_from_rows,
    sync_row,
)
from ftforensics.imaging import geometry, perceptual
from ftforensics.imaging.resample import Floats, Pixels, resize
from ftforensics.nets.reader import INPUT_PX
from ftforensics.nets.simulator import Simulator
from ftforensics.train.data import Pictures, random_view
from ftforensics.train.precision import autocast

CARRIER_POOL = 8
SIDES = (192, 256, 256, 320)


# Of the side, at full strength.
SMALLEST_CROP = 0.52


@dataclass(frozen=True, slots=True)
class Hardness:
    """How faint tags are and how hard manipulations are at a moment of training."""

    psnr_db: tuple[float, float]
    strength: float
    smallest_crop: float = SMALLEST_CROP


def hardness_at(progress: float) -> Hardness:
    """Annealed from easy to hard over the first third of training; ``progress`` in [0, 1]."""
    ramp = min(1.0, progress / 0.33)
    return Hardness(psnr_db=(33.0 + 6.0 * ramp, 38.0 + 9.0 * ramp), strength=0.4 + 0.6 * ramp)


@dataclass(slots=True)
class Sample:
    """A picture on its way: its pixels, where the tag survives, and the two maps between it and the tagged frame."""

    pixels: Pixels
    present: Floats
    to_source: geometry.Affine
    from_source: geometry.Affine


def _regenerate(pixels: Pixels, simulator: Simulator, random: np.random.Generator) -> Pixels:
    height, width = (size - size % 8 for size in pixels.shape[:2])
    picture = torch.from_numpy(pixels[:height, :width].astype(np.float32) / 255.0).permute(2, 0, 1)[None]
    with torch.inference_mode(), autocast("cpu"):
        noise = float(random.choice([0.0, 0.1, 0.2]))
        generator = torch.Generator().manual_seed(int(random.integers(0, 2**31)))
        output = simulator(picture.contiguous(memory_format=torch.channels_last), noise, generator)
    return perceptual.round_pixels(output[0].float().permute(1, 2, 0).numpy() * 255.0)


def edit(
    sample: Sample, pictures: Pictures, simulator: Simulator | None, hard: Hardness, random: np.random.Generator
) -> None:
    """Identity swap, reenactment, regeneration, colour: each with its own probability."""
    height, width = sample.pixels.shape[:2]
    if random.random() < 0.35:
        mask = regions.random_mask(height, width, 0.35 + 0.25 * hard.strength, random)
        donor = random_view(pictures.draw(random), width, random)
        if random.random() < 0.12:
            sample.pixels, mask = regions.swap_region_poisson(sample.pixels, donor, mask)
        else:
            sample.pixels, mask = regions.swap_region(sample.pixels, donor, mask, colour_matched=random.random() < 0.7)
        sample.present = np.asarray(sample.present * (1.0 - resize(mask, GRID, GRID)), dtype=np.float32)
    if random.random() < 0.15:
        sample.pixels = warps.reenact(sample.pixels, float(random.uniform(0, 0.03)) * hard.strength, random)
    if simulator is not None and random.random() < 0.22:
        sample.pixels = _regenerate(sample.pixels, simulator, random)
    if random.random() < 0.4:
        sample.pixels = colour.random_edit(sample.pixels, hard.strength, random)


def move(sample: Sample, hard: Hardness, random: np.random.Generator) -> None:
    """Crop, turn, stretch, mirror or frame; half the time seen through the recovered frame, as after the search."""
    if random.random() > 0.4:
        return
    reach = hard.strength
    low = 1.0 - (1.0 - hard.smallest_crop) * reach
    scale = float(random.uniform(low, 1.15))
    stretch = float(np.exp(random.normal(0, 0.05 * reach)))
    angle = float(random.normal(0, 6.0 * reach)) if random.random() < 0.5 else 0.0
    room = max(0.0, 1.0 - scale) / 2.0
    centre = (0.5 + float(random.uniform(-room, room)), 0.5 + float(random.uniform(-room, room)))
    side = sample.pixels.shape[0]
    frame = geometry.about_centre(
        scale_x=scale * stretch,
        scale_y=scale / stretch,
        angle_deg=angle,
        centre=centre,
        mirrored=random.random() < 0.15,
    )
    fill = tuple(float(value) for value in random.integers(0, 256, 3))
    sample.pixels = geometry.sample_frame(sample.pixels, frame, (side, side), fill)
    sample.present = geometry.sample_frame(sample.present, frame, (GRID, GRID), (0.0,))
    sample.to_source, sample.from_source = frame, geometry.invert(frame)


def handle(sample: Sample, hard: Hardness, random: np.random.Generator) -> None:
    """Zero to two steps of handling."""
    for _ in range(int(random.choice([0, 1, 2], p=[0.25, 0.5, 0.25]))):
        sample.pixels = _handling_step(sample.pixels, hard.strength, random)


def _handling_step(pixels: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    kind = int(random.choice(9, p=[0.34, 0.08, 0.14, 0.1, 0.08, 0.07, 0.05, 0.07, 0.07]))
    if kind == 0:
        return handling.jpeg(pixels, int(95 - random.uniform(0, 65) * strength))
    if kind == 1:
        return handling.webp(pixels, int(95 - random.uniform(0, 60) * strength))
    if kind == 2:
        return handling.gaussian_noise(pixels, float(random.uniform(0, 0.08)) * strength, random)
    if kind == 3:
        return handling.down_up(pixels, 1.0 + float(random.uniform(0, 2.5)) * strength)
    if kind == 4:
        return handling.blur(pixels, 0.3 + float(random.uniform(0, 1.7)) * strength)
    if kind == 5:
        return handling.sharpen(pixels, float(random.uniform(0, 1.5)) * strength)
    if kind == 6:
        return handling.median(pixels, 3)
    if kind == 7:
        return handling.smooth_surfaces(pixels, float(random.uniform(0, 1)) * strength)
    return handling.resize_long_side(pixels, int(random.integers(128, 257)))


def recover_frame(sample: Sample, error: float, random: np.random.Generator) -> geometry.Affine:
    """The tagged frame as a search finds it, a little off; the sample's maps and presence are then those of its view.

    Args:
        sample: In the frame of its picture.
        error: 1 for what the search by the synchronisation carrier leaves.
        random: Draws the error.
    """
    miss = geometry.about_centre(
        scale_x=1 + float(random.normal(0, 0.004)) * error,
        scale_y=1 + float(random.normal(0, 0.004)) * error,
        angle_deg=float(random.normal(0, 0.3)) * error,
        centre=(0.5 + float(random.normal(0, 0.003)) * error, 0.5 + float(random.normal(0, 0.003)) * error),
    )
    frame = geometry.compose(sample.from_source, miss)
    sample.present = geometry.sample_frame(sample.present, frame, (GRID, GRID), (0.0,))
    sample.to_source, sample.from_source = miss, geometry.invert(miss)
    return frame


def see(sample: Sample, random: np.random.Generator) -> Pixels:
    """The reader's 128 px view: as found, or through the recovered frame where there is one."""
    moved = sample.to_source is not geometry.IDENTITY
    if moved and random.random() < 0.6:
        frame = recover_frame(sample, 1.0, random)
        return np.asarray(geometry.sample_frame(sample.pixels, frame, (INPUT_PX, INPUT_PX)))
    return np.asarray(resize(sample.pixels, INPUT_PX, INPUT_PX))


def _for_grid_sample(affine: geometry.Affine) -> NDArray[np.float32]:
    """A unit-coordinate map as torch's affine_grid wants it, in [-1, 1]."""
    to_unit = np.array([[0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
    from_unit = np.array([[2.0, 0.0, -1.0], [0.0, 2.0, -1.0]])
    return geometry.compose(from_unit, geometry.compose(affine, to_unit)).astype(np.float32)


class Tags(NamedTuple):
    """Tags (B, D) as band coefficients, and what they are made of: signs (B, 128), carriers (128, D), poles (B, 1)."""

    signs: NDArray[np.float32]
    carriers: NDArray[np.float64]
    poles: NDArray[np.float64]
    rows: NDArray[np.float64]


class CarrierDraw:
    """Fresh message carriers for training."""

    def __init__(self, model_id: str) -> None:
        self.sync = sync_row(model_id)
        self._pool = [carrier_rows(b"training carriers %d" % index, model_id) for index in range(CARRIER_POOL)]

    def draw(self, random: np.random.Generator) -> NDArray[np.float64]:
        """New orthonormal carriers (128, D): a base set with every coefficient's sign redrawn.

        That is far cheaper than orthonormalising anew, and they differ from the base as much as two keys' do.
        """
        rows = self._pool[int(random.integers(0, CARRIER_POOL))]
        rows = rows * random.choice(np.array([-1.0, 1.0]), rows.shape[1])
        return np.asarray(rows - (rows @ self.sync.T) @ self.sync)

    def draw_tags(self, count: int, random: np.random.Generator) -> Tags:
        """Plain tags of random words, under new carriers.

        Either sign of the synchronisation carrier, or the reader would learn to see it in every picture.
        """
        carriers = self.draw(random)
        signs = random.choice(np.array([-1.0, 1.0], dtype=np.float32), (count, MESSAGE_BITS))
        poles = random.choice(np.array([-1.0, 1.0]), (count, 1))
        return Tags(signs, carriers, poles, self.plain_rows(signs, carriers, poles))

    def plain_rows(
        self, signs: NDArray[np.float32], carriers: NDArray[np.floating], poles: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Tags (B, D) as band coefficients before any shaping, from what ``Tags`` names."""
        rows = signs @ carriers * np.sqrt(VALUES * (1.0 - SYNC_ENERGY) / MESSAGE_BITS)
        return np.asarray(rows + poles * self.sync * np.sqrt(VALUES * SYNC_ENERGY), np.float64)


def manipulate(
    tagged: Pixels, pictures: Pictures, simulator: Simulator | None, hard: Hardness, random: np.random.Generator
) -> tuple[Sample, Pixels]:
    """A tagged picture after an edit, a move and handling, and the reader's view of it."""
    sample = change(tagged, pictures, simulator, hard, random)
    return sample, see(sample, random)


def change(
    tagged: Pixels, pictures: Pictures, simulator: Simulator | None, hard: Hardness, random: np.random.Generator
) -> Sample:
    """A tagged picture after an edit, a move and handling."""
    sample = Sample(tagged, np.ones((GRID, GRID), np.float32), geometry.IDENTITY, geometry.IDENTITY)
    edit(sample, pictures, simulator, hard, random)
    move(sample, hard, random)
    handle(sample, hard, random)
    return sample


def stack_samples(seen: Sequence[tuple[Sample, Pixels]]) -> dict[str, torch.Tensor]:
    """Views uint8 (B, 128, 128, 3), where tags survive (B, 64, 64), and the maps (B, 2, 3) for ``grid_sample``."""
    return stack_maps([sample for sample, _ in seen]) | {
        "pictures": torch.from_numpy(np.stack([view for _, view in seen]))
    }


def stack_maps(samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
    """Where tags survive (B, 64, 64) in every view, and the maps (B, 2, 3) for ``grid_sample``."""
    present = np.stack([np.clip(sample.present, 0.0, 1.0) for sample in samples]).astype(np.float32)
    return {
        "present": torch.from_numpy(present),
        "to_source": torch.from_numpy(np.stack([_for_grid_sample(sample.to_source) for sample in samples])),
        "from_source": torch.from_numpy(np.stack([_for_grid_sample(sample.from_source) for sample in samples])),
    }


class TaggedBatches(Dataset[dict[str, torch.Tensor]]):
    """Batch ``step`` of a training run, a pure function of (seed, step).

    Yields pictures uint8 (B, 128, 128, 3), signs (B, 128), carriers (128, D) as band coefficients, planes (B, 3, 64,
    64), present (B, 64, 64) and the two maps (B, 2, 3) for ``grid_sample``.
    """

    def __init__(
        self, pictures: Pictures, simulator: Simulator | None, *, seed: int, batch: int, steps: int, model_id: str
    ) -> None:
        self.pictures, self.simulator = pictures, simulator
        self.seed, self.batch, self.steps = seed, batch, steps
        self.keys = CarrierDraw(model_id)

    def __len__(self) -> int:
        """Steps of the whole run."""
        return self.steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        """Batch number ``step``."""
        random = np.random.default_rng([self.seed, step])
        hard = hardness_at(step / self.steps)
        tags = self.keys.draw_tags(self.batch, random)
        planes = planes_from_rows(tags.rows)
        batch = stack_samples([self._one(planes[item], hard, random) for item in range(self.batch)])
        return batch | {
            "signs": torch.from_numpy(tags.signs),
            "carriers": torch.from_numpy(tags.carriers.astype(np.float32)),
            "planes": torch.from_numpy(planes),
        }

    def _one(self, planes: Floats, hard: Hardness, random: np.random.Generator) -> tuple[Sample, Pixels]:
        side = int(random.choice(SIDES))
        host = random_view(self.pictures.draw(random), side, random)
        psnr_db = float(random.uniform(*hard.psnr_db))
        tagged = perceptual.add_residual(host, planes, perceptual.build_mask(host), psnr_db)
        return manipulate(tagged, self.pictures, self.simulator, hard, random)
