"""Attack: EXIF that loops, lies about lengths or points outside itself; the picture under it must still be read."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from ftforensics.media.container import encode_like, load_photo
from ftforensics.media.intake import acquire_many
from ftforensics.media.walk import walk_evidence

HEAD = b"Exif\0\0II*\0"

BLOCKS = {
    "folder-points-to-itself": HEAD + struct.pack("<IH", 8, 0) + struct.pack("<I", 8),
    "folder-outside": HEAD + struct.pack("<I", 0x7FFFFFFF),
    "exif-folder-is-the-first": HEAD + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 0),
    "count-of-four-billion": HEAD + struct.pack("<IHHHIII", 8, 1, 0x010F, 2, 0xFFFFFFFF, 8, 0),
    "rationals-by-the-billion": HEAD + struct.pack("<IHHHIII", 8, 1, 0x011A, 5, 0x3FFFFFFF, 8, 0),
    "unknown-type": HEAD + struct.pack("<IHHHIII", 8, 1, 0x010F, 99, 4, 8, 0),
    "orientation-is-nonsense": HEAD + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 777, 0),
    "orientation-is-text": HEAD + struct.pack("<IHHHI4sI", 8, 1, 0x0112, 2, 4, b"six\0", 0),
    "sixty-thousand-entries": HEAD + struct.pack("<IH", 8, 0xFFFF) + b"\x0f\x01" * 20_000,
    "no-header": b"Exif\0\0nothing of the kind",
    "empty": b"Exif\0\0",
}


def save(path: Path, exif: bytes) -> None:
    y, x = np.mgrid[0:48, 0:64]
    Image.fromarray(np.stack([x * 4, y * 5, 255 - x * 3], -1).astype(np.uint8)).save(path, "JPEG", exif=exif)


def test_the_picture_is_read_whatever_its_exif(tmp_path: Path) -> None:
    for name, block in BLOCKS.items():
        save(tmp_path / f"{name}.jpg", block)
    results = list(acquire_many(walk_evidence([tmp_path]), memory_bytes=512 << 20))
    assert len(results) == len(BLOCKS)
    for result in results:
        assert result.pixels is not None, result.item.path
        assert result.pixels.shape == (48, 64, 3)
        assert result.failure is None or result.failure.stage == "exif"
        assert all((name + value).isprintable() for name, value in result.item.exif.items())


def test_the_picture_is_tagged_whatever_its_exif(tmp_path: Path) -> None:
    for name, block in BLOCKS.items():
        path = tmp_path / f"{name}.jpg"
        save(path, block)
        photo = load_photo(path)
        again = Image.open(io.BytesIO(encode_like(photo, photo.pixels)))
        assert again.size == (64, 48)


def test_random_damage_never_costs_the_picture(tmp_path: Path) -> None:
    dice = random.Random(11)
    good = (
        HEAD
        + struct.pack("<IHHHI4sHHII", 8, 2, 0x0110, 2, 4, b"cam\0", 0x8769, 4, 1, 38)
        + struct.pack("<IHHHII", 0, 1, 0x9003, 2, 20, 56)
        + bytes(4)
        + b"2020:01:01 00:00:00\0"
    )
    for number in range(16):
        block = bytearray(good)
        for _ in range(dice.randint(1, 5)):
            block[dice.randrange(10, len(block))] = dice.choice((0, 1, 4, 8, 127, 255))
        save(tmp_path / f"{number:03}.jpg", bytes(block))
    for result in acquire_many(walk_evidence([tmp_path]), memory_bytes=512 << 20):
        assert result.pixels is not None, result.item.path
        assert result.failure is None or result.failure.stage == "exif"
