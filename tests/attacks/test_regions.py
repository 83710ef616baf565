"""Masks say exactly where pixels were replaced."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.attacks import regions

Photographs = dict[str, np.ndarray]


def test_an_ellipse_has_its_area_and_place() -> None:
    mask = regions.ellipse_mask(200, 300, (0.5, 0.4), (0.2, 0.3), 0.0)
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert mask.mean() == pytest.approx(np.pi * 0.2 * 0.3, rel=0.03)
    rows, columns = np.nonzero(mask)
    assert columns.mean() == pytest.approx(150, abs=1)
    assert rows.mean() == pytest.approx(80, abs=1)


def test_a_box_has_its_edges() -> None:
    mask = regions.box_mask(100, 200, (0.25, 0.1, 0.5, 0.4), 0.0)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (10, 40, 50, 100)
    assert mask.sum() == 30 * 50


def test_feathering_softens_the_edge_and_keeps_the_mass() -> None:
    hard = regions.box_mask(100, 100, (0.3, 0.3, 0.7, 0.7), 0.0)
    soft = regions.box_mask(100, 100, (0.3, 0.3, 0.7, 0.7), 0.03)
    assert ((soft > 0.1) & (soft < 0.9)).sum() > 300
    assert soft.sum() == pytest.approx(hard.sum(), rel=0.01)
    assert soft[50, 50] == pytest.approx(1.0, abs=1e-4)


@settings(max_examples=60)
@given(st.integers(16, 200), st.integers(16, 200), st.floats(0.2, 0.6), st.integers(0, 2**32 - 1))
def test_random_masks_are_shares_of_bounded_size(height: int, width: int, largest: float, seed: int) -> None:
    mask = regions.random_mask(height, width, largest, np.random.default_rng(seed))
    assert mask.shape == (height, width)
    assert mask.dtype == np.float32
    assert mask.min() >= 0.0
    assert mask.max() <= 1.0 + 1e-6
    assert 0.0 < mask.mean() < 1.6 * largest * largest + 0.1
    np.testing.assert_array_equal(mask, regions.random_mask(height, width, largest, np.random.default_rng(seed)))


def test_a_swap_replaces_what_the_mask_says_and_nothing_else(photographs: Photographs) -> None:
    image, donor = photographs["coffee"], photographs["chelsea"]
    mask = regions.ellipse_mask(*image.shape[:2], (0.5, 0.5), (0.2, 0.3), 0.01)
    swapped, said = regions.swap_region(image, donor, mask, colour_matched=False)
    np.testing.assert_array_equal(said, mask)
    np.testing.assert_array_equal(swapped[mask == 0], image[mask == 0])
    inside = mask > 0.999
    stretched = regions.resize(donor, image.shape[1], image.shape[0])
    assert abs(swapped[inside].astype(int) - stretched[inside]).max() <= 1
    assert inside.sum() > 1000


def test_half_a_mask_mixes_halves() -> None:
    image, donor = np.full((32, 32, 3), 40, np.uint8), np.full((32, 32, 3), 200, np.uint8)
    mixed, _ = regions.swap_region(image, donor, np.full((32, 32), 0.5, np.float32), colour_matched=False)
    assert (mixed == 120).all()


def test_colour_matching_gives_the_donor_the_targets_mean(photographs: Photographs) -> None:
    image = photographs["coffee"]
    donor = regions.resize(photographs["astronaut"], image.shape[1], image.shape[0])
    mask = regions.box_mask(*image.shape[:2], (0.3, 0.3, 0.6, 0.7), 0.0)
    matched = regions.match_colour(donor, image, mask)
    inside = mask > 0.5
    gap_before = np.abs(donor[inside].mean(axis=0) - image[inside].mean(axis=0)).max()
    gap = np.abs(matched[inside].mean(axis=0) - image[inside].mean(axis=0)).max()
    assert gap < 0.35 * gap_before


def test_an_empty_mask_changes_nothing(photographs: Photographs) -> None:
    image = photographs["chelsea"]
    empty = np.zeros(image.shape[:2], dtype=np.float32)
    for swap in (regions.swap_region, regions.swap_region_poisson):
        swapped, mask = swap(image, photographs["coffee"], empty)
        np.testing.assert_array_equal(swapped, image)
        assert not mask.any()


@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.2, 0.8), (0.0, 0.0)])
def test_poisson_replaces_detail_only_inside_its_mask(centre: tuple[float, float], photographs: Photographs) -> None:
    image, donor = photographs["chelsea"], photographs["coffee"]
    mask = regions.ellipse_mask(*image.shape[:2], centre, (0.15, 0.2), 0.01)
    swapped, said = regions.swap_region_poisson(image, donor, mask)
    assert set(np.unique(said)) <= {0.0, 1.0}
    rows, columns = np.nonzero(said)
    outside = np.ones(said.shape, dtype=bool)
    outside[rows.min() - 1 : rows.max() + 2, columns.min() - 1 : columns.max() + 2] = False
    np.testing.assert_array_equal(swapped[outside], image[outside])
    # Within the bounding box colours may shift, but the picture's own detail stays where the mask says it does.
    shift = swapped.astype(np.float32) - image
    fine = np.abs(shift - cv2.blur(shift, (5, 5)))
    around = (cv2.dilate(said, np.ones((9, 9))) == 0) & (fine.max(axis=2) > 0)
    assert fine[said == 1].mean() > 4 * fine[around].mean()
    assert np.quantile(fine[around], 0.99) < 1.5
    changed = (swapped != image).any(axis=2)
    assert changed[said == 1].mean() > 0.8


def test_poisson_takes_the_donors_detail_and_the_targets_level(photographs: Photographs) -> None:
    image = np.full((120, 120, 3), 150, dtype=np.uint8)
    donor = np.ascontiguousarray(photographs["chelsea"][50:170, 100:220] // 2)
    mask = regions.box_mask(120, 120, (0.25, 0.25, 0.75, 0.75), 0.0)
    swapped, _ = regions.swap_region_poisson(image, donor, mask)
    inside = (slice(45, 75), slice(45, 75))
    detail, wanted = (np.diff(p[inside].astype(float), axis=1).ravel() for p in (swapped, donor))
    assert np.corrcoef(detail, wanted)[0, 1] > 0.9
    edge = (slice(33, 87), slice(31, 33))
    assert abs(swapped[edge].astype(float).mean() - 150) < 15


def test_a_small_donor_is_stretched(photographs: Photographs) -> None:
    image = photographs["coffee"]
    mask = regions.ellipse_mask(*image.shape[:2], (0.5, 0.5), (0.1, 0.1), 0.0)
    swapped, _ = regions.swap_region(image, photographs["chelsea"][:20, :30], mask)
    assert swapped.shape == image.shape


@pytest.mark.parametrize("seed", range(12))
def test_an_irregular_outline_lies_in_the_picture_and_within_its_size(seed: int) -> None:
    mask = regions.random_outline(90, 120, 0.5, np.random.default_rng(seed))
    assert mask.shape == (90, 120)
    assert mask.dtype == np.float32
    assert 0.0 <= mask.min() < mask.max() <= 1.0 + 1e-5
    rows, columns = np.nonzero(mask > 0.5)
    assert 5 < np.ptp(columns) <= 0.5 * 120 + 2
    assert 5 < np.ptp(rows) <= 0.5 * 90 + 2


def test_outlines_differ() -> None:
    drawn = [regions.random_outline(90, 120, 0.5, np.random.default_rng(seed)) for seed in range(4)]
    assert all(not np.array_equal(drawn[0], other) for other in drawn[1:])


def test_a_lobed_region_is_a_disc_without_lobes_and_wavy_with_them() -> None:
    disc = regions.lobed_mask(120, 120, (0.5, 0.5), 0.25, np.zeros((2, 2), np.float32), 0.0)
    assert disc.sum() == pytest.approx(np.pi * 30**2, rel=0.05)
    wavy = regions.lobed_mask(120, 120, (0.5, 0.5), 0.25, np.array([[0, 0], [0, 0], [0.4, 0]], np.float32), 0.0)
    (contour,), _ = cv2.findContours(wavy.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    assert cv2.contourArea(cv2.convexHull(contour)) > 1.15 * cv2.contourArea(contour)
    soft = regions.lobed_mask(120, 120, (0.5, 0.5), 0.25, np.zeros((2, 2), np.float32), 0.02)
    assert ((soft > 0.1) & (soft < 0.9)).any()
