"""Regions from evidence, and the outline that rests on content and tag together."""

import numpy as np
import pytest

from ftforensics.link.difference import Difference
from ftforensics.link.outline import divide, keep_sure
from ftforensics.link.placement import Placement
from ftforensics.link.replaced import find_replaced
from ftforensics.link.survival import Holes

WHOLE = Placement(matrix=np.eye(3))

GRID = 64


def _square():
    mask = np.zeros((GRID, GRID), np.bool_)
    mask[20:44, 16:40] = True
    return mask


def _fit(found, wanted):
    return 2.0 * (found & wanted).sum() / (found.sum() + wanted.sum())


def test_a_region_hangs_together_under_noise(rng):
    truth = _square()
    noisy = (np.where(truth, 0.1, -0.1) + 0.2 * rng.normal(size=truth.shape)).astype(np.float32)
    assert _fit(noisy > 0, truth) < 0.65
    assert _fit(divide(noisy, 0.3), truth) > 0.9


def test_places_without_evidence_go_with_what_surrounds_them():
    truth = _square()
    evidence = np.where(truth, 0.2, -0.2).astype(np.float32)
    evidence[28:36, 24:32] = 0.0
    evidence[50:58, 50:58] = 0.0
    assert _fit(divide(evidence, 0.15), truth) > 0.97


def test_small_and_unsure_regions_are_left_out_and_bays_filled():
    regions = _square()
    regions[20:26, 24:32] = False  # a bay
    regions[2:5, 2:5] = True
    regions[50:60, 50:60] = True
    evidence = np.where(_square(), 0.2, -0.1).astype(np.float32)
    evidence[2:5, 2:5] = 5.0
    evidence[50:60, 50:60] = 0.01
    kept = keep_sure(regions, evidence, gap=2, least=40, sure=10.0, rounded=True)
    assert (kept == _square()).all()
    assert not keep_sure(regions, evidence, gap=2, least=40, sure=10.0, rounded=False)[20:23, 27:29].any()


def _difference(level):
    return Difference(
        difference=level.astype(np.float32),
        changed=level > 1.0,
        seen=np.ones(level.shape, np.bool_),
        regions=(),
        changed_fraction=float((level > 1.0).mean()),
        replaced=level > 1.0,
    )


def _holes(evidence):
    return Holes(visible=evidence != 0, gone=evidence > 0, region=evidence > 0, evidence=evidence.astype(np.float32))


@pytest.mark.parametrize("shape", [(128, 128), (192, 256), (256, 100)])
def test_either_map_completes_the_other(shape):
    """Content tells the left half of a region alone, the tag its right half alone."""
    height, width = shape
    unit_y, unit_x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    inside = (abs(unit_y - 0.5) < 0.2) & (abs(unit_x - 0.5) < 0.25)
    plain = abs(unit_x - 0.65) < 0.15  # nothing to differ in there
    level = np.where(inside, 2.0, 0.1)
    level[plain] = 0.5
    at = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(at, at)
    gone = np.where((abs(y - 0.5) < 0.2) & (abs(x - 0.65) < 0.1), 0.4, np.where(x > 0.5, -0.4, 0.0))
    found = find_replaced(_difference(level), _holes(gone), WHOLE)
    assert max(found.shape) == 128
    rows, columns = ((np.arange(side) + 0.5) / side for side in found.shape)
    truth = (abs(rows[:, None] - 0.5) < 0.2) & (abs(columns[None] - 0.5) < 0.25)
    assert _fit(found, truth) > 0.9
    alone = find_replaced(_difference(level), _holes(np.zeros_like(gone)), WHOLE)
    assert _fit(alone, truth) < 0.85


def test_pictures_that_agree_and_hold_the_tag_have_no_outline():
    agreeing = np.full((200, 256), 0.1)
    assert not find_replaced(_difference(agreeing), _holes(np.full((GRID, GRID), -0.2)), WHOLE).any()


def test_what_lies_outside_the_tagged_frame_rests_on_content_alone():
    # The frame is the picture's left half; the tag is gone at its right edge, which must not leak beyond.
    gone = np.full((GRID, GRID), -0.3)
    gone[:, 40:] = 0.5
    half = Placement(matrix=np.array([[0.5, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    found = find_replaced(_difference(np.full((128, 128), 0.4)), _holes(gone), half)
    assert found[20:108, 46:60].mean() > 0.9
    assert not found[:, 68:].any()
