"""Attack: a file within every stated limit that needs more memory than a worker may have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ftforensics.media.intake import acquire_many
from ftforensics.media.walk import walk_evidence


def test_running_out_of_memory_costs_its_own_file_only(tmp_path: Path) -> None:
    for name in ("a.png", "c.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    Image.new("L", (9_000, 9_000)).save(tmp_path / "b.png")
    first, hungry, last = acquire_many(walk_evidence([tmp_path]), memory_bytes=100 << 20)
    assert first.failure is None
    assert last.failure is None
    assert hungry.failure is not None
    assert (hungry.failure.stage, hungry.failure.type) == ("decode", "EvidenceTooLarge")
    assert len(hungry.item.sha256) == 64


def test_a_file_larger_than_the_workers_memory_is_one_failure(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.bmp")
    with (tmp_path / "a.bmp").open("ab") as file:
        file.truncate(100 << 20)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "b.png")
    hungry, good = acquire_many(walk_evidence([tmp_path]), memory_bytes=100 << 20)
    assert hungry.failure is not None
    assert hungry.failure.type == "MemoryLimit"
    assert good.failure is None
