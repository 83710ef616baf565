"""Informed embedding: shape the tag to this picture and this reader before it is added.

The tagger knows the picture, so it knows what in it the reader will mistake for a tag. Gradient descent through the
reader, at fixed energy and inside the carriers' band, moves the tag until every bit reads with a margin under light
versions of what pictures go through. The idea is Costa's dirty-paper coding (1983) by way of informed embedding
(Miller, Doërr and Cox, 2004); the optimiser is Adam (Kingma and Ba, 2015). Needs the gradient graph, not torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.attacks import handling, regions
from ftforensics.codec.carriers import (
    GRID,
    MESSAGE_BITS,
    SYNC_ENERGY,
    VALUES,
    build_tag_planes,
    planes_from_rows,
    rows_from_planes,
)
from ftforensics.engine.reader import Embedder
from ftforensics.imaging import geometry
from ftforensics.imaging.perceptual import build_mask, residual_rms, round_pixels
from ftforensics.imaging.resample import Floats, Pixels, resize

VIEW_PX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class InformedSettings:
    """How hard to try. ``views`` versions of the picture, the first untouched, are seen in each of ``steps`` steps.

    ``moved_views`` more are cropped, turned, mirrored or framed, and in them only the synchronisation carrier is
    defended: it is what finds the frame, and the message is read after that. ``rate`` is Adam's, relative to the tag's
    own amplitude. ``margin`` and ``sharpness`` are in units of a view's mean soft bit.
    """

    steps: int = 24
    views: int = 3
    moved_views: int = 1
    rate: float = 0.12
    margin: float = 1.0
    sharpness: float = 6.0
    sync_weight: float = 15.0
    moved_weight: float = 16.0


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


def _to_view(planes: Floats) -> Floats:
    """Planes (3, 64, 64) enlarged to (3, 128, 128)."""
    return np.asarray(enlarge_matrix() @ planes @ enlarge_matrix().T)


def _from_view(gradient: Floats) -> Floats:
    """Adjoint of ``_to_view``."""
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
    noise = random.standard_normal(picture.shape, dtype=np.float32) * np.float32(random.uniform(0.01, 0.05))
    return View(picture + noise, np.ones_like(picture))


def _squeezed(picture: Floats, random: np.random.Generator) -> View:
    """Blurred and a little noisy: what a generator's bottleneck leaves."""
    sigma = float(random.uniform(0.6, 1.6))
    soft = _blurred(picture, sigma)
    soft = soft + random.standard_normal(picture.shape, dtype=np.float32) * np.float32(0.01)
    return View(soft, np.ones_like(picture), sigma)


def _recompressed(picture: Floats, random: np.random.Generator) -> View:
    """Real JPEG at twice the size, differentiated as if it were the identity."""
    quality = int(random.integers(30, 80))
    return View(_at_twice_the_size(picture, lambda large: handling.jpeg(large, quality)), np.ones_like(picture))


def _regenerated(picture: Floats, regenerate: Regenerate) -> View:
    """Through the model's generator at twice the size; what that does to a small change is taken for a blur."""
    return View(_at_twice_the_size(picture, regenerate), np.ones_like(picture), 1.0)


def _at_twice_the_size(picture: Floats, change: Callable[[Pixels], Pixels]) -> Floats:
    """A view after a change of its 8-bit pixels at twice its size."""
    pixels = round_pixels(picture.transpose(1, 2, 0) * np.float32(255.0))
    small = resize(change(resize(pixels, 2 * VIEW_PX, 2 * VIEW_PX)), VIEW_PX, VIEW_PX)
    return np.asarray(small.astype(np.float32).transpose(2, 0, 1) / np.float32(255.0))


def _blurred(planes: Floats, sigma_px: float) -> Floats:
    blurred = cv2.GaussianBlur(np.ascontiguousarray(planes.transpose(1, 2, 0)), (0, 0), sigma_px)
    return np.asarray(blurred.transpose(2, 0, 1), dtype=np.float32)


_VIEWS: tuple[Draw, ...] = (_replaced, _cropped, _squeezed, _recompressed, _recoloured, _noisy, _replaced)


def _kinds(regenerate: Regenerate | None) -> tuple[Draw, ...]:
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


def _draw_views(
    picture: Floats, count: int, step: int, kinds: tuple[Draw, ...], random: np.random.Generator
) -> list[View]:
    """The untouched view and ``count - 1`` manipulations in turn."""
    views = [View(picture, np.ones_like(picture))]
    for offset in range(count - 1):
        views.append(kinds[(step * (count - 1) + offset) % len(kinds)](picture, random))
    return views


def _draw_frame(random: np.random.Generator) -> geometry.Affine:
    """A random crop, border, turn or mirroring: suspect to tagged frame."""
    scale = float(random.uniform(0.5, 0.95)) if random.random() < 0.75 else float(random.uniform(1.05, 1.3))
    room = abs(1.0 - scale) / 2.0
    centre = (0.5 + float(random.uniform(-room, room)), 0.5 + float(random.uniform(-room, room)))
    angle = float(random.uniform(-12, 12)) if random.random() < 0.35 else 0.0
    mirrored = bool(random.random() < 0.15)
    return geometry.about_centre(scale_x=scale, scale_y=scale, angle_deg=angle, centre=centre, mirrored=mirrored)


