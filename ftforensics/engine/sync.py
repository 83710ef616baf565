"""Finding the tagged frame in a cropped, stretched, mirrored, turned or bordered picture.

The public synchronisation carrier is correlated with the residual map over bounded grids of upright frames
(``sync_grid``), as the map lies and turned by a few angles; the best frames are refined. Peaks are in standard
deviations of all scores of the search, so a peak means the same in every picture. Only hypotheses that are then matched
against a registry count in the E-value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import GRID
from ftforensics.engine.sync_grid import FrameGrid, Peak, opponent_planes
from ftforensics.imaging import geometry

Floats = NDArray[np.float32]

# Frames whose edges differ by less are one frame, found twice.
_SAME_CELLS = 3.0
_CORNERS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]).T
# First steps of the refinement: two shares, a turn in degrees, two shifts in cells.
_STEPS = np.array([0.012, 0.012, 1.2, 0.5, 0.5])
_ROUNDS = 3
# So many times the frames asked for are refined, since the grid may miss a peak's top.
_CLIMBED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A found frame: ``to_suspect`` maps the tagged frame's unit coordinates to the suspect's."""

    to_suspect: geometry.Affine
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Breadth:
    """Which frames are looked for: shares of the frame seen, turns, and how unequal the shares may be.

    ``reach`` and ``mirror_reach`` are natural logarithms of the ratio of the two shares; ``quarters`` adds quarter
    turns.
    """

    crops: tuple[float, ...]
    reach: float
    mirror_reach: float
    borders: tuple[float, ...]
    border_reach: float
    turned: tuple[float, ...]
    angles_deg: tuple[float, ...]
    quarters: bool


def share_steps(high: float, low: float, step: float) -> tuple[float, ...]:
    """Shares from high down to low in equal steps of at most ``step``: a crop's edges then move by equal cells."""
    count = int(np.ceil((high - low) / step - 1e-9)) + 1
    return tuple(float(share) for share in np.linspace(high, low, count))


def share_ladder(low: float, high: float, step: float) -> tuple[float, ...]:
    """Shares from low to high in equal ratios of at most 1 + step."""
    count = int(np.ceil(np.log(high / low) / np.log1p(step) - 1e-9)) + 1
    return tuple(float(share) for share in np.geomspace(low, high, count))


def _both(angles: Sequence[float]) -> tuple[float, ...]:
    return tuple(sign * angle for angle in angles for sign in (-1.0, 1.0))


SHORT = Breadth(
    crops=share_steps(1.0, 0.46, 0.036),
    reach=0.45,
    mirror_reach=0.3,
    borders=share_ladder(1.03, 1.6, 0.03),
    border_reach=0.0,
    turned=(1.02, 0.98, 0.94, 0.9, 0.85, 0.8),
    angles_deg=_both((2.5, 5.0, 7.5, 10.0, 12.5)),
    quarters=False,
)
DEEP = Breadth(
    crops=share_steps(1.0, 0.38, 0.02),
    reach=0.8,
    mirror_reach=0.8,
    borders=share_ladder(1.02, 2.2, 0.025),
    border_reach=0.3,
    turned=share_steps(1.06, 0.58, 0.03),
    angles_deg=_both(tuple(float(angle) for angle in np.arange(1.5, 16.6, 1.5))),
    quarters=True,
)


