"""What went over a whole picture is explained from its source; what was added to it is left."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ftforensics.attacks.handling import jpeg
from ftforensics.imaging.explain import explain

WHOLE = np.ones((128, 128), np.float32)


def view_of(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


def pattern() -> np.ndarray:
    coarse = np.random.default_rng(2).standard_normal((24, 24, 3)).astype(np.float32)
    return cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_CUBIC) * 0.01


def likeness(left: np.ndarray, what: np.ndarray) -> float:
    return float((left * what).sum() / np.sqrt((left**2).sum() * (what**2).sum()))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("change", ["blurred", "sharpened", "curved", "recoloured"])
def test_a_rule_for_the_whole_picture_is_found(name: str, change: str, photographs: dict[str, np.ndarray]) -> None:
    source = view_of(photographs[name])
    soft = cv2.GaussianBlur(source, (0, 0), 1.0)
    changed = {
        "blurred": soft,
        "sharpened": source + 0.7 * (source - soft),
        "curved": 0.1 + 0.8 * source**2,
        "recoloured": source @ np.array([[0.8, 0.1, 0.0], [0.1, 0.9, 0.2], [0.0, 0.1, 0.7]], np.float32),
    }[change]
    added = pattern()
    left = changed + added - explain((changed + added).astype(np.float32), source, WHOLE)
    assert likeness(left, added) > 0.95
    # What was added is all that is left, neither swallowed nor drowned.
    assert np.sqrt((left**2).mean()) == pytest.approx(np.sqrt((added**2).mean()), rel=0.15)


def test_a_version_of_the_source_at_hand_is_used(photographs: dict[str, np.ndarray]) -> None:
    source = view_of(photographs["astronaut"])
    strange = view_of(jpeg(photographs["astronaut"], 5))
    added = pattern()
    without = likeness(strange + added - explain(strange + added, source, WHOLE), added)
    having = likeness(strange + added - explain(strange + added, source, WHOLE, [strange]), added)
    assert having > 0.95 > without


def test_another_content_in_a_region_does_not_bend_the_rule(photographs: dict[str, np.ndarray]) -> None:
    source, other = view_of(photographs["astronaut"]), view_of(photographs["coffee"])
    suspect = cv2.GaussianBlur(source, (0, 0), 1.0)
    suspect[40:80, 30:70] = other[40:80, 30:70]
    kept = np.ones((128, 128), bool)
    kept[34:86, 24:76] = False
    error = np.abs(suspect - explain(suspect, source, WHOLE))[kept]
    plain = np.abs(suspect - source)[kept]
    assert error.mean() < 0.2 * plain.mean()


def test_nothing_seen_gives_numbers_all_the_same(photographs: dict[str, np.ndarray]) -> None:
    source = view_of(photographs["astronaut"])
    for suspect, weight in ((source, 0 * WHOLE), (0 * source, WHOLE)):
        assert np.isfinite(explain(suspect, source, weight)).all()
    assert np.isfinite(explain(source, 0 * source, WHOLE, [0 * source])).all()
