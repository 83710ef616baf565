"""The ONNX backends of the shipped model: batches change nothing, the gradient is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.engine.informed import signed_carriers
from ftforensics.engine.onnx import BATCH, OnnxEmbedder, OnnxReader, OnnxSimulator
from ftforensics.engine.ring import RingKey
from ftforensics.errors import EngineError
from ftforensics.imaging.quality import psnr_db
from ftforensics.imaging.resample import resize

Photographs = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def views(photographs: Photographs) -> np.ndarray:
    """Eleven views (11, 128, 128, 3): more than one batch, less than two."""
    random = np.random.default_rng(8)
    made = []
    for index in range(BATCH + 3):
        image = list(photographs.values())[index % 4]
        top, left = int(random.integers(0, image.shape[0] - 200)), int(random.integers(0, image.shape[1] - 200))
        made.append(resize(np.ascontiguousarray(image[top : top + 200, left : left + 200]), 128, 128))
    return np.stack(made)


@pytest.fixture(scope="module")
def together(onnx_reader: OnnxReader, views: np.ndarray) -> np.ndarray:
    return onnx_reader.read(views)


def test_maps_have_their_shape(together: np.ndarray) -> None:
    assert together.shape == (BATCH + 3, 3, 64, 64)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    assert 0.01 < together.std() < 10


@pytest.mark.parametrize("count", [1, 2])
def test_a_closed_reader_reads_no_more(count: int, model_folder: Path, views: np.ndarray) -> None:
    reader = OnnxReader(model_folder, threads=1)
    reader.close()
    reader.close()
    with pytest.raises(EngineError, match="was closed"):
        reader.read(views[:count])


@pytest.mark.parametrize("index", [0, BATCH - 1, BATCH + 2])
def test_a_picture_alone_gives_the_same_bytes(
    index: int, onnx_reader: OnnxReader, views: np.ndarray, together: np.ndarray
) -> None:
    assert onnx_reader.read(views[index : index + 1])[0].tobytes() == together[index].tobytes()


def test_another_order_and_other_neighbours_give_the_same_bytes(
    onnx_reader: OnnxReader, views: np.ndarray, together: np.ndarray
) -> None:
    order = np.random.default_rng(2).permutation(len(views))[: BATCH + 1]
    read = onnx_reader.read(np.ascontiguousarray(views[order]))
    assert read.tobytes() == np.ascontiguousarray(together[order]).tobytes()


@pytest.mark.parametrize("threads", [0, 2, 3])
def test_pictures_read_at_once_give_the_same_bytes(
    threads: int, model_folder: Path, views: np.ndarray, together: np.ndarray
) -> None:
    reader = OnnxReader(model_folder, threads=threads)
    assert reader.read(views).tobytes() == together.tobytes()
    reader.close()
    reader.close()


def test_no_pictures_give_no_maps(onnx_reader: OnnxReader) -> None:
    assert onnx_reader.read(np.empty((0, 128, 128, 3), dtype=np.uint8)).shape == (0, 3, 64, 64)


@pytest.fixture(scope="module")
def rows(ring_key: RingKey) -> np.ndarray:
    signs = np.random.default_rng(1).choice(np.array([-1.0, 1.0], dtype=np.float32), 128)
    return signed_carriers(signs, ring_key.carriers, build_sync_carrier("ftf-1"))


def as_input(views: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(views.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255.0)


def test_rows_score_one_for_a_perfect_map(ring_key: RingKey) -> None:
    signs = np.random.default_rng(1).choice(np.array([-1.0, 1.0], dtype=np.float32), 128)
    sync = build_sync_carrier("ftf-1")
    planes = build_tag_planes(signs, ring_key.carriers, sync)
    np.testing.assert_allclose(signed_carriers(signs, ring_key.carriers, sync) @ planes.reshape(-1), 1.0, atol=1e-4)


def test_soft_values_are_the_readers_map_times_the_rows(
    onnx_embedder: OnnxEmbedder, views: np.ndarray, together: np.ndarray, rows: np.ndarray
) -> None:
    soft, gradient = onnx_embedder.gradient(as_input(views[:2]), rows, np.ones(129, np.float32), 1.0, 3.0)
    assert soft.shape == (2, 129)
    assert gradient.shape == (2, 3, 128, 128)
    np.testing.assert_allclose(soft, together[:2].reshape(2, -1) @ rows.T, atol=2e-3)


def test_the_gradient_agrees_with_finite_differences(
    onnx_embedder: OnnxEmbedder, views: np.ndarray, rows: np.ndarray
) -> None:
    # At vanishing sharpness every bit is pulled equally, and the loss is -1/2 of the weighted sum of the soft values.
    weights = np.linspace(0.5, 1.5, 129, dtype=np.float32)
    picture = as_input(views[1:2])
    _, gradient = onnx_embedder.gradient(picture, rows, weights, 1.0, 1e-7)

    def loss(at: np.ndarray) -> np.ndarray:
        soft, _ = onnx_embedder.gradient(at.astype(np.float32), rows, weights, 1.0, 1e-7)
        return -0.5 * soft.astype(np.float64) @ weights

    random = np.random.default_rng(3)
    halves = [np.ones_like(gradient), *(random.integers(0, 2, (2, *gradient.shape[1:])).astype(np.float32)[:, None])]
    for half in halves:
        direction = gradient * half
        step = 3e-5 / np.sqrt(np.mean(direction**2))
        difference = (loss(picture + step * direction) - loss(picture - step * direction))[0] / (2 * step)
        assert difference == pytest.approx(float(np.vdot(gradient.astype(np.float64), direction)), rel=0.02)


def test_following_the_gradient_raises_the_weak_bits(
    onnx_embedder: OnnxEmbedder, views: np.ndarray, rows: np.ndarray
) -> None:
    picture, weights = as_input(views[2:3]), np.ones(129, np.float32)
    before, gradient = onnx_embedder.gradient(picture, rows, weights, 1.0, 4.0)
    step = gradient * (0.01 / np.sqrt(np.mean(gradient**2)))
    after, _ = onnx_embedder.gradient(picture - step, rows, weights, 1.0, 4.0)
    assert float(np.mean(after > 0)) > float(np.mean(before > 0)) + 0.1
    np.testing.assert_array_equal(onnx_embedder.gradient(picture, rows, 0 * weights, 1.0, 4.0)[1], 0.0)


def test_the_simulator_regenerates_pictures_of_any_size(model_folder: Path, photographs: Photographs) -> None:
    simulator = OnnxSimulator(model_folder, threads=1)
    for image in (photographs["coffee"][100:229, 200:357], photographs["coffee"][100:228, 200:360]):
        made = simulator.regenerate(np.ascontiguousarray(image))
        assert made.shape == image.shape
        assert made.dtype == np.uint8
        assert 15 < psnr_db(image, made) < 45
