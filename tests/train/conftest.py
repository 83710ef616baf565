"""Pictures to train on, made from noise and gradients, and one torch thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

COUNTS = {"portraits": 20, "plain": 7}


def draw_picture(random: np.random.Generator) -> np.ndarray:
    """A smooth picture with some texture, uint8 (H, W, 3)."""
    height, width = (int(value) for value in random.integers(90, 150, 2))
    coarse = cv2.resize(random.random((5, 6, 3), dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = random.standard_normal((height, width, 1), dtype=np.float32) * np.float32(0.04)
    return np.clip((0.15 + 0.7 * coarse + fine) * 255, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of folders of numbered pictures."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(11)
    for folder, count in COUNTS.items():
        (root / folder).mkdir()
        for number in range(count):
            cv2.imwrite(str(root / folder / f"{number:03d}.png"), draw_picture(random))
    (root / "plain" / "notes.txt").write_text("not a picture", encoding="utf-8")
    (root / "readme.txt").write_text("not a folder", encoding="utf-8")
    return root


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One torch thread: sums in one order."""
    torch = pytest.importorskip("torch", reason="training needs the train extra")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
