"""JPEG files written like their source: same tables, sampling and metadata segments, new pixels.

Source: ITU-T T.81 annex B (markers), JFIF 1.02, EXIF 2.32. Pixels are coded by Pillow; the source's metadata segments
are then put back byte for byte, except those that would lie about the new pixels.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image, ImageFile, JpegImagePlugin

from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.exif_ifd import EXIF_PREFIX
from ftforensics.media.thumbnail import renew_exif_thumbnail, strip_photoshop_thumbnails, strip_xmp_thumbnails

Segment = tuple[int, bytes]

_SOI, _SOS, _EOI, _COM = 0xD8, 0xDA, 0xD9, 0xFE
_APP0, _APP1, _APP2, _APP11, _APP13, _APP14 = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\x00"
_PHOTOSHOP_PREFIX = b"Photoshop 3.0\x00"
_SUBSAMPLING_444 = 0


def encode_jpeg_like(source: bytes, picture: Image.Image) -> bytes:
    """Code ``picture`` (RGB or L, stored orientation) as the JPEG file ``source`` is coded.

    Quantisation tables, chroma sampling (4:4:4 where Pillow cannot write the source's) and progressive order are the
    source's. Dropped: thumbnails other than EXIF's, further pictures of a multi-picture file, C2PA manifests.

    Raises:
        EvidenceUnreadable: The source's segments are malformed.
    """
    with Image.open(io.BytesIO(source), formats=("JPEG",)) as original:
        tables = getattr(original, "quantization", {})
        sampling = JpegImagePlugin.get_sampling(original)
        is_progressive = bool(original.info.get("progressive"))
    settings = {
        "qtables": [tables[key] for key in sorted(tables)],
        "progressive": is_progressive,
        "keep_rgb": _is_stored_rgb(source),
    }
    if picture.mode == "RGB":
        settings["subsampling"] = sampling if sampling in (0, 1, 2) else _SUBSAMPLING_444
    coded = _encode(picture, settings)
    fresh = [segment for segment in split_segments(coded) if segment[0] != _APP0]
    kept = list(_keep_metadata(source, picture))
    head = b"".join(join_segment(marker, payload) for marker, payload in kept + fresh)
    return b"\xff\xd8" + head + coded[_scan_start(coded) :]


def split_segments(jpeg: bytes) -> Iterator[Segment]:
    """Marker segments between the start of the image and its first scan, as (marker, payload).

    Raises:
        EvidenceUnreadable: The bytes are no JPEG header.
    """
    at = 2
    while True:
        marker, at = _next_marker(jpeg, at)
        if marker in (_SOS, _EOI):
            return
        if marker in _STANDALONE or marker == _SOI:
            continue
        length = int.from_bytes(jpeg[at : at + 2], "big")
        if length < 2 or at + length > len(jpeg):
            raise EvidenceUnreadable("the JPEG header is malformed")
        yield marker, jpeg[at + 2 : at + length]
        at += length


def join_segment(marker: int, payload: bytes) -> bytes:
    """One marker segment as bytes; ``payload`` at most 65,533 bytes."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def list_dropped(source: bytes) -> tuple[str, ...]:
    """What ``encode_jpeg_like`` cannot carry over, in words."""
    dropped: list[str] = []
    for marker, payload in split_segments(source):
        if marker == _APP2 and payload.startswith(b"MPF\x00"):
            dropped.append("further pictures of the multi-picture file (depth or gain map)")
        elif marker == _APP11 and payload.startswith(b"JP"):
            dropped.append("C2PA manifest (it would no longer match the pixels)")
    if not dropped and _trailing_bytes(source) > 0:
        dropped.append("data after the end of the picture (such as the film of a motion photo)")
    return tuple(dict.fromkeys(dropped))


def _keep_metadata(source: bytes, picture: Image.Image) -> Iterator[Segment]:
    for marker, payload in split_segments(source):
        if marker == _APP0 and payload.startswith(b"JFIF\x00"):
            yield marker, payload[:12] + b"\x00\x00"
        elif marker == _APP1 and payload.startswith(EXIF_PREFIX):
            yield marker, renew_exif_thumbnail(payload, picture)[0]
        elif marker == _APP1 and payload.startswith(_XMP_PREFIX):
            yield marker, strip_xmp_thumbnails(payload)
        elif marker == _APP13 and payload.startswith(_PHOTOSHOP_PREFIX):
            body = payload[len(_PHOTOSHOP_PREFIX) :]
            yield marker, _PHOTOSHOP_PREFIX + strip_photoshop_thumbnails(body)
        elif not _is_stale(marker, payload) and (marker == _COM or 0xE0 < marker <= 0xEF):
            yield marker, payload


def _is_stale(marker: int, payload: bytes) -> bool:
    return (
        (marker == _APP2 and payload.startswith(b"MPF\x00"))
        or (marker == _APP11 and payload.startswith(b"JP"))
        or marker == _APP14  # speaks of the coding; the new coding writes its own where it needs one
    )


def _is_stored_rgb(source: bytes) -> bool:
    for marker, payload in split_segments(source):
        if marker == _APP14 and payload.startswith(b"Adobe") and len(payload) >= 12:
            return payload[11] == 0
    return False


def _encode(picture: Image.Image, settings: dict[str, object]) -> bytes:
    if settings["progressive"]:  # the coder needs one buffer for the whole file
        ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, 6 * picture.width * picture.height + (1 << 16))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **settings)
    return buffer.getvalue()


def _next_marker(jpeg: bytes, at: int) -> tuple[int, int]:
    """The next marker and the place after it; fill bytes are skipped."""
    start = jpeg.find(b"\xff", at)
    while 0 <= start < len(jpeg) - 1 and jpeg[start + 1] in (0x00, 0xFF):
        start = jpeg.find(b"\xff", start + 1)
    if not 0 <= start < len(jpeg) - 1:
        raise EvidenceUnreadable("the JPEG header ends before its picture starts")
    return jpeg[start + 1], start + 2


def _trailing_bytes(jpeg: bytes) -> int:
    """How many bytes follow the end of the image; 0 where no end is found."""
    at = 2
    while True:
        try:
            marker, at = _next_marker(jpeg, at)
        except EvidenceUnreadable:
            return 0
        if marker == _EOI:
            return len(jpeg) - at
        if marker not in _STANDALONE:
            at += int.from_bytes(jpeg[at : at + 2], "big")


def _scan_start(jpeg: bytes) -> int:
    at = 2
    while True:
        marker, after = _next_marker(jpeg, at)
        if marker == _SOS:
            return after - 2
        at = after if marker in _STANDALONE else after + int.from_bytes(jpeg[after : after + 2], "big")
