"""Light manipulations under which a tag is shaped and tried: what they make of a picture, and of a small change in it.

Enters: the tagged picture at the reader's size. Leaves: views with the adjoints of their manipulations, to first order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ftforensics.attacks import handling, regions
from ftforensics.codec.carriers import GRID
from ftforensics.imaging.perceptual import round_pixels
from ftforensics.imaging.resample import Floats, Pixels, resize

VIEW_PX = 128
_TRIAL_BLUR_PX, _TRIAL_QUALITY, _TRIAL_NOISE = 1.2, 40, np.float32(0.03)


@dataclass(slots=True)
class View:
    """A manipulated view and what its manipulation did to a small change of the picture, to first order."""

    pixels: Floats
    gain: Floats
    blur_px: float = 0.0


Draw = Callable[[Floats, np.random.Generator], View]
Regenerate = Callable[[Pixels], Pixels]


@lru_cache(maxsize=1)
def enlarge_matrix() -> Floats:
    """The matrix (128, 64) of cubic enlargement along one side."""
    eye = np.eye(GRID, dtype=np.float32)
    return np.asarray(cv2.resize(eye, (GRID, VIEW_PX), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def to_view(planes: Floats) -> Floats:
    """Planes (3, 64, 64) enlarged to (3, 128, 128)."""
    return np.asarray(enlarge_matrix() @ planes @ enlarge_matrix().T)


def from_view(gradient: Floats) -> Floats:
    """Adjoint of ``to_view``."""
    return np.asarray(enlarge_matrix().T @ gradient @ enlarge_matrix())


def _replaced(picture: Floats, random: np.random.Generator) -> View:
    """A region of up to six tenths of the width replaced by another, mirrored part of the picture itself."""
    mask = regions.random_mask(VIEW_PX, VIEW_PX, 0.6, random)
    shift = tuple(int(value) for value in random.integers(16, VIEW_PX - 16, 2))
    donor = np.roll(picture[:, ::-1, ::-1], shift, axis=(1, 2))
    donor = donor * np.float32(random.uniform(0.7, 1.3))
    return View(picture * (1 - mask) + donor * mask, np.broadcast_to(1 - mask, picture.shape))


def _cropped(picture: Floats, random: np.random.Generator) -> View:
    """Only a rectangle of 65 to 90 % of each side left, the rest unknown, as after the frame of a crop was found."""
    share = float(random.uniform(0.65, 0.9))
    left, top = (float(value) for value in random.uniform(0, 1 - share, 2))
    mask = regions.box_mask(VIEW_PX, VIEW_PX, (left, top, left + share, top + share), 0.0)
    fill = picture.mean(axis=(1, 2), keepdims=True)
    return View(picture * mask + fill * (1 - mask), np.broadcast_to(mask, picture.shape))


def _recoloured(picture: Floats, random: np.random.Generator) -> View:
    gains = np.exp(random.normal(0, 0.12, (3, 1, 1))).astype(np.float32) * np.float32(np.exp(random.normal(0, 0.15)))
    light = np.exp(handling.smooth_field(VIEW_PX, VIEW_PX, 2, random) * np.float32(0.2))[None]
    gain = np.broadcast_to(gains * light, picture.shape)
    return View(np.clip(picture * gain, 0, 1), gain)


def _noisy(picture: Floats, random: np.random.Generator) -> View:
    level = np.float32(random.uniform(0.01, 0.05))
    return View(_add_noise(picture, level, random), np.ones_like(picture))


def _squeezed(picture: Floats, random: np.random.Generator) -> View:
    """Blurred and a little noisy: what a generator's bottleneck leaves."""
    sigma = float(random.uniform(0.6, 1.6))
    return View(_add_noise(_blurred(picture, sigma), np.float32(0.01), random), np.ones_like(picture), sigma)


def _recompressed(picture: Floats, random: np.random.Generator) -> View:
    """Real JPEG at twice the size, differentiated as if it were the identity."""
    return View(_recompress(picture, int(random.integers(30, 80))), np.ones_like(picture))


def _regenerated(picture: Floats, regenerate: Regenerate) -> View:
    """Through the model's generator at twice the size; what that does to a small change is taken for a blur."""
    return View(_at_twice_the_size(picture, regenerate), np.ones_like(picture), 1.0)


def _add_noise(picture: Floats, level: np.float32, random: np.random.Generator) -> Floats:
    return np.asarray(picture + random.standard_normal(picture.shape, dtype=np.float32) * level)


def _recompress(picture: Floats, quality: int) -> Floats:
    return _at_twice_the_size(picture, lambda large: handling.jpeg(large, quality))


def _at_twice_the_size(picture: Floats, change: Callable[[Pixels], Pixels]) -> Floats:
    """A view after a change of its 8-bit pixels at twice its size."""
    pixels = round_pixels(picture.transpose(1, 2, 0) * np.float32(255.0))
    small = resize(change(resize(pixels, 2 * VIEW_PX, 2 * VIEW_PX)), VIEW_PX, VIEW_PX)
    return np.asarray(small.astype(np.float32).transpose(2, 0, 1) / np.float32(255.0))


def _blurred(planes: Floats, sigma_px: float) -> Floats:
    blurred = cv2.GaussianBlur(np.ascontiguousarray(planes.transpose(1, 2, 0)), (0, 0), sigma_px)
    return np.asarray(blurred.transpose(2, 0, 1), dtype=np.float32)


_VIEWS: tuple[Draw, ...] = (_replaced, _cropped, _squeezed, _recompressed, _recoloured, _noisy, _replaced)


def list_kinds(regenerate: Regenerate | None) -> tuple[Draw, ...]:
    """The manipulations that are taken in turn."""
    if regenerate is None:
        return _VIEWS
    return (*_VIEWS, lambda picture, _: _regenerated(picture, regenerate))


def draw_view(picture: Floats, random: np.random.Generator) -> View:
    """One light manipulation of a picture (3, 128, 128), or now and then none."""
    kind = int(random.integers(0, len(_VIEWS) + 1))
    return _VIEWS[kind](picture, random) if kind < len(_VIEWS) else View(picture, np.ones_like(picture))


def spread_gradient(view: View, gradient: Floats) -> Floats:
    """A gradient (3, 128, 128) with respect to a view as one with respect to what was manipulated."""
    passed = gradient if view.blur_px == 0.0 else _blurred(gradient, view.blur_px)
    return np.asarray(passed * view.gain)


def draw_views(
    picture: Floats, count: int, step: int, kinds: tuple[Draw, ...], random: np.random.Generator
) -> list[View]:
    """The untouched view and ``count - 1`` manipulations in turn."""
    views = [View(picture, np.ones_like(picture))]
    for offset in range(count - 1):
        views.append(kinds[(step * (count - 1) + offset) % len(kinds)](picture, random))
    return views


def draw_trials(picture: Floats, regenerate: Regenerate, random: np.random.Generator) -> Floats:
    """A tagged picture (3, 128, 128) blurred, compressed, made noisy and regenerated: float32 (4, 3, 128, 128).

    Always as strongly, so that pictures can be compared.
    """
    trials = [
        _add_noise(_blurred(picture, _TRIAL_BLUR_PX), np.float32(0.01), random),
        _recompress(picture, _TRIAL_QUALITY),
        _add_noise(picture, _TRIAL_NOISE, random),
        _at_twice_the_size(picture, regenerate),
    ]
    return np.ascontiguousarray(np.stack(trials), dtype=np.float32)
