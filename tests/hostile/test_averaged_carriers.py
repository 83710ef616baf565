"""Attack: the carriers are estimated by averaging many tagged pictures, and a tag is forged with them.

The forger here knows even the code words of the pictures he averages, which is more than a registry tells him.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from newsroom import SKIMAGE, Newsroom, cat, embed, load, load_ring_key, open_reader, save

from ftforensics.codec import channel
from ftforensics.imaging.perceptual import add_residual, build_mask

PICTURES = 256
NAMES = ("astronaut.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg", "retina.jpg", "motorcycle_left.png")


def test_a_forged_tag_reads_and_attributes_nothing(newsroom: Newsroom, tmp_path: Path, rng: np.random.Generator):
    key = load_ring_key(newsroom.home)
    ids = [f"{value:016x}" for value in rng.integers(0, 2**63, PICTURES)]
    words = np.stack([channel.encode(tag_id, key.channel) for tag_id in ids])
    pictures = [cut(rng) for _ in range(PICTURES)]
    tagged = [embed(picture, tag_id, key, 40.0) for picture, tag_id in zip(pictures, ids, strict=True)]
    maps = open_reader().read(np.stack(tagged)).reshape(PICTURES, -1)
    carriers = np.linalg.lstsq(words, maps, rcond=None)[0]

    wanted = newsroom.rows["portrait.png"]["tag_id"]
    forged = (channel.encode(wanted, key.channel) @ carriers).reshape(3, 64, 64)
    forged /= np.sqrt(np.mean(forged * forged))
    save(add_residual(cat(), forged, build_mask(cat()), 36.0), tmp_path / "suspects" / "forged.png")

    row = newsroom.scan([tmp_path / "suspects"], tmp_path / "cases").rows["forged.png"]
    assert row["verdict"] == "TAG_TRANSPLANT_SUSPECTED"
    assert row["tag"]["tag_id"] == wanted
    assert any("not attributed" in limit for limit in row["limitations"])


def cut(rng: np.random.Generator) -> np.ndarray:
    """A square of a photograph, at the reader's own size."""
    picture = load(SKIMAGE / str(rng.choice(NAMES)))
    side = int(rng.integers(128, min(picture.shape[:2])))
    top, left = (int(rng.integers(0, length - side + 1)) for length in picture.shape[:2])
    return cv2.resize(picture[top : top + side, left : left + side], (128, 128), interpolation=cv2.INTER_AREA)
