"""Panels of an assembled picture: collages, pictures side by side, strips, memes, screenshots with bars of text.

Enters: a picture. Leaves: a bounded number of upright rectangles that may each be a picture of its own. They are found
by a recursive XY-cut (Nagy, Seth and Viswanathan, "A prototype document image analysis system for technical journals",
IEEE Computer 25(7), 1992): first along straight full-length jumps, where pictures touch each other, a gutter or a bar;
where there is none, along gutters, which are full-length rows or columns of one colour. A jump is the better edge:
compression soils what is next to it, and a photograph may have plain rows of its own. Most photographs have neither,
and nothing is proposed for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.imaging.geometry import Affine
from ftforensics.imaging.resample import Pixels, fit_within

MOST_PANELS = 9

_WORK_PX = 512
_LEAST_SHARE = 0.12
_DEPTH = 5
# A rectangle that leaves out less than this is the picture itself.
_LEAST_LEFT_OUT = 0.08
# Of a gutter's row nearly all is this near to its middle colour, on average nearer, and each eighth as a whole nearer
# still: walls and skies are shaded.
_TOLERANCE = 14
_MEAN_TOLERANCE = 6.0
_SEGMENTS = 8
_SHADE_TOLERANCE = 3.0
_SOILED_SHARE = 0.02
_SAMPLES = 16
_OUTLIERS = 3
_THINNEST_SHARE = 0.005
# Two pictures touch where this share of a line, and of each quarter of it, jumps more than anything next to it.
_JUMP_LEVELS = 6
# Resampling spreads a jump over two lines, and a gutter too thin to be seen as one has two: lines this near to each
# other are no rivals.
_JUMP_WIDTH_PX = 2
_THIN_GUTTER_PX = 4
_JUMP_REACH_PX = 3
_EDGE_PX = 4
_JUMP_SHARE = 0.6
_JUMP_SHARE_QUARTER = 0.2


@dataclass(frozen=True, slots=True)
class _Box:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of the working picture, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)


@dataclass(frozen=True, slots=True)
class _Node:
    """A rectangle and what it was cut into."""

    box: _Box
    parts: tuple[_Node, ...]


def find_panels(image: Pixels, most: int = MOST_PANELS) -> list[Affine]:
    """Rectangles that may be pictures of their own, as frames: unit coordinates of each to those of the picture.

    Args:
        image: uint8 (H, W, 3).
        most: How many at most.

    Returns:
        Rectangles that were not cut further, largest first; they do not overlap. Then, while there is room, those that
        were cut, since a cut may have gone through a picture. The whole picture, with or without its plain border, is
        not among them.
    """
    levels = np.ascontiguousarray(fit_within(image, _WORK_PX))
    height, width = levels.shape[:2]
    least = max(4, round(_LEAST_SHARE * max(height, width)))
    leaves, inner = _collect(_cut(levels, _trim(levels), least, _DEPTH))
    ordered = sorted(leaves, key=lambda box: -box.area) + sorted(inner, key=lambda box: -box.area)
    few = (1.0 - _LEAST_LEFT_OUT) * height * width
    return [_frame(box, height, width) for box in ordered if box.area <= few][:most]


def _frame(box: _Box, height: int, width: int) -> Affine:
    wide, tall = (box.right - box.left) / width, (box.bottom - box.top) / height
    return np.array([[wide, 0.0, box.left / width], [0.0, tall, box.top / height]])


def _collect(nodes: tuple[_Node, ...]) -> tuple[list[_Box], list[_Box]]:
    """The boxes of a forest: those that were not cut, and those that were."""
    leaves = [node.box for node in nodes if not node.parts]
    inner = [node.box for node in nodes if node.parts]
    for node in nodes:
        below = _collect(node.parts)
        leaves += below[0]
        inner += below[1]
    return leaves, inner


def _cut(levels: Pixels, box: _Box, least: int, depth: int) -> tuple[_Node, ...]:
    """What a box is cut into, without pieces that are too thin; nothing where it is not cut."""
    if depth == 0 or min(box.bottom - box.top, box.right - box.left) < least:
        return ()
    thinnest = max(2, round(_THINNEST_SHARE * max(levels.shape[:2])))
    pieces = _split(levels, box, lambda part: _beside_jumps(part, _JUMP_WIDTH_PX))
    pieces = pieces or _split(levels, box, lambda part: _between_gutters(part, thinnest))
    pieces = pieces or _split(levels, box, lambda part: _beside_jumps(part, _THIN_GUTTER_PX))
    kept = [piece for piece in pieces if min(piece.bottom - piece.top, piece.right - piece.left) >= least]
    return tuple(_Node(piece, _cut(levels, piece, least, depth - 1)) for piece in kept if piece != box)


def _split(levels: Pixels, box: _Box, find: Callable[[Pixels], list[tuple[int, int]]]) -> list[_Box]:
    """Pieces that ``find`` cuts a box into by rows, else by columns; none where it does not cut."""
    part = levels[box.top : box.bottom, box.left : box.right]
    if spans := find(part):
        return [_Box(box.top + start, box.top + end, box.left, box.right) for start, end in spans]
    spans = find(_turned(part))
    return [_Box(box.top, box.bottom, box.left + start, box.left + end) for start, end in spans]


def _turned(part: Pixels) -> Pixels:
    """Rows and columns exchanged."""
    return np.ascontiguousarray(part.transpose(1, 0, 2))


def _trim(levels: Pixels) -> _Box:
    """The picture without rows and columns of one colour at its edges; empty where there is nothing else."""
    rows = np.flatnonzero(~_plain_rows(levels))
    if rows.size == 0:
        return _Box(0, 0, 0, 0)
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(~_plain_rows(_turned(levels[top:bottom])))
    if columns.size == 0:
        return _Box(0, 0, 0, 0)
    return _Box(top, bottom, int(columns[0]), int(columns[-1]) + 1)


def _plain_rows(part: Pixels) -> NDArray[np.bool_]:
    """Which rows have one colour, as drawn surfaces have and photographed ones hardly ever.

    Compression may have soiled them a little everywhere and more in a few pixels, but not shaded them from end to end.
    """
    plain = _may_be_plain(part)
    rows = np.flatnonzero(plain)
    if rows.size == 0:
        return plain
    chosen = part[rows].astype(np.int16)
    sampled = chosen[:, :: max(1, part.shape[1] // 64)]
    middle = np.median(sampled, axis=1).astype(np.int16)[:, None]
    away = np.abs(chosen - middle).max(axis=2)
    good = ((away > _TOLERANCE).mean(axis=1) <= _SOILED_SHARE) & (away.mean(axis=1) <= _MEAN_TOLERANCE)
    for segment in np.array_split(sampled, _SEGMENTS, axis=1) if good.any() else ():
        if segment.shape[1]:
            good &= np.abs(np.median(segment, axis=1) - middle[:, 0]).max(axis=1) <= _SHADE_TOLERANCE
    plain[rows] = good
    return plain


def _may_be_plain(part: Pixels) -> NDArray[np.bool_]:
    """Quickly, which rows are not too lively: of sixteen pixels all but a few at either end are near each other."""
    sampled = np.sort(part[:, np.linspace(0, part.shape[1] - 1, _SAMPLES).round().astype(int)], axis=1)
    spread = sampled[:, -1 - _OUTLIERS].astype(np.int16) - sampled[:, _OUTLIERS]
    return np.asarray((spread <= 2 * _TOLERANCE).all(axis=1))


def _between_gutters(part: Pixels, thinnest: int) -> list[tuple[int, int]]:
    """Spans of rows between gutters, and between those and margins, of at least ``thinnest`` rows; none without any."""
    plain = np.concatenate([[False], _plain_rows(part), [False]])
    edges = np.flatnonzero(np.diff(plain.astype(np.int8))).reshape(-1, 2)
    runs = [(int(start), int(end)) for start, end in edges if end - start >= thinnest]
    return _spans([start for start, _ in runs], [end for _, end in runs], part.shape[0])


def _beside_jumps(part: Pixels, width_px: int) -> list[tuple[int, int]]:
    """Spans of rows between full-length jumps; none where there is none."""
    shares = jump_shares(part, width_px)
    # A cut is seldom clean to the line; what is left of one at a rectangle's edge is not another.
    shares[:_EDGE_PX] = shares[max(0, len(shares) - _EDGE_PX) :] = 0.0
    at = [int(line) + 1 for line in np.flatnonzero(shares >= _JUMP_SHARE)]
    return _spans(at, at, part.shape[0])


def _spans(starts: list[int], ends: list[int], height: int) -> list[tuple[int, int]]:
    """What lies between cuts that start and end at these rows; none without cuts."""
    if not starts:
        return []
    between = zip([0, *ends], [*starts, height], strict=True)
    return [(start, end) for start, end in between if end > start]


def jump_shares(levels: Pixels, width_px: int = _JUMP_WIDTH_PX) -> NDArray[np.float64]:
    """For every line between two rows, the share of columns that jump there more than nearby; 0 unless all along it.

    Args:
        levels: uint8 (H, W, 3).
        width_px: Lines nearer than this to each other belong to one jump.

    Returns:
        float64 (H - 1,).
    """
    colours = cv2.absdiff(levels[1:], levels[:-1]).reshape(-1, *levels.shape[1:])
    steps = np.maximum(np.maximum(colours[:, :, 0], colours[:, :, 1]), colours[:, :, 2])
    count = len(steps)
    nearby = np.zeros_like(steps)
    for shift in range(width_px, min(count, width_px + _JUMP_REACH_PX)):
        np.maximum(nearby[shift:], steps[:-shift], out=nearby[shift:])
        np.maximum(nearby[:-shift], steps[shift:], out=nearby[:-shift])
    jumps = (steps >= _JUMP_LEVELS) & (steps > nearby)
    quarters = np.array_split(jumps, 4, axis=1)
    counts = np.stack([np.count_nonzero(quarter, axis=1) for quarter in quarters], axis=1)
    shares = np.asarray(counts.sum(axis=1) / jumps.shape[1], dtype=np.float64)
    least = [quarter.shape[1] * _JUMP_SHARE_QUARTER for quarter in quarters]
    shares[(counts < least).any(axis=1)] = 0.0
    return shares
