"""Parts of an exhibit: the right pixels, and places in them told in the exhibit's own coordinates."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.domain.link import Box, Registration
from ftforensics.engine.sync import TURNS
from ftforensics.flows.frames import turn_upright
from ftforensics.flows.parts import cut_part
from ftforensics.imaging import geometry
from ftforensics.imaging.geometry import seen_cells

PICTURE = np.random.default_rng(3).integers(0, 256, (80, 120, 3), dtype=np.uint8)


def registration(matrix: np.ndarray, *regions: Box) -> Registration:
    return Registration(
        inliers=20,
        matches=25,
        inlier_ratio=0.8,
        homography=tuple(matrix.ravel()),
        against="preview",
        overlap_fraction=1.0,
        changed_fraction=0.1,
        changed_regions=regions,
    )


def test_a_part_holds_the_pixels_of_its_rectangle() -> None:
    part = cut_part(PICTURE, (0.5, 0.25, 1.0, 0.75))
    assert part.region == Box(left=0.5, top=0.25, right=1.0, bottom=0.75)
    np.testing.assert_array_equal(part.pixels, PICTURE[20:60, 60:])


@pytest.mark.parametrize(
    "rectangle", [geometry.WHOLE, (0.02, 0.0, 1.0, 0.98), (0.5, 0.5, 0.52, 0.9), (0.6, 0.2, 0.4, 0.9)]
)
def test_what_leaves_out_too_little_or_too_much_is_the_whole(rectangle: geometry.Rectangle) -> None:
    part = cut_part(PICTURE, rectangle)
    assert part.region is None
    assert part.pixels is PICTURE
    assert part.inward(geometry.IDENTITY) is geometry.IDENTITY
    whole = registration(np.eye(3), Box(left=0.1, top=0.1, right=0.2, bottom=0.2))
    assert part.place(whole) is whole


def test_places_in_a_part_are_told_in_the_picture() -> None:
    part = cut_part(PICTURE, (0.5, 0.25, 1.0, 0.75))
    placed = part.place(registration(np.eye(3), Box(left=0.0, top=0.5, right=0.5, bottom=1.0)))
    corners = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]) @ np.reshape(placed.homography, (3, 3)).T
    np.testing.assert_allclose(corners[:, :2] / corners[:, 2:], [[0.5, 0.25], [1.0, 0.75]])
    assert placed.changed_regions == (Box(left=0.5, top=0.5, right=0.75, bottom=0.75),)
    assert placed.changed_fraction == 0.1


def test_a_frame_in_the_picture_is_one_in_the_part() -> None:
    part = cut_part(PICTURE, (0.5, 0.25, 1.0, 0.75))
    frame = np.array([[0.5, 0.0, 0.5], [0.0, 0.5, 0.25]])
    np.testing.assert_allclose(part.inward(frame), geometry.IDENTITY, atol=1e-12)
    assert seen_cells(part.inward(frame), 8).all()
    wide = np.array([[1.0, 0.0, 0.5], [0.0, 0.5, 0.25]])
    np.testing.assert_array_equal(seen_cells(part.inward(wide), 8).all(axis=0), [True] * 4 + [False] * 4)


@pytest.mark.parametrize("frame", [geometry.IDENTITY, *TURNS])
def test_a_turned_picture_is_turned_upright(frame: geometry.Affine) -> None:
    """What is seen through the frame and the picture turned upright are the same, up to mirroring."""
    square = np.ascontiguousarray(PICTURE[:, :80])
    seen = geometry.sample_frame(square, frame, (80, 80)).astype(int)
    upright = turn_upright(square, frame).astype(int)
    mirrored = np.linalg.det(frame[:, :2]) < 0
    assert np.abs((upright[:, ::-1] if mirrored else upright) - seen).max() <= 1
