"""Where in the frame the tag is still there.

In: the reader's residual map and the re-encoded tag, float32 (3, G, G) over the tagged frame (the whole source picture
squeezed to a square). Out: a map of their local correlation, and its summary.

Where pixels were replaced, the tag is gone: that hole is what a deepfake leaves. But a reader does not see a tag
everywhere even in an untouched photograph: in busy or plain places there is none to be found. So a place is
measured as gone only where the source itself, tagged anew and read in the same way, shows the tag. A tag that shows
inside the replaced region too was put there after the replacement. The levels are judged against the correlation of
the same residual with displaced copies of the tag, so that no assumption about the reader's noise is needed.

The outline of what is gone rests on the tag alone: on evidence that a trained localiser gives (``nets.localiser``), or
without one on less correlation than the source lets one expect, and on less being read at all. It holds together over
places in which neither can be told, see ``link.outline``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.domain.link import Survival
from ftforensics.errors import LinkError
from ftforensics.link.outline import divide, keep_sure

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

WINDOW_SIGMA_CELLS = 3.0
PRESENT_NOISE_MULTIPLE = 2.5
MIN_PRESENT_CORRELATION = 0.12
MIN_CELLS = 24
KEPT_QUANTILE = 0.6
GONE_SHARE = 0.5

# Of the outline; all chosen on photographs that were kept back from training, see docs/adr/0003.
FINE_SIGMA_CELLS = 2.0
BOUNDARY_SHARE = 0.5
ENERGY_WEIGHT = 0.15
ENERGY_LOG_OFFSET = 0.85
TELLING_CORRELATION = 0.3
UNSEEN_COST = 0.03
WEAK_SHARE = 0.5
_ENERGY_LOG_RANGE = (-3.0, 1.5)
_ENERGY_FLOOR = 0.05
_LENGTH_COST, _GAP_CELLS, _LEAST_CELLS, _LEAST_EVIDENCE = 0.15, 4, 40, 12.0
# Of log odds: no place proves more than this, and what one is worth beside other evidence (``link.replaced``).
_MOST_ODDS, ODDS_WEIGHT = 6.0, 0.125
_ODDS_LENGTH_COST, _ODDS_GAP_CELLS, _LEAST_ODDS = 0.075, 2, 2.5
# Seven to one: 5 % of a region must be as sure.
_PROVEN_ODDS = 2.0

_DISPLACEMENTS = ((11, 5), (23, 17), (31, 29), (7, 37), (41, 13), (19, 43))
# A level over a region is one number, so its scatter takes more copies than that of a map.
DISPLACEMENTS_OF_LEVELS = (*_DISPLACEMENTS, *((13 + 9 * k, 50 - 23 * k) for k in range(14)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalMap:
    """``correlation`` is float32 (G, G), about -1..1; ``present_from``: from which value on the tag counts as there.

    For outlines: ``residual``, float32 (3, G, G), is what was read; ``fine`` the correlation in a narrower window, and
    ``energy`` the mean square of what was read in it, in the reader's units, both float32 (G, G).
    """

    residual: F32
    correlation: F32
    present_from: float
    fine: F32
    energy: F32


def build_survival(residual: F32, expected: F32, *, sigma_cells: float = WINDOW_SIGMA_CELLS) -> SurvivalMap:
    """Correlate a residual with the tag it should hold, window by window.

    Args:
        residual: float32 (3, G, G), what the reader says was added, in the tagged frame.
        expected: float32 (3, G, G), the re-encoded tag.
        sigma_cells: Width of the Gaussian window.

    Returns:
        The map and the level that noise alone hardly reaches.

    Raises:
        LinkError: Shapes differ, a side is under 16, or values are not finite.
    """
    first, second = _checked_pair(residual, expected)
    correlation = _correlate(first, second, sigma_cells)
    noise = float(np.sqrt(np.mean(np.stack(list(_displaced(first, second, sigma_cells, _DISPLACEMENTS))) ** 2)))
    return SurvivalMap(
        residual=first,
        correlation=correlation,
        present_from=max(MIN_PRESENT_CORRELATION, PRESENT_NOISE_MULTIPLE * noise),
        fine=_correlate(first, second, FINE_SIGMA_CELLS, least=0.1),
        energy=_pool(first * first, FINE_SIGMA_CELLS),
    )


def measure_level(residual: F32, expected: F32, region: Mask) -> float:
    """How well a tag shows in a region on the whole: the mean local correlation over it.

    Args:
        residual: float32 (3, G, G), what the reader says was added, in the tagged frame.
        expected: float32 (3, G, G), the re-encoded tag.
        region: bool (G, G), at least one cell of it True.

    Raises:
        LinkError: As in ``build_survival``, or an empty region.
    """
    first, second = _checked_pair(residual, expected)
    _check_region(region, first)
    return float(_correlate(first, second, WINDOW_SIGMA_CELLS)[region].mean())


def measure_error(residual: F32, expected: F32, region: Mask) -> float:
    """How far tags that are not there reach: the root mean square of ``measure_level`` for displaced copies.

    Takes and raises what that does.
    """
    first, second = _checked_pair(residual, expected)
    _check_region(region, first)
    copies = _displaced(first, second, WINDOW_SIGMA_CELLS, DISPLACEMENTS_OF_LEVELS)
    return float(np.sqrt(np.mean([float(copy[region].mean()) ** 2 for copy in copies])))


def _displaced(first: F32, second: F32, sigma: float, by: Sequence[tuple[int, int]]) -> Iterator[F32]:
    """Correlation maps with copies of the tag that lie elsewhere, which are as good as other tags."""
    grid = first.shape[1]
    for dy, dx in by:
        yield _correlate(first, np.roll(second, (dy % grid, dx % grid), axis=(1, 2)), sigma)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holes:
    """bool (G, G) each: ``visible``, where the tag must show if it is there, and ``gone``, where it does not.

    ``region`` is the outline's: what is gone and holds together, places included in which no tag could show.
    ``evidence`` is float32 (G, G): positive where the tag is gone, 0 where not in view. Where it is no localiser's,
    it is 0 everywhere if too little is visible to judge by, and at least 5 % of each part of ``region`` is ``gone``.
    ``by_network`` says whose it is, for legends.
    """

    visible: Mask
    gone: Mask
    region: Mask
    evidence: F32
    by_network: bool = False


def find_holes(survival: SurvivalMap, source: SurvivalMap, seen: Mask | None = None, odds: F32 | None = None) -> Holes:
    """Where a tag is gone that could be seen there.

    Args:
        survival: Of the suspect, as ``build_survival`` made it.
        source: The same of the source picture, tagged anew.
        seen: bool (G, G), the part of the tagged frame that the suspect shows, or None for all of it.
        odds: float32 (G, G), log odds that places were replaced, as a localiser gives them; None without one.

    Returns:
        The masks. What weakens the tag all over, such as compression, makes less of the frame visible, not more of it
        ``gone``. Nothing is outlined where the source shows its tag nowhere.

    Raises:
        LinkError: Maps or mask of different shapes.
    """
    shape = survival.correlation.shape
    frame = np.ones(shape, np.bool_) if seen is None else seen
    if frame.shape != shape or source.correlation.shape != shape or (odds is not None and odds.shape != shape):
        raise LinkError(f"Survival maps of shapes {shape} and {source.correlation.shape} do not fit together")
    clear = frame & (source.correlation >= source.present_from)
    if not clear.any():
        nothing = np.zeros(shape, np.bool_)
        return Holes(visible=nothing, gone=nothing, region=nothing, evidence=np.zeros(shape, np.float32))
    # Half the frame may have been replaced, so the weakening is judged where the tag is left.
    kept = float(np.quantile(survival.correlation[clear] / source.correlation[clear], KEPT_QUANTILE))
    due = np.clip(kept, 0.0, 1.0) * source.correlation
    visible = clear & (due >= survival.present_from)
    gone = visible & (survival.correlation < survival.present_from) & (survival.correlation < GONE_SHARE * due)
    region, evidence = np.zeros(shape, np.bool_), np.zeros(shape, np.float32)
    if odds is not None:
        evidence = np.where(frame, ODDS_WEIGHT * np.clip(odds, -_MOST_ODDS, _MOST_ODDS), 0.0).astype(np.float32)
        region = frame & _outline_odds(evidence, frame)
    elif int(visible.sum()) >= MIN_CELLS:
        evidence = _weigh(survival, source, frame)
        region = frame & _outline_weighed(evidence, frame, gone)
    return Holes(visible=visible, gone=gone, region=region, evidence=evidence, by_network=odds is not None)


def _outline_odds(evidence: F32, frame: Mask) -> Mask:
    found = divide(evidence, _ODDS_LENGTH_COST) & frame
    return keep_sure(
        found,
        evidence,
        gap=_ODDS_GAP_CELLS,
        least=_LEAST_CELLS,
        sure=_LEAST_ODDS,
        proof=evidence >= ODDS_WEIGHT * _PROVEN_ODDS,
        rounded=False,
    )


def _outline_weighed(evidence: F32, frame: Mask, gone: Mask) -> Mask:
    return keep_sure(
        divide(evidence, _LENGTH_COST) & frame,
        evidence,
        gap=_GAP_CELLS,
        least=_LEAST_CELLS,
        sure=_LEAST_EVIDENCE,
        proof=gone,
        rounded=True,
    )


def _weigh(survival: SurvivalMap, source: SurvivalMap, frame: Mask) -> F32:
    """Evidence for a hole (G, G): less correlation than at a hole's edge, and less that was read at all.

    A reader sees little of a tag within some cells of foreign content, so that half the correlation of the source marks
    the edge. Energy counts by its logarithm against the source's; of that both are taken relative to what is kept in
    most of the frame, so that what weakens a tag all over is no hole.
    """
    shows = frame & (source.correlation > 0.2)
    kept = 1.0
    if int(shows.sum()) >= MIN_CELLS:
        kept = float(np.clip(np.quantile(survival.fine[shows] / source.correlation[shows], KEPT_QUANTILE), 0.2, 2.0))
    level = float(np.quantile(survival.energy[frame] / np.maximum(source.energy[frame], 1e-12), KEPT_QUANTILE))
    due = level * source.energy
    least = _ENERGY_FLOOR * float(np.median(due[frame])) + 1e-12
    energy = np.clip(np.log((survival.energy + least) / (due + least)), *_ENERGY_LOG_RANGE)
    lacking = BOUNDARY_SHARE * source.correlation - survival.fine / kept
    silence = -ENERGY_WEIGHT * (energy + ENERGY_LOG_OFFSET)
    # Where the source shows no tag, that little is read says nothing about one, and no hole should grow over it alone.
    telling = np.clip(source.correlation / TELLING_CORRELATION, 0.0, 1.0)
    evidence = lacking + np.where(silence > 0.0, telling, 1.0) * silence - UNSEEN_COST * (1.0 - telling)
    # Dividing by what is kept multiplies noise as well; where little is kept, less must follow from the same numbers.
    evidence *= min(1.0, kept / WEAK_SHARE) ** 2
    return np.where(frame, evidence, 0.0).astype(np.float32)


def summarise(survival: SurvivalMap, seen: Mask | None = None, holes: Holes | None = None) -> Survival:
    """In how much of the frame the tag is left, of what can be told.

    Args:
        survival: As ``build_survival`` made it.
        seen: bool (G, G), the part of the tagged frame that the suspect shows, or None for all of it.
        holes: As ``find_holes`` made it, or None where the source's pixels are not known.

    Returns:
        The summary, without levels in and out of what was replaced: those are read apart.

    Raises:
        LinkError: A mask of another shape.
    """
    shape = survival.correlation.shape
    frame = np.ones(shape, np.bool_) if seen is None else seen
    if frame.shape != shape:
        raise LinkError(f"A mask of shape {frame.shape} does not fit a survival map of shape {shape}")
    cells = int(frame.sum())
    if holes is None:
        present = float((frame & (survival.correlation >= survival.present_from)).sum()) / cells if cells else 0.0
        return Survival(surviving_fraction=present, inside=None, outside=None)
    least = int(holes.visible.sum())
    return Survival(
        surviving_fraction=1.0 - float(holes.gone.sum()) / least if least else 0.0,
        inside=None,
        outside=None,
        visible_fraction=least / cells if cells else 0.0,
    )


def _checked_pair(residual: F32, expected: F32) -> tuple[F32, F32]:
    first, second = _checked(residual), _checked(expected)
    if first.shape != second.shape:
        raise LinkError(f"A residual map of shape {residual.shape} does not fit a tag of shape {expected.shape}")
    return first, second


def _check_region(region: Mask, residual: F32) -> None:
    if region.shape != residual.shape[1:] or not region.any():
        raise LinkError(f"A region of shape {region.shape} cannot be measured in a residual map {residual.shape}")


def _checked(values: F32) -> F32:
    if values.ndim != 3 or values.shape[0] != 3 or values.shape[1] != values.shape[2] or values.shape[1] < 16:
        raise LinkError(f"A residual map must have shape (3, G, G) with G of at least 16, not {values.shape}")
    if not np.all(np.isfinite(values)):
        raise LinkError("A residual map holds values that are not finite numbers")
    return values.astype(np.float32)


def _pool(values: F32, sigma: float) -> F32:
    """Sum over the planes, in a Gaussian window."""
    summed = values.sum(axis=0)
    return np.asarray(cv2.GaussianBlur(summed, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.float32)


def _correlate(first: F32, second: F32, sigma: float, least: float = 0.5) -> F32:
    # Where the reader saw next to nothing, the little that leaks in from the neighbourhood must not be blown up to a
    # full correlation: no window counts with less than this share of the frame's mean energy.
    first_energy, second_energy = _pool(first * first, sigma), _pool(second * second, sigma)
    first_energy = np.maximum(first_energy, least * first_energy.mean())
    second_energy = np.maximum(second_energy, 0.1 * second_energy.mean())
    return np.asarray(_pool(first * second, sigma) / (np.sqrt(first_energy * second_energy) + 1e-12), np.float32)
