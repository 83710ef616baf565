"""Correlation of a residual map with the synchronisation carrier over a grid of upright frames.

Enters: planes of a residual map. Leaves: the best place of every frame size, with its score. All frames of a grid are
correlated together: the map is taken to the carrier's few frequencies by one matrix product a direction, at every size
at once, and back only to the places where a frame of that size can lie. A crop's frame must hold the whole picture and
a bordered picture must hold the whole frame, which leaves far fewer places for chance than all translations do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import GRID, OPPONENT_AXES
from ftforensics.imaging import geometry

Floats = NDArray[np.float32]
Complexes = NDArray[np.complex64]

# Luminance and blue-yellow; red-green holds a twenty-fifth of the carrier.
PLANES = 2
_HIGHEST_CYCLES = 22.5
_SLACK_CELLS = 3.0
# Scores' worth of the common spread in that of one size.
_PRIOR = 300
_MIRROR = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])


def opponent_planes(residual: Floats) -> Floats:
    """The two planes (2, 64, 64) that are searched, of RGB planes (3, 64, 64)."""
    planes = np.tensordot(OPPONENT_AXES[:PLANES].astype(np.float32), residual, axes=1)
    return np.ascontiguousarray(planes, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Peak:
    """The best place of one frame size: where the map's edges lie in the frame, in cells, and its score.

    ``view`` maps the map that was searched to the one that it shows.
    """

    score: float
    view: geometry.Affine
    wide: float
    tall: float
    left: float
    top: float
    mirrored: bool

    @property
    def frame(self) -> geometry.Affine:
        """The tagged frame's unit coordinates to those of the map that is shown."""
        across = [1.0 / self.wide, 0.0, -self.left / GRID / self.wide]
        frame = np.array([across, [0.0, 1.0 / self.tall, -self.top / GRID / self.tall]])
        return geometry.compose(self.view, geometry.compose(frame, _MIRROR) if self.mirrored else frame)


class FrameGrid:
    """Upright frames, mirrored or not, of every pair of shares whose ratio is within reach.

    A share is the map's size in frame sizes: under 1 for a crop, over 1 for a picture with a border around the frame.

    Args:
        sync: The carrier's planes (2, 64, 64).
        shares: In order of size.
        reach: Largest natural logarithm of the ratio of a frame's two shares; 0 keeps their ratio.
        mirror_reach: The same for mirrored frames.
    """

    def __init__(self, sync: Floats, shares: Sequence[float], *, reach: float, mirror_reach: float) -> None:
        self.shares = np.asarray(shares, dtype=np.float64)
        self.reach = (reach, mirror_reach)
        period = float(GRID * max(1.0, self.shares.max()) + 2.0 * _SLACK_CELLS + 2.0)
        highest = int(np.ceil(_HIGHEST_CYCLES * period / GRID))
        down, across = np.arange(-highest, highest + 1), np.arange(highest + 1)
        cells = np.arange(GRID) + 0.5

        def waves(frequencies: NDArray[np.int_], places: NDArray[np.floating], sign: float) -> Complexes:
            turns = np.multiply.outer(frequencies, places) / period
            return np.asarray(np.exp(sign * 2j * np.pi * turns), dtype=np.complex64)

        doubled = np.where(across > 0, 2.0, 1.0).astype(np.float32)
        spectra = [
            waves(down, cells, -1.0) @ planes @ waves(across, cells, -1.0).T for planes in (sync, sync[..., ::-1])
        ]
        self._spectra = [np.asarray(spectrum * doubled, dtype=np.complex64)[:, :, None] for spectrum in spectra]
        stretched = np.multiply.outer(self.shares, cells)
        self._across = np.ascontiguousarray(waves(across, stretched, 1.0).transpose(2, 1, 0))
        self._down = np.ascontiguousarray(waves(down, stretched, 1.0).transpose(1, 0, 2))
        self._places = [_places(float(share)) for share in self.shares]
        self._to_rows = [waves(down, places, 1.0).T.copy() for places in self._places]
        self._to_columns = [waves(across, places, 1.0) for places in self._places]

    def _partners(self, index: int, reach: float) -> slice:
        """The shares across that may stand with a share down: a run of neighbours."""
        within = np.flatnonzero(np.abs(np.log(self.shares / self.shares[index])) <= reach + 1e-9)
        return slice(int(within[0]), int(within[-1]) + 1)

    def surfaces(self, planes: Floats) -> Iterator[tuple[int, int, bool, Floats]]:
        """Indices of the shares down and across, mirroring, and the scores of all places (rows, columns)."""
        columns = np.einsum("pyx,xsk->pysk", planes, self._across, optimize=True)
        for row in range(self.shares.size):
            for mirrored in (False, True):
                if self.reach[mirrored] < 0.0:
                    continue
                partners = self._partners(row, self.reach[mirrored])
                part = columns[:, :, partners].reshape(PLANES, GRID, -1)
                spectrum = (self._down[row] @ part).reshape(PLANES, self._down.shape[1], -1, self._across.shape[2])
                product = (spectrum * self._spectra[mirrored]).sum(axis=0)
                rows = (self._to_rows[row] @ product.reshape(product.shape[0], -1)).reshape(
                    -1, product.shape[1], product.shape[2]
                )
                for offset, column in enumerate(range(partners.start, partners.stop)):
                    yield row, column, mirrored, np.ascontiguousarray((rows[:, offset] @ self._to_columns[column]).real)

    def peaks(self, planes: Floats, view: geometry.Affine) -> list[Peak]:
        """The best place of every size, in standard deviations.

        A size has few places, of which the best is one, so its spread is drawn towards that of all scores.
        """
        found: list[tuple[float, int, int, bool, tuple[int, int]]] = []
        squares: list[float] = []
        counts: list[int] = []
        for row, column, mirrored, scores in self.surfaces(planes):
            best = int(scores.argmax())
            # A frame that only covers part of the map gathers as much less noise.
            weight = float(np.sqrt(max(1.0, self.shares[row]) * max(1.0, self.shares[column])))
            flat = scores.ravel() * np.float32(weight)
            found.append((float(flat[best]), row, column, mirrored, divmod(best, scores.shape[1])))
            squares.append(float(flat @ flat))
            counts.append(flat.size)
        mean = sum(squares) / sum(counts)
        spread = np.sqrt((np.array(squares) + _PRIOR * mean) / (np.array(counts) + _PRIOR)) + 1e-9
        return [
            Peak(
                score=score / float(deviation),
                view=view,
                wide=float(self.shares[column]),
                tall=float(self.shares[row]),
                left=float(self._places[column][left]),
                top=float(self._places[row][top]),
                mirrored=mirrored,
            )
            for (score, row, column, mirrored, (top, left)), deviation in zip(found, spread, strict=True)
        ]


def _places(share: float) -> NDArray[np.float64]:
    """Where the map's edge can lie in the frame, in cells."""
    low, high = sorted((0.0, GRID * (1.0 - share)))
    return np.arange(low - _SLACK_CELLS, high + _SLACK_CELLS + 0.5)
