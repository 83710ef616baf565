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
from ftforensics.media.thumbnail import renew_exif_thumbnail
from ftforensics.media.xmp import UNREADABLE, clean_xmp

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STALE = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"hIST", b"acTL", b"fcTL", b"fdAT", b"caBX", b"dSIG"})

_XMP_KEYWORD = b"XML:com.adobe.xmp\x00"
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
# ImageMagick's way to keep whole metadata blocks, thumbnails included, as hexadecimal text.
_RAW_PROFILES = tuple(b"Raw profile type " + kind + b"\x00" for kind in (b"exif", b"APP1", b"xmp", b"8bim"))
_MAX_XMP_BYTES = 64 << 20


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
            renewed = _renew(kind, payload, picture)
            if renewed is None:
                continue
            chunk = join_chunk(kind, renewed)
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
    dropped: list[str] = []
    for kind, payload in split_chunks(source):
        if kind == b"caBX":
            dropped.append("C2PA manifest (it would no longer match the pixels)")
        elif kind in _TEXTS and payload.startswith(_RAW_PROFILES):
            dropped.append("metadata kept as a raw profile (it can hold the untagged original)")
        elif kind in _TEXTS and payload.startswith(_XMP_KEYWORD):
            dropped.extend(_clean_xmp_text(kind, payload)[1])
    return tuple(dict.fromkeys(dropped))


def _renew(kind: bytes, payload: bytes, picture: Image.Image) -> bytes | None:
    """A chunk as the new file is to hold it; None where it is left out."""
    if kind == b"eXIf":
        return renew_exif_thumbnail(payload, picture)[0]
    if kind in _TEXTS and payload.startswith(_RAW_PROFILES):
        return None
    if kind in _TEXTS and payload.startswith(_XMP_KEYWORD):
        return _clean_xmp_text(kind, payload)[0]
    return payload


def _clean_xmp_text(kind: bytes, payload: bytes) -> tuple[bytes | None, tuple[str, ...]]:
    """A text chunk of XMP, cleaned, and what was left out; one that cannot be read is left out whole.

    Layout of iTXt: keyword, zero, whether compressed, method, language, zero, keyword in that language, zero, text.
    """
    head, text = payload[: len(_XMP_KEYWORD)], payload[len(_XMP_KEYWORD) :]
    if kind != b"iTXt" or text.count(b"\x00", 2) < 2 or text[0] not in (0, 1):
        return None, (UNREADABLE,)
    texts_at = text.index(b"\x00", text.index(b"\x00", 2) + 1) + 1
    packet = text[texts_at:]
    if text[0] == 1:
        inflate = zlib.decompressobj()
        try:
            packet = inflate.decompress(packet, _MAX_XMP_BYTES)
        except zlib.error:
            return None, (UNREADABLE,)
        if not inflate.eof:
            return None, (UNREADABLE,)
    cleaned, dropped = clean_xmp(packet)
    if cleaned == packet:
        return payload, dropped
    return (head + b"\x00" + text[1:texts_at] + cleaned if cleaned else None), dropped
