"""Between the letters of a caption a picture is its source's, pixel by pixel; a pasted face is nowhere."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from link_pictures import difference_of, jpeg, paste, photograph, resize

from ftforensics.link.agreement import Aligned, Mask
from ftforensics.link.untouched import find_untouched

LATER = {
    "as it is": lambda p: p,
    "darker": lambda p: np.clip(p * 0.7 + 8.0, 0, 255).astype(np.uint8),
    "256 px jpeg 50": lambda p: jpeg(resize(p, 256), 50),
}


def write_on(pixels: np.ndarray) -> np.ndarray:
    written = pixels.copy()
    for line in (70, 310):
        cv2.putText(written, "BREAKING NEWS", (30, line), cv2.FONT_HERSHEY_SIMPLEX, 1.9, (255, 255, 255), 7)
    return written


def letters(mask: Mask, pixels: np.ndarray) -> Mask:
    drawn = (write_on(pixels) != pixels).any(axis=2).astype(np.uint8)
    near = cv2.dilate(drawn, np.ones((5, 5), np.uint8))
    return cv2.resize(near, mask.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


@pytest.mark.parametrize("later", LATER)
def test_what_lies_between_letters_is_not_replaced(later: str) -> None:
    source = photograph("chelsea")
    found = difference_of(LATER[later](write_on(source)), source)
    strokes = letters(found.changed, source)
    assert found.changed[strokes].mean() > 0.5
    assert (found.replaced & ~strokes).sum() < 0.15 * (found.changed & ~strokes).sum()


@pytest.mark.parametrize("later", LATER)
def test_nearly_all_of_a_pasted_region_is(later: str) -> None:
    pasted, _ = paste(photograph(), photograph("coffee"), (0.42, 0.25), (0.14, 0.19))
    found = difference_of(LATER[later](pasted), photograph())
    assert found.replaced.sum() > 0.55 * found.changed.sum()


def pair(seed: int) -> tuple[np.ndarray, Mask, Mask]:
    random = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(random.uniform(0, 255, (96, 128, 3)).astype(np.float32), (0, 0), 2.0) * 2.0
    return picture, np.ones((96, 128), np.bool_), np.zeros((96, 128), np.bool_)


def test_only_the_changed_region_is_judged_and_the_tone_of_the_rest_is_taken_off() -> None:
    picture, seen, changed = pair(0)
    changed[20:60, 30:90] = True
    other = picture.copy()
    other[20:40, 30:90] += 90.0
    found = find_untouched(Aligned(suspect=0.8 * other + 12.0, source=picture, seen=seen), changed)
    assert not found[~changed].any()
    assert not found[20:38, 30:90].any()
    assert found[43:60, 30:90].all()


def test_an_accidental_pixel_is_not_the_sources() -> None:
    picture, seen, changed = pair(1)
    changed[20:60, 30:90] = True
    other = picture.copy()
    other[20:60, 30:90] += 90.0
    other[40, 50:52] = picture[40, 50:52]
    assert not find_untouched(Aligned(suspect=other, source=picture, seen=seen), changed).any()


def test_with_nothing_to_fit_a_tone_to_pixels_are_compared_as_they_are() -> None:
    picture, seen, changed = pair(2)
    changed[:] = True
    assert find_untouched(Aligned(suspect=picture, source=picture, seen=seen), changed).all()
    brighter = Aligned(suspect=picture + 20.0, source=picture, seen=seen)
    assert not find_untouched(brighter, changed).any()


def test_a_light_that_falls_off_is_taken_off_too() -> None:
    picture, seen, changed = pair(3)
    changed[20:60, 30:90] = True
    light = np.linspace(0.8, 1.25, 128, dtype=np.float32)[None, :, None]
    other = picture.copy()
    other[20:40, 30:90] = 255.0 - picture[20:40, 30:90]
    found = find_untouched(Aligned(suspect=light * other, source=picture, seen=seen), changed)
    assert found[44:58, 34:86].mean() > 0.8
    assert found[20:38, 30:90].mean() < 0.35


def test_however_roughly_the_whole_is_treated_little_of_a_foreign_region_counts_as_untouched() -> None:
    """Tolerance follows the noise of the rest, up to a bound: a forger makes that noise."""
    picture, seen, changed = pair(4)
    changed[20:60, 30:90] = True
    other = picture.copy()
    other[20:60, 30:90] = np.roll(picture, 37, axis=1)[20:60, 30:90]
    rough = other + np.random.default_rng(5).normal(0.0, 60.0, picture.shape).astype(np.float32)
    assert find_untouched(Aligned(suspect=rough, source=picture, seen=seen), changed).mean() < 0.2 * changed.mean()


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.25])
def test_what_was_made_pale_is_not_the_more_alike_for_it(gain: float) -> None:
    picture, seen, changed = pair(6)
    changed[20:60, 30:90] = True
    other = picture.copy()
    other[20:60, 30:90] = np.roll(picture, 37, axis=1)[20:60, 30:90]
    pale = Aligned(suspect=np.asarray(gain * other + 110.0, np.float32), source=picture, seen=seen)
    assert find_untouched(pale, changed).mean() < 0.25 * changed.mean()
