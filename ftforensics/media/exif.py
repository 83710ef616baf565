"""EXIF fields of a file as short text. Runs inside a worker, last of all, because its parser has been known to hang.

EXIF is a claim of whoever wrote the file. Maker notes are not read. The block is taken out of its container by the
container's own parser; ExifRead, which knows the containers by halves, is given the block alone.
"""

from __future__ import annotations

import importlib
import io
import logging

import exifread

from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.decode import open_picture
from ftforensics.media.escape import describe_exception, escape_text
from ftforensics.media.exif_ifd import EXIF_PREFIX, parse_byte_order, parse_ifd
from ftforensics.media.png_container import split_chunks
from ftforensics.media.sniff import HEAD_BYTES, sniff_media_type

MAX_FIELDS = 160
MAX_NAME_CHARS = 64
MAX_VALUE_CHARS = 200

_LEFT_OUT = ("Thumbnail ", "JPEGThumbnail", "TIFFThumbnail", "EXIF MakerNote", "Image PrintIM", "EXIF UserComment Raw")


def parse_exif(data: bytes) -> dict[str, str]:
    """Read EXIF fields.

    Args:
        data: The whole file.

    Returns:
        At most ``MAX_FIELDS`` fields in the order of their names, printable, each name and value cut to its limit. Of
        an AVIF file the orientation is the one it is shown in.

    Raises:
        EvidenceUnreadable: There is an EXIF block, and it is malformed or nothing in it can be read.
    """
    logging.disable(logging.CRITICAL)
    block = _find_block(data)
    if block == b"":
        return {}
    try:
        fields = exifread.process_file(
            io.BytesIO(data if block is None else block), details=False, extract_thumbnail=False
        )
        shown = {
            escape_text(str(name), MAX_NAME_CHARS): escape_text(str(value).strip(), MAX_VALUE_CHARS)
            for name, value in fields.items()
            if not str(name).startswith(_LEFT_OUT)
        }
    except MemoryError:
        raise
    except Exception as exc:  # the parser lets NotImplementedError, EOFError, KeyError and others through
        raise EvidenceUnreadable(f"the EXIF block cannot be read ({describe_exception(exc)})") from exc
    if block is not None and not fields and not _has_no_entries(block):
        raise EvidenceUnreadable("the EXIF block cannot be read (no field is found in it)")
    return dict(sorted(shown.items())[:MAX_FIELDS])


def _find_block(data: bytes) -> bytes | None:
    """The TIFF stream of a file's EXIF block, empty where it has none.

    None where the file is such a stream itself, is no picture, or cannot be opened, which decoding has told already.
    """
    media_type = sniff_media_type(data[:HEAD_BYTES])
    try:
        if media_type == "image/png":
            block = _find_in_png(data)
        elif media_type in ("image/heic", "image/heif"):
            # Through Pillow, the library would state every orientation as 1.
            block = importlib.import_module("pillow_heif").open_heif(io.BytesIO(data)).info.get("exif")
        elif media_type in ("image/jpeg", "image/webp", "image/avif"):
            with open_picture(data, media_type) as image:
                block = image.info.get("exif")
        else:
            return None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - image parsers raise nearly every built-in exception on hostile bytes
        return None
    return block.removeprefix(EXIF_PREFIX) if isinstance(block, bytes) else b""


def _find_in_png(data: bytes) -> bytes | None:
    try:
        return next((payload for kind, payload in split_chunks(data) if kind == b"eXIf"), None)
    except EvidenceUnreadable:  # the file is cut off behind its last whole chunk
        return None


def _has_no_entries(block: bytes) -> bool:
    """Whether a block is well formed and empty."""
    head = parse_byte_order(block)
    first = None if head is None else parse_ifd(block, head[1], head[0])
    return first is not None and not first.values
