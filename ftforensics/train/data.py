"""Training and validation pictures.

The last 15 % of each folder, in name order, are kept for validation. Folders' weights make portraits and faces as
common in a batch as their importance, not their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ftforensics.errors import EvidenceUnreadable
from ftforensics.imaging.resample import Pixels, resize

VALIDATION_SHARE = 0.15
FOLDER_WEIGHTS = {"portraits": 0.35, "faces": 0.25, "objects": 0.3, "plain": 0.1}
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, slots=True)
class Pictures:
    """Decoded pictures and the probability of drawing each."""

    images: tuple[Pixels, ...]
    weights: np.ndarray
    names: tuple[str, ...]

    def draw(self, random: np.random.Generator) -> Pixels:
        """One picture by weight."""
        return self.images[int(random.choice(len(self.images), p=self.weights))]


def choose_files(root: Path, part: str) -> dict[str, list[Path]]:
    """Files of ``part`` ("train" or "validation") by the name of their sub-folder of ``root``, in name order."""
    chosen = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        cut = len(files) - round(len(files) * VALIDATION_SHARE)
        chosen[folder.name] = files[:cut] if part == "train" else files[cut:]
    return chosen


def load_pictures(root: Path, part: str, max_px: int = 448) -> Pictures:
    """Load ``part`` ("train" or "validation") of every sub-folder of ``root``.

    Raises:
        EvidenceUnreadable: There are no pictures.
    """
    images: list[Pixels] = []
    weights: list[float] = []
    names: list[str] = []
    for folder, chosen in choose_files(root, part).items():
        for path in chosen:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            scale = max_px / max(pixels.shape[:2])
            if scale < 1.0:
                pixels = resize(pixels, round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
            images.append(pixels)
            weights.append(FOLDER_WEIGHTS.get(folder, 0.2) / max(1, len(chosen)))
            names.append(f"{folder}/{path.name}")
    if not images:
        raise EvidenceUnreadable(
            "no training pictures found", subject=str(root), remedy="give --images a folder of folders"
        )
    total = np.asarray(weights)
    return Pictures(images=tuple(images), weights=total / total.sum(), names=tuple(names))


def random_view(image: Pixels, side_px: int, random: np.random.Generator) -> Pixels:
    """A square view: a crop of 60 to 100 % of the short side, or the whole picture squeezed, sometimes mirrored."""
    height, width = image.shape[:2]
    if random.random() < 0.7:
        side = int(min(height, width) * random.uniform(0.6, 1.0))
        top = int(random.integers(0, height - side + 1))
        left = int(random.integers(0, width - side + 1))
        image = image[top : top + side, left : left + side]
    view = resize(np.ascontiguousarray(image), side_px, side_px)
    return np.ascontiguousarray(view[:, ::-1]) if random.random() < 0.5 else view
