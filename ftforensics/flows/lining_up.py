"""How a picture whose tag was read lines up with the source of the tag's record, displacements undone where they count.

Enters: the picture, its tag's frame, the source, and what registering it by features gave. Leaves: the registration, if
there is one, with what differs and what was moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ftforensics.domain.link import Movement, Registration
from ftforensics.imaging.resample import Floats, Pixels
from ftforensics.link import difference, register
from ftforensics.link.following import measure_following
from ftforensics.link.in_place import confirm_in_place
from ftforensics.link.movement import MovementMap, measure_movement
from ftforensics.link.placement import Placement

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Laid:
    """How a tag's frame lies in the pixels.

    ``look`` gives what the reader sees through it, uint8 (P, P, 3); ``seen``, bool (G, G), is what is in sight of it,
    None for all.
    """

    placement: Placement
    look: Callable[[], Pixels]
    seen: Mask | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinedUp:
    """The registration, with what differs and what was moved."""

    registration: Registration | None
    measured: difference.Difference | None = None
    movement: Movement | None = None
    moved: MovementMap | None = None

    @property
    def is_changed(self) -> bool:
        """Whether anything differs."""
        return self.measured is not None and bool(self.measured.changed.any())

    @property
    def undone(self) -> MovementMap | None:
        """What was undone before anything else was measured."""
        return self.moved if self.movement is not None and self.movement.undone else None


def line_up(
    pixels: Pixels,
    laid: Laid,
    preview: Pixels | None,
    planes: Floats,
    attempt: register.Attempt,
    read: Callable[[Pixels], Floats],
) -> LinedUp:
    """Register a picture, its movements undone where the tag was moved along; else as it lies.

    Movements are looked for where content differs, and wherever features alone do not fit exactly.

    Args:
        pixels: uint8 (H, W, 3).
        laid: The tag's frame as it was read.
        preview: The source, uint8 (h, w, 3); None leaves what ``attempt`` says.
        planes: The tag, float32 (3, G, G).
        attempt: What registering by features gave.
        read: Gives the residual map of what is seen through a frame, float32 (3, G, G).
    """
    if preview is None:
        return LinedUp(registration=attempt.registration)
    plain = _as_it_lies(pixels, preview, laid, attempt)
    # Both on one plane map, so that what differs and what was moved are in one frame.
    start = plain.registration or attempt.candidate
    if start is None or (attempt.registration is not None and not plain.is_changed):
        return plain
    found = measure_movement(pixels, preview, register.matrix_of(start))
    if found is None:
        return plain
    movement = _describe(found, laid, planes, read)
    if movement.is_followed and found.agreement.agreeing_fraction >= register.MIN_AGREEING_FRACTION:
        undone = _measured(start, difference.compare(pixels, preview, start, found))
        return replace(undone, movement=replace(movement, undone=True), moved=found)
    return replace(plain, movement=movement, moved=found)


def _as_it_lies(pixels: Pixels, preview: Pixels, laid: Laid, attempt: register.Attempt) -> LinedUp:
    """Registered by features, or else because nearly all agrees where they or the tag say that the source lies."""
    registration = attempt.registration
    if registration is None:
        registration = confirm_in_place(pixels, preview, attempt.candidate, laid.placement.matrix)
    if registration is None:
        return LinedUp(registration=None)
    return _measured(registration, difference.compare(pixels, preview, registration))


def _describe(found: MovementMap, laid: Laid, planes: Floats, read: Callable[[Pixels], Floats]) -> Movement:
    """What was moved, and whether the tag went along."""
    matrix = laid.placement.matrix[:2].astype(np.float64)
    return Movement(
        moved_fraction=found.moved_fraction,
        shift=found.shift,
        agreement=found.agreement.share,
        following=measure_following(read(laid.look()), planes, matrix, found),
        undone=False,
    )


def _measured(registration: Registration, found: difference.Difference) -> LinedUp:
    return LinedUp(registration=difference.measured(registration, found), measured=found)


def find_replaced_content(lined_up: LinedUp) -> Mask | None:
    """What shows something else than the source, bool (h, w); None where that was not measured.

    What agrees once it is moved back is not replaced, even where it is not sure that the tag was moved along; but if
    the tag rather stayed behind it counts, for then it may show on a replacement.
    """
    measured, movement, moved = lined_up.measured, lined_up.movement, lined_up.moved
    if measured is None:
        return None
    if moved is None or movement is None or movement.undone or _rather_stayed(movement.following):
        return measured.replaced
    return measured.replaced & ~moved.explains(difference.REWORKED_CORRELATION)


def _rather_stayed(following: float | None) -> bool:
    return following is not None and following <= -1.0
