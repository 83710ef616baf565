"""TIFF files written like their source: its lossless compression, its descriptive tags, its EXIF and GPS folders.

Source: TIFF 6.0, EXIF 2.32 section 4.6.3. Pixels and tags are written by Pillow; the EXIF and GPS folders, which its
compressed writer cannot carry, are appended to the file and linked from a new first directory.
"""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import Image, TiffImagePlugin

from ftforensics.media.decode import open_picture
from ftforensics.media.exif_ifd import parse_byte_order, parse_ifd
from ftforensics.media.photo import Photo
from ftforensics.media.thumbnail import strip_photoshop_thumbnails
from ftforensics.media.xmp import UNREADABLE, clean_xmp

_COMPRESSIONS = frozenset({"raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"})
_PREDICTED = frozenset({"tiff_lzw", "tiff_adobe_deflate"})
_PREDICTOR, _XMP, _PHOTOSHOP = 317, 700, 34377
_EXIF_FOLDER, _GPS_FOLDER = 34665, 34853
_LONG = 4
_KEPT = frozenset(
    {
        *(269, 270, 271, 272, 274, 282, 283, 285, 286, 287, 296, 297, 305, 306, 315, 316, 333, 337),
        *(_XMP, 33432, 33723, _PHOTOSHOP),
    }
)

Folder = TiffImagePlugin.ImageFileDirectory_v2


def encode_tiff_like(photo: Photo, picture: Image.Image) -> bytes:
    """Code ``picture`` (stored orientation) as the TIFF file of ``photo`` is coded.

    Lossless compression is kept, any other becomes deflate. Private and structural tags are not carried over.
    """
    with open_picture(photo.data, photo.media_type) as original:
        compression = original.info.get("compression", "raw")
        tags = _copy_tags(original)
        exif = original.getexif()
        folders = {group: dict(exif.get_ifd(group)) for group in (_EXIF_FOLDER, _GPS_FOLDER)}
    if compression not in _COMPRESSIONS:
        compression = "tiff_adobe_deflate"
    if compression in _PREDICTED:
        tags[_PREDICTOR] = 2
    settings: dict[str, Any] = {"compression": compression, "tiffinfo": tags}
    if photo.icc is not None:
        settings["icc_profile"] = photo.icc
    buffer = io.BytesIO()
    picture.save(buffer, "TIFF", **settings)
    return append_folders(buffer.getvalue(), {group: fields for group, fields in folders.items() if fields})


def list_dropped(photo: Photo) -> tuple[str, ...]:
    """What ``encode_tiff_like`` leaves out of its XMP, in words."""
    with open_picture(photo.data, photo.media_type) as original:
        packet = original.tag_v2.get(_XMP)  # type: ignore[attr-defined]
    if packet is None:
        return ()
    return clean_xmp(packet)[1] if isinstance(packet, bytes) else (UNREADABLE,)


def append_folders(tiff: bytes, folders: dict[int, dict[int, Any]]) -> bytes:
    """Add sub-directories to a TIFF file and link them from its first directory.

    Args:
        tiff: A whole classic TIFF file.
        folders: Fields by tag, by the tag that links them (34665 EXIF, 34853 GPS).

    Raises:
        ValueError: ``tiff`` has no readable first directory.
    """
    head = parse_byte_order(tiff)
    first = None if head is None else parse_ifd(tiff, head[1], head[0])
    if head is None or first is None:
        raise ValueError("no first directory")
    if not folders:
        return tiff
    order, start = head
    out = bytearray(tiff)
    entries = {
        struct.unpack_from(order + "H", tiff, at)[0]: tiff[at : at + 12]
        for at in range(start + 2, first.next_pointer_at, 12)
    }
    for group, fields in folders.items():
        out += bytes(len(out) % 2)
        entries[group] = struct.pack(order + "HHII", group, _LONG, 1, len(out))
        out += _code_folder(group, fields, tiff[:2], len(out))
    out += bytes(len(out) % 2)
    struct.pack_into(order + "I", out, 4, len(out))
    out += struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
    return bytes(out + struct.pack(order + "I", first.next_offset))


def _code_folder(group: int, fields: dict[int, Any], prefix: bytes, offset: int) -> bytes:
    folder = Folder(prefix=prefix, group=group)
    for tag, value in fields.items():
        if not isinstance(value, dict):  # the interoperability folder is not worth its weight
            folder[tag] = value
    return bytes(folder.tobytes(offset))


def _copy_tags(original: Image.Image) -> Folder:
    source: Folder = original.tag_v2  # type: ignore[attr-defined]
    tags = Folder()
    for tag in source:
        if tag not in _KEPT:
            continue
        value = source[tag]
        if tag in (_XMP, _PHOTOSHOP):
            if not isinstance(value, bytes):  # of another type than it should have, and so not searched for pictures
                continue
            value = clean_xmp(value)[0] if tag == _XMP else strip_photoshop_thumbnails(value)
            if not value:
                continue
        tags[tag] = value
        tags.tagtype[tag] = source.tagtype[tag]
    return tags
