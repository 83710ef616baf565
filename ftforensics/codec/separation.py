"""Soft bits that hear less of each other.

In: a residual map (3, 64, 64) as a reader makes it. Out: 128 soft bits. Carriers are orthonormal over a whole frame
that is read equally well all over. Of a crop, or where a part is plain or replaced, they are not: every bit, and the
synchronisation carrier, is heard in all others, the louder the less of the frame is left. How well each place was read
shows in the map itself: a reader that gives what it expects to have been added gives little where it cannot tell.

So the map is taken for the tag times a gain of its own in every block, in noise whose variance goes with that gain, and
all signals are estimated together, with a ridge (linear multi-user detection: Verdú, *Multiuser Detection*, 1998,
chapter 6). With equal gains this is the projection on the carriers. Soft bits remain a function of the map and the
carriers alone, which is all that the bound on chance asks for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import BIT_AMPLITUDE, GRID, MESSAGE_BITS, PLANES, VALUES

_BLOCKS = 16
_CELLS = GRID // _BLOCKS
# Of a block's gain, 1 being a tag that is read whole.
_LEAST_GAIN, _MOST_GAIN = 0.02, 0.9
# Of the mean gain: of every bit, and of the synchronisation carrier, which is always there and needs next to none.
_RIDGE, _SYNC_RIDGE = 0.4, 0.008
_SIGNALS = MESSAGE_BITS + 1

Floats = NDArray[np.float32]


class Separator:
    """Reads soft bits with one set of carriers. Takes 9 MB, and less than a tenth of a second to make.

    Args:
        carriers: float32 (128, 3, 64, 64), orthonormal.
        sync: float32 (3, 64, 64), the synchronisation carrier, of unit norm and orthogonal to them.
    """

    def __init__(self, carriers: Floats, sync: Floats) -> None:
        self._bits, self._sync = carriers.reshape(MESSAGE_BITS, VALUES), sync.reshape(VALUES)
        self._upper = np.triu_indices(_SIGNALS)
        overlaps = _overlap_in_blocks(np.concatenate([carriers, sync[None]]).astype(np.float32))
        self._overlaps = overlaps[:, self._upper[0], self._upper[1]]
        self._ridge = np.full(_SIGNALS, _RIDGE)
        self._ridge[-1] = _SYNC_RIDGE

    def soft_bits(self, residual: Floats) -> Floats:
        """Soft bits (128,) of a residual map (3, 64, 64); about +-1 for a perfect map, NaN where it is not finite."""
        flat = residual.reshape(VALUES)
        heard = np.append(self._bits @ flat, self._sync @ flat).astype(np.float64)
        gains = _measure_gains(residual)
        if not (np.isfinite(heard).all() and np.isfinite(gains).all()):
            return np.full(MESSAGE_BITS, np.nan, dtype=np.float32)
        overlap = np.empty((_SIGNALS, _SIGNALS))
        overlap[self._upper] = gains @ self._overlaps
        overlap.T[self._upper] = overlap[self._upper]
        level = float(np.trace(overlap)) / _SIGNALS
        overlap[np.diag_indices(_SIGNALS)] += self._ridge * level
        apart = np.linalg.solve(overlap, heard)[:MESSAGE_BITS]
        return np.asarray(apart * (level * (1.0 + _RIDGE) / BIT_AMPLITUDE), dtype=np.float32)


def _overlap_in_blocks(signals: Floats) -> Floats:
    """Inner products of all signals in each block, float32 (256, 129, 129); together they are the identity."""
    cut = signals.reshape(_SIGNALS, PLANES, _BLOCKS, _CELLS, _BLOCKS, _CELLS).transpose(2, 4, 0, 1, 3, 5)
    flat = np.ascontiguousarray(cut).reshape(_BLOCKS * _BLOCKS, _SIGNALS, PLANES * _CELLS * _CELLS)
    return np.asarray(np.matmul(flat, flat.transpose(0, 2, 1)))


def _measure_gains(residual: Floats) -> Floats:
    """Mean square of each block, float32 (256,): the gain of a map that holds what is expected to have been added."""
    energy = np.square(residual).mean(axis=0).reshape(_BLOCKS, _CELLS, _BLOCKS, _CELLS).mean(axis=(1, 3))
    return np.asarray(np.clip(energy, _LEAST_GAIN, _MOST_GAIN), dtype=np.float32).reshape(-1)
