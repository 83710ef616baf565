"""Informed embedding: shape the tag to this picture and this reader before it is added.

The tagger knows the picture, so it knows what in it the reader will mistake for a tag. Gradient descent through the
reader, at fixed energy and inside the carriers' band, moves the tag until every bit reads with a margin under light
versions of what pictures go through. The idea is Costa's dirty-paper coding (1983) by way of informed embedding
(Miller, Doërr and Cox, 2004); the optimiser is Adam (Kingma and Ba, 2015). Needs the gradient graph, not torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import (
    GRID,
    MESSAGE_BITS,
    SYNC_ENERGY,
    VALUES,
    build_tag_planes,
    planes_from_rows,
    rows_from_planes,
)
from ftforensics.domain.tag import DEFAULT_PSNR_DB
from ftforensics.engine.reader import Embedder
from ftforensics.engine.strength import choose_strength
from ftforensics.engine.views import VIEW_PX, draw_views, from_view, list_kinds, spread_gradient, to_view
from ftforensics.imaging import geometry
from ftforensics.imaging.perceptual import build_mask, residual_rms
from ftforensics.imaging.resample import Floats, Pixels, resize


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShapedTag:
    """Tag planes (3, 64, 64) of mean square 1, and the PSNR at which they are to be added."""

    planes: Floats = field(repr=False)
    psnr_db: float


def shape_tag(
    image: Pixels,
    signs: Floats,
    carriers: Floats,
    sync: Floats,
    embedder: Embedder,
    *,
    target_psnr_db: float | None,
    random: np.random.Generator,
    settings: InformedSettings | None = None,
) -> ShapedTag:
    """A tag shaped to this picture.

    Args:
        image: The picture to be tagged, any size.
        signs: Channel signs (128,) in {-1, +1}.
        carriers: Message carriers (128, 3, 64, 64).
        sync: Synchronisation carrier (3, 64, 64).
        embedder: The reader's gradient.
        target_psnr_db: PSNR at which the tag will be added; None chooses it halfway, see ``choose_strength``.
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
    kinds = list_kinds(embedder.regenerate)
    optimiser = _Adam(band.shape, settings.rate * float(np.sqrt(np.mean(band * band))))
    psnr_db = DEFAULT_PSNR_DB if target_psnr_db is None else target_psnr_db
    for step in range(settings.steps):
        planes = planes_from_rows(band[None])[0]
        shaped = to_view(planes) * mask
        shaped = shaped / np.sqrt(np.mean(shaped * shaped))
        if target_psnr_db is None and step == settings.steps // 2:
            psnr_db = choose_strength(host, shaped, mask[0], rows, embedder, random)
        scale = np.float32(residual_rms(psnr_db))
        views = draw_views(np.clip(host + shaped * scale, 0, 1), settings.views, step, kinds, random)
        batch = np.ascontiguousarray(np.stack([view.pixels for view in views]), dtype=np.float32)
        _, gradients = embedder.gradient(batch, rows, weights, settings.margin, settings.sharpness)
        total = np.zeros_like(host)
        for view, gradient in zip(views, gradients, strict=True):
            total += spread_gradient(view, gradient)
        for _ in range(settings.moved_views):
            frame = _draw_frame(random)
            total += _moved_gradient(image, shaped * scale, sync, embedder, frame, settings.moved_weight)
        slope = rows_from_planes(from_view(total * mask * scale)[None])[0].astype(np.float32)
        band = band + optimiser.step(slope, 1.0 - 0.8 * step / settings.steps)
        band = band * np.sqrt(VALUES / np.sum(band * band))
    planes = np.asarray(planes_from_rows(band[None])[0], dtype=np.float32)
    return ShapedTag(planes=planes, psnr_db=psnr_db)
