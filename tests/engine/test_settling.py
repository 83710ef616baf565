"""A tag found in the whole of an assembled picture belongs to the panel that shows it, and to none if several do."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.codec.carriers import build_sync_carrier
from ftforensics.engine.settling import find_panel, seen_of
from ftforensics.imaging import geometry

SYNC = build_sync_carrier("ftf-1")
PANELS = [(0.0, 0.0, 0.49, 0.49), (0.51, 0.0, 1.0, 0.49), (0.0, 0.51, 0.49, 1.0), (0.51, 0.51, 1.0, 1.0)]
# The middle third of a photograph fills the first panel: its frame reaches over half of the others.
FRAME = geometry.upright((-0.49, -0.49, 0.98, 0.98))


def cells_of(panel: geometry.Rectangle, frame: geometry.Affine = FRAME) -> np.ndarray:
    return geometry.seen_cells(geometry.compose(geometry.invert(geometry.upright(panel)), frame), 64)


def make_map(rng: np.random.Generator, strengths: dict[int, float], frame: geometry.Affine = FRAME) -> np.ndarray:
    """Noise in the carrier's band, as the reader's maps are, with the carrier in the cells of some panels."""
    signs = np.sign(rng.standard_normal(SYNC.shape))
    noise = np.fft.ifft2(np.abs(np.fft.fft2(SYNC)) * np.fft.fft2(signs)).real.astype(np.float32)
    noise /= noise.std()
    for at, strength in strengths.items():
        noise += np.float32(strength) * SYNC / SYNC.std() * cells_of(PANELS[at], frame)
    return noise


def test_a_tag_belongs_to_the_panel_that_shows_it():
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert find_panel(make_map(rng, {0: 0.4}), SYNC, FRAME, PANELS) == PANELS[0]


@pytest.mark.parametrize("strengths", [dict.fromkeys(range(4), 0.4), {0: 0.4, 1: 0.4}])
def test_a_tag_that_lies_in_several_stays_where_it_was(strengths: dict[int, float]):
    rng = np.random.default_rng(2)
    assert all(find_panel(make_map(rng, strengths), SYNC, FRAME, PANELS) is None for _ in range(50))


def test_a_map_without_the_carrier_is_settled_nowhere():
    rng = np.random.default_rng(3)
    settled = [find_panel(make_map(rng, {}), SYNC, FRAME, PANELS) for _ in range(300)]
    assert sum(panel is not None for panel in settled) <= 3


def test_strength_is_in_standard_deviations_of_maps_without_the_carrier():
    rng = np.random.default_rng(4)
    seen = [seen_of(make_map(rng, {}), SYNC, cells_of(PANELS[0])) for _ in range(300)]
    assert abs(np.mean(seen)) < 0.2
    assert 0.8 < np.std(seen) < 1.25


def test_one_panel_is_no_assembled_picture():
    found = make_map(np.random.default_rng(5), {0: 1.0})
    assert find_panel(found, SYNC, FRAME, []) is None
    assert find_panel(found, SYNC, FRAME, PANELS[:1]) is None


def test_a_panel_that_the_frame_does_not_reach_does_not_count():
    frame = geometry.upright((0.0, 0.0, 0.49, 0.49))
    found = make_map(np.random.default_rng(6), {0: 1.0}, frame)
    assert find_panel(found, SYNC, frame, [PANELS[0], PANELS[3]]) is None


def test_an_empty_map_is_seen_nowhere():
    assert find_panel(np.zeros_like(SYNC), SYNC, FRAME, PANELS) is None
