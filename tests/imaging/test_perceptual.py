"""The mask and the addition of a residual at a wanted PSNR."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.imaging import perceptual
from ftforensics.imaging.quality import psnr_db


def half_plain() -> np.ndarray:
    random = np.random.default_rng(4)
    image = np.full((256, 256, 3), 128, dtype=np.uint8)
    image[:, 128:] = random.integers(40, 216, (256, 128, 3), dtype=np.uint8)
    return image


def test_mask_has_mean_square_one_and_bounded_gains(photographs: dict[str, np.ndarray]) -> None:
    for image in photographs.values():
        mask = perceptual.build_mask(image)
        assert mask.shape == (perceptual.MASK_PX, perceptual.MASK_PX)
        assert mask.dtype == np.float32
        assert float(np.mean(mask * mask)) == pytest.approx(1.0, abs=1e-4)
        assert mask.min() > 0.2
        assert mask.max() < 4.0


def test_mask_hides_more_in_texture_than_on_a_plain_wall_beside_it() -> None:
    mask = perceptual.build_mask(half_plain())
    assert mask[:, 72:120].mean() > 1.5 * mask[:, 8:56].mean()
    # No halo: just outside the texture the wall has a wall's gain.
    assert mask[:, 56:60].mean() < 1.2 * mask[:, 8:48].mean()


def test_mask_of_a_plain_picture_is_flat() -> None:
    mask = perceptual.build_mask(np.full((100, 180, 3), 77, dtype=np.uint8))
    np.testing.assert_allclose(mask, 1.0, atol=1e-4)


@pytest.mark.parametrize("wanted_db", [34.0, 38.0, 42.0])
def test_residual_has_the_wanted_psnr(wanted_db: float, photographs: dict[str, np.ndarray]) -> None:
    random = np.random.default_rng(1)
    planes = random.standard_normal((3, 64, 64)).astype(np.float32)
    image = photographs["coffee"]
    mask = perceptual.build_mask(image)
    residual = perceptual.scaled_residual(image, planes, mask, wanted_db)
    assert residual.shape == image.shape
    assert float(np.sqrt(np.mean(residual**2))) == pytest.approx(perceptual.residual_rms(wanted_db), rel=1e-3)
    # Rounding adds a little noise; clipping takes a little away.
    assert psnr_db(image, perceptual.add_residual(image, planes, mask, wanted_db)) == pytest.approx(wanted_db, abs=0.35)


def test_residual_is_linear_up_to_scale(photographs: dict[str, np.ndarray]) -> None:
    planes = np.random.default_rng(2).standard_normal((3, 64, 64)).astype(np.float32)
    image = photographs["chelsea"]
    mask = perceptual.build_mask(image)
    once = perceptual.scaled_residual(image, planes, mask, 40.0)
    np.testing.assert_allclose(perceptual.scaled_residual(image, 5 * planes, mask, 40.0), once, atol=1e-6)
    np.testing.assert_allclose(perceptual.scaled_residual(image, -planes, mask, 40.0), -once, atol=1e-6)


def test_planes_of_zeros_leave_the_picture_alone(photographs: dict[str, np.ndarray]) -> None:
    image = photographs["chelsea"]
    planes = np.zeros((3, 64, 64), dtype=np.float32)
    np.testing.assert_array_equal(perceptual.add_residual(image, planes, perceptual.build_mask(image), 40.0), image)


def test_rounding_clips_and_never_wraps() -> None:
    values = np.array([-300.0, -0.6, 0.4, 254.6, 255.4, 900.0], dtype=np.float32)
    np.testing.assert_array_equal(perceptual.round_pixels(values), [0, 0, 0, 255, 255, 255])


def test_mask_spares_black_and_white_where_a_change_would_clip_or_show() -> None:
    random = np.random.default_rng(6)
    texture = random.integers(0, 9, (256, 64, 3))
    image = np.concatenate([level + texture for level in (0, 110, 140, 246)], axis=1).astype(np.uint8)
    mask = perceptual.build_mask(image)
    black, grey, light, white = (mask[16:112, at + 10 : at + 22].mean() for at in (0, 32, 64, 96))
    assert black < 0.75 * grey
    assert white < 0.9 * light
    assert grey == pytest.approx(light, rel=0.1)
