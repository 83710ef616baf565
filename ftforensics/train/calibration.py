"""Presence thresholds from untagged pictures: how strong the synchronisation carrier looks where there is none.

Enters: a model folder and held-out training pictures. Leaves: two thresholds in ``model.json``, each the largest value
seen plus the spread of the largest values, so that the chance of a false "tag present" is well under one in the reads
made. Nothing is attributed by presence; it only decides between "not present" and "present, unreadable".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ftforensics.attacks import handling, warps
from ftforensics.domain.tag import TagAbsence
from ftforensics.engine.onnx import OnnxReader
from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.imaging.resample import Pixels
from ftforensics.train.data import load_pictures

TAIL = 20


def draw_view(image: Pixels, random: np.random.Generator) -> Pixels:
    """An untagged view: a crop of 50 to 100 %, perhaps mirrored, perhaps recompressed."""
    view = warps.crop(image, float(random.uniform(0.5, 1.0)), random)
    if random.random() < 0.5:
        view = warps.mirror(view)
    return handling.jpeg(view, int(random.integers(40, 95))) if random.random() < 0.5 else view


def upper_limit(values: list[float]) -> float:
    """The largest value plus the mean excess of the twenty largest over the twentieth: an exponential tail's decade."""
    ordered = np.sort(np.asarray(values))
    tail = ordered[-TAIL:]
    return float(ordered[-1] + 2.3 * np.mean(tail - tail[0]))


def calibrate(model: Path, images: Path, *, reads: int, seed: int, report: Callable[[str], None]) -> None:
    """Measure and write the thresholds of a model."""
    card_path = model / "model.json"
    reader = TagReader(OnnxReader(model), [], budget=SearchBudget(mode="blind"))
    pictures = load_pictures(images, "validation")
    random = np.random.default_rng(seed)
    presences: list[float] = []
    peaks: list[float] = []
    for read in range(reads):
        view = draw_view(pictures.images[read % len(pictures.images)], random)
        reading = reader.identify(view, reader.residuals([view])[0])
        if isinstance(reading.outcome, TagAbsence):
            presences.append(reading.presence)
            peaks.append(reading.sync_peak or 0.0)
        if read % 200 == 0:
            report(f"{read}/{reads} largest presence {max(presences):.2f}, largest peak {max(peaks):.2f}")
    card = json.loads(card_path.read_text(encoding="utf-8"))
    card["presence_threshold"] = round(upper_limit(presences), 3)
    card["sync_threshold"] = round(upper_limit(peaks), 3)
    card["calibration"] = {
        "reads": reads,
        "seed": seed,
        "largest_presence": round(max(presences), 3),
        "largest_sync_peak": round(max(peaks), 3),
        "data": "held-out training pictures, untagged: crops, mirrored, recompressed",
    }
    card_path.write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    report(f"presence threshold {card['presence_threshold']}, sync threshold {card['sync_threshold']}")
