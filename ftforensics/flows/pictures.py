"""Pictures that go into a case beside a finding."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from ftforensics.imaging.resample import Pixels, fit_within
from ftforensics.link import fingerprint

SHOWN_PX = 768
SHOWN_QUALITY, SOURCE_QUALITY = 88, 95


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
    return _coded("suspect", fit_within(pixels, SHOWN_PX), quality=SHOWN_QUALITY)


def registered_jpeg(preview: bytes) -> Picture:
    """The source as it was compared: the pixels of the record's preview, coded anew.

    The preview's own bytes come from whoever registered it, and could show something else in a viewer: a profile, an
    orientation or another file behind them are not looked at when it is compared.
    """
    return _coded("source", fingerprint.decode_preview(preview), quality=SOURCE_QUALITY, subsampling=0)


def _coded(role: str, pixels: Pixels, **how: int) -> Picture:
    """Pixels as a JPEG without metadata."""
    shown, buffer = Image.fromarray(pixels), io.BytesIO()
    shown.save(buffer, "JPEG", **how)
    return Picture(
        role=role, content=buffer.getvalue(), media_type="image/jpeg", width_px=shown.width, height_px=shown.height
    )


def as_png(role: str, content: bytes) -> Picture:
    """A picture that is PNG already."""
    with Image.open(io.BytesIO(content)) as picture:
        return Picture(
            role=role, content=content, media_type="image/png", width_px=picture.width, height_px=picture.height
        )
