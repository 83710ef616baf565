"""Climbing sets a frame right that is a little off, and leaves alone what shows nothing."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.codec.carriers import build_sync_carrier
from ftforensics.engine.sync import turn_about
from ftforensics.engine.sync_climb import Climber
from ftforensics.engine.sync_grid import opponent_planes
from ftforensics.imaging import geometry

CORNERS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]).T


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    return opponent_planes(build_sync_carrier("ftf-1"))


def laid(planes: np.ndarray, frame: geometry.Affine) -> np.ndarray:
    """The carrier as a map (64, 64, 2) shows it whose tagged frame lies so."""
    image = np.ascontiguousarray(planes.transpose(1, 2, 0))
    return geometry.sample_frame(image, geometry.invert(frame), (64, 64), (0.0, 0.0))


@pytest.mark.parametrize(
    "off",
    [
        np.array([[1.0, 0.0, 0.012], [0.0, 1.0, -0.01]]),
        geometry.about_centre(scale_x=1.015, scale_y=0.985),
        turn_about(0.8, 1.4),
        geometry.compose(turn_about(-0.5, 1.4), geometry.about_centre(scale_x=0.99, scale_y=1.01, centre=(0.505, 0.5))),
    ],
    ids=["shift", "scales", "turn", "all"],
)
@pytest.mark.parametrize(
    "frame",
    [geometry.IDENTITY, geometry.about_centre(scale_x=1.5, scale_y=1.4, centre=(0.6, 0.45)), turn_about(12.0, 1.4)],
    ids=["whole", "crop", "turned"],
)
def test_a_frame_that_is_a_little_off_is_set_right(
    planes: np.ndarray, frame: geometry.Affine, off: geometry.Affine
) -> None:
    image = laid(planes, frame)
    start = geometry.compose(frame, off)
    climbed, best, first = Climber(planes).climb(image, 1.4, start, 10)
    assert np.abs((climbed - frame) @ CORNERS).max() < 0.2 * np.abs((start - frame) @ CORNERS).max() + 0.002
    assert best > 0.93
    assert best > first > 0.0


def test_the_best_is_kept_where_climbing_does_not_help(planes: np.ndarray) -> None:
    climber, random = Climber(planes), np.random.default_rng(0)
    for _ in range(8):
        image = random.standard_normal((64, 64, 2)).astype(np.float32)
        _, best, first = climber.climb(image, 1.0, geometry.IDENTITY, 6)
        assert best >= first


def test_a_frame_without_a_carrier_comes_back_as_it_is(planes: np.ndarray) -> None:
    frame, climber = geometry.about_centre(scale_x=1.3, scale_y=1.2), Climber(planes)
    for image in (np.zeros((64, 64, 2), np.float32), -laid(planes, frame)):
        climbed, _, first = climber.climb(image, 1.0, frame, 6)
        np.testing.assert_array_equal(climbed, frame)
        assert first <= 0.0
