"""Pictures that go into a case beside a finding."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from ftforensics.imaging.resample import Pixels, fit_within
from ftforensics.link import fingerprint

SHOWN_PX = 768


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture for the case, not yet stored."""

    role: str
    content: bytes
    media_type: str
    width_px: int
    height_px: int


def as_jpeg(pixels: Pixels) -> Picture:
    """The exhibit as shown in reports."""
    small = Image.fromarray(fit_within(pixels, SHOWN_PX))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=88)
    return Picture(
        role="suspect",
        content=buffer.getvalue(),
        media_type="image/jpeg",
        width_px=small.width,
        height_px=small.height,
    )


def stored_jpeg(preview: bytes) -> Picture:
    """The source as the record keeps it, byte for byte."""
    height, width = fingerprint.decode_preview(preview).shape[:2]
    return Picture(role="source", content=preview, media_type="image/jpeg", width_px=width, height_px=height)


def as_png(role: str, content: bytes) -> Picture:
    """A picture that is PNG already."""
    with Image.open(io.BytesIO(content)) as picture:
        return Picture(
            role=role, content=content, media_type="image/png", width_px=picture.width, height_px=picture.height
        )
