"""A batch is a pure function of seed and step, and its targets lie where its pixels do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import torch

from ftforensics.codec.carriers import SYNC_ENERGY, VALUES, rows_from_planes, sync_row
from ftforensics.imaging import geometry
from ftforensics.nets.simulator import Simulator
from ftforensics.train import samples
from ftforensics.train.band import BandTransform, warp
from ftforensics.train.data import Pictures, load_pictures
from ftforensics.train.learner import as_input, losses
from ftforensics.train.reader import learning_rate

Batch = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def pictures(images: Path) -> Pictures:
    return load_pictures(images, "train")


def batches(pictures: Pictures, seed: int = 1, batch: int = 3, steps: int = 4) -> samples.TaggedBatches:
    torch.manual_seed(0)
    simulator = Simulator(4, 2).eval()
    return samples.TaggedBatches(pictures, simulator, seed=seed, batch=batch, steps=steps, model_id="ftf-1")


@pytest.fixture(scope="module")
def data(pictures: Pictures) -> samples.TaggedBatches:
    return batches(pictures)


def equal(left: Batch, right: Batch) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_a_batch_is_a_pure_function_of_seed_and_step(pictures: Pictures, data: samples.TaggedBatches) -> None:
    third = data[3]
    np.random.default_rng(0).random(5)
    torch.rand(3)
    first = data[1]
    other = batches(pictures)
    assert equal(other[1], first)
    assert equal(other[3], third)
    assert not torch.equal(first["pictures"], third["pictures"])
    assert not torch.equal(batches(pictures, seed=2)[1]["pictures"], first["pictures"])


def test_shapes_types_and_ranges(data: samples.TaggedBatches) -> None:
    assert len(data) == 4
    batch = data[2]
    size = sync_row("ftf-1").shape[1]
    assert {name: tuple(value.shape) for name, value in batch.items()} == {
        "pictures": (3, 128, 128, 3),
        "signs": (3, 128),
        "carriers": (128, size),
        "planes": (3, 3, 64, 64),
        "present": (3, 64, 64),
        "to_source": (3, 2, 3),
        "from_source": (3, 2, 3),
    }
    assert batch["pictures"].dtype == torch.uint8
    assert all(value.dtype == torch.float32 for name, value in batch.items() if name != "pictures")
    assert set(batch["signs"].unique().tolist()) == {-1.0, 1.0}
    assert float(batch["present"].min()) >= 0.0
    assert float(batch["present"].max()) <= 1.0
    assert float(batch["planes"].square().mean()) == pytest.approx(1.0, rel=0.05)


def test_redrawn_carriers_are_nearly_orthonormal_and_miss_the_sync_carrier(data: samples.TaggedBatches) -> None:
    rows = data.keys.draw(np.random.default_rng(0))
    np.testing.assert_allclose(rows @ data.keys.sync.T, 0.0, atol=1e-12)
    gram = rows @ rows.T - np.eye(128)
    assert np.abs(gram).max() < 0.02
    again = data.keys.draw(np.random.default_rng(1))
    assert np.abs(rows @ again.T).max() < 0.15


def test_planes_spell_the_signs(data: samples.TaggedBatches) -> None:
    batch = data[0]
    soft = rows_from_planes(batch["planes"].double().numpy()) @ batch["carriers"].double().numpy().T
    assert (np.sign(soft) == batch["signs"].numpy()).all()


def test_the_sync_carrier_comes_with_either_sign_so_that_no_picture_is_expected_to_have_it(
    data: samples.TaggedBatches,
) -> None:
    planes = torch.cat([data[step]["planes"] for step in range(4)]).double().numpy()
    strength = rows_from_planes(planes) @ data.keys.sync[0] / np.sqrt(VALUES * SYNC_ENERGY)
    np.testing.assert_allclose(np.abs(strength), 1.0, atol=1e-4)
    assert 0 < (strength > 0).sum() < len(strength)


def test_the_band_transform_is_the_codecs(data: samples.TaggedBatches) -> None:
    planes = data[0]["planes"]
    np.testing.assert_allclose(
        BandTransform(torch.device("cpu"))(planes).numpy(), rows_from_planes(planes.double().numpy()), atol=1e-4
    )


def test_torch_and_opencv_warp_alike() -> None:
    random = np.random.default_rng(5)
    frame = geometry.about_centre(scale_x=0.9, scale_y=1.05, angle_deg=12.0, centre=(0.55, 0.47), mirrored=True)
    plane = geometry.resize(random.standard_normal((8, 8)).astype(np.float32), 64, 64)
    wanted = geometry.sample_frame(plane, frame, (64, 64), (0.0,))
    maps = torch.from_numpy(samples._for_grid_sample(frame))[None]
    made = warp(torch.from_numpy(plane)[None, None], maps)[0, 0].numpy()
    inside = np.abs(wanted) > 0
    inside[:2] = inside[-2:] = inside[:, :2] = inside[:, -2:] = False
    assert np.corrcoef(made[inside], wanted[inside])[0, 1] > 0.99
    assert np.abs(made - wanted)[8:-8, 8:-8].max() < 0.2


def test_an_oracle_that_returns_the_target_has_no_loss_to_speak_of(pictures: Pictures) -> None:
    batch = batches(pictures, batch=4)[0]
    target = warp(batch["planes"], batch["to_source"]) * batch["present"][:, None]
    sharpness, to_band, seen = torch.tensor(1.0), BandTransform(torch.device("cpu")), as_input(batch["pictures"])
    bits, regression, accuracy = losses(lambda _: target, to_band, sharpness, seen, batch)  # type: ignore[arg-type]
    assert float(regression) == 0.0
    assert float(accuracy) > 0.97
    silent, missed, _ = losses(lambda _: 0 * target, to_band, sharpness, seen, batch)  # type: ignore[arg-type]
    assert float(silent) == pytest.approx(np.log(2.0))
    assert float(bits) < 0.3
    assert float(missed) > 0.3


def test_training_grows_harder_and_then_stays() -> None:
    easy, hard = samples.hardness_at(0.0), samples.hardness_at(0.33)
    assert easy.strength < hard.strength == 1.0
    assert easy.psnr_db[1] < hard.psnr_db[1]
    assert samples.hardness_at(1.0) == hard


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth() -> None:
    rates = [learning_rate(step, 2000, 1e-3) for step in range(2000)]
    assert rates[0] == pytest.approx(1e-3 / 200, rel=0.01)
    assert max(rates) == pytest.approx(1e-3, rel=0.05)
    assert int(np.argmax(rates)) in range(195, 205)
    assert rates[-1] == pytest.approx(1e-5, rel=0.05)
