"""Displacements within a lined-up picture: found as they were made, and nothing found where nothing was moved."""

import cv2
import numpy as np
import pytest
from link_pictures import jpeg, mirror, paste, photograph, resize

from ftforensics.attacks.warps import reenact
from ftforensics.link.agreement import align
from ftforensics.link.movement import MovementMap, measure_movement
from ftforensics.link.placement import Placement

GRID = 64
WHOLE = np.eye(3)


def _ramp(pixels: np.ndarray) -> np.ndarray:
    """Each pixel's own place, so that a manipulation shows where it took every pixel from."""
    height, width = pixels.shape[:2]
    return np.stack(np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height), -1)


def _bend(pixels: np.ndarray, shift: float = 0.03, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A bent picture, and where in the straight one each of its pixels comes from (unit coordinates)."""
    taken_from = reenact(_ramp(pixels).astype(np.float32), shift, np.random.default_rng(seed))
    return reenact(pixels, shift, np.random.default_rng(seed)), taken_from


def _preview(pixels: np.ndarray) -> np.ndarray:
    return jpeg(resize(pixels, 512), 85)


def _found(suspect: np.ndarray, source: np.ndarray, matrix: np.ndarray = WHOLE) -> MovementMap:
    found = measure_movement(suspect, _preview(source), matrix)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
@pytest.mark.parametrize("quality", [95, 50])
def test_a_smooth_displacement_is_found_as_it_was_made(name, quality):
    bent, taken_from = _bend(photograph(name))
    found = _found(jpeg(bent, quality), photograph(name))
    places = _ramp(bent)
    error = np.linalg.norm(found.to_source(places) - taken_from, axis=-1)
    moved = cv2.resize(found.moved.astype(np.uint8), bent.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    truth = np.linalg.norm(taken_from - places, axis=-1)
    assert moved.mean() > 0.4
    assert np.median(error[moved]) < 0.005 < 0.01 < np.median(truth[moved])
    # Smoothing takes something off the farthest ones.
    assert found.shift == pytest.approx(np.quantile(truth[moved], 0.95), rel=0.35)
    assert found.agreement.share > 0.8


def test_there_and_back_is_the_same_place():
    found = _found(_bend(photograph())[0], photograph())
    inner = _ramp(np.zeros((40, 40, 3)))[8:-8, 8:-8]
    assert np.abs(found.to_source(found.to_suspect(inner)) - inner).max() < 0.003


HARMLESS = {
    "untouched": lambda p: p,
    "jpeg 30": lambda p: jpeg(p, 30),
    "256 px jpeg 50": lambda p: jpeg(resize(p, 256), 50),
    "blurred": lambda p: np.asarray(cv2.GaussianBlur(p, (0, 0), 1.5), np.uint8),
    "darker": lambda p: np.asarray(p * 0.6, np.uint8),
    "pasted": lambda p: paste(p, photograph("chelsea"), (0.42, 0.25), (0.14, 0.19))[0],
    "bent by a hair": lambda p: _bend(p, 0.003)[0],
}


@pytest.mark.parametrize("change", HARMLESS)
def test_nothing_is_found_where_nothing_was_moved(change):
    suspect = HARMLESS[change](photograph())
    assert measure_movement(suspect, _preview(photograph()), WHOLE) is None


def test_another_picture_is_not_explained_as_a_moved_one():
    found = measure_movement(photograph("chelsea"), _preview(photograph("coffee")), WHOLE)
    assert found is None or found.agreement.share < 0.3


def test_a_paste_in_a_bent_picture_does_not_count_as_moved():
    bent = _bend(photograph())[0]
    fake, mask = paste(bent, photograph("chelsea"), (0.5, 0.5), (0.2, 0.25))
    found = _found(fake, photograph())
    pasted = cv2.resize(mask.astype(np.uint8), found.moved.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    core = cv2.erode(pasted.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    assert found.moved[core].mean() < 0.2 < found.moved[~pasted].mean()


def test_in_a_mirrored_crop_places_are_those_of_the_source():
    bent, taken_from = _bend(photograph())
    suspect = mirror(bent[64:448, 96:480])
    wide, tall = 384 / 512, 384 / 512
    matrix = np.array([[-1 / wide, 0.0, 1 + 96 / 512 / wide], [0.0, 1 / tall, -64 / 512 / tall], [0.0, 0.0, 1.0]])
    found = _found(suspect, photograph(), matrix)
    truth = mirror(taken_from[64:448, 96:480])
    error = np.linalg.norm(found.to_source(_ramp(suspect)) - truth, axis=-1)
    moved = cv2.resize(found.moved.astype(np.uint8), suspect.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    assert np.median(error[moved]) < 0.004
    seen = found.shows(GRID)
    assert seen[GRID // 2, GRID // 2]
    assert not seen[:, 0].any()
    assert seen.mean() == pytest.approx(wide * tall, abs=0.05)


def test_the_straightened_view_is_the_source():
    bent = _bend(photograph())[0]
    found = _found(bent, photograph())
    wanted = cv2.resize(photograph(), (128, 128), interpolation=cv2.INTER_AREA).astype(np.float32)
    crooked = cv2.resize(bent, (128, 128), interpolation=cv2.INTER_AREA).astype(np.float32)
    inner = np.s_[8:-8, 8:-8]
    straight = found.straighten(bent, 128).astype(np.float32)
    assert np.abs(straight - wanted)[inner].mean() < 0.4 * np.abs(crooked - wanted)[inner].mean()


def test_maps_over_the_source_are_carried_along():
    bent = _bend(photograph())[0]
    found = _found(bent, photograph())
    mask = np.zeros((512, 512), np.uint8)
    cv2.circle(mask, (256, 200), 90, 1, -1)
    truth = reenact(mask.astype(np.float32), 0.03, np.random.default_rng(3)) > 0.5
    over_source = cv2.resize(mask, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    carried = Placement(matrix=WHOLE, movement=found).carry(over_source, (512, 512)) > 0.5
    still = Placement(matrix=WHOLE).carry(over_source, (512, 512)) > 0.5
    assert (carried ^ truth).sum() < 0.5 * (still ^ truth).sum()
    back = found.pull_to_source(truth, GRID)
    assert (back ^ (over_source > 0.5)).mean() < 0.01
    assert Placement(matrix=WHOLE, movement=found).covers((64, 64)).mean() > 0.9


@pytest.mark.parametrize("shape", [(8, 256), (12, 256), (23, 400), (300, 14), (1024, 64)])
def test_very_narrow_pictures_are_left_alone(shape):
    """OpenCV's flow ends the process on windows that it has no room for."""
    picture = np.ascontiguousarray(np.resize(photograph(), (*shape, 3)))
    found = measure_movement(np.roll(picture, 2, axis=1), picture, WHOLE)
    assert found is None or min(found.moved.shape) >= 24


def test_what_comes_from_beyond_the_frame_is_not_compared():
    bent = _bend(photograph(), 0.05)[0][70:-70, 70:-70]
    source = photograph()[70:-70, 70:-70]
    found = _found(bent, source)
    aligned = align(bent, _preview(source), WHOLE)
    height, width = found.moved.shape
    places = _ramp(np.zeros((height, width))) + found.offsets
    beyond = ((places < 0.0) | (places > 1.0)).any(axis=-1)
    assert beyond.any()
    assert not (found.undo(aligned).seen & beyond).any()
