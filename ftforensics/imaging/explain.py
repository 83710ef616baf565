"""What of a picture its own source explains, when the whole of it went through something.

Coders, enhancement and generators change each place by much the same rule. The rule is estimated from the pair itself:
the picture is the linear combination, the same at every place, of the source's neighbourhoods, of simple functions of
them, and of what a known generator makes of the source, that leaves least (ridge regression, Hoerl and Kennard, 1970;
places that it fits badly count less and less, as in iteratively reweighted least squares). Some hundred numbers for
each channel cannot follow something faint that was added all over the picture, so that is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ftforensics.imaging.resample import Floats

Doubles = NDArray[np.float64]

_REACH_PX, _REACH_OF_OTHERS_PX = 2, 1
_RIDGE = 1e-5
_ROUNDS = 2
# Of the typical squared error; places beyond count less.
_TOLERATED = 6.0
_CONTRAST_SIGMA_PX, _ERROR_SIGMA_PX = 2.0, 2.0


def explain(suspect: Floats, source: Floats, weight: Floats, others: Sequence[Floats] = ()) -> Floats:
    """The source as the suspect shows it, float32 (H, W, 3).

    Args:
        suspect: float32 (H, W, 3) in [0, 1].
        source: float32 (H, W, 3) in [0, 1], lying as the suspect does.
        weight: float32 (H, W) in [0, 1], how far a place shows the source's content.
        others: More pictures like ``source``, made of it.
    """
    terms = _list_terms(source, others)
    basis = terms.reshape(len(terms), -1)
    wanted = _planes(suspect).reshape(3, -1).astype(np.float64)
    fitted = _solve(basis, wanted, weight) @ basis
    for _ in range(_ROUNDS - 1):
        trusted = weight * _trust((wanted - fitted).reshape(3, *weight.shape), weight)
        fitted = _solve(basis, wanted, trusted) @ basis
    return np.ascontiguousarray(fitted.reshape(3, *weight.shape).transpose(1, 2, 0), dtype=np.float32)


def _planes(picture: Floats) -> Floats:
    return picture.transpose(2, 0, 1)


def _list_terms(source: Floats, others: Sequence[Floats]) -> Doubles:
    """What is combined, (N, H, W); plane by plane, as products of whole planes are quick to make."""
    fine = source - cv2.GaussianBlur(source, (0, 0), _CONTRAST_SIGMA_PX)
    contrast = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), _CONTRAST_SIGMA_PX))
    terms = [*_neighbours(source, _REACH_PX), *(_planes(part) for part in (source**2, source**3, contrast))]
    terms.append(np.ones((1, *source.shape[:2]), dtype=np.float32))
    for other in others:
        terms += _neighbours(other, _REACH_OF_OTHERS_PX)
    return np.concatenate(terms, dtype=np.float64)


def _neighbours(picture: Floats, reach_px: int) -> list[Floats]:
    """Every channel at every offset within reach, (3, H, W) for each of (2 reach + 1)^2; reflected at the edges."""
    height, width = picture.shape[:2]
    around = ((0, 0), (reach_px, reach_px), (reach_px, reach_px))
    wide = np.pad(_planes(picture), around, mode="reflect")
    offsets = range(2 * reach_px + 1)
    return [wide[:, y : y + height, x : x + width] for y in offsets for x in offsets]


def _solve(basis: Doubles, wanted: Doubles, weight: Floats) -> Doubles:
    """Coefficients (3, N) of the weighted ridge regression."""
    root = np.sqrt(weight.reshape(1, -1).astype(np.float64))
    weighted = basis * root
    products = weighted @ weighted.T
    products[np.diag_indices_from(products)] += _RIDGE * np.trace(products) / len(products) + 1e-12
    return np.asarray(np.linalg.solve(products, weighted @ (wanted * root).T).T)


def _trust(error: Doubles, weight: Floats) -> Floats:
    """How far each place fits the rule that most follow, float32 (H, W) in [0, 1]; of errors (3, H, W)."""
    spread = cv2.GaussianBlur(np.mean(error**2, axis=0), (0, 0), _ERROR_SIGMA_PX)
    typical = np.median(spread[weight > 0.5]) if np.any(weight > 0.5) else np.median(spread)
    return np.asarray(np.clip(_TOLERATED * typical / (spread + 1e-12), 0.0, 1.0), dtype=np.float32)
