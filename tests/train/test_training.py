"""Training a tiny reader and simulator for a few steps: interrupted or not, the weights are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import torch

from ftforensics.errors import UsageError
from ftforensics.nets.reader import Reader
from ftforensics.nets.simulator import Simulator
from ftforensics.train import checkpoint, generator, learner, reader, regeneration, simulator, validation, watch

STEPS = 3
Trainer = Callable[..., None]


class PowerCut(Exception):
    """The machine dies right after a checkpoint."""


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow reader, one picture a validation, a checkpoint every step."""
    monkeypatch.setattr(reader, "build_reader", lambda _: Reader(widths=(4, 6), blocks=(1, 1)))
    monkeypatch.setattr(validation, "COUNT", 1)
    monkeypatch.setattr(watch, "SAVE_EVERY_S", -1.0)


@pytest.fixture
def train_reader(images: Path) -> Trainer:
    def train(out: Path, lines: list[str], **more: Any) -> None:
        reader.train_reader(
            images,
            out,
            simulator=None,
            steps=STEPS,
            seed=5,
            batch=2,
            peak=2e-3,
            decay=0.998,
            workers=0,
            model_id="ftf-test",
            report=lines.append,
            **more,
        )

    return train


def states_equal(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(states_equal(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(states_equal, left, right))
    return bool(left == right)


def cut_power_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learner.save_state

    def save_and_die(path: Path, state: dict[str, Any]) -> None:
        whole(path, state)
        if state["step"] == step:
            raise PowerCut

    monkeypatch.setattr(learner, "save_state", save_and_die)


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, train_reader: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    train_reader(tmp_path / "whole.pt", lines)
    with monkeypatch.context() as broken:
        cut_power_after(2, broken)
        with pytest.raises(PowerCut):
            train_reader(tmp_path / "resumed.pt", [])
    assert torch.load(tmp_path / "resumed.pt", weights_only=True)["step"] == 2
    train_reader(tmp_path / "resumed.pt", [])
    whole, resumed = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("whole", "resumed"))
    assert whole["step"] == STEPS
    assert whole["model_id"] == "ftf-test"
    assert states_equal(whole, resumed)
    assert not states_equal(whole["net"], whole["average"])
    assert lines[0].startswith("step 0/3 bce ")
    assert lines[-1].startswith("validation at 42 dB: none ")
    assert not list(tmp_path.glob("*.part"))


def test_a_run_in_slices_of_time_is_the_same_run(tmp_path: Path, train_reader: Trainer) -> None:
    train_reader(tmp_path / "whole.pt", [])
    for step in range(1, STEPS + 1):
        lines: list[str] = []
        train_reader(tmp_path / "sliced.pt", lines, stop_after_s=0.0)
        assert f"stopped after step {step} of {STEPS}" in lines[-1]
    whole, sliced = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("whole", "sliced"))
    assert states_equal(whole, sliced)


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path, train_reader: Trainer) -> None:
    train_reader(tmp_path / "reader.pt", [], stop_after_s=0.0)
    with pytest.raises(UsageError, match="another kind or size than gpu"):
        train_reader(tmp_path / "reader.pt", [], size="gpu")


def test_another_seed_gives_other_weights(tmp_path: Path, train_reader: Trainer, images: Path) -> None:
    train_reader(tmp_path / "one.pt", [])
    torch.manual_seed(123)  # what happened before must not matter
    train_reader(tmp_path / "again.pt", [])
    one, again = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", "again"))
    assert states_equal(one["net"], again["net"])
    torch.manual_seed(5)
    fresh = Reader(widths=(4, 6), blocks=(1, 1))
    assert not torch.equal(one["net"]["stem.weight"], fresh.stem.weight)


def test_a_failed_save_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "state.pt"
    checkpoint.save_state(out, {"step": 1})
    with pytest.raises((AttributeError, TypeError, RuntimeError, ValueError)):
        checkpoint.save_state(out, {"step": 2, "unwritable": lambda: None})
    assert torch.load(out, weights_only=True) == {"step": 1}


@pytest.mark.parametrize("kind", ["simulator", *generator.KINDS])
def test_an_interrupted_regenerator_ends_with_the_same_weights_too(
    kind: str, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(out: Path, steps: int = 4) -> None:
        shared: dict[str, Any] = {"steps": steps, "seed": 2, "batch": 2, "side_px": 32, "report": lambda _: None}
        if kind == "simulator":
            simulator.train_simulator(images, out, width=4, latent=2, **shared)
        else:
            generator.train_generator(kind, images, out, **shared)

    class DyingClock:
        """Two steps in, the clock says two minutes have passed, and the save that follows is the last thing done."""

        readings = 0

        def monotonic(self) -> float:
            DyingClock.readings += 1
            return 1000.0 * DyingClock.readings

    train(tmp_path / "whole.pt")
    replaced = Path.replace

    def replace_and_die(self: Path, target: Path) -> Path:
        made = replaced(self, target)
        if torch.load(target, weights_only=True)["step"] == 2:
            raise PowerCut
        return made

    with monkeypatch.context() as broken:
        broken.setattr(regeneration, "time", DyingClock())
        broken.setattr(Path, "replace", replace_and_die)
        with pytest.raises(PowerCut):
            train(tmp_path / "resumed.pt")
    train(tmp_path / "resumed.pt")
    whole, resumed = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("whole", "resumed"))
    assert whole["step"] == resumed["step"] == 4
    assert states_equal(whole, resumed)
    if kind == "simulator":
        loaded: torch.nn.Module = simulator.load_simulator(tmp_path / "whole.pt")
        assert isinstance(loaded, Simulator)
    else:
        loaded, facts = generator.load_generator(tmp_path / "whole.pt")
        assert facts == {"kind": kind, "seed": 2, "batch": 2, "side_px": 32, "steps": 4}
        other = next(one for one in generator.KINDS if one != kind)
        with pytest.raises(ValueError, match="another kind"):
            generator.train_generator(other, images, tmp_path / "whole.pt", steps=4, seed=2, report=lambda _: None)
    assert not loaded.training
