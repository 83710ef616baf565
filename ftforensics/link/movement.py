"""Where the source's content lies elsewhere in the suspect than one plane map puts it: reenactment, a lens, a hand.

In: pixels of both and the homography that carries the source onto the suspect. Out: a smooth field of displacements,
where it can be trusted, and where content agrees with the source only once it is undone.

The field is dense inverse search optical flow (Kroeger et al., ECCV 2016) between the local structure of both pictures,
in both directions. Where the directions contradict each other or the structure does not agree afterwards it counts for
nothing, and what is left is smoothed over 3 % of the side: what moves a face moves its neighbourhood. Flow also matches
the mouth of one person to that of another, so a place counts as moved only if nearly all around it agrees afterwards: a
face that was swapped for another cannot be explained away as a moved one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ftforensics.imaging.resample import resize
from ftforensics.link.agreement import (
    AGREEING_CORRELATION,
    F32,
    U8,
    Agreement,
    Aligned,
    LaidOver,
    Mask,
    blur,
    equal_detail,
    lay_over,
    local_structure,
    regional_correlation,
    summarise_structure,
)
from ftforensics.link.homography import Reals, map_points

# All chosen on photographs that were kept back from training, see docs/adr/0021.
SMOOTHED_SHARE = 0.03
LEAST_SHIFT = 0.0047
LEAST_FRACTION = 0.03
# Of the common frame: the flow's windows need so much, and OpenCV's code fails on less.
LEAST_SIDE_PX = 24

_FLOW_GAIN, _FINEST_SCALE = 2.0, 1
_MOST_CONTRADICTION_PX = 1.0
_TRUSTED_CORRELATION, _TEXTURED_WEIGHT = 0.7, 0.5
_PRIOR = 0.02
_LEAST_TRUST = 0.3
_BETTER_BY, _AGREEING_AFTER, _LEAST_BETTER, _LEAST_TEXTURED = 0.05, 0.8, 0.25, 0.05
_AROUND_SHARE, _AGREEING_AROUND = 0.05, 0.8
_INVERSIONS = 6
_OVERSAMPLED = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MovementMap:
    """A field of displacements on top of a homography, over the suspect.

    ``matrix`` is 3 x 3, source to suspect. ``offsets`` and ``undone`` are float32 (h, w, 2), x and y in shares of the
    suspect's sides: a place of the suspect shows what the lined-up source has at ``offsets`` from it, and what the
    lined-up source has at a place, the suspect shows at ``undone`` from it. ``moved`` is bool (h, w), where content
    agrees only when moved by half a percent of the side and more. ``seen`` is bool (h, w), what both show.
    ``agreement`` is that of the pictures once the field is undone, ``correlation`` and ``weight``, float32 (h, w), what
    it rests on (see ``agreement.local_structure``).
    """

    matrix: Reals
    offsets: F32
    undone: F32
    moved: Mask
    seen: Mask
    agreement: Agreement
    correlation: F32
    weight: F32

    @property
    def moved_fraction(self) -> float:
        """Share of what both pictures show whose content was moved."""
        return float(self.moved.sum()) / max(int(self.seen.sum()), 1)

    @property
    def shift(self) -> float:
        """How far content was moved at most, in shares of the longer side; one in twenty places may be farther off."""
        if not self.moved.any():
            return 0.0
        lengths = np.linalg.norm(_in_pixels(self.offsets), axis=2)
        return float(np.quantile(lengths[self.moved], 0.95)) / float(max(self.moved.shape))

    def explains(self, level: float) -> Mask:
        """Where, with the field undone, content agrees by more than ``level`` some way around, bool (h, w)."""
        return np.asarray(regional_correlation(self.correlation, self.weight) > level, np.bool_)

    def to_source(self, places: Reals) -> Reals:
        """Where in the source lies what the suspect shows at these places; unit coordinates (h, w, 2)."""
        return map_points(np.linalg.inv(self.matrix), places + _sample(self.offsets, places))

    def to_suspect(self, places: Reals) -> Reals:
        """Where the suspect shows what lies at these places of the source; unit coordinates (h, w, 2)."""
        lined_up = map_points(self.matrix, places)
        return np.asarray(lined_up + _sample(self.undone, lined_up), np.float64)

    def shows(self, grid: int) -> Mask:
        """Which cells of the source's frame, laid out in ``grid`` by ``grid``, the suspect shows."""
        return within_unit(self.to_suspect(cell_centres(grid)))

    def pull_to_source(self, mask: Mask, grid: int) -> Mask:
        """A mask over the suspect (h, w) on a grid over the source; False where the suspect does not show that."""
        height, width = mask.shape
        at = (self.to_suspect(cell_centres(grid)) * np.array([width, height]) - 0.5).astype(np.float32)
        found = cv2.remap(mask.astype(np.float32), at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderValue=0)
        return np.asarray(found > 0.5, np.bool_)

    def straighten(self, suspect: U8, side: int) -> U8:
        """The source's frame as the suspect shows it, the displacements undone, squeezed to a square of ``side`` px.

        What the suspect does not show has its mean colour.
        """
        fine = _OVERSAMPLED * side
        places = self.to_suspect(cell_centres(fine))
        across, down = places.min(axis=(0, 1)), places.max(axis=(0, 1))
        # Shrunk first to about the scale at which it is looked at, so that nothing aliases.
        wide, tall = np.minimum(suspect.shape[1::-1], np.ceil(fine / np.maximum(down - across, 1e-3))).astype(int)
        small = np.asarray(resize(suspect, max(8, int(wide)), max(8, int(tall))))
        at = (places * np.array([small.shape[1], small.shape[0]]) - 0.5).astype(np.float32)
        mean = tuple(float(value) for value in small.reshape(-1, small.shape[2]).mean(axis=0))
        across, down = at[..., 0], at[..., 1]
        seen = cv2.remap(small, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=mean)
        return np.asarray(resize(np.asarray(seen, np.uint8), side, side), np.uint8)

    def undo(self, aligned: Aligned) -> Aligned:
        """The pair that the map was measured on, with the source moved to where the suspect shows its content."""
        return _move(aligned, _in_pixels(self.offsets))


