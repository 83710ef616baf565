"""The skeleton of an EXIF block: enough to find the orientation and the thumbnail, and to change nothing else.

Source: TIFF 6.0 and EXIF 2.32 (CIPA DC-008) section 4.5. Only IFD0 and IFD1 are looked at; maker notes are never
touched, because their offsets are known to their makers alone.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

EXIF_PREFIX = b"Exif\x00\x00"
TAG_ORIENTATION = 0x0112
TAG_COMPRESSION = 0x0103
TAG_STRIP_OFFSETS = 0x0111
TAG_STRIP_BYTE_COUNTS = 0x0117
TAG_THUMBNAIL_OFFSET = 0x0201
TAG_THUMBNAIL_BYTES = 0x0202
_MAX_ENTRIES = 512
_SHORT, _LONG = 3, 4


@dataclass(frozen=True, slots=True)
class Ifd:
    """One directory: where its first value of each tag lies, and the place that points to the next directory.

    ``values`` maps a tag to (offset of its value field, type, count); positions count from the TIFF header.
    """

    offset: int
    values: dict[int, tuple[int, int, int]]
    next_pointer_at: int
    next_offset: int


def parse_ifd(tiff: bytes, offset: int, order: str) -> Ifd | None:
    """Read one directory, or None where it does not lie wholly inside ``tiff``."""
    if not 8 <= offset <= len(tiff) - 6:
        return None
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    end = offset + 2 + 12 * count
    if count > _MAX_ENTRIES or end + 4 > len(tiff):
        return None
    values: dict[int, tuple[int, int, int]] = {}
    for at in range(offset + 2, end, 12):
        tag, kind, amount = struct.unpack_from(order + "HHI", tiff, at)
        values.setdefault(tag, (at + 8, kind, amount))
    (following,) = struct.unpack_from(order + "I", tiff, end)
    return Ifd(offset, values, end, following)


def parse_byte_order(tiff: bytes) -> tuple[str, int] | None:
    """``struct`` byte order and offset of IFD0, or None if this is no TIFF header."""
    for magic, order in ((b"II*\x00", "<"), (b"MM\x00*", ">")):
        if tiff.startswith(magic) and len(tiff) >= 8:
            return order, int(struct.unpack_from(order + "I", tiff, 4)[0])
    return None


def parse_number(tiff: bytes, ifd: Ifd, tag: int, order: str) -> int | None:
    """The value of a tag that holds one SHORT or LONG, else None."""
    if tag not in ifd.values:
        return None
    at, kind, count = ifd.values[tag]
    if count != 1 or kind not in (_SHORT, _LONG):
        return None
    return int(struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, at)[0])


def parse_orientation(exif: bytes | None) -> int:
    """EXIF orientation 1..8; 1 where there is none or it makes no sense.

    Args:
        exif: An EXIF block with or without its ``Exif`` prefix, or None.
    """
    if not exif:
        return 1
    tiff = exif.removeprefix(EXIF_PREFIX)
    head = parse_byte_order(tiff)
    if head is None:
        return 1
    order, offset = head
    ifd = parse_ifd(tiff, offset, order)
    value = None if ifd is None else parse_number(tiff, ifd, TAG_ORIENTATION, order)
    return value if value is not None and 1 <= value <= 8 else 1
