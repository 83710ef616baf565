"""EXIF fields of a file as short text. Runs inside a worker, last of all, because its parser has been known to hang.

EXIF is a claim of whoever wrote the file. Maker notes are not read.
"""

from __future__ import annotations

import io
import logging

import exifread

from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.escape import describe_exception, escape_text

MAX_FIELDS = 160
MAX_NAME_CHARS = 64
MAX_VALUE_CHARS = 200

_LEFT_OUT = ("Thumbnail ", "JPEGThumbnail", "TIFFThumbnail", "EXIF MakerNote", "Image PrintIM", "EXIF UserComment Raw")


def parse_exif(data: bytes) -> dict[str, str]:
    """Read EXIF fields.

    Args:
        data: The whole file.

    Returns:
        At most ``MAX_FIELDS`` fields in the order of their names, printable, each name and value cut to its limit.

    Raises:
        EvidenceUnreadable: The EXIF block is malformed.
    """
    logging.disable(logging.CRITICAL)
    try:
        fields = exifread.process_file(io.BytesIO(data), details=False, extract_thumbnail=False)
        shown = {
            escape_text(str(name), MAX_NAME_CHARS): escape_text(str(value).strip(), MAX_VALUE_CHARS)
            for name, value in fields.items()
            if not str(name).startswith(_LEFT_OUT)
        }
    except MemoryError:
        raise
    except Exception as exc:  # the parser lets NotImplementedError, EOFError, KeyError and others through
        raise EvidenceUnreadable(f"the EXIF block cannot be read ({describe_exception(exc)})") from exc
    return dict(sorted(shown.items())[:MAX_FIELDS])
