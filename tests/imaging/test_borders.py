"""Plain borders are found where they are, and not where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.attacks import handling, warps
from ftforensics.imaging.borders import find_bordered
from ftforensics.imaging.geometry import IDENTITY, sample_frame

Photographs = dict[str, np.ndarray]
NOISE = np.random.default_rng(2).integers(0, 256, (150, 200, 3), dtype=np.uint8)


@settings(max_examples=60)
@given(st.tuples(*[st.floats(0, 0.6)] * 4), st.tuples(*[st.integers(0, 255)] * 3))
def test_a_border_of_any_width_and_colour_is_found(
    shares: tuple[float, float, float, float], colour: tuple[int, int, int]
) -> None:
    framed = warps.border(NOISE, shares, colour)
    left, top, right, bottom = (round(s * n) for s, n in zip(shares, (200, 150, 200, 150), strict=True))
    height, width = framed.shape[:2]
    found = find_bordered(framed)
    if max(left, right) < 0.006 * width and max(top, bottom) < 0.006 * height:
        assert found is None
    elif max(left, right) > 0.012 * width or max(top, bottom) > 0.012 * height:
        assert found is not None
        expected = [[200 / width, 0, left / width], [0, 150 / height, top / height]]
        np.testing.assert_allclose(found, expected, atol=2.0 / min(height, width, 512))


def test_a_photograph_has_no_border(photographs: Photographs) -> None:
    for name in ("astronaut", "chelsea", "coffee"):
        assert find_bordered(photographs[name]) is None


@pytest.mark.parametrize("sides", [(0.0, 0.15, 0.0, 0.15), (0.2, 0.0, 0.2, 0.0), (0.05, 0.1, 0.15, 0.0)])
def test_what_lies_inside_is_seen_through_the_frame(
    sides: tuple[float, float, float, float], photographs: Photographs
) -> None:
    image = photographs["coffee"]
    framed = warps.border(image, sides, (250, 250, 252))
    found = find_bordered(framed)
    assert found is not None
    seen, wanted = sample_frame(framed, found, (100, 150)), sample_frame(image, IDENTITY, (100, 150))
    assert np.corrcoef(seen.ravel(), wanted.ravel())[0, 1] > 0.98
    # Recompression rings into the border: what is found may be about a hundredth too large, never much.
    recompressed = find_bordered(handling.jpeg(framed, 70))
    assert recompressed is not None
    np.testing.assert_allclose(recompressed, found, atol=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (64, 64)])
def test_plain_and_tiny_pictures_have_no_inside(shape: tuple[int, int]) -> None:
    assert find_bordered(np.full((*shape, 3), 90, dtype=np.uint8)) is None


def test_a_picture_that_is_mostly_border_is_left_alone() -> None:
    image = np.zeros((200, 200, 3), dtype=np.uint8)
    image[90:110, 90:110] = NOISE[:20, :20]
    assert find_bordered(image) is None
