"""Generators that only measure: find their card, check every hash, run them with ONNX Runtime.

They lie in ``engines/generators``, apart from the models, for no model may be trained through them. In: pictures. Out:
pictures regenerated through a narrow latent, as deepfake generators do. A graph whose SHA-256 is not the card's is
never run. The card is ``generators.json``; docs/formats.md describes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ftforensics.domain.model import GeneratorCard
from ftforensics.engine.models import is_plain_name, load_graph, model_folders
from ftforensics.engine.onnx import FOLD, Floats, Pixels, build_session, run_padded
from ftforensics.errors import ModelMissing

FOLDER, CARD_FILE = "generators", "generators.json"
FORMAT, FORMAT_VERSION = "ftf-generators", 1
_SHA256_DIGITS = 64


def find_generators(extra: Path | None = None) -> Path:
    """The folder of the generators.

    Raises:
        ModelMissing: It is nowhere.
    """
    for folder in model_folders(extra):
        if (folder / FOLDER / CARD_FILE).is_file():
            return folder / FOLDER
    raise ModelMissing("there are no generators to measure with", subject=FOLDER, remedy="reinstall ftforensics")


def load_generator_cards(folder: Path) -> dict[str, GeneratorCard]:
    """The cards of a folder of generators, by name.

    Raises:
        ModelMissing: The card file is not there or malformed, or names a file outside of the folder.
    """
    path = folder / CARD_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        cards = _parse_cards(document)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ModelMissing(
            "the card of the generators cannot be read", subject=str(path), remedy="reinstall ftforensics"
        ) from exc
    return {card.name: card for card in cards}


def _parse_cards(document: dict[str, Any]) -> list[GeneratorCard]:
    """All entries of the card file.

    Raises:
        ValueError: It is of another format or version, or a value is not what it must be.
        KeyError: Something is missing.
    """
    if (document["format"], document["format_version"]) != (FORMAT, FORMAT_VERSION):
        raise ValueError("another format")
    return [_parse_card(item) for item in document["generators"]]


def _parse_card(item: dict[str, Any]) -> GeneratorCard:
    """One entry.

    Raises:
        ValueError: A value is not what it must be.
        KeyError: One is missing.
    """
    fidelity = item["fidelity"]
    card = GeneratorCard(
        name=item["name"],
        kind=item["kind"],
        file=item["file"],
        sha256=item["sha256"],
        parameters=item["parameters"],
        noise_channels=item["noise_channels"],
        psnr_db=fidelity["psnr_db"],
        ssim=fidelity["ssim"],
        pictures=fidelity["pictures"],
    )
    texts, counts = (
        (card.name, card.kind, card.file, card.sha256),
        (card.parameters, card.noise_channels, card.pictures),
    )
    if not all(isinstance(value, str) for value in texts) or len(card.sha256) != _SHA256_DIGITS:
        raise ValueError("a name, file or hash is no text")
    if not is_plain_name(card.file):
        raise ValueError("a file lies outside of the folder")
    if not all(type(value) is int and value >= 0 for value in counts) or card.noise_channels > 4096:
        raise ValueError("a count is no whole number")
    if not all(isinstance(value, float) for value in (card.psnr_db, card.ssim)):
        raise ValueError("a measure is no number")
    return card


class OnnxGenerator:
    """One generator in ONNX Runtime on the processor.

    Args:
        folder: Of the generators.
        card: Of this one.
        threads: Processor threads for one run; 0 lets the runtime choose.

    Raises:
        ModelMissing: Its graph is not there or has another hash.
        EngineError: ONNX Runtime does not take the graph.
    """

    def __init__(self, folder: Path, card: GeneratorCard, *, threads: int = 0) -> None:
        self.card = card
        data = load_graph(folder, card.file, card.sha256)
        self._session = build_session(data, str(folder / card.file), threads)

    def regenerate(self, picture: Pixels, random: np.random.Generator) -> Pixels:
        """The picture (H, W, 3) through the latent, same size; ``random`` draws the latent's noise, if it has any."""

        def run(batch: Floats) -> Floats:
            inputs = {"picture": batch}
            if self.card.noise_channels:
                shape = (1, self.card.noise_channels, batch.shape[2] // FOLD, batch.shape[3] // FOLD)
                inputs["noise"] = random.standard_normal(shape, dtype=np.float32)
            return np.asarray(self._session.run(None, inputs)[0])

        return run_padded(picture, run)
