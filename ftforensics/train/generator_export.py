"""Checkpoints of generators to shipped graphs with their card, each one's fidelity measured on held-out pictures.

``python -m ftforensics.train export-generators --help``. The held-out pictures are those that training keeps back, at
their own size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ftforensics.domain.model import GeneratorCard
from ftforensics.engine.generators import CARD_FILE, FORMAT, FORMAT_VERSION, OnnxGenerator
from ftforensics.engine.onnx import FOLD
from ftforensics.imaging import quality
from ftforensics.nets.generators import NoisedGenerator, QuantisedGenerator
from ftforensics.train.data import load_pictures
from ftforensics.train.export import save_graph
from ftforensics.train.generator import load_generator

_EXAMPLE = (256, 320)
_LONGEST_PX = 1024


def export_generators(
    checkpoints: Mapping[str, Path],
    images: Path,
    out: Path,
    training: dict[str, Any],
    *,
    limit: int | None = None,
    report: Callable[[str], None],
) -> None:
    """Write the graphs and ``generators.json`` of a folder.

    Args:
        checkpoints: By the names that the generators get.
        images: What they were trained on; its held-out part measures them.
        out: The folder.
        training: Kept in the card as given.
        limit: Only so many held-out pictures, evenly spread; None for all.
        report: Told of each generator.
    """
    out.mkdir(parents=True, exist_ok=True)
    held_out = load_pictures(images, "validation", _LONGEST_PX).images
    if limit is not None and limit < len(held_out):
        held_out = tuple(held_out[int(at)] for at in np.linspace(0, len(held_out) - 1, limit).round())
    entries = []
    for name, path in checkpoints.items():
        net, facts = load_generator(path)
        card = _save_graph(net, name, str(facts["kind"]), out)
        generator = OnnxGenerator(out, card, threads=1)
        pairs = [
            (image, generator.regenerate(image, np.random.default_rng([7, at]))) for at, image in enumerate(held_out)
        ]
        fidelity = {
            "psnr_db": round(float(np.mean([quality.psnr_db(*pair) for pair in pairs])), 3),
            "ssim": round(float(np.mean([quality.ssim(*pair) for pair in pairs])), 4),
            "pictures": len(pairs),
        }
        report(f"generator {name}: {card.parameters} weights, {fidelity}")
        entries.append(
            {
                "name": name,
                "kind": card.kind,
                "file": card.file,
                "sha256": card.sha256,
                "parameters": card.parameters,
                "noise_channels": card.noise_channels,
                "fidelity": fidelity,
                "run": facts,
            }
        )
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, "generators": entries, "training": training}
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (out / CARD_FILE).write_text(text, encoding="utf-8")


def _save_graph(net: QuantisedGenerator | NoisedGenerator, name: str, kind: str, out: Path) -> GeneratorCard:
    """Export one generator; its fidelity is not known yet."""
    height, width = _EXAMPLE
    sides = {2: FOLD * torch.export.Dim("eighth_height", min=4), 3: FOLD * torch.export.Dim("eighth_width", min=4)}
    inputs: tuple[torch.Tensor, ...] = (torch.rand(1, 3, height, width),)
    names, shapes, channels = ["picture"], {"picture": sides}, 0
    if isinstance(net, NoisedGenerator):
        channels = net.latent
        inputs = (*inputs, torch.randn(1, channels, height // FOLD, width // FOLD))
        names.append("noise")
        shapes["noise"] = {2: torch.export.Dim("eighth_height", min=4), 3: torch.export.Dim("eighth_width", min=4)}
    file = f"{kind}.onnx"
    options = {"input_names": names, "output_names": ["regenerated"], "dynamic_shapes": shapes}
    return GeneratorCard(
        name=name,
        kind=kind,
        file=file,
        sha256=save_graph(net, inputs, options, out / file),
        parameters=sum(weights.numel() for weights in net.parameters()),
        noise_channels=channels,
        psnr_db=0.0,
        ssim=0.0,
        pictures=0,
    )
