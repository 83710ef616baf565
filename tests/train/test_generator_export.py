"""Checkpoints of generators exported: the graphs equal torch, twice the same bytes, and their fidelity is measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="export needs the train extra")
pytest.importorskip("onnx", reason="export needs the train extra")
pytest.importorskip("onnxscript", reason="export needs the train extra")

import torch

from ftforensics.engine.generators import OnnxGenerator, load_generator_cards
from ftforensics.nets.generators import FiniteScalarQuantiser, NoisedGenerator, QuantisedGenerator
from ftforensics.train import generator, generator_export


def build_tiny(kind: str) -> QuantisedGenerator | NoisedGenerator:
    torch.manual_seed(3)
    return QuantisedGenerator(16, (8, 5)) if kind == "quantised" else NoisedGenerator(8, 4)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    folder = tmp_path_factory.mktemp("generators")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "build_generator", build_tiny)
        for kind in generator.KINDS:
            net = build_tiny(kind)
            state = {"net": net.state_dict(), "kind": kind, "seed": 3, "batch": 2, "side_px": 32, "step": 4}
            torch.save(state, folder / f"{kind}.pt")
        checkpoints = {"A": folder / "quantised.pt", "B": folder / "noised.pt"}
        for out in ("once", "twice"):
            generator_export.export_generators(
                checkpoints, images, folder / out, {"data": "noise"}, limit=2, report=lambda _: None
            )
    return folder


def test_an_export_is_the_same_twice_and_its_card_says_what_was_measured(exported: Path) -> None:
    for file in ("generators.json", "quantised.onnx", "noised.onnx"):
        assert (exported / "once" / file).read_bytes() == (exported / "twice" / file).read_bytes()
    cards = load_generator_cards(exported / "once")
    assert [cards[name].kind for name in ("A", "B")] == ["quantised", "noised"]
    assert [cards[name].noise_channels for name in ("A", "B")] == [0, 4]
    assert all(card.pictures == 2 and card.psnr_db > 0 for card in cards.values())
    document = json.loads((exported / "once" / "generators.json").read_text(encoding="utf-8"))
    assert document["training"] == {"data": "noise"}
    assert document["generators"][0]["run"]["steps"] == 4


@pytest.mark.parametrize("kind", generator.KINDS)
def test_a_graph_equals_torch(kind: str, exported: Path) -> None:
    card = next(card for card in load_generator_cards(exported / "once").values() if card.kind == kind)
    picture = np.random.default_rng(5).integers(0, 256, (72, 40, 3), dtype=np.uint8)
    made = OnnxGenerator(exported / "once", card, threads=1).regenerate(picture, np.random.default_rng(9))
    inputs = [torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255.0]
    if card.noise_channels:
        shape = (1, card.noise_channels, 9, 5)
        inputs.append(torch.from_numpy(np.random.default_rng(9).standard_normal(shape, dtype=np.float32)))
    with torch.no_grad():
        wanted = build_tiny(kind).eval()(*inputs)[0].permute(1, 2, 0).clamp(0, 1) * 255.0
    assert np.abs(made.astype(float) - wanted.numpy()).max() < 0.51


def test_the_quantiser_has_as_many_levels_as_it_says_and_passes_gradients() -> None:
    quantiser = FiniteScalarQuantiser((8, 5, 2))
    values = torch.linspace(-6, 6, 4001).view(1, 1, 1, -1).repeat(1, 3, 1, 1).requires_grad_()
    rounded = quantiser(values)
    assert [len(torch.unique(rounded[0, channel])) for channel in range(3)] == [8, 5, 2]
    assert rounded.abs().max() <= 1.0
    rounded.sum().backward()
    assert bool((values.grad > 0).any())


def test_structural_difference_is_nothing_between_equals_and_grows_with_noise() -> None:
    torch.manual_seed(1)
    picture = torch.rand(1, 3, 24, 24)
    assert float(generator.structural_difference(picture, picture)) == pytest.approx(0.0, abs=1e-5)
    noisy = [picture + level * torch.randn_like(picture) for level in (0.05, 0.3)]
    small, large = (float(generator.structural_difference(picture, one)) for one in noisy)
    assert 0.0 < small < large
