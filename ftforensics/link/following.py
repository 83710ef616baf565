"""Whether a tag was moved together with the content it lies in.

In: what was read in the tag's frame, the tag, and where the content was moved. Out: by how many standard errors the
reading fits the tag moved along better than the tag at rest.

A picture that was bent after it was tagged took its tag along. A tag that was laid over a bent picture, or over another
frame of the same scene, lies straight. Both hypotheses are held against one reading, where content was moved and
nowhere else, so that what the reader makes of a picture is the same for both; the scatter is that of the same
comparison with displaced and turned copies of the tag, which are not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ftforensics.errors import LinkError
from ftforensics.imaging import geometry
from ftforensics.link.agreement import F32, Mask
from ftforensics.link.homography import Reals, map_points
from ftforensics.link.movement import MovementMap, cell_centres, within_unit
from ftforensics.link.survival import DISPLACEMENTS_OF_LEVELS

LEAST_CELLS = 120
# Cells at rest from which the tag's own place can be told.
LEAST_STILL = 400
_REACH, _FIRST_STEP = 2.0, 0.5

Places = Reals


def measure_following(residual: F32, expected: F32, frame: geometry.Affine, movement: MovementMap) -> float | None:
    """By how many standard errors a reading fits the moved tag better than the one at rest.

    Args:
        residual: float32 (3, G, G), what was read through ``frame``, not straightened.
        expected: float32 (3, G, G), the re-encoded tag.
        frame: (2, 3), unit coordinates of the frame in which the tag was read to those of the suspect.
        movement: Where the suspect's content was moved, and its ``matrix`` from the source.

    Returns:
        Positive if the tag was moved along, negative if it was not; at rest is where it was read, where the content is
        lined up as a whole, or where the tag fits what was not moved, whichever fits better. None where content was
        moved in fewer than 120 cells.

    Raises:
        LinkError: Shapes that do not fit.
    """
    if residual.shape != expected.shape or residual.ndim != 3:
        raise LinkError(f"A residual map of shape {residual.shape} does not fit a tag of shape {expected.shape}")
    cells = cell_centres(residual.shape[1])
    at = cells @ frame[:, :2].T + frame[:, 2]
    along, straight = movement.to_source(at), map_points(np.linalg.inv(movement.matrix), at)
    visible = within_unit(at) & within_unit(along) & within_unit(straight)
    judged = visible & _moved_cells(movement, at)
    if int(judged.sum()) < LEAST_CELLS:
        return None
    still = visible & ~cv2.dilate(judged.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.bool_)
    tag = np.ascontiguousarray(expected.transpose(1, 2, 0))
    image = np.ascontiguousarray(residual.transpose(1, 2, 0))
    own = cells + _find_shift(image * (still if int(still.sum()) >= LEAST_STILL else visible)[..., None], tag, cells)
    read = image * judged[..., None]
    tags = [tag, *_copies(tag)]
    moved = [_fit(read, one, along) for one in tags]
    return min(_standing(moved, [_fit(read, one, resting) for one in tags]) for resting in (cells, straight, own))


def _standing(moved: Sequence[float], resting: Sequence[float]) -> float:
    """How much better the first tag fits moved than at rest, in what the others, which are not there, give.

    Copies are displaced first and moved then: moved along and at rest differ only where content was moved, and their
    displaced difference would have little to do with those cells.
    """
    gains = np.subtract(moved, resting)
    return float(gains[0] / (np.sqrt(np.mean(np.square(gains[1:]))) + 1e-12))


def _copies(tag: F32) -> Iterator[F32]:
    """Tags that are as good as others: displaced, upright and turned over."""
    for one in (tag, tag[::-1]):
        for by in DISPLACEMENTS_OF_LEVELS:
            yield np.ascontiguousarray(np.roll(one, by, axis=(0, 1)))


def _fit(read: F32, tag: F32, places: Places) -> float:
    """How a reading fits a tag (G, G, 3) as it would be read where its frame's ``places`` (G, G, 2) are."""
    at = (len(tag) * places - 0.5).astype(np.float32)
    seen = cv2.remap(tag, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    return float(np.vdot(read, seen))


def _find_shift(read: F32, tag: F32, cells: Places) -> Places:
    """The small shift of the whole tag, in shares of its frame, under which it fits a reading best.

    Content may have led to the frame, and may be lined up elsewhere than a tag that was laid over it.
    """
    best, step = np.zeros(2), _FIRST_STEP
    for reach in (_REACH, _FIRST_STEP, _FIRST_STEP / 2):
        span = np.arange(-reach, reach + 1e-9, step)
        tried = [best + np.array([across, down]) for down in span for across in span]
        best = max(tried, key=lambda shift: _fit(read, tag, cells + shift / len(cells)))
        step /= 2
    return np.asarray(best / len(cells), np.float64)


def _moved_cells(movement: MovementMap, at: Places) -> Mask:
    height, width = movement.moved.shape
    across, down = (width * at[..., 0] - 0.5).astype(np.float32), (height * at[..., 1] - 0.5).astype(np.float32)
    mask = movement.moved.astype(np.float32)
    return np.asarray(cv2.remap(mask, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT) > 0.5, np.bool_)
