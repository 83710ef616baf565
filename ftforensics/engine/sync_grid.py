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
# The carrier's highest cycles a side in each plane, and half a cycle that its window spreads it by.
_HIGHEST_CYCLES = (22.5, 17.0)
_SLACK_CELLS = 3.0
# Scores' worth of the common spread in that of one size.
_PRIOR = 300
# The strongest are told; most are neighbours of a stronger one.
_MOST_PEAKS = 128
MIRROR = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])


def opponent_planes(residual: Floats) -> Floats:
    """The two planes (2, 64, 64) that are searched, of RGB planes (3, 64, 64)."""
    planes = np.tensordot(OPPONENT_AXES[:PLANES].astype(np.float32), residual, axes=1)
    return np.ascontiguousarray(planes, dtype=np.float32)


def standing_of(score: float, rivals: float) -> float:
    """Log likelihood ratio of a score in standard deviations, less half the logarithm of how many it is the best of.

    Sizes with many places and grids with many sizes have larger scores by chance, which would crowd out turned and
    bordered frames. Half, since neighbouring places and sizes hardly differ.
    """
    return 0.5 * max(0.0, score) ** 2 - 0.5 * rivals


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Peak:
    """The best place of one frame size: where the map's edges lie in the frame, in cells, and its score.

    ``view`` maps the map that was searched to the one that it shows. ``rivals`` is the natural logarithm of how many
    places this size has, times how many sizes its grid has: the chances that noise had.
    """

    score: float
    rivals: float
    view: geometry.Affine
    wide: float
    tall: float
    left: float
    top: float
    mirrored: bool

    @property
    def standing(self) -> float:
        """As ``standing_of`` its score."""
        return standing_of(self.score, self.rivals)

    @property
    def frame(self) -> geometry.Affine:
        """The tagged frame's unit coordinates to those of the map that is shown."""
        across = [1.0 / self.wide, 0.0, -self.left / GRID / self.wide]
        frame = np.array([across, [0.0, 1.0 / self.tall, -self.top / GRID / self.tall]])
        return geometry.compose(self.view, geometry.compose(frame, MIRROR) if self.mirrored else frame)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surfaces:
    """Scores of all places of frames of one height: (views, widths, rows, columns).

    The widths are those of ``partners``, indices of the grid's shares. Narrower widths than the widest have more
    columns; ``columns`` counts those of each, and the rest repeat the last.
    """

    row: int
    partners: slice
    mirrored: bool
    scores: Floats
    columns: NDArray[np.int_]


