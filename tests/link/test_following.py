"""Whether a tag was moved along: told from tags at rest, whatever is read, and never from nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_pictures import jpeg, mirror, photograph

from ftforensics.attacks.warps import reenact
from ftforensics.codec.carriers import build_carriers, build_tag_planes
from ftforensics.errors import LinkError
from ftforensics.imaging import geometry
from ftforensics.link.following import measure_following
from ftforensics.link.movement import MovementMap, measure_movement

FRAME = geometry.IDENTITY
SEED = 3


def _tag(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    carriers = build_carriers(random.bytes(32), "any")
    return build_tag_planes(random.choice([-1, 1], 128).astype(np.int8), carriers, np.zeros((3, 64, 64), np.float32))


def _disc(side: int, share: float) -> np.ndarray:
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32) / side
    return np.clip(5.0 * (1.0 - np.hypot(columns - 0.45, rows - 0.4) / share), 0.0, 1.0).astype(np.float32)


def _bend(pixels: np.ndarray, part: str) -> np.ndarray:
    """All over by 3 %, or a disc in it by 5 %."""
    if part == "all":
        return reenact(pixels, 0.03, np.random.default_rng(SEED))
    return reenact(pixels, 0.05, np.random.default_rng(SEED), _disc(pixels.shape[0], 0.3))


def _found(suspect: np.ndarray, matrix: np.ndarray) -> MovementMap:
    found = measure_movement(suspect, jpeg(photograph(), 85), matrix)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def movements() -> dict[str, MovementMap]:
    return {part: _found(_bend(photograph(), part), np.eye(3)) for part in ("all", "disc")}


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.floats(0.0, 1.5))
@pytest.mark.parametrize("part", ["all", "disc"])
def test_a_tag_that_was_moved_along_is_told_from_one_at_rest(movements, part, seed, noise):
    planes = _tag(seed)
    added = noise * np.random.default_rng(seed + 1).standard_normal(planes.shape).astype(np.float32)
    bent = np.stack([_bend(plane, part) for plane in planes])
    assert measure_following(bent + added, planes, FRAME, movements[part]) > 3.0
    assert measure_following(planes + added, planes, FRAME, movements[part]) < -3.0


@pytest.mark.parametrize("part", ["all", "disc"])
@pytest.mark.parametrize("read", ["noise", "another tag"])
def test_where_no_tag_is_neither_is_sure(movements, part, read):
    values = []
    for seed in range(80):
        map_ = np.random.default_rng(seed).standard_normal((3, 64, 64)).astype(np.float32)
        map_ = map_ if read == "noise" else _tag(seed + 1000) + 0.3 * map_
        values.append(measure_following(map_, _tag(seed), FRAME, movements[part]))
    # The least of three such numbers lies somewhat below nothing.
    assert -1.5 < np.mean(values) < 0.1
    assert 0.5 < np.std(values) < 1.3
    assert np.mean(np.abs(values) >= 3.0) < 0.05


def test_a_tag_missing_from_what_was_moved_is_neither(movements):
    """A face that was made anew, and moved: its tag is gone, and around it the tag is whole."""
    gone = 1.0 - _disc(64, 0.3)
    values = []
    for seed in range(60):
        planes, noise = _tag(seed), np.random.default_rng(seed).standard_normal((3, 64, 64)).astype(np.float32)
        values.append(measure_following(planes * gone + noise, planes, FRAME, movements["disc"]))
    assert np.mean(np.abs(values) >= 3.0) < 0.05


@pytest.mark.parametrize("cells", [0.5, 0.8])
def test_a_late_tag_that_was_read_where_the_content_lies_is_still_at_rest(movements, cells):
    """Most content was shifted as a whole, so that the frame of the content is not the tag's own."""
    planes, shift = _tag(5), cells / 64
    frame = np.array([[1.0, 0.0, shift], [0.0, 1.0, 0.0]])
    at = np.stack(np.meshgrid(*[(np.arange(64) + 0.5) / 64] * 2), axis=-1)
    lined_up = movements["disc"]
    moved = MovementMap(
        matrix=geometry.homogeneous(frame),
        offsets=lined_up.offsets - np.float32([shift, 0.0]) * lined_up.moved[..., None],
        undone=lined_up.undone,
        moved=lined_up.moved,
        seen=lined_up.seen,
        agreement=lined_up.agreement,
        correlation=lined_up.correlation,
        weight=lined_up.weight,
    )
    read = np.stack([np.roll(plane, 0, axis=1) for plane in planes])
    columns = np.clip((at[..., 0] + shift) * 64 - 0.5, 0, 63)
    left = np.floor(columns).astype(int)
    share = (columns - left).astype(np.float32)
    rows = np.arange(64)[:, None]
    read = (1 - share) * read[:, rows, left] + share * read[:, rows, np.minimum(left + 1, 63)]
    assert measure_following(read.astype(np.float32), planes, frame, moved) < 1.0


def test_in_a_mirrored_crop_it_is_told_as_well():
    suspect = mirror(_bend(photograph(), "all")[64:448, 96:480])
    share = 384 / 512
    matrix = np.array([[-1 / share, 0.0, 1 + 96 / 512 / share], [0.0, 1 / share, -64 / 512 / share], [0.0, 0.0, 1.0]])
    found, planes = _found(suspect, matrix), _tag(2)
    bent = np.stack([_bend(plane, "all") for plane in planes])
    seen = geometry.seen_cells(matrix[:2], 64)
    assert measure_following(bent * seen, planes, matrix[:2], found) > 3.0
    assert measure_following(planes * seen, planes, matrix[:2], found) < -3.0


def test_too_little_is_told_from_nothing(movements):
    """A frame that shows but a corner of what was moved has too few cells of it."""
    speck = np.array([[40.0, 0.0, -20.0], [0.0, 40.0, -20.0]])
    assert measure_following(_tag(1), _tag(1), speck, movements["all"]) is None


def test_what_does_not_fit_is_refused(movements):
    with pytest.raises(LinkError):
        measure_following(_tag(1)[:, :32], _tag(1), FRAME, movements["all"])
