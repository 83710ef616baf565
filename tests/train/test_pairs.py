"""The reader of pairs: what it sees, where it starts from, that stopped runs go on, and what is exported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("onnx", reason="export needs the train extra")
pytest.importorskip("onnxscript", reason="export needs the train extra")

import torch

from ftforensics.attacks import handling
from ftforensics.codec.carriers import MESSAGE_BITS, planes_from_rows
from ftforensics.engine.models import find_model, load_card
from ftforensics.engine.onnx import open_pair_reader
from ftforensics.errors import UsageError
from ftforensics.imaging import geometry
from ftforensics.nets.reader import PAIR_CHANNELS
from ftforensics.train import beside, export, hosts, pairs, starting
from ftforensics.train.band import BandTransform
from ftforensics.train.learner import Learner
from ftforensics.train.samples import CarrierDraw, Sample

MODEL = find_model("ftf-1")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step of shaping instead of twelve: what a slot is does not depend on how well its tags are shaped."""
    monkeypatch.setattr(hosts, "SHAPING_STEPS", 1)


def maker(images: Path, batch: int = 2) -> pairs.PairMaker:
    return pairs.open_maker(images, "train", MODEL, (), batch)


def test_a_reader_of_pairs_starts_as_one_of_what_is_left() -> None:
    net, size = starting.load_start(MODEL)
    wide = starting.widen(net, size)
    pair = torch.rand(2, PAIR_CHANNELS, 128, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(wide(pair), net.eval()(pair[:, 3:6]), atol=1e-4)


def test_a_batch_follows_from_seed_and_step_alone(images: Path, quick: None) -> None:
    straight, resumed = maker(images), maker(images)
    first = straight.make(1, seed=3)
    later = straight.make(1 + pairs.SLOTS, seed=3)
    again = resumed.make(1 + pairs.SLOTS, seed=3)
    assert first.keys() == {"pairs", "present", "to_source", "from_source", "signs", "carriers", "planes"}
    assert all(np.array_equal(value, again[name]) for name, value in later.items())
    # The same hosts with the same tags, manipulated anew.
    assert np.array_equal(first["planes"], later["planes"])
    assert not np.array_equal(first["pairs"], later["pairs"])
    assert not np.array_equal(maker(images).make(1, seed=4)["signs"], first["signs"])


def test_slots_are_drawn_anew_one_after_the_other(images: Path, quick: None) -> None:
    kept = maker(images, batch=1)
    drawn = [kept.make(step, seed=1)["planes"] for step in range(2 * pairs.SLOTS)]
    renewed = [index for index in range(pairs.SLOTS) if not np.array_equal(drawn[index], drawn[index + pairs.SLOTS])]
    assert len(renewed) <= 1
    old = kept.slots[0][0]
    kept.make(pairs.SLOTS * pairs.USES, seed=1)
    assert kept.slots[0][0] == old + 1


def test_a_pair_shows_what_was_added_and_where_nothing_is_seen(photographs: dict[str, np.ndarray]) -> None:
    host = photographs["astronaut"][:320, :320]
    crop = geometry.about_centre(scale_x=0.5, scale_y=0.5, centre=(0.4, 0.45))
    sample = Sample(
        geometry.sample_frame(host, crop, (320, 320)),
        geometry.sample_frame(np.ones((64, 64), np.float32), crop, (64, 64), (0.0,)),
        crop,
        geometry.invert(crop),
    )
    pair = pairs.see_pair(sample, handling.jpeg(host, 85), np.random.default_rng(2))
    assert pair.shape == (PAIR_CHANNELS, 128, 128)
    assert pair.dtype == np.float32
    assert 0.0 <= pair.min() <= pair.max() <= 1.0
    # Half of the side is seen: a quarter of the area, up to the frame's small error.
    assert 0.2 < sample.present.mean() < 0.3
    inside = sample.present > 0.5
    middle = np.ix_(np.flatnonzero(inside.any(axis=1)) * 2, np.flatnonzero(inside.any(axis=0)) * 2)
    # The source is taken out of what is seen, which leaves grey, and elsewhere there is nothing but grey.
    left = pair[3:6]
    assert np.abs(left - 0.5).mean() < 0.01
    assert pair[:3][:, middle[0], middle[1]].std() > 0.1
    assert pair[6][middle].mean() > 0.95


def test_a_stopped_run_goes_on_repeats_and_is_exported(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "HELD_OUT_BATCHES", 1)
    lines: list[str] = []

    def train(out: Path, **more: Any) -> dict[str, Any]:
        settings = {"model": MODEL, "simulators": (), "steps": 2, "seed": 5, "batch": 1, "peak": 1e-3}
        beside.train_beside(images, out, report=lines.append, **settings, **more)
        state: dict[str, Any] = torch.load(out, weights_only=True)
        return state

    whole = train(tmp_path / "whole.pt")
    assert whole["step"] == 2
    assert lines[-1].startswith("held out: z ")
    assert train(tmp_path / "stopped.pt", stop_after_s=0.0)["step"] == 1
    assert "stopped after step 1 of 2" in lines[-1]
    assert train(tmp_path / "stopped.pt")["step"] == 2
    net, size = starting.load_start(MODEL)
    assert not torch.equal(whole["net"]["stem.weight"], starting.widen(net, size).state_dict()["stem.weight"])

    folder = shutil.copytree(MODEL, tmp_path / MODEL.name)
    export.export_pair_reader(tmp_path / "whole.pt", folder, {"seed": 5})
    opened = open_pair_reader(folder)
    assert opened is not None
    assert opened.sha256 == load_card(folder).pair_reader_sha256
    assert json.loads((folder / "model.json").read_text())["training"]["pair_reader"] == {"seed": 5}
    trained = starting.widen(net, size)
    trained.load_state_dict(whole["average"])
    pair = torch.rand(2, PAIR_CHANNELS, 128, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert np.allclose(opened.read(pair.numpy()), trained.eval()(pair).numpy(), atol=1e-4)
    with pytest.raises(UsageError, match="of another kind or size"):
        Learner(net, size, 1e-3).load(tmp_path / "whole.pt")


def test_only_a_pair_readers_checkpoint_is_added(tmp_path: Path) -> None:
    net, size = starting.load_start(MODEL)
    folder = shutil.copytree(MODEL, tmp_path / MODEL.name)
    before = (folder / "model.json").read_bytes()
    for name, state in {
        "reader": {"net": net.state_dict(), "average": net.state_dict(), "size": size, "model_id": "ftf-1"},
        "other": {"net": starting.widen(net, size).state_dict(), "size": size, "model_id": "ftf-2"},
    }.items():
        torch.save(state, tmp_path / f"{name}.pt")
        with pytest.raises(UsageError, match="no checkpoint of a pair reader"):
            export.export_pair_reader(tmp_path / f"{name}.pt", folder, {})
    assert (folder / "model.json").read_bytes() == before


def test_the_statistic_is_that_of_matching() -> None:
    """A map that is the tag itself reads at the largest z there is, one of its opposite at the smallest."""

    class Says(torch.nn.Module):
        def __init__(self, planes: torch.Tensor, sign: float) -> None:
            super().__init__()
            self.planes, self.sign = planes, sign

        def forward(self, pairs_: torch.Tensor) -> torch.Tensor:
            return self.sign * self.planes

    tags = CarrierDraw("ftf-1").draw_tags(2, np.random.default_rng(1))
    planes = planes_from_rows(tags.rows)
    still = np.repeat(np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], np.float32), 2, axis=0)
    batch = {
        "pairs": np.zeros((2, PAIR_CHANNELS, 128, 128), np.float32),
        "from_source": still,
        "carriers": tags.carriers.astype(np.float32),
        "signs": tags.signs,
    }
    for sign, bits in ((1.0, 1.0), (-1.0, 0.0)):
        net: Any = Says(torch.from_numpy(planes), sign)
        z, share = beside.mean_statistic(net, BandTransform(torch.device("cpu")), [batch])
        assert z == pytest.approx(sign * MESSAGE_BITS**0.5, rel=0.02)
        assert share == bits
