"""What somebody without the key can learn of an issuer's carriers from tagged pictures, and forge with it.

In: residual maps of tagged pictures, as the public reader gives them to anybody. Out: estimates of the carriers. With
the code words known they are a least-squares fit. Without, the pictures are unmixed: the leading principal components
span the carriers, and within that span independent component analysis finds axes along which pictures have two values
(FastICA with the cubic contrast: Hyvärinen and Oja, 2000), up to order and sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import (
    MESSAGE_BITS,
    SYNC_ENERGY,
    VALUES,
    build_tag_planes,
    planes_from_rows,
    rows_from_planes,
)
from ftforensics.engine.reader import Reader
from ftforensics.engine.ring import RingKey
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.imaging.resample import Floats, Pixels, resize

CUT_PX = 256
_ROUNDS = 200
_SETTLED = 1e-6

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loot:
    """What an attacker holds: band coefficients (N, D) of residual maps, and code words (N, 128), which he may know."""

    rows: Reals
    words: Floats


def gather(
    pictures: list[Pixels],
    count: int,
    key: RingKey,
    sync: Floats,
    reader: Reader,
    *,
    psnr_db: float,
    random: np.random.Generator,
) -> Loot:
    """``count`` squares cut from pictures, plainly tagged under one key with words of chance, and read.

    Args:
        pictures: uint8 (H, W, 3) each, taken in turn.
        count: Tagged squares to hold.
        key: The issuer's.
        sync: Its model's synchronisation carrier.
        reader: The public reader.
        psnr_db: At which the squares are tagged.
        random: Draws places and words.
    """
    words = random.choice(np.array([-1.0, 1.0], dtype=np.float32), (count, MESSAGE_BITS))
    maps = np.empty((count, VALUES), dtype=np.float32)
    for at in range(count):
        square = _cut(pictures[at % len(pictures)], random)
        tagged = add_residual(square, build_tag_planes(words[at], key.carriers, sync), build_mask(square), psnr_db)
        side = reader.card.input_px
        maps[at] = reader.read(resize(tagged, side, side)[None])[0].reshape(-1)
    return Loot(rows=rows_from_planes(maps.reshape(count, 3, *sync.shape[1:])), words=words)


def _cut(picture: Pixels, random: np.random.Generator) -> Pixels:
    """A square of 60 to 100 % of the short side, anywhere, at 256 px."""
    height, width = picture.shape[:2]
    side = max(1, int(min(height, width) * random.uniform(0.6, 1.0)))
    top, left = int(random.integers(0, height - side + 1)), int(random.integers(0, width - side + 1))
    return resize(np.ascontiguousarray(picture[top : top + side, left : left + side]), CUT_PX, CUT_PX)


def fit_known(loot: Loot) -> Reals:
    """Carriers (128, D), up to scale, of somebody who knows the code words of the pictures that he holds."""
    centred = loot.rows - loot.rows.mean(axis=0)
    return np.asarray(np.linalg.lstsq(loot.words.astype(np.float64), centred, rcond=None)[0])


def unmix(loot: Loot, seed: int, sources: int = MESSAGE_BITS) -> Reals:
    """Carriers (sources, D), up to scale, sign and order, of somebody who knows no code word; needs more pictures.

    With 128 sources a thousand pictures are far too few: axes of chance are as two-valued as the true ones.

    Args:
        loot: Pictures, whose words are not looked at.
        seed: Of the first guess.
        sources: How many carriers there are.
    """
    centred = loot.rows - loot.rows.mean(axis=0)
    left, _, _ = np.linalg.svd(centred, full_matrices=False)
    white = left[:, :sources] * np.sqrt(len(centred))
    turn = _orthonormal(np.random.default_rng(seed).normal(size=(sources, sources)))
    for _ in range(_ROUNDS):
        values = white @ turn.T
        turned = _orthonormal((values**3).T @ white / len(white) - 3.0 * turn)
        settled = float(np.max(np.abs(np.abs(np.sum(turned * turn, axis=1)) - 1.0))) < _SETTLED
        turn = turned
        if settled:
            break
    return np.asarray(np.linalg.lstsq(white @ turn.T, centred, rcond=None)[0])


def _orthonormal(matrix: Reals) -> Reals:
    """The nearest orthonormal matrix (Löwdin, 1950)."""
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)


def span_share(loot: Loot, carriers: Reals) -> float:
    """Share of the true carriers' energy within the 128 leading principal components of what the attacker holds."""
    centred = loot.rows - loot.rows.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    inside = carriers @ axes[:MESSAGE_BITS].T
    return float((inside**2).sum() / (carriers**2).sum())


def match_carriers(estimated: Reals, carriers: Reals) -> Reals:
    """Correlation (128,), 0 to 1, of each true carrier with the estimate given to it, the closest pairs first."""
    norms = np.linalg.norm(estimated, axis=1, keepdims=True)
    likeness = np.abs(carriers / np.linalg.norm(carriers, axis=1, keepdims=True) @ (estimated / (norms + 1e-12)).T)
    found, left = np.zeros(len(carriers)), likeness.copy()
    for _ in range(min(likeness.shape)):
        row, column = np.unravel_index(int(np.argmax(left)), left.shape)
        found[row] = likeness[row, column]
        left[row], left[:, column] = -1.0, -1.0
    return found


def forge(message: Reals, sync: Floats) -> Floats:
    """Planes (3, 64, 64) of mean square 1: a forged message (D,) beside the public synchronisation carrier."""
    planes = planes_from_rows(message[None])[0]
    weight = np.sqrt(VALUES * (1.0 - SYNC_ENERGY)) / (np.linalg.norm(planes) + 1e-12)
    return np.asarray(planes * weight + sync * np.sqrt(VALUES * SYNC_ENERGY), dtype=np.float32)


def copy_message(row: Reals, estimated: Reals) -> Reals:
    """A picture's message (D,) cleaned by estimated carriers (128, D): the signs that it has along them, put together.

    Args:
        row: Band coefficients (D,) of the picture's residual map, less the mean of those held.
        estimated: As ``unmix`` gives them.
    """
    signs = np.sign(np.linalg.lstsq(estimated.T, row, rcond=None)[0])
    return np.asarray(signs @ (estimated / (np.linalg.norm(estimated, axis=1, keepdims=True) + 1e-12)))
