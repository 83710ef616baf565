"""Finding the tagged frame in a cropped, stretched, mirrored, turned or bordered picture.

The public synchronisation carrier is correlated with the residual map over bounded grids of upright frames
(``sync_grid``), as the map lies and turned by a few angles; the best frames are refined. Peaks are in standard
deviations of all scores of the search, so a peak means the same in every picture. Only hypotheses that are then matched
against a registry count in the E-value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.carriers import GRID
from ftforensics.engine.sync_climb import Climber
from ftforensics.engine.sync_grid import MIRROR, FrameGrid, Peak, opponent_planes, standing_of
from ftforensics.imaging import geometry

Floats = NDArray[np.float32]

# Frames whose edges differ by less are one frame, found twice.
_SAME_CELLS = 3.0
_CORNERS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]).T
# Steps of a peak's refinement, and of a frame's that will be read through.
_STEPS = 6
_ALIGNED_STEPS = 10
# So many times the frames asked for are refined, since the grid may miss a peak's top.
_CLIMBED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A found frame: ``to_suspect`` maps the tagged frame's unit coordinates to the suspect's.

    ``peak`` is in standard deviations, ``rivals`` as of the ``Peak`` that it was refined from.
    """

    to_suspect: geometry.Affine
    peak: float
    rivals: float

    @property
    def standing(self) -> float:
        """By which frames are ranked."""
        return standing_of(self.peak, self.rivals)


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
    crops=share_steps(1.0, 0.388, 0.036),
    reach=0.45,
    mirror_reach=0.3,
    borders=share_ladder(1.03, 1.6, 0.03),
    border_reach=0.0,
    turned=(1.02, 0.98, 0.94, 0.9, 0.85, 0.8),
    angles_deg=_both((2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.0)),
    quarters=False,
)
DEEP = Breadth(
    crops=share_steps(1.0, 0.38, 0.02),
    reach=0.8,
    mirror_reach=0.8,
    borders=share_ladder(1.02, 2.2, 0.025),
    border_reach=0.3,
    turned=share_steps(1.06, 0.58, 0.03),
    angles_deg=_both(tuple(float(angle) for angle in np.arange(1.5, 18.1, 1.5))),
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
# How a picture can lie that lost its EXIF orientation: tagged frame to picture. Mirrored left to right is among the
# crops that are searched.
TURNS = (*_QUARTERS, *(geometry.compose(turn, MIRROR) for turn in _QUARTERS))


class SyncSearch:
    """The search for one model's sync carrier (3, 64, 64)."""

    def __init__(self, sync: Floats) -> None:
        self.sync = sync
        turned = [see_map(sync, geometry.invert(turn)).ravel() for turn in TURNS]
        self._turned = np.stack([one / np.linalg.norm(one) for one in turned])
        self._climber = Climber(opponent_planes(sync))
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

    def find_crops(self, residual: Floats, aspect: float, *, deep: bool = False, keep: int = 1) -> list[Frame]:
        """As ``find`` for crops that lie upright, mirrored or not: what a picture cut to fit a place has."""
        found = self._grids_of(deep)[0].peaks(opponent_planes(residual)[None], [geometry.IDENTITY])
        return self._refine(found, residual, aspect, keep)

    def _refine(self, found: Sequence[Peak], residual: Floats, aspect: float, keep: int) -> list[Frame]:
        image = _searched(residual)
        frames: list[Frame] = []
        for peak in _distinct(found, _CLIMBED * keep):
            climbed, best, first = self._climber.climb(image, aspect, peak.frame, _STEPS)
            gain = best / first if first > 0.0 else 1.0
            frames.append(Frame(to_suspect=climbed, peak=peak.score * gain, rivals=peak.rivals))
        frames.sort(key=lambda frame: -frame.standing)
        return _distinct_frames(frames, keep)

    def _scan(
        self, residual: Floats, aspect: float, breadth: Breadth, grids: tuple[FrameGrid, FrameGrid, FrameGrid]
    ) -> list[Peak]:
        """The best places of all hypotheses, strongest first."""
        crops, borders, turned = grids
        upright = opponent_planes(residual)[None]
        found = crops.peaks(upright, [geometry.IDENTITY]) + borders.peaks(upright, [geometry.IDENTITY])
        views = [turn_about(angle, aspect) for angle in breadth.angles_deg]
        found += turned.peaks(_see_planes(upright[0], views), views)
        if breadth.quarters:
            views = [turn_about(angle, 1.0) for angle in (90.0, 180.0, 270.0)]
            found += crops.peaks(_see_planes(upright[0], views), views)
        found.sort(key=lambda peak: -peak.standing)
        return found

    def refine_aligned(self, residual: Floats, aspect: float) -> geometry.Affine:
        """The small correction of a residual map nearly in the tagged frame: frame to map, near the identity."""
        return self._climber.climb(_searched(residual), aspect, geometry.IDENTITY, _ALIGNED_STEPS)[0]


def _searched(residual: Floats) -> Floats:
    """The planes of a map that are searched, as an image (64, 64, 2)."""
    return np.ascontiguousarray(opponent_planes(residual).transpose(1, 2, 0))


def _see_planes(planes: Floats, views: Sequence[geometry.Affine]) -> Floats:
    """Planes (P, 64, 64) seen through each of several views: (views, P, 64, 64)."""
    return np.stack([see_map(planes, view) for view in views])


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


def _corners(frame: geometry.Affine) -> NDArray[np.float64]:
    """Where a frame has the map's corners, in cells of the frame (2, 4)."""
    return np.asarray(geometry.invert(frame) @ _CORNERS * GRID)


def _distinct(found: Sequence[Peak], keep: int) -> list[Peak]:
    """The strongest peaks that are not neighbours of a stronger one."""
    return [found[index] for index in _apart((peak.frame for peak in found), keep)]


def _distinct_frames(frames: Sequence[Frame], keep: int) -> list[Frame]:
    """The same for refined frames, which may have climbed to one place."""
    return [frames[index] for index in _apart((frame.to_suspect for frame in frames), keep)]


def _apart(frames: Iterable[geometry.Affine], keep: int) -> list[int]:
    """Indices of the first ``keep`` frames that do not lay the map's corners at nearly the places of an earlier one."""
    chosen: dict[int, NDArray[np.float64]] = {}
    for index, frame in enumerate(frames):
        corners = _corners(frame)
        if all(np.abs(corners - other).max() >= _SAME_CELLS for other in chosen.values()):
            chosen[index] = corners
            if len(chosen) == keep:
                break
    return list(chosen)
