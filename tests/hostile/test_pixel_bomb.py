"""Attack: a tiny file that claims billions of pixels, to exhaust the examiner's memory."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.errors import EvidenceTooLarge
from ftforensics.media.container import load_photo
from ftforensics.media.intake import IntakeResult, acquire_many
from ftforensics.media.walk import walk_evidence


def png_bomb(side_px: int) -> bytes:
    """A valid header over pixel data that inflates for a long while."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bmp_bomb(side_px: int) -> bytes:
    return (
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, side_px, side_px, 1, 24, *[0] * 6)
    )


def gif_bomb(side_px: int) -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", side_px, side_px, 0x80, 0, 0)
        + bytes(6)
        + b","
        + struct.pack("<HHHHB", 0, 0, side_px, side_px, 0)
        + b"\x02\x02\x4c\x01\x00;"
    )


BOMBS = {
    "a.png": png_bomb(40_000),
    "b.bmp": bmp_bomb(40_000),
    "c.gif": gif_bomb(40_000),
    "d.png": png_bomb(2**31 - 1),
    "e.bmp": bmp_bomb(2**31 - 1),
}


def intake(folder: Path) -> list[IntakeResult]:
    return list(acquire_many(walk_evidence([folder]), memory_bytes=512 << 20))


def test_bombs_are_refused_by_their_claim_and_the_picture_beside_them_is_read(tmp_path: Path) -> None:
    for name, data in BOMBS.items():
        (tmp_path / name).write_bytes(data)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "z.png")
    *bombs, good = intake(tmp_path)
    assert good.failure is None
    for result in bombs:
        assert result.pixels is None
        assert result.failure is not None
        assert result.failure.stage == "decode"
        assert result.failure.type in ("EvidenceTooLarge", "EvidenceUnreadable")
        assert len(result.item.sha256) == 64
    for result in bombs[:3]:
        assert result.failure is not None
        assert result.failure.type == "EvidenceTooLarge"
        assert "40000 x 40000" in result.failure.message


@pytest.mark.parametrize("name", ["a.png", "b.bmp"])
def test_a_bomb_is_not_opened_for_tagging_either(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BOMBS[name])
    with pytest.raises(EvidenceTooLarge):
        load_photo(tmp_path / name)
