"""Outlines of replaced regions: from noisy evidence, cell by cell, to regions that hang together.

In: evidence, positive where a place was replaced, 0 where nothing is known. Out: regions. What is most likely is
weighed against the length of the outline, so that places without evidence go with what surrounds them. The convex
relaxation has the binary optimum (Chan, Esedoglu and Nikolova, 2006) and is solved by primal and dual steps (Chambolle
and Pock, 2011).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

PROVEN_SHARE = 0.05
_STEPS = 160


def divide(evidence: F32, length_cost: float) -> Mask:
    """The region with the most evidence for its outline's length.

    Args:
        evidence: float32 (h, w), for (positive) and against (negative) each place.
        length_cost: Evidence that one cell's width of outline must be worth.

    Returns:
        bool (h, w).
    """
    pull = (evidence / length_cost).astype(np.float32)
    share = (pull > 0).astype(np.float32)
    leading, down, across = share.copy(), np.zeros_like(share), np.zeros_like(share)
    step = np.float32(1.0 / np.sqrt(8.0))
    for _ in range(_STEPS):
        down[:-1] += step * (leading[1:] - leading[:-1])
        across[:, :-1] += step * (leading[:, 1:] - leading[:, :-1])
        length = np.maximum(np.float32(1.0), np.sqrt(down * down + across * across))
        down /= length
        across /= length
        flow = down + across
        flow[1:] -= down[:-1]
        flow[:, 1:] -= across[:, :-1]
        moved: F32 = np.clip(share + step * (flow + pull), 0.0, 1.0).astype(np.float32)
        leading = (2.0 * moved - share).astype(np.float32)
        share = moved
    return np.asarray(share > 0.5, np.bool_)


def keep_sure(
    regions: Mask, evidence: F32, *, gap: int, least: int, sure: float, proof: Mask | None = None, rounded: bool
) -> Mask:
    """Regions with gaps closed and holes filled, of those that are large and sure enough.

    Args:
        regions: bool (h, w).
        evidence: float32 (h, w), as of ``divide``.
        gap: Half the width of gaps that are closed.
        least: Fewest cells of a region.
        sure: Least evidence of a whole region.
        proof: bool (h, w), places that prove a region; where given, 5 % of each region must be such.
        rounded: Take each region as its convex hull: what is pasted is compact, and where the source shows little of
            its tag the evidence has bays.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1, 2 * gap + 1))
    wide = cv2.copyMakeBorder(regions.astype(np.uint8), gap, gap, gap, gap, cv2.BORDER_CONSTANT, value=0)
    closed = np.ascontiguousarray(cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc)[gap:-gap, gap:-gap])
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    kept = np.zeros(regions.shape, np.uint8)
    for contour in contours:
        one = np.zeros(regions.shape, np.uint8)
        cv2.drawContours(one, [contour], -1, 1, cv2.FILLED)
        if int(one.sum()) < least or float(evidence[one > 0].sum()) < sure:
            continue
        if proof is not None and int(proof[one > 0].sum()) < PROVEN_SHARE * int(one.sum()):
            continue
        if rounded:
            cv2.fillConvexPoly(one, cv2.convexHull(contour), 1)
        kept |= one
    return np.asarray(kept > 0, np.bool_)
