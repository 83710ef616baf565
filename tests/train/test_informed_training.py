"""Training on with shaped tags: what is shaped, what a reader is started from, and that stopped runs go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import torch

from ftforensics.codec.carriers import MESSAGE_BITS, VALUES, rows_from_planes
from ftforensics.engine.models import find_model
from ftforensics.errors import UsageError
from ftforensics.imaging import geometry
from ftforensics.nets.reader import Reader
from ftforensics.train import informed, shaping, slots, starting, validation
from ftforensics.train.band import BandTransform, warp
from ftforensics.train.data import Pictures, load_pictures
from ftforensics.train.samples import CarrierDraw, _for_grid_sample

MODEL = find_model("ftf-1")


@pytest.fixture(scope="module")
def pictures(images: Path) -> Pictures:
    return load_pictures(images, "train")


@pytest.fixture(scope="module")
def shipped() -> Reader:
    return starting.load_start(MODEL)[0]


@pytest.fixture
def slot(pictures: Pictures) -> shaping.Slot:
    return shaping.draw_slot(pictures, CarrierDraw("ftf-1"), batch=2, random=np.random.default_rng(3))


@pytest.fixture
def shaper() -> shaping.Shaper:
    keys = CarrierDraw("ftf-1")
    return shaping.Shaper(BandTransform(torch.device("cpu")), keys.sync.astype(np.float32), 24)


def signed_soft(net: Reader, shaper: shaping.Shaper, slot: shaping.Slot) -> torch.Tensor:
    with torch.no_grad():
        estimate = net(shaper.view(slot)[0])
    band = BandTransform(torch.device("cpu"))(estimate)
    return band @ slot.carriers.T * slot.signs


def test_the_shipped_graph_starts_a_reader_that_computes_what_it_does(shipped: Reader) -> None:
    from ftforensics.engine.onnx import OnnxReader

    view = np.random.default_rng(1).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    theirs = OnnxReader(MODEL, threads=1).read(view)
    with torch.no_grad():
        ours = shipped(torch.from_numpy(view).permute(0, 3, 1, 2).float() / 255.0).numpy()
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_a_graph_of_no_known_size_is_refused() -> None:
    from ftforensics.nets.folded import FoldedReader

    with pytest.raises(UsageError, match="5 channels"):
        starting.unfold(FoldedReader(Reader(widths=(5, 6), blocks=(1, 1)).eval()))


def test_shaping_makes_bits_clearer_at_the_same_energy(
    shipped: Reader, shaper: shaping.Shaper, slot: shaping.Slot
) -> None:
    before = signed_soft(shipped, shaper, slot)
    random = np.random.default_rng(0)
    for _ in range(6):
        shaper.shape(shipped, slot, random)
    after = signed_soft(shipped, shaper, slot)
    weakest = MESSAGE_BITS // 8
    assert before.sort(dim=1).values[:, :weakest].mean() < after.sort(dim=1).values[:, :weakest].mean()
    assert torch.allclose(slot.band.square().sum(dim=1), torch.tensor(float(VALUES)), rtol=1e-4)
    # Nothing leaves the band on its way through planes.
    assert np.allclose(rows_from_planes(slot.planes), slot.band.numpy(), atol=1e-3)


def test_the_view_has_the_strength_that_was_asked_for(shaper: shaping.Shaper, slot: shaping.Slot) -> None:
    slot.host = torch.full_like(slot.host, 0.5)  # so that nothing is clipped
    added = shaper.view(slot)[0] - slot.host
    assert torch.allclose(added.square().mean(dim=(1, 2, 3)).sqrt(), slot.rms.flatten(), rtol=1e-3)


def test_gradients_return_to_where_the_pixels_came_from() -> None:
    frame = geometry.about_centre(scale_x=0.8, scale_y=0.7, angle_deg=6.0, centre=(0.45, 0.55))
    maps = {
        "to_source": torch.from_numpy(_for_grid_sample(frame))[None],
        "from_source": torch.from_numpy(_for_grid_sample(geometry.invert(frame)))[None],
        "present": torch.ones(1, 64, 64),
    }
    generator = torch.Generator().manual_seed(4)
    coarse = torch.randn(1, 3, 12, 12, generator=generator)
    host = torch.nn.functional.interpolate(coarse, size=(128, 128), mode="bicubic").requires_grad_(True)
    weights = torch.nn.functional.interpolate(
        torch.randn(1, 3, 12, 12, generator=generator), size=(128, 128), mode="bicubic"
    )
    (warp(host, maps["to_source"]) * weights).sum().backward()
    back = shaping.through_manipulation(weights, maps)
    assert host.grad is not None
    likeness = torch.nn.functional.cosine_similarity(back.flatten(), host.grad.flatten(), dim=0)
    assert likeness > 0.97
    assert 0.9 < back.norm() / host.grad.norm() < 1.1
    nowhere = shaping.through_manipulation(weights, maps | {"present": torch.zeros(1, 64, 64)})
    assert not nowhere.any()


def keeper(pictures: Pictures, shaper: shaping.Shaper) -> slots.SlotKeeper:
    torch.manual_seed(2)
    return slots.SlotKeeper(
        pictures=pictures,
        simulator=None,
        keys=CarrierDraw("ftf-1"),
        net=Reader(widths=(4, 6), blocks=(1, 1)).eval(),
        shaper=shaper,
        batch=2,
    )


def test_a_slot_keeps_its_hosts_until_it_is_old(pictures: Pictures, shaper: shaping.Shaper) -> None:
    kept = keeper(pictures, shaper)
    weights = {name: value.numpy().copy() for name, value in kept.net.state_dict().items()}
    slope = np.random.default_rng(0).standard_normal((2, 3, 128, 128), dtype=np.float32)
    first = kept.advance(0, weights, None, [1, 0])
    second = kept.advance(0, weights, slope, [1, 8])
    assert np.array_equal(first["signs"], second["signs"])
    assert not np.array_equal(first["planes"], second["planes"])
    assert first["pictures"].dtype == np.uint8
    assert first["pictures"].shape == (2, 128, 128, 3)
    kept.slots[0].visits = slots.LIFETIME
    third = kept.advance(0, weights, slope, [1, 16])
    assert not np.array_equal(first["carriers"], third["carriers"])
    assert kept.slots[0].visits == 1
    kept.advance(3, weights, None, [1, 3])
    assert kept.slots[3].visits == 3 * slots.LIFETIME // slots.SLOTS + 1


def test_a_stopped_run_goes_on_and_the_same_run_repeats(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "COUNT", 1)
    lines: list[str] = []

    def train(out: Path, **more: Any) -> dict[str, Any]:
        informed.train_informed(
            images,
            out,
            start=MODEL,
            simulator=None,
            steps=2,
            seed=5,
            batch=1,
            peak=1e-3,
            model_id="ftf-1",
            report=lines.append,
            **more,
        )
        state: dict[str, Any] = torch.load(out, weights_only=True)
        return state

    whole, again = train(tmp_path / "whole.pt"), train(tmp_path / "again.pt")
    assert whole["step"] == 2
    assert all(torch.equal(value, again["net"][name]) for name, value in whole["net"].items())
    assert lines[-1].startswith("validation at 42 dB")
    started = starting.load_start(MODEL)[0].state_dict()
    assert not torch.equal(whole["net"]["stem.weight"], started["stem.weight"])
    assert torch.equal(
        whole["net"]["encoders.0.0.first_norm.running_mean"], started["encoders.0.0.first_norm.running_mean"]
    )
    assert train(tmp_path / "stopped.pt", stop_after_s=0.0)["step"] == 1
    assert "stopped after step 1 of 2" in lines[-1]
    assert train(tmp_path / "stopped.pt")["step"] == 2
    assert whole.keys() >= {"size", "model_id", "average"}
