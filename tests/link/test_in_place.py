"""A source laid where a tag says it lies: confirmed where nearly all agrees, by nothing that merely resembles it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from link_pictures import jpeg, mirror, photograph, resize, rotate

from ftforensics.attacks.warps import reenact
from ftforensics.link import fingerprint
from ftforensics.link.difference import compare
from ftforensics.link.homography import corners, map_points
from ftforensics.link.in_place import TAG_FRAME, confirm_in_place
from ftforensics.link.register import attempt, matrix_of

WHOLE = np.eye(3)


def preview_of(pixels: np.ndarray) -> np.ndarray:
    return fingerprint.decode_preview(fingerprint.build(pixels).preview)


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def test_a_blurred_picture_is_confirmed_where_its_features_are_too_few() -> None:
    made, suspect = fingerprint.build(photograph("chelsea")), blur(photograph("chelsea"), 7.0)
    preview = fingerprint.decode_preview(made.preview)
    assert attempt(suspect, preview, made.descriptors).registration is None
    found = confirm_in_place(suspect, preview, None, WHOLE)
    assert found is not None
    assert (found.inliers, found.matches, found.inlier_ratio, found.against) == (0, 0, 0.0, TAG_FRAME)
    assert found.agreement is not None
    assert found.agreement > 0.95
    assert found.overlap_fraction == pytest.approx(1.0, abs=0.02)
    assert compare(suspect, preview, found).changed_fraction == 0.0


@pytest.mark.parametrize("shift", [0.004, 0.01])
def test_a_frame_that_is_a_little_off_is_refined(shift: float) -> None:
    off = np.array([[1.0 + shift, 0.0, -shift], [0.0, 1.0 - shift, shift], [0.0, 0.0, 1.0]])
    found = confirm_in_place(blur(photograph(), 3.0), preview_of(photograph()), None, off)
    assert found is not None
    np.testing.assert_allclose(map_points(matrix_of(found), corners()), corners(), atol=0.003)


def test_mirrored_cropped_and_turned_frames_lie_where_they_are_said_to() -> None:
    source = photograph()
    turned = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert confirm_in_place(mirror(source), preview_of(source), None, turned) is not None
    assert confirm_in_place(mirror(source), preview_of(source), None, WHOLE) is None
    cropped = np.array([[512 / 340, 0.0, -80 / 340], [0.0, 512 / 340, -90 / 340], [0.0, 0.0, 1.0]])
    found = confirm_in_place(np.ascontiguousarray(source[90:430, 80:420]), preview_of(source), None, cropped)
    assert found is not None
    assert found.overlap_fraction == pytest.approx((340 / 512) ** 2, abs=0.03)


def test_what_features_suggest_keeps_their_counts() -> None:
    source = photograph()
    made, suspect = fingerprint.build(source), reenact(source, 0.006, np.random.default_rng(3))
    preview = fingerprint.decode_preview(made.preview)
    tried = attempt(suspect, preview, made.descriptors)
    assert tried.registration is None
    assert tried.candidate is not None
    found = confirm_in_place(suspect, preview, tried.candidate, np.diag([0.5, 0.5, 1.0]))
    assert found is not None
    assert (found.inliers, found.matches, found.against) == (tried.inliers, tried.matches, "preview")
    assert replace(found, homography=(), agreement=None) == replace(
        tried.candidate, homography=(), agreement=None, overlap_fraction=found.overlap_fraction
    )


@pytest.mark.parametrize("other", ["chelsea", "coffee"])
@pytest.mark.parametrize("later", [lambda p: p, lambda p: blur(p, 6.0), lambda p: jpeg(resize(p, 128), 20)])
def test_another_picture_is_not(other: str, later) -> None:
    assert confirm_in_place(later(photograph(other)), preview_of(photograph()), None, WHOLE) is None


def test_nor_one_of_which_a_third_was_replaced_or_that_lies_elsewhere() -> None:
    source = photograph()
    swapped = source.copy()
    swapped[:, :170] = photograph("coffee")[:512, :170] if photograph("coffee").shape[0] >= 512 else 128
    assert confirm_in_place(swapped, preview_of(source), None, WHOLE) is None
    assert confirm_in_place(rotate(source, 25.0), preview_of(source), None, WHOLE) is None


def test_a_caption_on_plain_ground_is_too_little_to_go_by() -> None:
    plain = np.full((400, 400, 3), 200, np.uint8)
    cv2.putText(plain, "NEWS", (20, 380), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2)
    assert confirm_in_place(plain, preview_of(plain), None, WHOLE) is None


def test_a_frame_that_shows_next_to_nothing_of_both_is_not_confirmed() -> None:
    source = photograph()
    corner = np.array([[1.0, 0.0, 0.9], [0.0, 1.0, 0.9], [0.0, 0.0, 1.0]])
    assert confirm_in_place(source, preview_of(source), None, corner) is None
