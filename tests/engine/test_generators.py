"""Generators that only measure: the shipped ones run, and a card or graph that was tampered with is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftforensics.engine.generators import CARD_FILE, OnnxGenerator, find_generators, load_generator_cards
from ftforensics.errors import ModelMissing
from ftforensics.imaging.quality import psnr_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_generators(), tmp_path / "generators"))


def edit(folder: Path, **changes: Any) -> None:
    document = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    document["generators"][0] |= changes
    (folder / CARD_FILE).write_text(json.dumps(document), encoding="utf-8")


def test_the_shipped_ones_regenerate_pictures_of_any_size_and_are_small(photographs: dict[str, np.ndarray]) -> None:
    folder = find_generators()
    cards = load_generator_cards(folder)
    assert sorted(cards) == ["A", "B"]
    picture = np.ascontiguousarray(photographs["coffee"][:203, :181])
    for card in cards.values():
        assert (folder / card.file).stat().st_size < 2_000_000
        generator = OnnxGenerator(folder, card, threads=1)
        made = generator.regenerate(picture, np.random.default_rng(1))
        assert made.shape == picture.shape
        assert 18.0 < psnr_db(made, picture) < 40.0
        assert np.array_equal(made, generator.regenerate(picture, np.random.default_rng(1)))
        noisier = generator.regenerate(picture, np.random.default_rng(2))
        assert np.array_equal(made, noisier) == (card.noise_channels == 0)


def test_graphs_name_nothing_of_the_machine_they_were_made_on() -> None:
    for card in load_generator_cards(find_generators()).values():
        data = (find_generators() / card.file).read_bytes()
        assert not any(place in data for place in (b"/home", b"/tmp", b"/work", b"site-packages"))


def test_a_changed_graph_is_never_run(folder: Path) -> None:
    card = load_generator_cards(folder)["A"]
    with (folder / card.file).open("ab") as graph:
        graph.write(b"\0")
    with pytest.raises(ModelMissing, match="SHA-256"):
        OnnxGenerator(folder, card)


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../ftf-1/reader.onnx"},
        {"file": 3},
        {"sha256": "short"},
        {"noise_channels": -1},
        {"noise_channels": True},
        {"parameters": 1.5},
        {"fidelity": {"psnr_db": "high", "ssim": 0.9, "pictures": 3}},
        {"fidelity": None},
        {"name": None},
    ],
    ids=str,
)
def test_a_malformed_card_is_one_sentence(folder: Path, changes: dict[str, Any]) -> None:
    edit(folder, **changes)
    with pytest.raises(ModelMissing, match="card of the generators cannot be read"):
        load_generator_cards(folder)


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other", "format_version": 1, "generators": []}', "[" * 10**5])
def test_so_is_a_file_that_is_no_card(folder: Path, text: str) -> None:
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ModelMissing, match="card of the generators cannot be read"):
        load_generator_cards(folder)
