"""A source laid where a tag says it lies: confirmed where nearly all agrees, by nothing that merely resembles it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from link_pictures import jpeg, mirror, photograph, resize, rotate

from ftforensics.attacks.warps import reenact
from ftforensics.domain.link import TAG_FRAME, Registration
from ftforensics.link import fingerprint
from ftforensics.link.difference import compare
from ftforensics.link.homography import corners, map_points
from ftforensics.link.in_place import confirm_in_place
from ftforensics.link.register import MIN_AGREEING_SHARE_ALONE, Attempt, attempt, matrix_of

WHOLE = np.eye(3)
FAILED = Attempt(registration=None, reason="no_common_geometry", suspect_features=400, source_features=400)


def preview_of(pixels: np.ndarray) -> np.ndarray:
    return fingerprint.decode_preview(fingerprint.build(pixels).preview)


def confirm(suspect: np.ndarray, source: np.ndarray, frame: np.ndarray = WHOLE) -> Registration | None:
    """Where a tag was read in ``frame`` and no features fit."""
    found = confirm_in_place(suspect, preview_of(source), FAILED, frame)
    return None if found is None else found[0]


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def test_a_blurred_picture_is_confirmed_where_its_features_are_too_few() -> None:
    made, suspect = fingerprint.build(photograph("chelsea")), blur(photograph("chelsea"), 7.0)
    preview = fingerprint.decode_preview(made.preview)
    assert attempt(suspect, preview, made.descriptors).registration is None
    found = confirm(suspect, photograph("chelsea"))
    assert found is not None
    assert (found.inliers, found.matches, found.inlier_ratio, found.against) == (0, 0, 0.0, TAG_FRAME)
    assert found.agreement is not None
    assert found.agreement > 0.95
    assert found.overlap_fraction == pytest.approx(1.0, abs=0.02)
    assert compare(suspect, preview, found).changed_fraction == 0.0


@pytest.mark.parametrize("shift", [0.004, 0.01])
def test_a_frame_that_is_a_little_off_is_refined(shift: float) -> None:
    off = np.array([[1.0 + shift, 0.0, -shift], [0.0, 1.0 - shift, shift], [0.0, 0.0, 1.0]])
    found = confirm(blur(photograph(), 3.0), photograph(), off)
    assert found is not None
    np.testing.assert_allclose(map_points(matrix_of(found), corners()), corners(), atol=0.003)


def test_mirrored_cropped_and_turned_frames_lie_where_they_are_said_to() -> None:
    source = photograph()
    turned = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert confirm(mirror(source), source, turned) is not None
    assert confirm(mirror(source), source) is None
    cropped = np.array([[512 / 340, 0.0, -80 / 340], [0.0, 512 / 340, -90 / 340], [0.0, 0.0, 1.0]])
    found = confirm(np.ascontiguousarray(source[90:430, 80:420]), source, cropped)
    assert found is not None
    assert found.overlap_fraction == pytest.approx((340 / 512) ** 2, abs=0.03)


def test_what_features_suggest_is_taken_as_it_is() -> None:
    source = photograph()
    made, suspect = fingerprint.build(source), reenact(source, 0.006, np.random.default_rng(3))
    tried = attempt(suspect, fingerprint.decode_preview(made.preview), made.descriptors)
    assert tried.registration is None
    found = confirm_in_place(suspect, preview_of(source), tried, np.diag([0.5, 0.5, 1.0]))
    assert found is not None
    assert found[0] is tried.candidate
    assert found[1] is tried.laid
    assert found[0].agreement == tried.laid.agreement.share > MIN_AGREEING_SHARE_ALONE


@pytest.mark.parametrize("other", ["chelsea", "coffee"])
@pytest.mark.parametrize("later", [lambda p: p, lambda p: blur(p, 6.0), lambda p: jpeg(resize(p, 128), 20)])
def test_another_picture_is_not(other: str, later) -> None:
    assert confirm(later(photograph(other)), photograph()) is None


@pytest.mark.parametrize(("columns", "confirmed"), [(0, True), (20, True), (90, False), (170, False)])
def test_nine_tenths_have_to_agree(columns: int, confirmed: bool) -> None:
    source = photograph()
    swapped = source.copy()
    swapped[:, :columns] = np.vstack([photograph("coffee"), photograph("coffee")])[:512, :columns]
    found = confirm(swapped, source)
    assert (found is not None) == confirmed


@pytest.mark.parametrize(("rows", "confirmed"), [(20, True), (256, False)])
def test_what_is_black_in_one_alone_agrees_with_nothing(rows: int, confirmed: bool) -> None:
    barred = photograph().copy()
    barred[:rows] = 0
    assert (confirm(barred, photograph()) is not None) == confirmed


def test_one_that_lies_elsewhere_is_not() -> None:
    assert confirm(rotate(photograph(), 25.0), photograph()) is None


def test_a_caption_on_plain_ground_is_too_little_to_go_by() -> None:
    plain = np.full((400, 400, 3), 200, np.uint8)
    cv2.putText(plain, "NEWS", (20, 380), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2)
    assert confirm(plain, plain) is None


def test_a_frame_that_shows_next_to_nothing_of_both_is_not_confirmed() -> None:
    corner = np.array([[1.0, 0.0, 0.9], [0.0, 1.0, 0.9], [0.0, 0.0, 1.0]])
    assert confirm(photograph(), photograph(), corner) is None


@pytest.mark.parametrize(
    "frame", [np.zeros((3, 3)), np.diag([0.0, 1.0, 1.0]), np.ones((3, 3)), np.full((3, 3), np.nan)], ids=range(4)
)
def test_a_frame_that_is_none_is_not_confirmed(frame: np.ndarray) -> None:
    assert confirm(photograph(), photograph(), frame) is None
