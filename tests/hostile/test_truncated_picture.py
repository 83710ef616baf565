"""Attack or accident: files cut off at any byte, in every format."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.media.intake import acquire_many
from ftforensics.media.walk import walk_evidence


def coded(kind: str) -> bytes:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    pixels = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "HEIF"])
def test_every_cut_gives_one_result_and_the_whole_file_is_still_read(tmp_path: Path, kind: str) -> None:
    data = coded(kind)
    lengths = sorted({0, 1, 4, 11, 12, 20, 40, *random.Random(5).sample(range(41, len(data) * 9 // 10), 12)})
    for length in lengths:
        (tmp_path / f"{length:06}.jpg").write_bytes(data[:length])
    (tmp_path / "whole").write_bytes(data)
    *cut, whole = acquire_many(walk_evidence([tmp_path]))
    assert whole.failure is None
    assert whole.pixels is not None
    assert len(cut) == len(lengths)
    for result in cut:
        assert result.pixels is None, result.item.path
        assert result.failure is not None
        assert result.failure.stage in ("sniff", "decode")
        assert result.failure.message.isprintable()
        assert len(result.item.sha256) == 64


def test_two_runs_say_the_same(tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG", "TIFF"):
        data = coded(kind)
        for share in (3, 5, 8):
            (tmp_path / f"{kind}{share}").write_bytes(data[: len(data) * share // 10])
    first, second = (
        [(result.item, result.failure) for result in acquire_many(walk_evidence([tmp_path]), jobs=jobs)]
        for jobs in (1, 2)
    )
    assert first == second
