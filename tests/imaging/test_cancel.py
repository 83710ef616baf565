"""Taking a source out of a picture that shows it: what was added is left, whatever else was done to the whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.attacks.handling import jpeg
from ftforensics.imaging.cancel import VIEW_PX, cancel_source

WHOLE = np.ones((VIEW_PX, VIEW_PX), dtype=bool)


def seen_at(picture: np.ndarray, dx: float = 0.0, dy: float = 0.0) -> np.ndarray:
    """A picture as a square view, moved by parts of a pixel of that view."""
    view = cv2.resize(picture, (VIEW_PX, VIEW_PX), interpolation=cv2.INTER_AREA)
    matrix = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
    return cv2.warpAffine(view, matrix, (VIEW_PX, VIEW_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def pattern(rms: float) -> np.ndarray:
    """Something added, about as coarse as a tag, of that root mean square in [0, 1] units: (256, 256, 3)."""
    coarse = np.random.default_rng(2).standard_normal((32, 32, 3)).astype(np.float32)
    wide = cv2.resize(coarse, (VIEW_PX, VIEW_PX), interpolation=cv2.INTER_CUBIC)
    return wide * (rms / np.sqrt(np.mean(wide**2)))


def added_to(view: np.ndarray, what: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(view + 255.0 * what), 0, 255).astype(np.uint8)


def correlation(left: np.ndarray, what: np.ndarray, where: np.ndarray | None = None) -> float:
    half = cv2.resize(what, (VIEW_PX // 2, VIEW_PX // 2), interpolation=cv2.INTER_AREA)
    one, other = (left, half) if where is None else (left[where], half[where])
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize("change", ["none", "moved", "darker", "recoloured"])
def test_what_was_added_is_left(name: str, change: str, photographs: dict[str, np.ndarray]) -> None:
    source = seen_at(photographs[name])
    suspect = added_to(seen_at(photographs[name], *((0.7, -0.4) if change == "moved" else (0.0, 0.0))), pattern(0.012))
    if change == "darker":
        suspect = np.rint(suspect * 0.7 + 20.0).astype(np.uint8)
    if change == "recoloured":
        suspect = np.clip(np.rint(suspect * np.array([0.8, 1.0, 1.15])), 0, 255).astype(np.uint8)
    left = cancel_source(suspect, source, WHOLE).left
    assert left.shape == (VIEW_PX // 2, VIEW_PX // 2, 3)
    assert correlation(left, pattern(0.012)) > 0.8
    # Without taking the source out, the photograph drowns it.
    small = cv2.resize(suspect, (VIEW_PX // 2, VIEW_PX // 2), interpolation=cv2.INTER_AREA).astype(np.float32)
    assert correlation(small - cv2.GaussianBlur(small, (0, 0), 8.0), pattern(0.012)) < 0.4


def test_a_replaced_half_does_not_pull_the_source_along(photographs: dict[str, np.ndarray]) -> None:
    source = seen_at(photographs["astronaut"])
    suspect = added_to(seen_at(photographs["astronaut"], 0.6, 0.3), pattern(0.012))
    # The other content lies three pixels off from how the source would have to move.
    suspect[:, : VIEW_PX // 2] = seen_at(photographs["coffee"])[:, : VIEW_PX // 2]
    left = cancel_source(suspect, source, WHOLE).left
    kept = np.zeros(left.shape, dtype=bool)
    kept[:, left.shape[1] // 2 + 16 :] = True
    assert correlation(left, pattern(0.012), kept) > 0.8


def test_nothing_is_left_where_nothing_is_seen(photographs: dict[str, np.ndarray]) -> None:
    seen = WHOLE.copy()
    seen[:, 128:] = False
    pair = seen_at(photographs["coffee"]), seen_at(photographs["chelsea"])
    remainder = cancel_source(*pair, seen)
    assert np.all(remainder.left[:, 64:] == 0.0)
    assert np.any(remainder.left[:, :64] != 0.0)
    # What lies outside the picture is not another content.
    assert np.all(remainder.kept[:, 64:] == 1.0)
    nothing = cancel_source(*pair, ~WHOLE)
    assert np.all(nothing.left == 0.0)
    assert np.all(nothing.kept == 1.0)


def test_another_content_is_told_from_the_sources_own(photographs: dict[str, np.ndarray]) -> None:
    suspect = seen_at(photographs["astronaut"])
    suspect[:, :128] = seen_at(photographs["coffee"])[:, :128]
    kept = cancel_source(suspect, seen_at(photographs["astronaut"]), WHOLE).kept
    assert kept.shape == (VIEW_PX // 2, VIEW_PX // 2)
    assert kept[:, 72:].mean() > 0.95
    assert kept[:, :56].mean() < 0.35


def test_the_same_pictures_give_the_same_difference(photographs: dict[str, np.ndarray]) -> None:
    pair = seen_at(photographs["coffee"], 0.3, 0.2), seen_at(photographs["coffee"])
    first, second = cancel_source(*pair, WHOLE), cancel_source(*pair, WHOLE)
    assert np.array_equal(first.left, second.left)
    assert np.array_equal(first.kept, second.kept)


@settings(max_examples=15)
@given(
    first=st.sampled_from(["plain", "noise", "half"]),
    second=st.sampled_from(["plain", "noise", "half"]),
    level=st.integers(0, 255),
    seed=st.integers(0, 9),
)
def test_any_two_pictures_give_finite_values(first: str, second: str, level: int, seed: int) -> None:
    def make(kind: str) -> np.ndarray:
        picture = np.full((VIEW_PX, VIEW_PX, 3), level, dtype=np.uint8)
        if kind == "noise":
            return np.random.default_rng(seed).integers(0, 256, picture.shape, dtype=np.uint8)
        if kind == "half":
            picture[:, 128:] = 255 - level
        return picture

    remainder = cancel_source(make(first), make(second), WHOLE)
    assert np.isfinite(remainder.left).all()
    assert np.abs(remainder.left).max() <= 4.0
    assert remainder.kept.min() >= 0.0
    assert remainder.kept.max() <= 1.0


class Generator:
    """Makes one and the same picture of a source, and counts how often it was asked."""

    def __init__(self, picture: np.ndarray) -> None:
        self.picture, self.asked = picture, 0

    def __call__(self) -> np.ndarray:
        self.asked += 1
        return self.picture


def test_what_a_generator_made_of_the_source_is_taken_out_too(photographs: dict[str, np.ndarray]) -> None:
    """The suspect went through a generator and was moved; the generator's version is moved as the source is."""
    source, strange = seen_at(photographs["astronaut"]), seen_at(jpeg(photographs["astronaut"], 4))
    shift = np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.4]])
    moved = cv2.warpAffine(strange, shift, (VIEW_PX, VIEW_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    suspect, generator = added_to(moved, pattern(0.012)), Generator(strange)
    without = correlation(cancel_source(suspect, source, WHOLE).left, pattern(0.012))
    having = correlation(cancel_source(suspect, source, WHOLE, generator).left, pattern(0.012))
    assert having > without + 0.1
    assert generator.asked == 1


def test_no_generator_runs_where_little_of_the_source_is_seen(photographs: dict[str, np.ndarray]) -> None:
    source, generator = seen_at(photographs["astronaut"]), Generator(seen_at(photographs["coffee"]))
    part = np.zeros((VIEW_PX, VIEW_PX), dtype=bool)
    part[:, : VIEW_PX // 2] = True
    suspect = added_to(source, pattern(0.012))
    having, without = cancel_source(suspect, source, part, generator), cancel_source(suspect, source, part)
    assert generator.asked == 0
    assert np.array_equal(having.left, without.left)
