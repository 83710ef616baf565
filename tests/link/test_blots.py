"""Black bars and pastes into burnt-out sky are changes; what light or contrast drive into black or white is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from link_pictures import difference_of, jpeg, photograph

from ftforensics.attacks import colour
from ftforensics.link.difference import Difference

BOX = (slice(60, 180), slice(170, 280))


def covered(found: Difference) -> float:
    height, width = found.changed.shape
    box = np.zeros((512, 512), np.uint8)
    box[BOX] = 1
    inside = cv2.resize(box, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return float(found.changed[inside].mean())


@pytest.mark.parametrize("level", [0, 3, 255])
@pytest.mark.parametrize("later", [lambda p: p, lambda p: jpeg(p, 40)], ids=["as it is", "jpeg 40"])
def test_a_bar_over_a_face_is_a_change(level: int, later) -> None:
    barred = photograph().copy()
    barred[BOX] = level
    assert covered(difference_of(later(barred), photograph())) > 0.85


def test_so_is_what_is_pasted_into_burnt_out_sky() -> None:
    sky = photograph().copy()
    sky[20:260, 100:400] = 255
    pasted = sky.copy()
    pasted[BOX] = (90, 60, 50)
    assert covered(difference_of(pasted, sky)) > 0.85
    assert covered(difference_of(sky, sky)) == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_what_a_light_burns_out_is_none(seed: int) -> None:
    lit = colour.relight(photograph(), 1.0, np.random.default_rng(seed))
    assert difference_of(lit, photograph()).changed_fraction < 0.02


@pytest.mark.parametrize(("contrast", "brightness"), [(1.5, 0.15), (1.5, -0.15), (1.8, 0.0)])
def test_nor_is_what_contrast_drives_there(contrast: float, brightness: float) -> None:
    harsh = colour.tone(photograph(), brightness=brightness, contrast=contrast, gamma=1.0)
    assert difference_of(harsh, photograph()).changed_fraction < 0.02