def measure_movement(
    suspect: U8, source_preview: U8, matrix: Reals, *, laid: LaidOver | None = None
) -> MovementMap | None:
    """Find where content was moved.

    Args:
        suspect: uint8 (H, W, 3).
        source_preview: uint8 (h, w, 3).
        matrix: 3 x 3, unit coordinates of the source to those of the suspect.
        laid: The one laid over the other by it, where that is at hand already.

    Returns:
        The map, with a long side of at most 256 px; None where less than 3 % of what both show was moved, or where the
        picture is so narrow that its short side is then under 24 px.
    """
    laid = laid or lay_over(suspect, source_preview, matrix)
    aligned, before, weight = laid.aligned, laid.correlation, laid.weight
    if min(aligned.seen.shape) < LEAST_SIDE_PX:
        return None
    textured = aligned.seen & (weight > _TEXTURED_WEIGHT)
    if not textured.any():
        return None
    sigma = SMOOTHED_SHARE * max(textured.shape)
    offsets, trust = _smooth_flow(aligned, sigma)
    moved_pair = _move(aligned, offsets)
    after, weight_after = local_structure(moved_pair)
    better = textured & (after > _AGREEING_AFTER) & (after > before + _BETTER_BY)
    near = np.maximum(blur(textured.astype(np.float32), sigma), _LEAST_TEXTURED)
    share = blur(better.astype(np.float32), sigma) / near
    far = np.linalg.norm(offsets, axis=2) > LEAST_SHIFT * max(textured.shape)
    moved = aligned.seen & (share > _LEAST_BETTER) & (trust > _LEAST_TRUST) & far & _agrees_around(after, textured)
    if int(moved.sum()) < LEAST_FRACTION * int(aligned.seen.sum()):
        return None
    return MovementMap(
        matrix=matrix,
        offsets=_in_shares(offsets),
        undone=_in_shares(_invert(offsets)),
        moved=moved,
        seen=aligned.seen,
        agreement=summarise_structure(after, weight_after, moved_pair.seen),
        correlation=after,
        weight=weight_after,
    )


