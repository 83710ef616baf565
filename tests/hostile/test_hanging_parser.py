"""Attack: a small file that keeps a parser busy for minutes."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import numpy as np
from PIL import Image

from ftforensics.media.intake import acquire_many
from ftforensics.media.walk import walk_evidence

TIMEOUT_S = 4.0


def many_scans_jpeg(copies: int) -> bytes:
    """A progressive JPEG whose last refinement scan is there thousands of times: each is decoded in full."""
    buffer = io.BytesIO()
    Image.new("RGB", (6000, 6000), (90, 120, 60)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last_scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last_scan * copies + b"\xff\xd9"


def endless_exif() -> bytes:
    """A block of sixty thousand fields of a thousand numbers each, all lying on the same few bytes."""
    fields = struct.pack(">HHII", 0x0153, 3, 999, 8) * 60_000
    return b"MM\0*" + struct.pack(">IH", 8, 60_000) + fields + bytes(4)


def test_a_hang_while_decoding_costs_its_own_file_only(tmp_path: Path) -> None:
    for name in ("a.png", "c.png", "d.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "b.jpg").write_bytes(many_scans_jpeg(2000))
    start = time.monotonic()
    results = {result.item.path: result for result in acquire_many(walk_evidence([tmp_path]), timeout_s=TIMEOUT_S)}
    assert time.monotonic() - start < 60
    hung = results.pop("b.jpg")
    assert hung.failure is not None
    assert (hung.failure.stage, hung.failure.type) == ("decode", "Timeout")
    assert len(hung.item.sha256) == 64
    assert hung.pixels is None
    assert all(result.failure is None for result in results.values())


def test_a_hang_in_the_exif_costs_the_exif_only(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8, 3), 77, np.uint8)).save(tmp_path / "a.png", exif=endless_exif())
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "b.png")
    hung, good = acquire_many(walk_evidence([tmp_path]), timeout_s=TIMEOUT_S)
    assert hung.failure is not None
    assert (hung.failure.stage, hung.failure.type) == ("exif", "Timeout")
    assert hung.pixels is not None
    assert hung.item.decode is not None
    assert good.failure is None
