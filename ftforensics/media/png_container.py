"""PNG files written like their source: ancillary chunks carried over byte for byte, new pixels.

Source: PNG (W3C, third edition) section 5. Pixels are coded by Pillow.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.thumbnail import renew_exif_thumbnail, strip_xmp_thumbnails

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STALE = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"hIST", b"acTL", b"fcTL", b"fdAT", b"caBX", b"dSIG"})


def encode_png_like(source: bytes, picture: Image.Image) -> bytes:
    """Code ``picture`` (RGB, RGBA, L or LA, stored orientation) with the metadata chunks of ``source``.

    Raises:
        EvidenceUnreadable: The source's chunks are malformed.
    """
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    before, after, has_pixels = b"", b"", False
    for kind, payload in split_chunks(source):
        if kind == b"IDAT":
            has_pixels = True
        elif kind not in _STALE:
            chunk = join_chunk(kind, _renew(kind, payload, picture))
            before, after = (before, after + chunk) if has_pixels else (before + chunk, after)
    out = [SIGNATURE]
    for kind, payload in split_chunks(buffer.getvalue()):
        out.extend([after] if kind == b"IEND" else [])
        out.append(join_chunk(kind, payload))
        out.extend([before] if kind == b"IHDR" else [])
    return b"".join(out)


def split_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Chunks as (type, payload), the end chunk included.

    Raises:
        EvidenceUnreadable: A chunk runs over the end of the file.
    """
    at = len(SIGNATURE)
    while at < len(png):
        if at + 12 > len(png):
            raise EvidenceUnreadable("the PNG file ends inside a chunk")
        length, kind = struct.unpack_from(">I4s", png, at)
        if at + 12 + length > len(png):
            raise EvidenceUnreadable("the PNG file ends inside a chunk")
        yield kind, png[at + 8 : at + 8 + length]
        if kind == b"IEND":
            return
        at += 12 + length


def join_chunk(kind: bytes, payload: bytes) -> bytes:
    """One chunk as bytes."""
    return struct.pack(">I4s", len(payload), kind) + payload + struct.pack(">I", zlib.crc32(kind + payload))


def list_dropped(source: bytes) -> tuple[str, ...]:
    """What ``encode_png_like`` cannot carry over, in words."""
    kinds = {kind for kind, _ in split_chunks(source)}
    return ("C2PA manifest (it would no longer match the pixels)",) if b"caBX" in kinds else ()


def _renew(kind: bytes, payload: bytes, picture: Image.Image) -> bytes:
    if kind == b"eXIf":
        return renew_exif_thumbnail(payload, picture)[0]
    if kind == b"iTXt" and payload.startswith(b"XML:com.adobe.xmp\x00\x00"):
        return strip_xmp_thumbnails(payload)
    return payload
