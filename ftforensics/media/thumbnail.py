"""Embedded thumbnails made new, so that a tagged file never shows its untagged self.

Enters: metadata blocks of the source file and the tagged picture. Leaves: the same blocks, byte for byte but for the
thumbnail, which is rewritten in place (no offset moves, maker notes stay valid) or, where that cannot be done, unlinked
and overwritten with zeros. Previews inside maker notes are not known to this program and are left as they are.
Source: EXIF 2.32 section 4.5.5, Adobe Photoshop File Formats (image resource blocks 1033 and 1036).
"""

from __future__ import annotations

import io
import re
import struct
from typing import Literal

from PIL import Image

from ftforensics.media.exif_ifd import (
    EXIF_PREFIX,
    TAG_STRIP_BYTE_COUNTS,
    TAG_STRIP_OFFSETS,
    TAG_THUMBNAIL_BYTES,
    TAG_THUMBNAIL_OFFSET,
    Ifd,
    parse_byte_order,
    parse_ifd,
    parse_number,
)

Outcome = Literal["none", "replaced", "removed"]

DEFAULT_BOX_PX = (160, 160)
MAX_BOX_PX = 512
_QUALITIES = (85, 75, 65, 55, 45, 35, 25)
_PHOTOSHOP_THUMBNAILS = (0x0409, 0x040C)
_XMP_THUMBNAILS = re.compile(rb"<(xmp|xap):Thumbnails\b.*?</\1:Thumbnails\s*>", re.DOTALL)


def renew_exif_thumbnail(exif: bytes, picture: Image.Image) -> tuple[bytes, Outcome]:
    """Replace the thumbnail in an EXIF block by one of ``picture``.

    Args:
        exif: The block, with or without its ``Exif`` prefix.
        picture: The tagged picture in the orientation in which the file stores it.

    Returns:
        The new block, of the same length, and what was done.
    """
    prefix = EXIF_PREFIX if exif.startswith(EXIF_PREFIX) else b""
    tiff = bytearray(exif[len(prefix) :])
    head = parse_byte_order(bytes(tiff[:8]))
    if head is None:
        return exif, "none"
    order, first_at = head
    first = parse_ifd(bytes(tiff), first_at, order)
    if first is None or first.next_offset == 0:
        return exif, "none"
    second = parse_ifd(bytes(tiff), first.next_offset, order)
    if second is not None and _rewrite(tiff, second, order, picture):
        return prefix + bytes(tiff), "replaced"
    struct.pack_into(order + "I", tiff, first.next_pointer_at, 0)
    if second is not None:
        _blank(tiff, second, order)
    return prefix + bytes(tiff), "removed"


def strip_photoshop_thumbnails(resources: bytes) -> bytes:
    """Take the thumbnails out of a run of Photoshop image resource blocks; anything malformed is left as it is."""
    kept, at = bytearray(), 0
    while resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
        (number,) = struct.unpack_from(">H", resources, at + 4)
        name_bytes = 1 + resources[at + 6]
        size_at = at + 6 + name_bytes + name_bytes % 2
        if size_at + 4 > len(resources):
            break
        (size,) = struct.unpack_from(">I", resources, size_at)
        end = size_at + 4 + size + size % 2
        if number not in _PHOTOSHOP_THUMBNAILS:
            kept += resources[at:end]
        at = end
    return bytes(kept + resources[at:])


def strip_xmp_thumbnails(xmp: bytes) -> bytes:
    """Take thumbnail pictures out of an XMP packet."""
    return _XMP_THUMBNAILS.sub(b"", xmp) if b"Thumbnails" in xmp else xmp


def _rewrite(tiff: bytearray, ifd: Ifd, order: str, picture: Image.Image) -> bool:
    """Put a new JPEG where the old one lay, if it fits; what is left of the old one becomes zeros."""
    offset = parse_number(bytes(tiff), ifd, TAG_THUMBNAIL_OFFSET, order)
    length = parse_number(bytes(tiff), ifd, TAG_THUMBNAIL_BYTES, order)
    if offset is None or length is None or length == 0 or offset + length > len(tiff):
        return False
    if _overlaps(ifd, offset, length):
        return False
    fresh = _encode_within(picture, _old_size(bytes(tiff[offset : offset + length])), length)
    if fresh is None:
        return False
    tiff[offset : offset + length] = fresh + bytes(length - len(fresh))
    at, kind, _ = ifd.values[TAG_THUMBNAIL_BYTES]
    struct.pack_into(order + ("H" if kind == 3 else "I"), tiff, at, len(fresh))
    return True


def _overlaps(ifd: Ifd, offset: int, length: int) -> bool:
    return offset < 8 or (offset < ifd.next_pointer_at + 4 and ifd.offset < offset + length)


def _blank(tiff: bytearray, ifd: Ifd, order: str) -> None:
    """Overwrite the pixels of a thumbnail that was unlinked."""
    data = bytes(tiff)
    for where, size in ((TAG_THUMBNAIL_OFFSET, TAG_THUMBNAIL_BYTES), (TAG_STRIP_OFFSETS, TAG_STRIP_BYTE_COUNTS)):
        offset, length = parse_number(data, ifd, where, order), parse_number(data, ifd, size, order)
        if offset is not None and length is not None and 8 <= offset <= offset + length <= len(tiff):
            tiff[offset : offset + length] = bytes(length)


def _old_size(jpeg: bytes) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as old:
            width_px, height_px = old.size
    except Exception:  # noqa: BLE001 - an unreadable old thumbnail is simply replaced by one of the usual size
        return DEFAULT_BOX_PX
    return (width_px, height_px) if max(width_px, height_px) <= MAX_BOX_PX else (MAX_BOX_PX, MAX_BOX_PX)


def _encode_within(picture: Image.Image, box_px: tuple[int, int], max_bytes: int) -> bytes | None:
    """A JPEG of ``picture`` that fits the box and the bytes, at the best quality that does."""
    for shrink in (1, 2, 4):
        scale = min(1.0, box_px[0] / shrink / picture.width, box_px[1] / shrink / picture.height)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        for quality in _QUALITIES:
            buffer = io.BytesIO()
            small.save(buffer, "JPEG", quality=quality)
            if buffer.tell() <= max_bytes:
                return buffer.getvalue()
    return None