class FrameGrid:
    """Upright frames, mirrored or not, of every pair of shares whose ratio is within reach.

    A share is the map's size in frame sizes: under 1 for a crop, over 1 for a picture with a border around the frame.

    Args:
        sync: The carrier's planes (2, 64, 64).
        shares: In order of size.
        reach: Largest natural logarithm of the ratio of a frame's two shares; 0 keeps their ratio.
        mirror_reach: The same for mirrored frames, not larger; negative for none.
    """

    def __init__(self, sync: Floats, shares: Sequence[float], *, reach: float, mirror_reach: float) -> None:
        self.shares = np.asarray(shares, dtype=np.float64)
        self.reach = (reach, mirror_reach)
        period = float(GRID * max(1.0, self.shares.max()) + 2.0 * _SLACK_CELLS + 2.0)
        self._highest = tuple(int(np.ceil(cycles * period / GRID)) for cycles in _HIGHEST_CYCLES)
        most = self._highest[0]
        down, across = np.arange(-most, most + 1), np.arange(most + 1)
        cells = np.arange(GRID) + 0.5

        def waves(frequencies: NDArray[np.int_], places: NDArray[np.floating], sign: float) -> Complexes:
            turns = np.multiply.outer(frequencies, places) / period
            return np.asarray(np.exp(sign * 2j * np.pi * turns), dtype=np.complex64)

        doubled = np.where(across > 0, 2.0, 1.0).astype(np.float32)
        spectra = [
            waves(down, cells, -1.0) @ planes @ waves(across, cells, -1.0).T * doubled
            for planes in (sync, sync[..., ::-1])
        ]
        self._spectra = [
            [np.ascontiguousarray(spectrum[at][self._band(at)])[:, None, None, :] for at in range(PLANES)]
            for spectrum in spectra
        ]
        stretched = np.multiply.outer(self.shares, cells)
        # For each plane (64, shares x frequencies), real and imaginary parts in turn.
        columns = waves(across, stretched, 1.0).transpose(2, 1, 0)
        self._across = [
            np.ascontiguousarray(columns[:, :, : own + 1]).reshape(GRID, -1).view(np.float32) for own in self._highest
        ]
        # Down, waves about the map's middle are even or odd, so half of the cells will do: (shares, frequencies, 32).
        halves = waves(across, stretched[:, GRID // 2 :] - stretched.mean(axis=1, keepdims=True), 1.0)
        self._cosines = np.ascontiguousarray(halves.real.transpose(1, 0, 2))
        self._sines = np.ascontiguousarray(halves.imag.transpose(1, 0, 2))
        self._places = [_places(float(share)) for share in self.shares]
        self._counts = np.array([len(places) for places in self._places])
        middles = stretched.mean(axis=1)
        self._to_rows = [
            waves(down, places + middle, 1.0).T.copy() for places, middle in zip(self._places, middles, strict=True)
        ]
        # As many columns for every share: (shares, 2 frequencies, columns), real parts over negative imaginary ones.
        padded = [np.pad(places, (0, int(self._counts.max()) - len(places)), mode="edge") for places in self._places]
        back = waves(across, np.stack(padded), 1.0).transpose(1, 0, 2)
        self._to_columns = np.ascontiguousarray(np.concatenate([back.real, -back.imag], axis=1))

    def _band(self, plane: int) -> tuple[slice, slice]:
        """Where a plane's frequencies lie among all, down and across."""
        most, own = self._highest[0], self._highest[plane]
        return slice(most - own, most + own + 1), slice(0, own + 1)

    def _partners(self, index: int, reach: float) -> slice:
        """The shares across that may stand with a share down: a run of neighbours."""
        within = np.flatnonzero(np.abs(np.log(self.shares / self.shares[index])) <= reach + 1e-9)
        return slice(int(within[0]), int(within[-1]) + 1)

    def surfaces(self, planes: Floats) -> Iterator[Surfaces]:
        """The scores of all frames in planes (views, 2, 64, 64)."""
        halves = [self._halve(planes, at) for at in range(PLANES)]
        for row in range(self.shares.size):
            partners = self._partners(row, max(self.reach))
            spectra = [self._spectrum(row, *(half[:, :, partners] for half in pair)) for pair in halves]
            for mirrored in (False, True):
                if self.reach[mirrored] < 0.0:
                    continue
                own = self._partners(row, self.reach[mirrored])
                inside = slice(own.start - partners.start, own.stop - partners.start)
                product = spectra[0][:, :, inside] * self._spectra[mirrored][0]
                for at in range(1, PLANES):
                    down, across = self._band(at)
                    product[down, :, :, across] += spectra[at][:, :, inside] * self._spectra[mirrored][at]
                rows = (self._to_rows[row] @ product.reshape(product.shape[0], -1)).reshape(-1, *product.shape[1:])
                rows = rows.transpose(1, 2, 0, 3)
                counts = self._counts[own]
                back = self._to_columns[own, :, : int(counts.max())]
                scores = np.concatenate([rows.real, rows.imag], axis=3) @ back
                yield Surfaces(row=row, partners=own, mirrored=mirrored, scores=scores, columns=counts)

    def _halve(self, planes: Floats, at: int) -> tuple[Complexes, Complexes]:
        """Of planes (views, 2, 64, 64) one at its frequencies across: even, and 1j times odd, down the map.

        Each is (32, views, shares, frequencies).
        """
        upper, lower = planes[:, at, GRID // 2 - 1 :: -1], planes[:, at, GRID // 2 :]
        shape = (GRID // 2, planes.shape[0], self.shares.size, -1)
        even, odd = (
            (np.ascontiguousarray(half.transpose(1, 0, 2)).reshape(-1, GRID) @ self._across[at]).view(np.complex64)
            for half in (lower + upper, lower - upper)
        )
        odd *= np.complex64(1j)
        return even.reshape(shape), odd.reshape(shape)

    def _spectrum(self, row: int, even: Complexes, odd: Complexes) -> Complexes:
        """The frequencies (down, views, shares, across) of what ``_halve`` gave, for one share down."""
        count = even.shape[3]
        cosines, sines = (
            (waves[row, :count] @ half.reshape(GRID // 2, -1).view(np.float32)).view(np.complex64)
            for waves, half in ((self._cosines, even), (self._sines, odd))
        )
        spectrum = np.empty((2 * count - 1, cosines.shape[1]), dtype=np.complex64)
        np.add(cosines, sines, out=spectrum[count - 1 :])
        np.subtract(cosines[:0:-1], sines[:0:-1], out=spectrum[: count - 1])
        return spectrum.reshape(-1, *even.shape[1:])

    def peaks(self, planes: Floats, views: Sequence[geometry.Affine]) -> list[Peak]:
        """The best places in planes (views, 2, 64, 64), one a size, in standard deviations of the scores.

        Strongest first, and only so many.

        A size has few places, of which the best is one, so its spread is drawn towards that of all scores.
        """
        best, squares, counts, sizes = [], [], [], []
        for one in self.surfaces(planes):
            tall, wide = one.scores.shape[2:]
            # A frame that only covers part of the map gathers as much less noise.
            weights = np.sqrt(np.maximum(1.0, self.shares[one.row]) * np.maximum(1.0, self.shares[one.partners]))
            flat = one.scores.reshape(len(views), -1, tall * wide)
            at = flat.argmax(axis=2)
            best.append(np.take_along_axis(flat, at[:, :, None], axis=2)[:, :, 0] * weights)
            columns = np.einsum("vpyx,vpyx->vpx", one.scores, one.scores)
            inside = np.arange(wide) < one.columns[:, None]
            squares.append((columns * inside).sum(axis=2) * np.square(weights))
            counts.append(tall * one.columns)
            sizes.append((one, at, wide))
        return self._name_peaks(views, sizes, best, squares, counts)

    def _name_peaks(
        self,
        views: Sequence[geometry.Affine],
        sizes: Sequence[tuple[Surfaces, NDArray[np.int_], int]],
        best: Sequence[NDArray[np.float64]],
        squares: Sequence[NDArray[np.float64]],
        counts: Sequence[NDArray[np.int_]],
    ) -> list[Peak]:
        total, number = np.concatenate(squares, axis=1), np.concatenate(counts)
        # A turned view has few places; the planes are the same in all.
        mean = float(total.sum()) / (len(views) * float(number.sum()))
        spread = np.sqrt((total + _PRIOR * mean) / (number + _PRIOR)) + 1e-9
        scores = np.concatenate(best, axis=1) / spread
        rivals = np.log(number * scores.size)
        standings = 0.5 * np.square(np.maximum(scores, 0.0)) - 0.5 * rivals
        starts = np.cumsum([0, *(len(one.columns) for one, _, _ in sizes)])
        found: list[Peak] = []
        for flat in np.argsort(-standings, axis=None, kind="stable")[:_MOST_PEAKS].tolist():
            index, size = divmod(flat, scores.shape[1])
            group = int(np.searchsorted(starts, size, side="right")) - 1
            one, at, wide = sizes[group]
            offset = size - int(starts[group])
            column = one.partners.start + offset
            top, left = divmod(int(at[index, offset]), wide)
            found.append(
                Peak(
                    score=float(scores[index, size]),
                    rivals=float(rivals[size]),
                    view=views[index],
                    wide=float(self.shares[column]),
                    tall=float(self.shares[one.row]),
                    left=float(self._places[column][min(left, self._counts[column] - 1)]),
                    top=float(self._places[one.row][top]),
                    mirrored=one.mirrored,
                )
            )
        return found


def _places(share: float) -> NDArray[np.float64]:
    """Where the map's edge can lie in the frame, in cells."""
    low, high = sorted((0.0, GRID * (1.0 - share)))
    return np.arange(low - _SLACK_CELLS, high + _SLACK_CELLS + 0.5)
