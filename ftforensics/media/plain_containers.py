"""WebP, BMP and HEIC files written like their source, as far as Pillow and libheif carry the settings.

Lossy WebP and HEIC files do not tell the quality they were coded at: they are written at ``LOSSY_QUALITY``.
Source: WebP container specification (RIFF).
"""

from __future__ import annotations

import importlib
import io
import re
from typing import Any

from PIL import Image

from ftforensics.media.decode import open_picture
from ftforensics.media.photo import Photo
from ftforensics.media.thumbnail import renew_exif_thumbnail
from ftforensics.media.xmp import clean_xmp

LOSSY_QUALITY = 92
# ISO/IEC 23008-12: what an auxiliary picture is. Transparency is carried over, as the picture's own.
_AUXILIARY = re.compile(rb"auxC\x00{4}(urn:[\x21-\x7e]+)\x00")
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


def encode_webp_like(photo: Photo, picture: Image.Image) -> bytes:
    """Lossless stays lossless with colour kept under transparency; EXIF, XMP and ICC are carried over."""
    settings: dict[str, Any] = {"lossless": is_lossless_webp(photo.data), "exact": True, "method": 4}
    settings["quality"] = 80 if settings["lossless"] else LOSSY_QUALITY
    return _save(picture, "WEBP", {**settings, **_metadata(photo, picture)})


def encode_bmp_like(photo: Photo, picture: Image.Image) -> bytes:
    """BMP has no metadata but its resolution."""
    with open_picture(photo.data, photo.media_type) as original:
        dpi = original.info.get("dpi")
    return _save(picture, "BMP", {"dpi": dpi} if dpi else {})


def encode_heic_like(photo: Photo, picture: Image.Image) -> bytes:
    """HEVC at ``LOSSY_QUALITY`` with the source's chroma sampling; EXIF, XMP, ICC or NCLX are carried over."""
    with open_picture(photo.data, photo.media_type) as original:
        chroma, nclx = original.info.get("chroma"), original.info.get("nclx_profile")
    settings: dict[str, Any] = {"quality": LOSSY_QUALITY, **_metadata(photo, picture)}
    if chroma is not None:
        settings["chroma"] = chroma
    if nclx is not None and photo.icc is None:
        settings["nclx_profile"] = nclx
    importlib.import_module("pillow_heif").register_heif_opener()
    return _save(picture, "HEIF", settings)


def list_dropped(photo: Photo) -> tuple[str, ...]:
    """What a WebP or HEIC file holds that is not carried over, in words."""
    dropped = list(clean_xmp(photo.xmp)[1]) if photo.xmp else []
    if photo.media_type in ("image/heic", "image/heif") and any(
        kind not in _ALPHA for kind in _AUXILIARY.findall(photo.data)
    ):
        dropped.append("further pictures of the file (depth or gain map)")
    return tuple(dropped)


def is_lossless_webp(data: bytes) -> bool:
    """Whether a WebP file's picture is in a lossless (VP8L) chunk."""
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        at += 8 + size + size % 2
    return False


def _metadata(photo: Photo, picture: Image.Image) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if photo.exif:
        settings["exif"] = renew_exif_thumbnail(photo.exif, picture)[0]
    if photo.icc:
        settings["icc_profile"] = photo.icc
    if photo.xmp and (cleaned := clean_xmp(photo.xmp)[0]):
        settings["xmp"] = cleaned
    return settings


def _save(picture: Image.Image, kind: str, settings: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()
