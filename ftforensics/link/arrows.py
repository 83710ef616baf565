"""A picture that shows where content was moved, and which way."""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.link.agreement import U8
from ftforensics.link.canvas import add_legend, colour, draw_outline, enlarge, fit_shown, hatch, paint_grey
from ftforensics.link.movement import MovementMap

_STEP_PX = 32
_LONGEST_STEPS = 2.0
_MOST_ENLARGED = 8
_EDGE, _SHAFT = (20, 20, 20), (255, 255, 255)


def render_movement(suspect: U8, movement: MovementMap) -> bytes:
    """The suspect in grey, how far its content was moved as colour over it, and arrows along the way.

    Args:
        suspect: uint8 (H, W, 3).
        movement: As ``measure_movement`` made it for this suspect.

    Returns:
        PNG, long side 768 px without the legend.
    """
    base = fit_shown(suspect)
    height, width = base.shape[:2]
    offsets = cv2.resize(movement.offsets, (width, height), interpolation=cv2.INTER_LINEAR) * (width, height)
    moved = enlarge(movement.moved, (width, height))
    seen = enlarge(movement.seen, (width, height))
    farthest = movement.shift * max(width, height)
    share = np.clip(np.linalg.norm(offsets, axis=2) / max(farthest, 1e-6), 0, 1).astype(np.float32)
    ground = paint_grey(base)
    tint = 0.5 * moved[..., None].astype(np.float32)
    ground = ground * (1 - tint) + colour(share, cv2.COLORMAP_CIVIDIS) * tint
    picture = np.clip(hatch(ground, ~seen), 0, 255).astype(np.uint8)
    draw_outline(picture, moved)
    times = int(np.clip(_LONGEST_STEPS * _STEP_PX / max(farthest, 1e-6), 1, _MOST_ENLARGED))
    for down in range(_STEP_PX // 2, height, _STEP_PX):
        for across in range(_STEP_PX // 2, width, _STEP_PX):
            if moved[down, across]:
                _draw_arrow(picture, (across, down), times * offsets[down, across])
    longer = "" if times == 1 else f", {times} times as long as it moved"
    notes = [
        f"Outlined: agrees with the source only once moved, by up to {100 * movement.shift:.1f} % of the longer side "
        f"({100 * movement.moved_fraction:.0f} % of the shared area)",
        f"Arrows: from where the source shows the content to where this picture does{longer}",
    ]
    if not seen.all():
        notes.append("Hatched: not shown by the source, not compared")
    return add_legend(picture, cv2.COLORMAP_CIVIDIS, ("at rest", f"{100 * movement.shift:.1f} %"), notes)


def _draw_arrow(picture: U8, tip: tuple[int, int], offset: np.ndarray) -> None:
    start = (round(tip[0] + float(offset[0])), round(tip[1] + float(offset[1])))
    for ink, thickness in ((_EDGE, 4), (_SHAFT, 2)):
        cv2.arrowedLine(picture, start, tip, ink, thickness, cv2.LINE_AA, tipLength=0.35)
