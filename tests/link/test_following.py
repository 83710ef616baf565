"""Whether a tag was moved along: told from tags at rest, whatever is read and however faintly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_pictures import jpeg, photograph

from ftforensics.attacks.warps import reenact
from ftforensics.codec.carriers import build_carriers, build_tag_planes
from ftforensics.errors import LinkError
from ftforensics.link.following import measure_following
from ftforensics.link.movement import MovementMap, measure_movement

FRAME = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def _tag(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    carriers = build_carriers(random.bytes(32), "any")
    return build_tag_planes(random.choice([-1, 1], 128).astype(np.int8), carriers, np.zeros((3, 64, 64), np.float32))


@pytest.fixture(scope="module")
def movement() -> MovementMap:
    bent = reenact(photograph(), 0.03, np.random.default_rng(3))
    found = measure_movement(bent, jpeg(photograph(), 85), np.eye(3))
    assert found is not None
    return found


def _bent(planes: np.ndarray) -> np.ndarray:
    """Planes moved along with the picture of the fixture."""
    return np.stack([reenact(plane, 0.03, np.random.default_rng(3)) for plane in planes])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.floats(0.0, 3.0))
def test_a_tag_that_was_moved_along_is_told_from_one_at_rest(movement, seed, noise):
    planes = _tag(seed)
    added = noise * np.random.default_rng(seed + 1).standard_normal(planes.shape).astype(np.float32)
    assert measure_following(_bent(planes) + added, planes, FRAME, movement) > 3.0
    assert measure_following(planes + added, planes, FRAME, movement) < -3.0


def test_where_no_tag_is_neither_is_sure(movement):
    values = []
    for seed in range(60):
        read = np.random.default_rng(seed).standard_normal((3, 64, 64)).astype(np.float32)
        values.append(measure_following(read, _tag(seed), FRAME, movement))
    assert max(values) < 3.5
    # The smaller of two such numbers lies somewhat below nothing.
    assert -1.5 < np.mean(values) < 0.0
    assert 0.5 < np.std(values) < 1.5


def test_too_little_is_told_from_nothing(movement):
    """A frame that shows but a corner of what was moved has too few cells of it."""
    speck = np.array([[40.0, 0.0, -20.0], [0.0, 40.0, -20.0]])
    assert measure_following(_tag(1), _tag(1), speck, movement) is None


def test_what_does_not_fit_is_refused(movement):
    with pytest.raises(LinkError):
        measure_following(_tag(1)[:, :32], _tag(1), FRAME, movement)
