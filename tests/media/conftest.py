"""Fixtures of the media tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_pictures import make_pixels
from PIL import Image


@pytest.fixture
def write_picture(tmp_path: Path) -> Callable[..., Path]:
    """Write an array as a picture file; the format comes from the extension, options go to Pillow."""

    def write(name: str, pixels: np.ndarray | Image.Image | None = None, **options: Any) -> Path:
        if name.endswith((".heic", ".heif")):
            import pillow_heif

            pillow_heif.register_heif_opener()
        image = (
            pixels if isinstance(pixels, Image.Image) else Image.fromarray(make_pixels() if pixels is None else pixels)
        )
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)
        return path

    return write
