"""The part of an exhibit that shows a tag's frame: what lies around it is neither compared nor called changed.

Enters: a picture and the rectangle in which a tag was read. Leaves: the rectangle's pixels, and maps between the unit
coordinates of the part and of the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ftforensics.domain.link import Box, Registration
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import Pixels

# What leaves out less than this is the whole picture, with a crooked or narrow edge.
LEAST_LEFT_OUT = 0.1
# The room that links pictures refuses smaller ones.
LEAST_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A rectangle of a picture, its pixels uint8 (H, W, 3); ``region`` is None for the whole picture."""

    pixels: Pixels
    region: Box | None = None

    def inward(self, frame: geometry.Affine) -> geometry.Affine:
        """A frame in the picture as a frame in the part."""
        return frame if self.region is None else geometry.compose(geometry.invert(_frame(self.region)), frame)

    def outward(self, frame: geometry.Affine) -> geometry.Affine:
        """A frame in the part as a frame in the picture."""
        return frame if self.region is None else geometry.compose(_frame(self.region), frame)

    def place(self, registration: Registration) -> Registration:
        """A registration of the part as one of the whole picture."""
        if self.region is None:
            return registration
        outward = geometry.homogeneous(_frame(self.region))
        matrix = outward @ np.asarray(registration.homography, dtype=np.float64).reshape(3, 3)
        return replace(
            registration,
            homography=tuple(float(value) for value in (matrix / matrix[2, 2]).ravel()),
            changed_regions=tuple(_placed(box, self.region) for box in registration.changed_regions),
        )


def cut_part(pixels: Pixels, rectangle: geometry.Rectangle) -> Part:
    """The part of a picture within a rectangle in unit coordinates; the whole where hardly anything is left out."""
    if geometry.area(rectangle) > 1.0 - LEAST_LEFT_OUT:
        return Part(pixels=pixels)
    inside, (left, top, right, bottom) = geometry.cut(pixels, rectangle)
    if min(inside.shape[:2]) < LEAST_PX:
        return Part(pixels=pixels)
    return Part(pixels=inside, region=Box(left=left, top=top, right=right, bottom=bottom))


def cut_panels(pixels: Pixels, panels: Iterable[geometry.Rectangle]) -> Iterator[tuple[geometry.Rectangle, Part]]:
    """The panels of a picture and their parts; none that is the whole picture."""
    for panel in panels:
        part = cut_part(pixels, panel)
        if part.region is not None:
            yield panel, part


def _frame(box: Box) -> geometry.Affine:
    return geometry.upright((box.left, box.top, box.right, box.bottom))


def _placed(box: Box, within: Box) -> Box:
    wide, tall = within.right - within.left, within.bottom - within.top
    return Box(
        left=within.left + wide * box.left,
        top=within.top + tall * box.top,
        right=within.left + wide * box.right,
        bottom=within.top + tall * box.bottom,
    )
