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
from ftforensics.link.agreement import LaidOver
from ftforensics.link.following import measure_following
from ftforensics.link.in_place import confirm_in_place
from ftforensics.link.kept import MAX_OFFSET, MAX_OFFSET_OF_PART, find_part, measure_offset
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
    """The registration, with what differs and what was moved.

    ``in_part`` says that only a part of the source was found, exact but too small to confirm a registration by itself,
    and ``misplaced`` that the tag lies elsewhere than the content that it belongs to.
    """

    registration: Registration | None
    measured: difference.Difference | None = None
    movement: Movement | None = None
    moved: MovementMap | None = None
    in_part: bool = False
    misplaced: bool = False

    @property
    def is_changed(self) -> bool:
        """Whether anything differs."""
        return self.measured is not None and bool(self.measured.changed.any())

    @property
    def seems_late(self) -> bool:
        """Whether the tag rather lies as if nothing had been moved."""
        return self.movement is not None and self.movement.seems_late

    @property
    def undone(self) -> MovementMap | None:
        """What was undone before anything else was measured."""
        return self.moved if self.movement is not None and self.movement.undone else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """A picture whose tag was read, and the source of the tag's record, to be lined up.

    ``pixels`` is uint8 (H, W, 3), ``preview`` the source, uint8 (h, w, 3), ``planes`` the tag, float32 (3, G, G), and
    ``laid`` its frame as it was read; ``read`` gives the residual map of what is seen through a frame.
    """

    pixels: Pixels
    preview: Pixels
    laid: Laid
    planes: Floats
    read: Callable[[Pixels], Floats]

    def line_up(self, attempt: register.Attempt) -> LinedUp:
        """Register the picture, its movements undone where the tag was moved along; else as it lies.

        Movements are looked for where content differs, and wherever features alone do not fit exactly.

        Args:
            attempt: What registering by features gave.
        """
        if attempt.registration is None:
            return self._line_up_in_place(attempt)
        if self._offset(attempt.registration) > MAX_OFFSET:
            return LinedUp(registration=None, misplaced=True)
        kept = find_part(attempt) if _agrees_little(attempt) else None
        plain = self._compare(attempt.registration, attempt.laid, kept=kept)
        return self._undo(plain, attempt.registration, attempt.laid) if plain.is_changed else plain

    def _line_up_in_place(self, attempt: register.Attempt) -> LinedUp:
        """As ``line_up`` where features do not register the picture.

        They fit loosely where it was bent, and then the tag decides: that it went along, or else that it does not
        rather lie as if nothing had been moved, by what features suggest and by what is laid where the tag says.
        """
        suggested = LinedUp(registration=None)
        if attempt.candidate is not None:
            suggested = self._undo(suggested, attempt.candidate, attempt.laid)
            if suggested.registration is not None or suggested.seems_late:
                return suggested
        placed = confirm_in_place(self.pixels, self.preview, attempt, self.laid.placement.matrix)
        if placed is None:
            return self._line_up_part(attempt, suggested)
        plain = self._compare(*placed)
        if placed[0] is attempt.candidate:
            return replace(plain, movement=suggested.movement, moved=suggested.moved)
        found = self._undo(plain, *placed)
        return replace(found, registration=None, measured=None) if found.seems_late else found

    def _line_up_part(self, attempt: register.Attempt, suggested: LinedUp) -> LinedUp:
        """As a part of the source if it shows one exactly, where the tag says that it lies; else as before."""
        kept = find_part(attempt)
        if attempt.candidate is None or kept is None or suggested.movement is not None:
            return suggested
        offset = self._offset(attempt.candidate)
        if offset > MAX_OFFSET_OF_PART:
            return replace(suggested, misplaced=offset > MAX_OFFSET)
        return replace(self._compare(attempt.candidate, attempt.laid, kept=kept), in_part=True)

    def _offset(self, registration: Registration) -> float:
        return measure_offset(register.matrix_of(registration), self.laid.placement.matrix)

    def _undo(self, plain: LinedUp, start: Registration, over: LaidOver | None) -> LinedUp:
        """``plain`` with what was moved on top of a plane map, and everything measured anew if the tag went along."""
        found = measure_movement(self.pixels, self.preview, register.matrix_of(start), laid=over)
        if found is None:
            return plain
        movement = self._describe(found)
        if movement.is_followed and found.agreement.agreeing_fraction >= register.MIN_AGREEING_FRACTION:
            undone = self._compare(start, over, found)
            return replace(undone, movement=replace(movement, undone=True), moved=found)
        return replace(plain, movement=movement, moved=found)

    def _describe(self, found: MovementMap) -> Movement:
        """What was moved, and whether the tag went along."""
        laid, matrix = self.laid, self.laid.placement.matrix[:2].astype(np.float64)
        return Movement(
            moved_fraction=found.moved_fraction,
            shift=found.shift,
            agreement=found.agreement.share,
            following=measure_following(self.read(laid.look()), self.planes, matrix, found),
            undone=False,
        )

    def _compare(
        self,
        start: Registration,
        over: LaidOver | None,
        moved: MovementMap | None = None,
        *,
        kept: Mask | None = None,
    ) -> LinedUp:
        """A registration with what differs under it."""
        found = difference.compare(self.pixels, self.preview, start, moved, laid=over, kept=kept)
        return LinedUp(registration=difference.measured(start, found), measured=found)


def _agrees_little(attempt: register.Attempt) -> bool:
    """Whether less agrees than confirms a registration that is not exact: then what disagrees most is no background."""
    return attempt.agreement is not None and attempt.agreement.share < register.MIN_AGREEING_SHARE


def find_replaced_content(lined_up: LinedUp) -> Mask | None:
    """What shows something else than the source, bool (h, w); None where that was not measured.

    What agrees once it is moved back is not replaced, even where it is not sure that the tag was moved along; but if
    the tag rather stayed behind it counts, for then it may show on a replacement.
    """
    measured, movement, moved = lined_up.measured, lined_up.movement, lined_up.moved
    if measured is None:
        return None
    if moved is None or movement is None or movement.undone or lined_up.seems_late:
        return measured.replaced
    return measured.replaced & ~moved.explains(difference.REWORKED_CORRELATION)