def turn_about(angle_deg: float, aspect: float, centre: tuple[float, float] = (0.5, 0.5)) -> geometry.Affine:
    """A turn in unit coordinates of a picture, rigid in its pixels; ``aspect`` is its width over its height."""
    turn = np.deg2rad(angle_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    squeeze = np.diag([aspect, 1.0])
    linear = np.linalg.inv(squeeze) @ rotation @ squeeze
    middle = np.asarray(centre)
    return np.hstack([linear, (middle - linear @ middle)[:, None]])


_QUARTERS = tuple(turn_about(angle, 1.0) for angle in (90.0, 180.0, 270.0))
_MIRROR = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
# How a picture can lie that lost its EXIF orientation: tagged frame to picture. Mirrored left to right is among the
# crops that are searched.
TURNS = (*_QUARTERS, *(geometry.compose(turn, _MIRROR) for turn in _QUARTERS))


class SyncSearch:
    """The search for one model's sync carrier (3, 64, 64)."""

    def __init__(self, sync: Floats) -> None:
        self.sync = sync
        turned = [see_map(sync, geometry.invert(turn)).ravel() for turn in TURNS]
        self._turned = np.stack([one / np.linalg.norm(one) for one in turned])
        self._image = np.ascontiguousarray(sync.transpose(1, 2, 0))
        self._grids: dict[bool, tuple[FrameGrid, FrameGrid, FrameGrid]] = {}
        # Pictures are searched in several threads at once.
        self._building = Lock()

    def _grids_of(self, deep: bool) -> tuple[FrameGrid, FrameGrid, FrameGrid]:
        """The grids for crops, borders and turned pictures, built when first needed."""
        with self._building:
            if deep not in self._grids:
                breadth, planes = DEEP if deep else SHORT, opponent_planes(self.sync)
                self._grids[deep] = (
                    FrameGrid(planes, breadth.crops, reach=breadth.reach, mirror_reach=breadth.mirror_reach),
                    FrameGrid(planes, breadth.borders, reach=breadth.border_reach, mirror_reach=breadth.border_reach),
                    FrameGrid(planes, breadth.turned, reach=0.0, mirror_reach=-1.0),
                )
            return self._grids[deep]

    def best_turn(self, residual: Floats) -> tuple[geometry.Affine, float]:
        """The one of ``TURNS`` in which a map correlates most with the carrier, and that correlation in [-1, 1]."""
        correlations = self._turned @ residual.ravel() / max(float(np.linalg.norm(residual)), 1e-12)
        best = int(np.argmax(correlations))
        return TURNS[best], float(correlations[best])

    def find(self, residual: Floats, aspect: float, *, deep: bool = False, keep: int = 3) -> list[Frame]:
        """The ``keep`` strongest frames in a residual map (3, 64, 64), refined, strongest first."""
        return self._refine(
            self._scan(residual, aspect, DEEP if deep else SHORT, self._grids_of(deep)), residual, aspect, keep
        )

    def find_crop(self, residual: Floats, aspect: float, *, deep: bool = False) -> Frame:
        """The strongest frame of a crop that lies upright, mirrored or not: what a picture cut to fit a place has."""
        found = self._grids_of(deep)[0].peaks(opponent_planes(residual), geometry.IDENTITY)
        return self._refine([max(found, key=lambda peak: peak.score)], residual, aspect, 1)[0]

    def _refine(self, found: Sequence[Peak], residual: Floats, aspect: float, keep: int) -> list[Frame]:
        image = np.ascontiguousarray(residual.transpose(1, 2, 0))
        frames: list[Frame] = []
        for peak in _distinct(found, _CLIMBED * keep):
            climbed, gain = self._climb(image, aspect, peak.frame)
            frames.append(Frame(to_suspect=climbed, peak=peak.score * gain))
        frames.sort(key=lambda frame: -frame.peak)
        return _distinct_frames(frames, keep)

    def _scan(
        self, residual: Floats, aspect: float, breadth: Breadth, grids: tuple[FrameGrid, FrameGrid, FrameGrid]
    ) -> list[Peak]:
        """The best place of every hypothesis, strongest first."""
        crops, borders, turned = grids
        views: list[tuple[geometry.Affine, tuple[FrameGrid, ...]]] = [(geometry.IDENTITY, (crops, borders))]
        views += [(turn_about(angle, aspect), (turned,)) for angle in breadth.angles_deg]
        if breadth.quarters:
            views += [(turn_about(angle, 1.0), (crops,)) for angle in (90.0, 180.0, 270.0)]
        found: list[Peak] = []
        for view, parts in views:
            planes = opponent_planes(residual if view is geometry.IDENTITY else see_map(residual, view))
            for grid in parts:
                found += grid.peaks(planes, view)
        found.sort(key=lambda peak: -peak.score)
        return found

    def refine_aligned(self, residual: Floats, aspect: float) -> geometry.Affine:
        """The small correction of a residual map nearly in the tagged frame: frame to map, near the identity."""
        image = np.ascontiguousarray(residual.transpose(1, 2, 0))
        return self._climb(image, aspect, geometry.IDENTITY, rounds=5)[0]

    def _climb(
        self, image: Floats, aspect: float, frame: geometry.Affine, rounds: int = _ROUNDS
    ) -> tuple[geometry.Affine, float]:
        """Climb the correlation with a map (64, 64, 3) over shares, turn and shifts; the factor that it rose by."""
        first = best = _correlate(image, self._image, frame)
        if first <= 0.0:
            return frame, 1.0
        mover, at, steps = _Mover(frame, aspect), np.zeros(5), _STEPS.copy()
        for _ in range(rounds):
            for axis in range(5):
                for sign in (-1.0, 1.0):
                    trial = at.copy()
                    trial[axis] += sign * steps[axis]
                    value = _correlate(image, self._image, mover.move(trial))
                    if value > best:
                        at, best = trial, value
                        break
            steps = steps * 0.6
        return mover.move(at), best / first


class _Mover:
    """Scales, turns and shifts a frame by a little about the middle of what is seen of it, so that each does least."""

    def __init__(self, frame: geometry.Affine, aspect: float) -> None:
        corners = np.clip(geometry.invert(frame) @ _CORNERS, 0.0, 1.0)
        self._middle = (corners.min(axis=1) + corners.max(axis=1)) / 2.0
        self._seen = frame[:, :2] @ self._middle + frame[:, 2]
        self._linear, self._aspect = frame[:, :2], aspect

    def move(self, by: NDArray[np.float64]) -> geometry.Affine:
        """The frame after changes of its scales across and down, turn in degrees, shifts across and down in cells."""
        turn = np.deg2rad(by[2])
        cosine, sine = np.cos(turn), np.sin(turn)
        rotation = np.array([[cosine, -sine / self._aspect], [sine * self._aspect, cosine]])
        linear = rotation @ self._linear * (1.0 + by[:2])
        offset = self._seen + by[3:] / GRID - linear @ self._middle
        return np.column_stack([linear, offset])


def _correlate(image: Floats, carrier: Floats, frame: geometry.Affine) -> float:
    """Normalised correlation of a map with the carrier laid into it, both (64, 64, 3)."""
    pixels = geometry.to_pixels(frame, (GRID, GRID), (GRID, GRID))
    drawn = cv2.warpAffine(carrier, pixels, (GRID, GRID), flags=cv2.INTER_LINEAR, borderValue=0)
    norm = float(np.linalg.norm(drawn) * np.linalg.norm(image))
    return float(np.vdot(drawn, image) / norm) if norm > 0.0 else 0.0


def correlate_frame(residual: Floats, sync: Floats, to_suspect: geometry.Affine) -> float:
    """Normalised correlation of a residual map with the sync carrier laid into it by a frame; in [-1, 1]."""
    return _correlate(
        np.ascontiguousarray(residual.transpose(1, 2, 0)), np.ascontiguousarray(sync.transpose(1, 2, 0)), to_suspect
    )


def see_map(residual: Floats, view: geometry.Affine) -> Floats:
    """A residual map (3, 64, 64) seen through a frame, view to map; nothing outside the map."""
    pixels = geometry.to_pixels(view, (GRID, GRID), (GRID, GRID))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    image = np.ascontiguousarray(residual.transpose(1, 2, 0))
    seen = cv2.warpAffine(image, pixels, (GRID, GRID), flags=flags, borderValue=0)
    return np.asarray(seen.transpose(2, 0, 1), dtype=np.float32)


def _same(left: geometry.Affine, right: geometry.Affine) -> bool:
    """Whether two frames lay the map's corners at nearly the same places of the frame."""
    difference = (geometry.invert(left) - geometry.invert(right)) @ _CORNERS
    return bool(np.abs(difference).max() * GRID < _SAME_CELLS)


def _distinct(found: Sequence[Peak], keep: int) -> list[Peak]:
    """The strongest peaks that are not neighbours of a stronger one."""
    chosen: list[Peak] = []
    for peak in found:
        if len(chosen) == keep:
            break
        if not any(_same(peak.frame, other.frame) for other in chosen):
            chosen.append(peak)
    return chosen


def _distinct_frames(frames: Sequence[Frame], keep: int) -> list[Frame]:
    """The same for refined frames, which may have climbed to one place."""
    chosen: list[Frame] = []
    for frame in frames:
        if len(chosen) == keep:
            break
        if not any(_same(frame.to_suspect, other.to_suspect) for other in chosen):
            chosen.append(frame)
    return chosen
