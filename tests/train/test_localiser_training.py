"""Training the localiser: the readings it is shown, that stopped runs go on, and what is exported."""

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

from ftforensics.engine.models import find_model, load_card
from ftforensics.engine.onnx import open_localiser
from ftforensics.errors import UsageError
from ftforensics.link.survival import build_survival
from ftforensics.nets.localiser import MAPS, Localiser
from ftforensics.train import export, hosts, localiser, replaced

MODEL = find_model("ftf-1")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Any:
    """Little shaping and few pictures: what a set is does not depend on how many there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "SHAPING_STEPS", 1)
        patch.setattr(replaced, "HOSTS", 4)
        patch.setattr(replaced, "VISITS", 3)
        patch.setattr(localiser, "VALIDATION_SETS", 1)
        yield


@pytest.fixture(scope="module")
def work(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sets that the runs of this module ask for."""
    folder = tmp_path_factory.mktemp("work")
    for part, seed in (("train", 5), ("validation", localiser.VALIDATION_SEED)):
        replaced.make_sets(images, part, MODEL, folder, count=1, seed=seed, workers=0, report=lambda _: None)
    return folder


def files(work: Path) -> list[Path]:
    return sorted(work.iterdir())


def test_a_set_follows_from_seed_and_number_alone_and_is_made_once(images: Path, work: Path, tmp_path: Path) -> None:
    def make(folder: Path, seed: int) -> Path:
        (path,) = replaced.make_sets(
            images, "train", MODEL, folder, count=1, seed=seed, workers=0, report=lambda _: None
        )
        return path

    before = {path: path.stat().st_mtime_ns for path in files(work)}
    known = make(work, 5)
    assert {path: path.stat().st_mtime_ns for path in files(work)} == before
    again, other = make(tmp_path, 5), make(tmp_path, 6)
    with np.load(known) as one, np.load(again) as two, np.load(other) as three:
        assert set(one) == {"tag", "source", "residual", "replaced", "seen", "touched", "host"}
        assert all(np.array_equal(one[name], two[name]) for name in one)
        assert not np.array_equal(one["tag"], three["tag"])


def test_the_tag_shows_where_nothing_was_replaced(work: Path) -> None:
    kept, gone = [], []
    with np.load(files(work)[0]) as made:
        shape = made["residual"].shape
        assert shape == (12, 3, 64, 64)
        for residual, host, lost, seen in zip(
            made["residual"], made["host"], made["replaced"], made["seen"], strict=True
        ):
            level = build_survival(residual.astype(np.float32), made["tag"][host].astype(np.float32)).correlation
            assert 0.0 <= lost.min() <= lost.max() <= 1.0
            kept += list(level[seen & (lost < 0.1)])
            gone += list(level[seen & (lost > 0.9)])
    assert np.mean(kept) > np.mean(gone) + 0.1


def test_a_batch_is_turned_with_its_answer() -> None:
    maps, lost = torch.arange(2 * 10 * 4 * 4.0).view(2, 10, 4, 4), torch.arange(16.0).view(1, 4, 4).repeat(2, 1, 1)
    maps[:, 9] = lost
    seen = set()
    for seed in range(40):
        turned, answer = localiser.turn(maps, lost, np.random.default_rng(seed))
        assert torch.equal(turned[:, 9], answer)
        seen.add(tuple(answer[0].flatten().tolist()))
    assert len(seen) == 8


def test_losses_know_a_right_answer_from_a_wrong_one() -> None:
    lost, seen = torch.zeros(1, 64, 64), torch.ones(1, 64, 64)
    lost[:, :20, :20] = 1.0
    right, wrong = (localiser.losses(sign * 8.0 * (2.0 * lost - 1.0), lost, seen) for sign in (1.0, -1.0))
    assert all(float(value) < 0.01 for value in right)
    assert all(float(value) > 0.8 for value in wrong)
    # What is not seen does not count.
    seen[:, 32:] = 0.0
    odds = 8.0 * (2.0 * lost - 1.0)
    odds[:, 32:] = 8.0
    assert all(float(value) < 0.01 for value in localiser.losses(odds, lost, seen))


def test_a_stopped_run_goes_on_repeats_and_is_exported(tmp_path: Path, images: Path, work: Path) -> None:
    lines: list[str] = []

    def train(out: Path, **more: Any) -> dict[str, Any]:
        settings = {"model": MODEL, "work": work, "sets": 1, "steps": 2, "seed": 5, "batch": 2, "peak": 1e-3} | more
        localiser.train_localiser(images, out, workers=0, report=lines.append, **settings)
        state: dict[str, Any] = torch.load(out, weights_only=True)
        return state

    whole = train(tmp_path / "whole.pt")
    assert whole["step"] == 2
    assert lines[-1].startswith("step 2/2 held out: cross-entropy ")
    assert train(tmp_path / "stopped.pt", stop_after_s=0.0)["step"] == 1
    with pytest.raises(UsageError, match="of a run with other settings"):
        train(tmp_path / "stopped.pt", **{"batch": 3})
    gone_on = train(tmp_path / "stopped.pt")
    assert all(torch.equal(value, gone_on["average"][name]) for name, value in whole["average"].items())

    folder = shutil.copytree(MODEL, tmp_path / MODEL.name)
    export.export_localiser(tmp_path / "whole.pt", folder, {"seed": 5})
    opened = open_localiser(folder)
    assert opened is not None
    assert opened.sha256 == load_card(folder).localiser_sha256
    assert json.loads((folder / "model.json").read_text())["training"]["localiser"] == {"seed": 5}
    net = Localiser().eval()
    net.load_state_dict(whole["average"])
    maps = torch.randn(1, MAPS, 64, 64, generator=torch.Generator().manual_seed(1))
    maps[:, 9] = (maps[:, 9] > 0.0).float()
    given = maps[0].numpy()
    with torch.no_grad():
        odds = opened.locate(given[:3], given[3:6], given[6:9], given[9] > 0.5)
        assert np.allclose(odds, net(maps)[0].numpy(), atol=1e-4)


def test_only_a_localisers_checkpoint_for_this_reader_is_taken(tmp_path: Path, images: Path, work: Path) -> None:
    folder = shutil.copytree(MODEL, tmp_path / MODEL.name)
    before = (folder / "model.json").read_bytes()
    for name, state in {
        "reader": {"kind": "reader", "reader_sha256": load_card(MODEL).reader_sha256},
        "other": {"kind": "localiser", "reader_sha256": "0" * 64, "settings": {}},
    }.items():
        torch.save(state, tmp_path / f"{name}.pt")
        with pytest.raises(UsageError, match="no checkpoint of a localiser"):
            export.export_localiser(tmp_path / f"{name}.pt", folder, {})
        with pytest.raises(UsageError, match="none of a localiser"):
            localiser.train_localiser(
                images,
                tmp_path / f"{name}.pt",
                model=MODEL,
                work=work,
                sets=1,
                steps=1,
                seed=5,
                batch=1,
                peak=1e-3,
                workers=0,
                report=lambda _: None,
            )
    assert (folder / "model.json").read_bytes() == before
