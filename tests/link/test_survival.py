import cv2
import numpy as np
import pytest

from ftforensics.errors import LinkError
from ftforensics.link.survival import ODDS_WEIGHT, build_survival, find_holes, measure_error, measure_level, summarise

GRID = 64


def _tag(seed=0):
    """A band-limited pattern of unit variance, like a re-encoded tag."""
    noise = np.random.default_rng(seed).normal(size=(3, GRID, GRID)).astype(np.float32)
    band = np.stack([cv2.GaussianBlur(p, (0, 0), 0.9) - cv2.GaussianBlur(p, (0, 0), 4) for p in noise])
    return (band / band.std()).astype(np.float32)


def _read(tag, noise, seed=1):
    return (tag + noise * _tag(seed + 100)).astype(np.float32)


def _hole():
    mask = np.zeros((GRID, GRID), np.bool_)
    mask[18:44, 22:46] = True
    return mask


def _apart(region):
    """A region and what lies around it, without the three cells at its edge over which the map's window leaks."""
    kernel = np.ones((7, 7), np.uint8)
    part = region.astype(np.uint8)
    return cv2.erode(part, kernel) > 0, cv2.dilate(part, kernel) == 0


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_the_tag_is_present_where_it_was_left(noise):
    tag = _tag()
    survival = build_survival(_read(tag, noise), tag)
    assert summarise(survival).surviving_fraction > 0.9
    assert summarise(survival).inside is None


@pytest.mark.parametrize("noise", [0.3, 1.0, 1.5])
def test_a_replaced_region_is_a_hole_in_the_map(noise):
    tag, hole = _tag(), _hole()
    residual = _read(tag * ~hole, noise)
    inside, outside = (measure_level(residual, tag, part) for part in _apart(hole))
    assert inside < 0.2
    assert inside < 0.35 * outside
    assert summarise(build_survival(residual, tag)).surviving_fraction < 0.95


def test_a_tag_put_on_afterwards_is_as_strong_inside():
    tag = _tag()
    inside, outside = (measure_level(_read(tag, 1.0), tag, part) for part in _apart(_hole()))
    assert inside > 0.85 * outside


def test_another_tag_and_plain_noise_do_not_survive():
    tag = _tag()
    for residual in (_tag(9), np.random.default_rng(4).normal(size=tag.shape).astype(np.float32), np.zeros_like(tag)):
        assert summarise(build_survival(residual, tag)).surviving_fraction < 0.08


def test_strength_of_the_reading_does_not_matter():
    tag = _tag()
    residual = _read(tag, 1.0)
    weak = build_survival(residual * 1e-3, tag)
    assert np.allclose(weak.correlation, build_survival(residual, tag).correlation, atol=1e-4)


def test_what_the_suspect_does_not_show_is_left_out():
    tag = _tag()
    seen = np.zeros((GRID, GRID), np.bool_)
    seen[:, :32] = True
    residual = _read(tag * seen, 0.3)
    survival = build_survival(residual, tag)
    assert summarise(survival, seen).surviving_fraction > 0.9
    assert summarise(survival).surviving_fraction < 0.7


@pytest.mark.parametrize(
    "residual",
    [
        np.zeros((3, 32, 32), np.float32),
        np.zeros((1, GRID, GRID), np.float32),
        np.zeros((3, GRID, 32), np.float32),
        np.full((3, GRID, GRID), np.nan, np.float32),
    ],
)
def test_maps_that_do_not_fit_are_refused(residual):
    with pytest.raises(LinkError):
        build_survival(residual, _tag())


def test_masks_that_do_not_fit_are_refused():
    survival = build_survival(_tag(), _tag())
    with pytest.raises(LinkError):
        summarise(survival, np.zeros((8, 8), np.bool_))


