"""Quality measures against scikit-image and against the published colour pairs."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.attacks import colour, handling
from ftforensics.imaging import quality

# Pairs of CIELAB colours and their differences: table 1 of Sharma, Wu and Dalal,
# "The CIEDE2000 color-difference formula" (2005).
SHARMA_WU_DALAL = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, 2.8361, -74.0200), (50.0, 0.0, -82.7485), 3.4412),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, -1.1848, -84.8006), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, -0.9009, -85.5211), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0009), 7.1792),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0011), 7.2195),
    ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0012), 7.2195),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0009, -2.4900), 4.8045),
    ((50.0, -0.0010, 2.4900), (50.0, 0.0011, -2.4900), 4.7461),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (61.0, -5.0, 29.0), 22.8977),
    ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((50.0, 2.5, 0.0), (50.0, 3.1736, 0.5854), 1.0),
    ((50.0, 2.5, 0.0), (50.0, 3.2972, 0.0), 1.0),
    ((50.0, 2.5, 0.0), (50.0, 1.8634, 0.5757), 1.0),
    ((50.0, 2.5, 0.0), (50.0, 3.2592, 0.3350), 1.0),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((61.2901, 3.7196, -5.3901), (61.4292, 2.2480, -4.9620), 1.8731),
    ((35.0831, -44.1164, 3.7933), (35.0232, -40.0716, 1.5901), 1.8645),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


def pair(photographs: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    image = photographs[name]
    edited = colour.colour_cast(handling.jpeg(image, 40), hue_deg=6.0, saturation=1.2)
    return image, edited


@pytest.mark.parametrize(("left", "right", "expected"), SHARMA_WU_DALAL)
def test_ciede2000_equals_the_published_pairs(
    left: tuple[float, ...], right: tuple[float, ...], expected: float
) -> None:
    assert quality.ciede2000(np.array(left), np.array(right)) == pytest.approx(expected, abs=5e-5)
    assert quality.ciede2000(np.array(right), np.array(left)) == pytest.approx(expected, abs=5e-5)


def test_ciede2000_equals_scikit_image_over_the_whole_space(rng: np.random.Generator) -> None:
    metrics = pytest.importorskip("skimage.color")
    low, high = np.array([0, -110, -110]), np.array([100, 110, 110])
    left, right = rng.uniform(low, high, (2, 20_000, 3))
    near = left + rng.normal(0, 2, left.shape)
    for other in (right, near):
        np.testing.assert_allclose(quality.ciede2000(left, other), metrics.deltaE_ciede2000(left, other), atol=1e-6)


def test_lab_equals_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.color")
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    np.testing.assert_allclose(quality.to_lab(cube), metrics.rgb2lab(cube), atol=0.02)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_psnr_and_ssim_equal_scikit_image(name: str, photographs: dict[str, np.ndarray]) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    left, right = pair(photographs, name)
    expected = metrics.peak_signal_noise_ratio(left, right, data_range=255)
    assert quality.psnr_db(left, right) == pytest.approx(expected, abs=1e-4)
    weights = np.array([0.299, 0.587, 0.114])
    similarity = metrics.structural_similarity(
        left @ weights, right @ weights, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    # The reference leaves a border of five pixels out of the mean.
    assert quality.ssim(left, right) == pytest.approx(similarity, abs=3e-3)
    assert quality.ssim(left[5:-5, 5:-5], right[5:-5, 5:-5]) < 1.0


def test_equal_pictures_are_perfect(photographs: dict[str, np.ndarray]) -> None:
    image = photographs["coffee"][:64, :64]
    measured = quality.compare(image, image.copy())
    assert measured.psnr_db == float("inf")
    assert measured.ssim == pytest.approx(1.0, abs=1e-6)
    assert measured.ciede2000_mean == 0.0
    assert measured.ciede2000_p99 == 0.0


def test_psnr_of_one_level_everywhere_is_48_decibels() -> None:
    grey = np.full((32, 32, 3), 100, dtype=np.uint8)
    assert quality.psnr_db(grey, grey + 1) == pytest.approx(48.1308, abs=1e-4)


def test_compare_agrees_with_its_parts_however_it_is_cut_into_strips(photographs: dict[str, np.ndarray]) -> None:
    left, right = pair(photographs, "coffee")
    measured = quality.compare(left, right)
    colours = quality.ciede2000(quality.to_lab(left), quality.to_lab(right))
    assert measured.ciede2000_mean == pytest.approx(float(colours.mean()), rel=1e-4)
    assert measured.ciede2000_p99 == pytest.approx(float(np.percentile(colours, 99)), rel=1e-3)
    assert measured.psnr_db == quality.psnr_db(left, right)
    assert measured.ssim == quality.ssim(left, right)
    assert measured.ciede2000_p99 > measured.ciede2000_mean > 0


def test_compare_of_a_large_picture_samples_rows_fairly() -> None:
    ramp = np.broadcast_to(np.linspace(60, 200, 2000)[:, None, None], (2000, 2100, 3)).astype(np.uint8)
    colours = quality.ciede2000(quality.to_lab(ramp[:, :1]), quality.to_lab(ramp[:, :1] + np.uint8(9)))
    measured = quality.compare(ramp, ramp + np.uint8(9))
    assert measured.ciede2000_mean == pytest.approx(float(colours.mean()), rel=0.01)