def _agrees_around(correlation: F32, textured: Mask) -> Mask:
    """Where nearly all that has texture agrees, some way around."""
    sigma = _AROUND_SHARE * max(textured.shape)
    agreeing = (textured & (correlation > AGREEING_CORRELATION)).astype(np.float32)
    near = np.maximum(blur(textured.astype(np.float32), sigma), _LEAST_TEXTURED)
    return np.asarray(blur(agreeing, sigma) > _AGREEING_AROUND * near, np.bool_)


def _smooth_flow(aligned: Aligned, sigma_px: float) -> tuple[F32, F32]:
    """Displacements from the suspect to the lined-up source in pixels (h, w, 2), and how far they can be trusted."""
    first, second = (_as_grey(detail) for detail in equal_detail(aligned))
    forth, back = _flow(first, second), _flow(second, first)
    contradiction = np.linalg.norm(forth + _pull(back, forth), axis=2)
    agreeing, weight = local_structure(_move(aligned, forth))
    sure = (contradiction < _MOST_CONTRADICTION_PX) & (agreeing > _TRUSTED_CORRELATION) & aligned.seen
    trust = sure * weight
    near = blur(trust.astype(np.float32), sigma_px)
    offsets = blur((forth * trust[..., None]).astype(np.float32), sigma_px) / (near + _PRIOR)[..., None]
    return offsets.astype(np.float32), near


def _flow(first: U8, second: U8) -> F32:
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(_FINEST_SCALE)
    return np.asarray(flow.calc(first, second, np.zeros((*first.shape, 2), np.float32)), np.float32)


def _as_grey(detail: F32) -> U8:
    return np.asarray(np.clip(128.0 + _FLOW_GAIN * detail, 0, 255), np.uint8)


def _invert(offsets: F32) -> F32:
    """The field that undoes one: fixed-point steps, which a smooth field lets converge."""
    undone = np.zeros_like(offsets)
    for _ in range(_INVERSIONS):
        undone = np.negative(_pull(offsets, undone))
    return undone


def _move(aligned: Aligned, offsets: F32) -> Aligned:
    """The pair with the source moved to where the suspect shows its content."""
    seen = aligned.seen & (_pull(aligned.seen.astype(np.float32), offsets, cv2.BORDER_CONSTANT) > 0.99)
    return replace(aligned, source=_pull(aligned.source, offsets), seen=seen)


def _pull(values: F32, offsets: F32, border: int = cv2.BORDER_REPLICATE) -> F32:
    """Values (h, w) or (h, w, n) from ``offsets`` away, in pixels."""
    height, width = offsets.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    across, down = columns + offsets[..., 0], rows + offsets[..., 1]
    return np.asarray(cv2.remap(values, across, down, cv2.INTER_LINEAR, borderMode=border), np.float32)


def _sample(field: F32, places: Reals) -> Reals:
    """A field's values (h, w, 2) at unit coordinates (h, w, 2)."""
    at = (places * np.array(field.shape[1::-1]) - 0.5).astype(np.float32)
    found = cv2.remap(field, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float64)


def within_unit(places: Reals) -> Mask:
    """Which places (..., 2) lie in the unit square."""
    return np.asarray(((places >= 0.0) & (places <= 1.0)).all(axis=-1), np.bool_)


def cell_centres(grid: int) -> Reals:
    """Centres of the cells of a square, unit coordinates (grid, grid, 2)."""
    at = (np.arange(grid) + 0.5) / grid
    return np.asarray(np.stack(np.meshgrid(at, at), axis=-1), np.float64)


def _in_shares(offsets: F32) -> F32:
    return np.asarray(offsets / np.array(offsets.shape[1::-1], np.float32), np.float32)


def _in_pixels(offsets: F32) -> F32:
    return np.asarray(offsets * np.array(offsets.shape[1::-1], np.float32), np.float32)
