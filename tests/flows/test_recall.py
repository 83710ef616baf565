"""Where a record's source lies in a picture that is to be read beside it."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from newsroom import TAGGED_AT, Newsroom

from ftforensics.attacks import regions
from ftforensics.cli.opening import warn_about_unsearched_parts
from ftforensics.cli.output import Output
from ftforensics.flows import sources
from ftforensics.flows.frames import follow
from ftforensics.flows.recall import confine, find_frame, find_panel, keep_best, see_within
from ftforensics.flows.sources import Sources
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import fit_within
from ftforensics.link import fingerprint, register
from ftforensics.link.features import Features, detect_features
from ftforensics.store.registry import Registry
from ftforensics.trust.trustlist import TrustList

Photographs = dict[str, np.ndarray]


def crop(picture: np.ndarray) -> tuple[np.ndarray, geometry.Affine]:
    """Half of each side, and the frame of the whole in it."""
    height, width = picture.shape[:2]
    y, x = height // 5, width // 4
    frame = np.array([[2.0, 0.0, -2.0 * x / width], [0.0, 2.0, -2.0 * y / height]])
    return np.ascontiguousarray(picture[y : y + height // 2, x : x + width // 2]), frame


def attempt_of(source: np.ndarray, picture: np.ndarray) -> register.Attempt:
    kept = fingerprint.build(source)
    return register.attempt(picture, fingerprint.decode_preview(kept.preview), kept.descriptors)


def unwanted() -> register.Attempt:
    raise AssertionError("registered without need")


def test_a_source_that_looks_alike_is_placed_by_its_features(photographs: Photographs) -> None:
    picture, true = crop(photographs["astronaut"])
    # Where the tag was seen is a little off, as found frames are.
    seen = true + np.array([[0.02, 0.0, -0.01], [0.0, -0.02, 0.01]])
    preview = fit_within(photographs["astronaut"], 512)
    found = find_frame(picture, preview, seen, partial(attempt_of, photographs["astronaut"], picture))
    assert found is not None
    assert found[1] == geometry.WHOLE
    assert np.abs(found[0] - true).max() < 0.01


@pytest.mark.parametrize("other", ["chelsea", "coffee", "rocket"])
def test_no_more_is_spent_on_another_photograph(other: str, photographs: Photographs) -> None:
    picture, frame = crop(photographs["astronaut"])
    assert find_frame(picture, fit_within(photographs[other], 512), frame, unwanted) is None


def test_nor_where_the_tag_was_not(photographs: Photographs) -> None:
    picture, _ = crop(photographs["astronaut"])
    preview = fit_within(photographs["astronaut"], 512)
    assert (
        find_frame(picture, preview, geometry.about_centre(scale_x=1.3, scale_y=1.3, angle_deg=90.0), unwanted) is None
    )


def test_what_shows_too_few_features_is_taken_as_it_lies(photographs: Photographs) -> None:
    nothing = register.Attempt(
        registration=None, reason="few_suspect_features", suspect_features=3, source_features=300
    )
    picture, preview = photographs["coffee"], fit_within(photographs["coffee"], 512)
    found = find_frame(picture, preview, geometry.IDENTITY, lambda: nothing)
    assert found is not None
    assert np.array_equal(found[0], geometry.IDENTITY)
    # A crop does not lie so.
    small, true = crop(picture)
    assert find_frame(small, preview, true, lambda: nothing) is None


def test_a_fit_that_does_not_confirm_places_all_the_same(photographs: Photographs) -> None:
    """Half of the picture is another: not enough for a registration, though no chance fits so many features."""
    picture = photographs["astronaut"]
    mask = regions.box_mask(*picture.shape[:2], (0.0, 0.0, 1.0, 0.62), 0.0)
    fake = regions.swap_region(picture, photographs["coffee"], mask, colour_matched=False)[0]
    attempt = attempt_of(picture, fake)
    assert attempt.registration is None
    assert attempt.reason == "not_confirmed"
    found = find_frame(fake, fit_within(picture, 512), geometry.IDENTITY, lambda: attempt)
    assert found is not None
    assert np.abs(found[0] - geometry.IDENTITY).max() < 0.01


def test_a_registry_is_searched_for_parts_unless_it_is_too_large(
    newsroom: Newsroom, photographs: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspect = detect_features(crop(photographs["coffee"])[0])
    said = io.StringIO()
    with Registry.open(newsroom.home / "registry.sqlite") as registry:
        (first, *_) = Sources([registry], TrustList(), TAGGED_AT).near_parts(lambda: suspect, limit=4)
        assert first.tag_id == newsroom.rows["coffee.webp"]["tag_id"]
        warn_about_unsearched_parts(Output(stderr=said), [registry])
        assert said.getvalue() == ""
        monkeypatch.setattr(sources, "MOST_INDEXED", 2)
        assert Sources([registry], TrustList(), TAGGED_AT).near_parts(unwanted_features, limit=4) == []
        warn_about_unsearched_parts(Output(stderr=said), [registry])
    assert "more than 2 records" in said.getvalue()
    assert "registry.sqlite" in said.getvalue()


def unwanted_features() -> Features:
    raise AssertionError("features were detected although there is nothing to compare them with")


LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def beside_another(photographs: Photographs) -> np.ndarray:
    """A crop of the astronaut, whose frame reaches far to both sides, and another photograph to the right of it."""
    part, _ = crop(photographs["astronaut"])
    other = np.ascontiguousarray(photographs["chelsea"][: part.shape[0], : part.shape[1]])
    return np.concatenate([part, other], axis=1)


def seen_within(source: np.ndarray, picture: np.ndarray, panels: list[geometry.Rectangle]) -> geometry.Rectangle:
    attempt = attempt_of(source, picture)
    assert attempt.matrix is not None
    return see_within(picture, fit_within(source, 512), follow(attempt.matrix), find_panel(attempt, panels))


def test_a_source_is_seen_in_the_panel_that_its_features_lie_in(photographs: Photographs) -> None:
    sheet = beside_another(photographs)
    assert seen_within(photographs["astronaut"], sheet, [RIGHT, LEFT]) == LEFT
    assert seen_within(photographs["astronaut"], sheet, []) == geometry.WHOLE


def test_a_nominated_source_is_seen_in_its_panel_too(photographs: Photographs) -> None:
    sheet, source = beside_another(photographs), photographs["astronaut"]
    attempt = attempt_of(source, sheet)
    assert attempt.matrix is not None
    found = find_frame(sheet, fit_within(source, 512), follow(attempt.matrix), lambda: attempt, [LEFT, RIGHT])
    assert found is not None
    assert found[1] == LEFT


@pytest.mark.parametrize("part", ["all of it", "most of it"])
def test_a_photograph_that_was_cut_into_panels_by_mistake_is_seen_whole(part: str, photographs: Photographs) -> None:
    """A sky without a feature above a picture: all features lie below, where a cut may go."""
    below = photographs["chelsea"]
    shade = np.linspace(190, 215, 150)[:, None, None] + np.random.default_rng(1).normal(
        0, 1.0, (150, below.shape[1], 3)
    )
    source = np.concatenate([np.clip(shade, 0, 255).astype(np.uint8), below])
    picture = source if part == "all of it" else np.ascontiguousarray(source[40:-60, 50:-70])
    horizon = (150 if part == "all of it" else 110) / picture.shape[0]
    panels = [(0.0, horizon, 1.0, 1.0), (0.0, 0.0, 1.0, horizon)]
    assert find_panel(attempt_of(source, picture), panels) == panels[0]
    assert seen_within(source, picture, panels) == geometry.WHOLE


def test_nor_where_a_part_beyond_a_mistaken_panel_was_replaced(photographs: Photographs) -> None:
    source = photographs["coffee"]
    mask = regions.box_mask(*source.shape[:2], (0.5, 0.0, 1.0, 0.55), 0.0)
    fake = regions.swap_region(source, photographs["chelsea"], mask, colour_matched=False)[0]
    frame, preview = geometry.IDENTITY, fit_within(source, 512)
    assert see_within(fake, preview, frame, LEFT) == geometry.WHOLE
    # All beyond it is another picture: the panel is one.
    other = regions.box_mask(*source.shape[:2], (0.5, 0.0, 1.0, 1.0), 0.0)
    sheet = regions.swap_region(source, photographs["chelsea"], other, colour_matched=False)[0]
    assert see_within(sheet, preview, frame, LEFT) == LEFT


def test_a_tag_read_in_a_panel_is_of_the_whole_where_more_of_its_source_is_seen(photographs: Photographs) -> None:
    source = photographs["coffee"]
    frame, preview = geometry.IDENTITY, fit_within(source, 512)
    assert confine(source, preview, frame, [LEFT]) == geometry.WHOLE
    mask = regions.box_mask(*source.shape[:2], (0.55, 0.1, 0.95, 0.7), 0.0)
    fake = regions.swap_region(source, photographs["chelsea"], mask, colour_matched=False)[0]
    assert confine(fake, preview, frame, [LEFT]) == geometry.WHOLE


@pytest.mark.parametrize("name", ["coffee", "astronaut", "rocket"])
@pytest.mark.parametrize("share", [0.5, 0.75, 0.95, 1.0])
def test_a_tag_read_in_a_panel_of_an_assembled_picture_is_of_that_panel(
    share: float, name: str, photographs: Photographs
) -> None:
    """A part of a photograph, whose frame reaches into the panel beside it."""
    source, other = photographs[name], photographs["chelsea"]
    height, width = (int(share * side) for side in source.shape[:2])
    left = fit_within(np.ascontiguousarray(source[:height, :width]), 400)
    right = cv2.resize(other, (left.shape[1], left.shape[0]), interpolation=cv2.INTER_AREA)
    sheet = np.concatenate([left, right], axis=1)
    frame = geometry.upright((0.0, 0.0, 0.5 / share, 1.0 / share))
    assert confine(sheet, fit_within(source, 512), frame, [LEFT]) == LEFT


def test_of_several_panels_the_one_in_which_a_source_fits_best_is_kept(photographs: Photographs) -> None:
    source = photographs["astronaut"]
    whole, small = attempt_of(source, source), attempt_of(source, crop(source)[0])
    mask = regions.box_mask(*source.shape[:2], (0.0, 0.0, 1.0, 0.62), 0.0)
    doubtful = attempt_of(source, regions.swap_region(source, photographs["coffee"], mask, colour_matched=False)[0])
    assert doubtful.registration is None
    assert doubtful.matrix is not None
    assert small.registration is not None
    assert whole.inliers > small.inliers
    placed = [("a", doubtful), ("b", whole), ("a", small), ("b", small)]
    assert keep_best(placed, lambda one: one[0], lambda one: one[1]) == [("a", small), ("b", whole)]
    # More features that agree do not outweigh a confirmation.
    many = replace(doubtful, inliers=whole.inliers + 1)
    assert keep_best([("a", many), ("a", small)], lambda one: one[0], lambda one: one[1]) == [("a", small)]


def test_a_picture_that_fits_nowhere_is_in_no_panel(photographs: Photographs) -> None:
    attempt = attempt_of(photographs["coffee"], photographs["chelsea"])
    assert attempt.matched is None
    assert find_panel(attempt, [LEFT, RIGHT]) is None
