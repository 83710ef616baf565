"""Which pictures are trained on, how often, and which are held out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftforensics.errors import EvidenceUnreadable
from ftforensics.train.data import FOLDER_WEIGHTS, load_pictures, random_view


def test_the_last_15_percent_of_each_folder_are_held_out(images: Path) -> None:
    train, held_out = load_pictures(images, "train"), load_pictures(images, "validation")
    assert held_out.names == ("plain/006.png", "portraits/017.png", "portraits/018.png", "portraits/019.png")
    assert len(train.names) == 23
    assert not set(train.names) & set(held_out.names)


def test_folders_are_drawn_by_importance_and_not_by_number(images: Path) -> None:
    train = load_pictures(images, "train")
    assert train.weights.sum() == pytest.approx(1.0)
    by_folder = {
        folder: sum(w for w, name in zip(train.weights, train.names, strict=True) if name.startswith(folder))
        for folder in ("portraits", "plain")
    }
    expected = FOLDER_WEIGHTS["portraits"] / FOLDER_WEIGHTS["plain"]
    assert by_folder["portraits"] / by_folder["plain"] == pytest.approx(expected)


def test_pictures_are_rgb_and_bounded(images: Path) -> None:
    train = load_pictures(images, "train", max_px=64)
    assert all(max(image.shape[:2]) == 64 and image.dtype == np.uint8 for image in train.images)
    name = images / train.names[0]
    full = load_pictures(images, "train").images[0]
    np.testing.assert_array_equal(full, cv2.cvtColor(cv2.imread(str(name)), cv2.COLOR_BGR2RGB))


def test_drawing_is_a_function_of_the_generator(images: Path) -> None:
    train = load_pictures(images, "train")
    left, right = (train.draw(np.random.default_rng(4)) for _ in range(2))
    assert left is right


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_folder_without_pictures_is_refused(part: str, tmp_path: Path) -> None:
    (tmp_path / "portraits").mkdir()
    with pytest.raises(EvidenceUnreadable, match=r"no training pictures found: .*; give --images a folder of folders"):
        load_pictures(tmp_path, part)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(8, 120), st.integers(8, 120), st.integers(8, 64), st.integers(0, 2**32 - 1))
def test_a_view_is_a_square_of_the_asked_side(height: int, width: int, side: int, seed: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    view = random_view(image, side, np.random.default_rng(seed))
    assert view.shape == (side, side, 3)
    assert view.dtype == np.uint8
    np.testing.assert_array_equal(view, random_view(image, side, np.random.default_rng(seed)))
