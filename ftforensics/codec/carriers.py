"""Pseudo-random carrier patterns, keyed, band-limited and orthonormal.

Enters: secret bytes. Leaves: ``float32 (K, 3, 64, 64)`` message carriers and one public synchronisation carrier. The
patterns live between 3 and 22 cycles per picture side, mostly in luminance and on the blue-yellow axis, where
regeneration and JPEG keep them and eyes see them least. Spread-spectrum marking: Cox et al., "Secure spread spectrum
watermarking" (1997). Orthonormalisation: Löwdin (1950), the unique closest orthonormal set, so that it does not depend
on a LAPACK's sign choices.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

GRID = 64
PLANES = 3
MESSAGE_BITS = 128
VALUES = PLANES * GRID * GRID
SYNC_ENERGY = 0.2
# What a perfect map projects to on each message carrier.
BIT_AMPLITUDE = np.sqrt(VALUES * (1.0 - SYNC_ENERGY) / MESSAGE_BITS)

Floats = NDArray[np.float32]

# Orthonormal opponent axes in RGB: luminance, blue-yellow, red-green.
OPPONENT_AXES: NDArray[np.float64] = np.array(
    [
        [1 / np.sqrt(3.0)] * 3,
        [-1 / np.sqrt(6.0), -1 / np.sqrt(6.0), 2 / np.sqrt(6.0)],
        [1 / np.sqrt(2.0), -1 / np.sqrt(2.0), 0.0],
    ]
)
# Per axis: amplitude, highest cycles per side.
_BANDS = ((1.0, 22.0), (1.2, 16.0), (0.5, 12.0))
_LOWEST_CYCLES = 3.0
_FULL_CYCLES = 6.0
_AT_ONCE = 8


@lru_cache(maxsize=4)
def dct_matrix(size: int = GRID) -> NDArray[np.float64]:
    """Orthonormal DCT-II matrix (size, size)."""
    n = np.arange(size)
    matrix = np.cos(np.pi * (2 * n[None, :] + 1) * n[:, None] / (2 * size)) * np.sqrt(2.0 / size)
    matrix[0] /= np.sqrt(2.0)
    return np.asarray(matrix)


@lru_cache(maxsize=1)
def spectral_envelope() -> NDArray[np.float64]:
    """Amplitude of each DCT coefficient (3 opponent axes, 64, 64); zero outside the band."""
    n = np.arange(GRID)
    cycles = np.hypot(n[:, None], n[None, :]) / 2.0
    rise = np.clip(0.6 + 0.4 * (cycles - _LOWEST_CYCLES) / (_FULL_CYCLES - _LOWEST_CYCLES), 0.6, 1.0)
    axes = [
        np.where((cycles >= _LOWEST_CYCLES) & (cycles <= highest), amplitude * rise, 0.0)
        for amplitude, highest in _BANDS
    ]
    return np.stack(axes)


def _to_pixels(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Opponent DCT coefficients (n, 3, 64, 64) to RGB planes (n, 3, 64, 64)."""
    dct = dct_matrix()
    planes = dct.T @ coefficients @ dct
    return np.asarray(np.einsum("nayx,ac->ncyx", planes, OPPONENT_AXES, optimize=True))


def rows_from_planes(planes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Band coefficients (n, D) of patterns (n, 3, 64, 64): the adjoint of ``planes_from_rows``."""
    dct = dct_matrix()
    opponent = np.einsum("ac,ncyx->nayx", OPPONENT_AXES, planes, optimize=True)
    coefficients = dct @ opponent @ dct.T
    return np.asarray(coefficients[:, spectral_envelope() > 0])


def _random_signs(seed: bytes, count: int, length: int) -> NDArray[np.float64]:
    """``count`` rows of ``length`` fair signs from SHAKE-256 (FIPS 202) of the seed."""
    stream = hashlib.shake_256(seed).digest((count * length + 7) // 8)
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))[: count * length]
    return bits.reshape(count, length).astype(np.float64) * 2.0 - 1.0


def _draw(seed: bytes, count: int) -> NDArray[np.float64]:
    """``count`` unnormalised carriers as rows of band coefficients."""
    envelope = spectral_envelope()
    inside = envelope > 0
    return _random_signs(seed, count, int(inside.sum())) * envelope[inside]


def planes_from_rows(rows: NDArray[np.float64]) -> Floats:
    """Patterns (n, 3, 64, 64) from band coefficients (n, D).

    An isometry: orthonormal rows give orthonormal patterns.
    """
    inside = spectral_envelope() > 0
    planes = np.empty((rows.shape[0], PLANES, GRID, GRID), dtype=np.float32)
    # A few at a time: memory that is touched for the first time costs more than the arithmetic.
    for start in range(0, rows.shape[0], _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        coefficients = np.zeros((some.shape[0], PLANES, GRID, GRID))
        coefficients[:, inside] = some
        planes[start : start + _AT_ONCE] = _to_pixels(coefficients)
    return planes


@lru_cache(maxsize=4)
def sync_row(model_id: str) -> NDArray[np.float64]:
    """Band coefficients (1, D) of the synchronisation carrier."""
    row = _draw(b"ftf-sync-v1\0" + model_id.encode(), 1)
    return np.asarray(row / np.linalg.norm(row))


def build_sync_carrier(model_id: str) -> Floats:
    """The public synchronisation carrier (3, 64, 64) of unit norm.

    There is one per model, so the search does not grow with the keys held.
    """
    return np.asarray(planes_from_rows(sync_row(model_id))[0])


def build_carriers(secret: bytes, model_id: str) -> Floats:
    """Message carriers (128, 3, 64, 64) from a carrier key's derived secret.

    Orthonormal to each other and to the model's synchronisation carrier.
    """
    return planes_from_rows(carrier_rows(secret, model_id))


def carrier_rows(secret: bytes, model_id: str) -> NDArray[np.float64]:
    """Orthonormal band coefficients (128, D) of the message carriers."""
    rows = _draw(b"ftf-carriers-v1\0" + secret, MESSAGE_BITS)
    sync = sync_row(model_id)
    rows = rows - (rows @ sync.T) @ sync
    values, vectors = np.linalg.eigh(rows @ rows.T)
    return np.asarray((vectors / np.sqrt(values)) @ vectors.T @ rows)


def build_tag_planes(signs: NDArray[np.integer] | Floats, carriers: Floats, sync: Floats) -> Floats:
    """The tag w (3, 64, 64) of mean square 1 for signs (128,) in {-1, +1}."""
    message = np.tensordot(np.asarray(signs, dtype=np.float32), carriers, axes=1)
    return np.asarray(message * BIT_AMPLITUDE + sync * np.sqrt(VALUES * SYNC_ENERGY), dtype=np.float32)


def project(residual: Floats, carriers: Floats) -> Floats:
    """Projections (B, K) of residual maps (B, 3, 64, 64), about +-1 for a perfect map; training's soft bits."""
    flat = residual.reshape(residual.shape[0], -1)
    return np.asarray(flat @ carriers.reshape(carriers.shape[0], -1).T / BIT_AMPLITUDE, dtype=np.float32)
