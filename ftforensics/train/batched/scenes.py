"""What happens to a batch of tagged pictures: an edit, a move, handling, and the reader's view of it.

The batched counterpart of ``train.samples``: its manipulations at full strength, with odds much like its own. More
pastes are matched in colour, regeneration is a little commoner, and a smaller copy is grown to its old size again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ftforensics.codec.carriers import GRID
from ftforensics.nets.reader import INPUT_PX
from ftforensics.nets.simulator import Simulator
from ftforensics.train.batched import codecs, filters, frames, regions
from ftforensics.train.batched.linear import (
    along_both,
    down_up_matrices,
    gaussian_matrices,
    resized,
    rounded,
    sharpen_matrices,
)

HANDLING_ODDS = (0.34, 0.08, 0.14, 0.1, 0.08, 0.07, 0.05, 0.07, 0.07)
REGENERATION_SCALES = (0.75, 1.0, 1.0, 1.25)
Chosen = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Scene:
    """A batch on its way: pixels (B, 3, S, S), where tags survive (B, 1, 64, 64), the maps to and from their frame."""

    pixels: Tensor
    present: Tensor
    to_source: frames.Frames
    from_source: frames.Frames
    moved: NDArray[np.bool_]


class SceneMaker:
    """Manipulates batches.

    Args:
        simulators: Generators to regenerate pictures through, on the device; none to leave that out.
        device: Where everything happens.
    """

    def __init__(self, simulators: Sequence[Simulator], device: torch.device) -> None:
        self._simulators, self._device = tuple(simulators), device
        self._noise = torch.Generator(device)

    def manipulate(self, tagged: Tensor, hosts: Tensor, random: np.random.Generator) -> dict[str, Tensor]:
        """The reader's views of tagged pictures (B, 3, S, S); untagged ``hosts`` of the same shape are donors.

        Gives ``pictures`` (B, 3, 128, 128), ``present`` (B, 64, 64), ``to_source`` and ``from_source`` (B, 2, 3).
        """
        self._noise.manual_seed(int(random.integers(0, 2**62)))
        count = tagged.shape[0]
        present = torch.ones(count, 1, GRID, GRID, device=self._device)
        same = frames.identities(count)
        scene = Scene(tagged.clone(), present, same, same.copy(), np.zeros(count, dtype=bool))
        self._swap(scene, hosts, random)
        self._reenact(scene, random)
        self._regenerate(scene, random)
        self._recolour(scene, random)
        self._move(scene, random)
        for _ in range(2):
            self._handle(scene, random)
        pictures = self._view(scene, random)
        return {
            "pictures": pictures,
            "present": scene.present[:, 0].clamp(0.0, 1.0),
            "to_source": frames.for_grid_sample(scene.to_source, self._device),
            "from_source": frames.for_grid_sample(scene.from_source, self._device),
        }

    def _on(self, values: NDArray[Any]) -> Tensor:
        """Parameters on the device."""
        return torch.from_numpy(values.astype(np.float32)).to(self._device, non_blocking=True)

    def _at(self, chosen: Chosen) -> Tensor:
        return torch.from_numpy(chosen).to(self._device, non_blocking=True)

    def _swap(self, scene: Scene, hosts: Tensor, random: np.random.Generator) -> None:
        chosen = _choose(len(scene.moved), 0.35, random)
        if chosen.size == 0:
            return
        at, side = self._at(chosen), scene.pixels.shape[-1]
        donors = hosts[self._at(random.permutation(hosts.shape[0])[: chosen.size])]
        donors = torch.where(
            self._on(random.random(chosen.size) < 0.5)[:, None, None, None] > 0, donors.flip(3), donors
        )
        pixels = scene.pixels[at]
        masks = regions.draw_masks(chosen.size, side, 0.6, random, self._device)
        kinds = random.random(chosen.size)
        matched = self._on(kinds < 0.75)[:, None, None, None] > 0
        donors = torch.where(matched, regions.match_colour(donors, pixels, masks), donors)
        seamless = self._on(kinds > 0.88)[:, None, None, None] > 0
        pasted = regions.paste(pixels, donors, masks)
        scene.pixels[at] = torch.where(seamless, regions.paste_seamlessly(pixels, donors, masks), pasted)
        scene.present[at] = scene.present[at] * (1.0 - resized(masks, GRID))

    def _reenact(self, scene: Scene, random: np.random.Generator) -> None:
        chosen = _choose(len(scene.moved), 0.15, random)
        if chosen.size == 0:
            return
        at = self._at(chosen)
        shifts = self._on(random.uniform(0, 0.03, chosen.size))
        cells = self._on(random.standard_normal((chosen.size, 2, 5, 5)))
        scene.pixels[at] = regions.reenact(scene.pixels[at], shifts, cells)

    def _regenerate(self, scene: Scene, random: np.random.Generator) -> None:
        if not self._simulators:
            return
        chosen = _choose(len(scene.moved), 0.25, random)
        # A few parts, each through one generator at one scale with one strength of noise.
        for part in np.array_split(chosen, 3):
            simulator = self._simulators[int(random.integers(0, len(self._simulators)))]
            scale = float(random.choice(REGENERATION_SCALES))
            noise = float(random.choice([0.0, 0.1, 0.2]))
            if part.size == 0:
                continue
            at, side = self._at(part), scene.pixels.shape[-1]
            inner = round(side * scale / 16) * 16
            source = resized(scene.pixels[at], inner).contiguous(memory_format=torch.channels_last)
            with torch.no_grad(), torch.autocast(self._device.type, dtype=torch.bfloat16):
                output = simulator(source, noise, self._noise)
            scene.pixels[at] = rounded(resized(output.float().contiguous(), side))

    def _recolour(self, scene: Scene, random: np.random.Generator) -> None:
        chosen = _choose(len(scene.moved), 0.4, random)
        toned, cast, balanced, lit = np.array_split(chosen, 4)
        pixels, n = scene.pixels, toned.size
        if lit.size == 0:
            return

        def one(values: NDArray[np.floating]) -> Tensor:
            return self._on(values)[:, None, None, None]

        at = self._at(toned)
        brightness, contrast = random.uniform(-0.15, 0.15, n), 1.0 + random.uniform(-0.4, 0.5, n)
        gamma = np.exp(random.uniform(-0.5, 0.5, n))
        pixels[at] = filters.tone(pixels[at], one(brightness), one(contrast), one(gamma))
        at, n = self._at(cast), cast.size
        hue, saturation = np.deg2rad(random.uniform(-25, 25, n)), np.exp(random.uniform(-0.9, 0.6, n))
        pixels[at] = filters.cast(pixels[at], self._on(hue), self._on(saturation))
        at = self._at(balanced)
        pixels[at] = filters.light(pixels[at], self._on(random.normal(0, 0.12, (balanced.size, 3)))[:, :, None, None])
        at, n = self._at(lit), lit.size
        cells = filters.smooth_fields(self._on(random.standard_normal((n, 1, 4, 4))), pixels.shape[-1]) * 0.35
        tint = self._on(random.normal(0, 0.08, (n, 3)))[:, :, None, None]
        pixels[at] = filters.light(pixels[at], cells + tint)

    def _move(self, scene: Scene, random: np.random.Generator) -> None:
        chosen = _choose(len(scene.moved), 0.4, random)
        n = chosen.size
        if n == 0:
            return
        scale, stretch = random.uniform(0.5, 1.15, n), np.exp(random.normal(0, 0.05, n))
        angle = np.where(random.random(n) < 0.5, random.normal(0, 6.0, n), 0.0)
        room = np.maximum(0.0, 1.0 - scale)[:, None] / 2.0
        centre = 0.5 + random.uniform(-1.0, 1.0, (n, 2)) * room
        sides = np.stack([scale * stretch, scale / stretch], axis=1)
        frame = frames.about_centre(sides, angle, centre, random.random(n) < 0.15)
        at, fill = self._at(chosen), self._on(random.integers(0, 256, (n, 3)) / 255.0)[:, :, None, None]
        scene.pixels[at] = rounded(frames.see(scene.pixels[at], frame, scene.pixels.shape[-1], fill))
        outside = torch.zeros(n, 1, 1, 1, device=self._device)
        scene.present[at] = frames.see(scene.present[at], frame, GRID, outside)
        scene.to_source[chosen], scene.from_source[chosen] = frame, frames.invert(frame)
        scene.moved[chosen] = True

    def _handle(self, scene: Scene, random: np.random.Generator) -> None:
        """One handling step for a half of the pictures."""
        kinds = random.choice(len(HANDLING_ODDS), len(scene.moved), p=HANDLING_ODDS)
        kinds[random.random(len(kinds)) < 0.5] = -1
        for kind in range(len(HANDLING_ODDS)):
            chosen = np.flatnonzero(kinds == kind)
            if chosen.size:
                at = self._at(chosen)
                scene.pixels[at] = self._handled(scene.pixels[at], kind, random)

    def _handled(self, pixels: Tensor, kind: int, random: np.random.Generator) -> Tensor:
        n, side = pixels.shape[0], pixels.shape[-1]
        if kind == 0:
            return codecs.jpeg(pixels, self._on(np.floor(random.uniform(30, 96, n))))
        if kind == 1:
            return codecs.small_blocks(pixels, self._on(random.uniform(4, 36, n)))
        if kind == 2:
            sigma = self._on(random.uniform(0, 0.08, n))[:, None, None, None]
            noise = torch.randn(pixels.shape, generator=self._noise, device=self._device)
            return rounded(pixels + noise * sigma)
        if kind in (3, 8):
            matrices = down_up_matrices(side, self._device)
            return rounded(along_both(pixels, matrices[self._at(random.integers(0, matrices.shape[0], n))]))
        if kind == 4:
            return rounded(along_both(pixels, gaussian_matrices(self._on(random.uniform(0.3, 2.0, n)), side)))
        if kind == 5:
            blur, amount = sharpen_matrices(self._on(random.uniform(0, 1.5, n)), side)
            return rounded(pixels + amount * (pixels - along_both(pixels, blur[0])))
        if kind == 6:
            return filters.median3(pixels)
        return filters.smooth_surfaces(pixels, self._on(random.uniform(0, 1, n)))

    def _view(self, scene: Scene, random: np.random.Generator) -> Tensor:
        """As found; or, for most moved pictures, through the recovered frame, which is never quite right."""
        pictures = rounded(resized(scene.pixels, INPUT_PX))
        chosen = np.flatnonzero(scene.moved & (random.random(len(scene.moved)) < 0.6))
        n = chosen.size
        if n == 0:
            return pictures
        error = frames.about_centre(
            1.0 + random.normal(0, 0.004, (n, 2)),
            random.normal(0, 0.3, n),
            0.5 + random.normal(0, 0.003, (n, 2)),
            np.zeros(n, dtype=bool),
        )
        frame = frames.compose(scene.from_source[chosen], error)
        at = self._at(chosen)
        pictures[at] = rounded(frames.see(scene.pixels[at], frame, INPUT_PX))
        outside = torch.zeros(n, 1, 1, 1, device=self._device)
        scene.present[at] = frames.see(scene.present[at], frame, GRID, outside)
        scene.to_source[chosen], scene.from_source[chosen] = error, frames.invert(error)
        return pictures


def _choose(count: int, odds: float, random: np.random.Generator) -> Chosen:
    """Pictures drawn with these odds, in a random order."""
    return random.permutation(np.flatnonzero(random.random(count) < odds))