def _moved_gradient(
    image: Pixels, shaped: Floats, sync: Floats, embedder: Embedder, frame: geometry.Affine, weight: float
) -> Floats:
    """Gradient (3, 128, 128) of the sync carrier's response when the tagged picture is seen through a frame.

    Args:
        image: The untagged picture, so that the view keeps detail that the reader's size loses.
        shaped: The residual (3, 128, 128) in [0, 1] units.
        sync: The carrier (3, 64, 64) of unit norm.
        embedder: The reader's gradient.
        frame: Suspect to tagged frame.
        weight: Of this view against one message bit.
    """
    side = (VIEW_PX, VIEW_PX)
    seen = geometry.sample_frame(image, frame, side).astype(np.float32) / np.float32(255.0)
    added = geometry.sample_frame(np.ascontiguousarray(shaped.transpose(1, 2, 0)), frame, side, (0.0, 0.0, 0.0))
    picture = np.clip(seen + added, 0, 1).transpose(2, 0, 1)[None].astype(np.float32)
    carrier = geometry.sample_frame(np.ascontiguousarray(sync.transpose(1, 2, 0)), frame, (GRID, GRID), (0.0, 0.0, 0.0))
    row = carrier.transpose(2, 0, 1).reshape(1, -1)
    row = row / (np.linalg.norm(row) * np.sqrt(VALUES * (1 - SYNC_ENERGY) / MESSAGE_BITS) + 1e-9)
    weights = np.array([weight], dtype=np.float32)
    _, gradient = embedder.gradient(np.ascontiguousarray(picture), row.astype(np.float32), weights, 1.0, 1.0)
    back = geometry.sample_frame(
        np.ascontiguousarray(gradient[0].transpose(1, 2, 0)), geometry.invert(frame), side, (0.0, 0.0, 0.0)
    )
    return np.asarray(back.transpose(2, 0, 1) / abs(np.linalg.det(frame[:, :2])), dtype=np.float32)


class _Adam:
    """Adam on one array."""

    def __init__(self, shape: tuple[int, ...], rate: float) -> None:
        self.rate, self.count = rate, 0
        self.mean, self.square = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def step(self, gradient: Floats, share: float) -> Floats:
        """The change to make; ``share`` scales the rate."""
        self.count += 1
        self.mean = 0.8 * self.mean + 0.2 * gradient
        self.square = 0.95 * self.square + 0.05 * gradient * gradient
        mean = self.mean / (1 - 0.8**self.count)
        square = self.square / (1 - 0.95**self.count)
        return np.asarray(-self.rate * share * mean / (np.sqrt(square) + 1e-12), dtype=np.float32)


def signed_carriers(signs: Floats, carriers: Floats, sync: Floats) -> Floats:
    """Rows (129, 12288) whose products with a perfectly read tag are 1: 128 signed bits, then the sync carrier."""
    message = carriers.reshape(MESSAGE_BITS, -1) * signs[:, None] / np.sqrt(VALUES * (1 - SYNC_ENERGY) / MESSAGE_BITS)
    return np.concatenate([message, sync.reshape(1, -1) / np.sqrt(VALUES * SYNC_ENERGY)]).astype(np.float32)


def shape_tag(
    image: Pixels,
    signs: Floats,
    carriers: Floats,
    sync: Floats,
    embedder: Embedder,
    *,
    target_psnr_db: float,
    random: np.random.Generator,
    settings: InformedSettings | None = None,
) -> Floats:
    """Tag planes (3, 64, 64) of mean square 1, shaped to this picture.

    Args:
        image: The picture to be tagged, any size.
        signs: Channel signs (128,) in {-1, +1}.
        carriers: Message carriers (128, 3, 64, 64).
        sync: Synchronisation carrier (3, 64, 64).
        embedder: The reader's gradient.
        target_psnr_db: PSNR at which the tag will be added.
        random: Draws the manipulations; the result is a function of it.
        settings: How hard to try.
    """
    settings = settings or InformedSettings()
    host = resize(image, VIEW_PX, VIEW_PX).astype(np.float32).transpose(2, 0, 1) / np.float32(255.0)
    mask = build_mask(image)[None]
    rows = signed_carriers(signs, carriers, sync)
    weights = np.ones(MESSAGE_BITS + 1, dtype=np.float32)
    weights[-1] = settings.sync_weight
    band: NDArray[np.float64] = rows_from_planes(build_tag_planes(signs, carriers, sync)[None])[0]
    kinds = _kinds(embedder.regenerate)
    optimiser = _Adam(band.shape, settings.rate * float(np.sqrt(np.mean(band * band))))
    for step in range(settings.steps):
        planes = planes_from_rows(band[None])[0]
        shaped = _to_view(planes) * mask
        scale = np.float32(residual_rms(target_psnr_db) / np.sqrt(np.mean(shaped * shaped)))
        views = _draw_views(np.clip(host + shaped * scale, 0, 1), settings.views, step, kinds, random)
        batch = np.ascontiguousarray(np.stack([view.pixels for view in views]), dtype=np.float32)
        _, gradients = embedder.gradient(batch, rows, weights, settings.margin, settings.sharpness)
        total = np.zeros_like(host)
        for view, gradient in zip(views, gradients, strict=True):
            total += spread_gradient(view, gradient)
        for _ in range(settings.moved_views):
            frame = _draw_frame(random)
            total += _moved_gradient(image, shaped * scale, sync, embedder, frame, settings.moved_weight)
        slope = rows_from_planes(_from_view(total * mask * scale)[None])[0].astype(np.float32)
        band = band + optimiser.step(slope, 1.0 - 0.8 * step / settings.steps)
        band = band * np.sqrt(VALUES / np.sum(band * band))
    return np.asarray(planes_from_rows(band[None])[0], dtype=np.float32)
