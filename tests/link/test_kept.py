"""A part of a source before another background: exact in its place, and nothing that only resembles it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from link_pictures import jpeg, paste, photograph

from ftforensics.link import fingerprint
from ftforensics.link.difference import compare
from ftforensics.link.kept import MAX_OFFSET, MAX_RESIDUAL_PX, MIN_INLIERS, find_kept_region, find_part, measure_offset
from ftforensics.link.register import Attempt, attempt

FACE = (0.45, 0.3)
AXES = (0.22, 0.27)


def cut_out(source: str = "astronaut", background: str = "coffee") -> np.ndarray:
    """A person of one photograph before all of another."""
    square = np.asarray(cv2.resize(photograph(background), (512, 512), interpolation=cv2.INTER_AREA), np.uint8)
    return paste(square, photograph(source), FACE, AXES)[0]


def try_on(suspect: np.ndarray, source: str = "astronaut") -> Attempt:
    made = fingerprint.build(photograph(source))
    return attempt(suspect, fingerprint.decode_preview(made.preview), made.descriptors)


@pytest.mark.parametrize("quality", [None, 60])
def test_somebody_before_another_background_is_a_part_of_the_source(quality: int | None) -> None:
    suspect = cut_out()
    tried = try_on(suspect if quality is None else jpeg(suspect, quality))
    assert tried.registration is None
    assert find_part(tried) is not None


def test_a_part_that_lies_a_pixel_off_as_in_another_photograph_is_none() -> None:
    tried = try_on(cut_out())
    assert None is find_part(replace(tried, residual_px=MAX_RESIDUAL_PX + 0.05))
    assert None is find_part(replace(tried, inliers=MIN_INLIERS - 1))
    assert None is find_part(replace(tried, log10_chance=-20.0))


def test_points_in_common_without_agreement_around_them_are_no_part() -> None:
    tried = try_on(cut_out())
    assert tried.laid is not None
    scattered = np.where(np.random.default_rng(1).random(tried.laid.correlation.shape) < 0.7, tried.laid.correlation, 0)
    assert None is find_part(replace(tried, laid=replace(tried.laid, correlation=scattered.astype(np.float32))))


def test_other_pictures_show_no_part() -> None:
    assert None is find_part(try_on(photograph("coffee")))
    assert None is find_part(try_on(cut_out(), "chelsea"))


def test_the_kept_region_is_the_largest_that_holds_together() -> None:
    textured = np.ones((100, 160), np.bool_)
    agreeing = np.zeros_like(textured)
    agreeing[20:70, 20:80] = agreeing[80:90, 130:140] = True
    region = find_kept_region(textured, agreeing)
    assert region[30:60, 30:70].all()
    assert not region[:, 120:].any()
    assert not find_kept_region(textured, np.zeros_like(textured)).any()


def test_a_face_before_another_background_is_not_called_changed() -> None:
    tried, suspect = try_on(cut_out()), cut_out()
    assert tried.candidate is not None
    preview = fingerprint.decode_preview(fingerprint.build(photograph()).preview)
    changed = compare(suspect, preview, tried.candidate).changed
    height, width = changed.shape
    face = np.zeros(changed.shape, np.uint8)
    middle, axes = (round(FACE[0] * width), round(FACE[1] * height)), (round(0.14 * width), round(0.18 * height))
    cv2.ellipse(face, middle, axes, 0, 0, 360, 1, -1)
    assert changed[face > 0].mean() < 0.05
    assert changed.mean() > 0.45


def test_a_hole_that_shows_something_else_is_filled() -> None:
    """Only agreement keeps a hole open: plain paint inside a ring of other content is part of the change."""
    ring, _ = paste(photograph(), photograph("coffee"), FACE, AXES)
    filled, mask = paste(ring, np.full((512, 512, 3), 128, np.uint8), FACE, (0.12, 0.15))
    made = fingerprint.build(photograph())
    preview = fingerprint.decode_preview(made.preview)
    registration = attempt(filled, preview, made.descriptors).registration
    assert registration is not None
    changed = compare(filled, preview, registration).changed
    inner = cv2.resize(mask.astype(np.uint8), changed.shape[::-1], interpolation=cv2.INTER_AREA) > 0
    assert changed[inner].mean() > 0.95


def test_how_far_a_tag_lies_from_its_content() -> None:
    whole, moved = np.eye(3), np.array([[1.0, 0.0, 0.3], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    mirrored = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert measure_offset(whole, whole) == 0.0
    assert measure_offset(mirrored, mirrored) == 0.0
    assert measure_offset(moved, whole) == pytest.approx(0.3)
    assert measure_offset(mirrored, whole) > MAX_OFFSET
    assert measure_offset(moved + np.array([[0, 0, 2.0], [0, 0, 0], [0, 0, 0]]), whole) == float("inf")


@pytest.mark.parametrize("background", ["gravel", "brick", "rocket"])
def test_what_surrounds_a_small_part_is_changed_however_much_it_is(background: str) -> None:
    tried, suspect = try_on(cut_out(background=background)), cut_out(background=background)
    kept = find_part(tried)
    assert kept is not None
    assert tried.candidate is not None
    preview = fingerprint.decode_preview(fingerprint.build(photograph()).preview)
    known = compare(suspect, preview, tried.candidate, kept=kept).changed_fraction
    assert known > 0.6, "0.81 was replaced, some of it by something as plain"
    assert known >= compare(suspect, preview, tried.candidate).changed_fraction