@pytest.mark.parametrize("side", [8, 16, 40])
def test_the_level_of_a_region_and_how_far_other_tags_reach(side):
    tag = _tag()
    region = np.zeros((GRID, GRID), np.bool_)
    region[12 : 12 + side, 16 : 16 + side] = True
    level, error = measure_level(_read(tag, 1.0), tag, region), measure_error(_read(tag, 1.0), tag, region)
    assert level > 0.5
    # Tags that were never there scatter as the displaced copies of this one say.
    others = [measure_level(_read(tag, 1.0), _tag(seed), region) for seed in range(200, 230)]
    assert 0.6 < np.std(others) / error < 1.6
    assert error < 0.25 * level


def test_a_small_regions_level_is_less_sure_than_a_large_ones():
    tag, large, small = _tag(), np.ones((GRID, GRID), np.bool_), np.zeros((GRID, GRID), np.bool_)
    small[30:38, 30:38] = True
    residual = _read(tag, 1.0)
    assert measure_error(residual, tag, small) > 3.0 * measure_error(residual, tag, large)


@pytest.mark.parametrize("region", [np.zeros((GRID, GRID), np.bool_), np.ones((GRID, 8), np.bool_)])
def test_a_region_that_cannot_be_measured_is_refused(region):
    with pytest.raises(LinkError, match="cannot be measured"):
        measure_level(_tag(), _tag(), region)
    with pytest.raises(LinkError, match="cannot be measured"):
        measure_error(_tag(), _tag(), region)


def _busy():
    mask = np.zeros((GRID, GRID), np.bool_)
    mask[:, :20] = True
    return mask


def _reading(tag, present, noise, seed):
    """A residual that holds the tag where it is present and can be seen: never in the busy part."""
    return (tag * present * ~_busy() + noise * _tag(seed)).astype(np.float32)


@pytest.mark.parametrize("noise", [0.3, 0.8, 1.5])
def test_where_the_source_shows_no_tag_either_there_is_no_hole(noise):
    tag = _tag()
    source = build_survival(_reading(tag, True, 0.5, 100), tag)
    holes = find_holes(build_survival(_reading(tag, True, noise, 200), tag), source)
    assert (holes.visible & _busy())[:, :14].mean() < 0.01
    assert holes.gone.mean() < 0.03
    summary = summarise(build_survival(_reading(tag, True, noise, 200), tag), None, holes)
    assert summary.surviving_fraction > 0.96
    assert summary.visible_fraction == pytest.approx(holes.visible.mean())


@pytest.mark.parametrize("noise", [0.3, 0.8])
def test_a_replaced_region_is_a_hole_where_it_can_be_seen(noise):
    tag, hole = _tag(), _hole()
    source = build_survival(_reading(tag, True, 0.5, 100), tag)
    survival = build_survival(_reading(tag, ~hole, noise, 200), tag)
    holes = find_holes(survival, source)
    overlap = (holes.gone & hole).sum() / (holes.gone | hole).sum()
    assert overlap > 0.5
    assert summarise(survival, None, holes).surviving_fraction < 0.9


def test_the_outline_is_the_hole_even_where_part_of_it_could_not_be_seen():
    tag, hole = _tag(), _hole()
    hole[18:44, 14:46] = True  # reaches into the busy part, where no tag ever shows
    source = build_survival(_reading(tag, True, 0.5, 100), tag)
    holes = find_holes(build_survival(_reading(tag, ~hole, 0.8, 200), tag), source)
    assert 2.0 * (holes.region & hole).sum() / (holes.region.sum() + hole.sum()) > 0.78
    assert (holes.region & hole & ~holes.visible).any()
    assert not holes.region[:, 52:].any()


@pytest.mark.parametrize(("noise", "most"), [(0.3, 0.0), (0.8, 0.0), (1.5, 0.04)])
def test_an_untouched_picture_is_hardly_outlined_not_even_where_nothing_shows(noise, most):
    tag = _tag()
    source = build_survival(_reading(tag, True, 0.5, 100), tag)
    drawn = [
        find_holes(build_survival(_reading(tag, True, noise, seed), tag), source).region.mean()
        for seed in (200, 300, 400, 500, 600)
    ]
    assert np.mean(drawn) <= most


def test_a_tag_that_is_weak_everywhere_is_seen_nowhere_and_gone_nowhere():
    tag = _tag()
    source = build_survival(_read(tag, 0.5), tag)
    for residual in (_tag(9), np.zeros_like(tag)):
        holes = find_holes(build_survival(residual, tag), source)
        assert holes.visible.mean() < 0.1
        assert not holes.region.any()
        assert not (holes.gone & ~holes.visible).any()


@pytest.mark.parametrize(("noise", "most"), [(1.8, 0.0), (2.2, 0.03), (3.0, 0.05), (3.5, 0.08)])
def test_a_tag_that_is_weak_everywhere_is_hardly_outlined(noise, most):
    tag = _tag()
    source = build_survival(_read(tag, 0.3, seed=5), tag)
    outlined = [
        find_holes(build_survival(_read(tag, noise, seed=seed), tag), source).region.mean() for seed in range(10, 16)
    ]
    assert np.mean(outlined) <= most


def test_every_part_of_the_outline_is_in_part_gone():
    tag, hole = _tag(), _hole()
    source = build_survival(_read(tag, 0.3, seed=5), tag)
    for noise in (0.5, 1.0, 1.5, 2.0, 2.5):
        holes = find_holes(build_survival(_read(tag * ~hole, noise, seed=7), tag), source)
        count, parts = cv2.connectedComponents(holes.region.astype(np.uint8))
        assert all(holes.gone[parts == number].mean() >= 0.015 for number in range(1, count))


def test_what_is_not_in_view_is_no_hole():
    tag, seen = _tag(), np.zeros((GRID, GRID), np.bool_)
    seen[:, 32:] = True
    source = build_survival(_read(tag, 0.5), tag)
    holes = find_holes(build_survival(_read(tag * seen, 0.3), tag), source, seen)
    assert not holes.gone[:, :32].any()
    assert not holes.visible[:, :32].any()
    assert holes.gone.mean() < 0.02
    assert not holes.region.any()


def test_holes_of_maps_that_do_not_fit_are_refused():
    tag = _tag()
    survival = build_survival(tag, tag)
    with pytest.raises(LinkError, match="do not fit"):
        find_holes(survival, build_survival(tag[:, :32, :32], tag[:, :32, :32]))


def test_a_localisers_odds_are_the_outline():
    tag, hole = _tag(), _hole()
    survival, source = (
        build_survival(_reading(tag, True, 0.3, 200), tag),
        build_survival(_reading(tag, True, 0.5, 1), tag),
    )
    odds = np.where(hole, 3.0, -3.0).astype(np.float32)
    odds[2, 60], odds[60:62, 2:4] = 50.0, 50.0  # no speck is a region, however sure
    holes = find_holes(survival, source, None, odds)
    assert (holes.region & hole).sum() > 0.97 * hole.sum()
    assert (holes.region & ~hole).sum() < 0.03 * hole.sum()
    assert holes.evidence.max() <= 6.0 * ODDS_WEIGHT
    # What is measured does not follow the odds.
    assert np.array_equal(holes.gone, find_holes(survival, source).gone)
    assert not find_holes(survival, source, None, -np.abs(odds)).region.any()


def test_odds_count_only_where_the_frame_is_seen():
    tag, hole = _tag(), _hole()
    seen = np.ones_like(hole)
    seen[:, 30:] = False
    survival = build_survival(_read(tag, 0.3), tag)
    holes = find_holes(survival, survival, seen, np.where(hole, 4.0, -4.0).astype(np.float32))
    assert not (holes.region & ~seen).any()
    assert not holes.evidence[~seen].any()
    with pytest.raises(LinkError, match="do not fit together"):
        find_holes(survival, survival, seen, np.zeros((32, 32), np.float32))
