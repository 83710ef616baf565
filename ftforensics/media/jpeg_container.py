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
from ftforensics.media.thumbnail import renew_exif_thumbnail, strip_photoshop_thumbnails
from ftforensics.media.xmp import EXTENDED, clean_xmp

Segment = tuple[int, bytes]

_SOI, _SOS, _EOI, _COM = 0xD8, 0xDA, 0xD9, 0xFE
_APP0, _APP1, _APP2, _APP11, _APP13, _APP14 = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\x00"
_EXTENDED_XMP_PREFIX = b"http://ns.adobe.com/xmp/extension/\x00"
_ICC_PREFIX = b"ICC_PROFILE\x00"
# ISO 21496-1: speaks of a gain map, which is another picture of the file.
_GAIN_MAP_PREFIX = b"urn:iso:std:iso:ts:21496:-1\x00"
_PICTURE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_KIND_BYTES = 4
_PHOTOSHOP_PREFIX = b"Photoshop 3.0\x00"
_UNDERSTOOD = (EXIF_PREFIX, _XMP_PREFIX, _EXTENDED_XMP_PREFIX, _PHOTOSHOP_PREFIX, _ICC_PREFIX, b"MPF\x00", b"JP")
_SUBSAMPLING_444 = 0
_FURTHER_PICTURES = "further pictures of the multi-picture file (depth or gain map)"

_SOF0 = 0xC0
_UNUSUAL_CODINGS: dict[int, str] = {
    0xC3: "lossless coding",
    0xC5: "hierarchical coding",
    0xC6: "hierarchical coding",
    0xC7: "hierarchical lossless coding",
    0xC9: "arithmetic coding",
    0xCA: "progressive arithmetic coding",
    0xCB: "lossless arithmetic coding",
    0xCD: "hierarchical arithmetic coding",
    0xCE: "hierarchical arithmetic coding",
    0xCF: "hierarchical lossless arithmetic coding",
}


def encode_jpeg_like(source: bytes, picture: Image.Image) -> bytes:
    """Code ``picture`` (RGB or L, stored orientation) as the JPEG file ``source`` is coded.

    Quantisation tables, chroma sampling (4:4:4 where Pillow cannot write the source's) and progressive order are the
    source's. Dropped: thumbnails other than EXIF's, further pictures of a multi-picture file, pictures inside XMP and
    makers' segments, extended XMP, C2PA manifests.

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
    with_pictures = _kinds_with_pictures(source)
    for marker, payload in split_segments(source):
        if marker == _APP2 and payload.startswith(b"MPF\x00"):
            dropped.append(_FURTHER_PICTURES)
        elif marker == _APP11 and payload.startswith(b"JP"):
            dropped.append("C2PA manifest (it would no longer match the pixels)")
        elif marker == _APP1 and payload.startswith(_EXTENDED_XMP_PREFIX):
            dropped.append(EXTENDED)
        elif marker == _APP1 and payload.startswith(_XMP_PREFIX):
            dropped.extend(clean_xmp(payload[len(_XMP_PREFIX) :])[1])
        elif _kind(marker, payload) in with_pictures:
            dropped.append("pictures inside segments of the camera's maker")
    if _FURTHER_PICTURES not in dropped and _trailing_bytes(source) > 0:
        dropped.append("data after the end of the picture (such as the film of a motion photo)")
    return tuple(dict.fromkeys(dropped))


def find_unusual_coding(jpeg: bytes) -> str | None:
    """How a JPEG is coded, in words, where it is neither baseline nor progressive Huffman coding; else None."""
    try:
        frame = next((marker for marker, _ in split_segments(jpeg) if marker in _UNUSUAL_CODINGS), None)
    except EvidenceUnreadable:
        return None
    return None if frame is None else f"{_UNUSUAL_CODINGS[frame]} (SOF{frame - _SOF0})"


def _keep_metadata(source: bytes, picture: Image.Image) -> Iterator[Segment]:
    with_pictures = _kinds_with_pictures(source)
    for marker, payload in split_segments(source):
        if marker == _APP0 and payload.startswith(b"JFIF\x00"):
            yield marker, payload[:12] + b"\x00\x00"
        elif marker == _APP1 and payload.startswith(EXIF_PREFIX):
            yield marker, renew_exif_thumbnail(payload, picture)[0]
        elif marker == _APP1 and payload.startswith(_XMP_PREFIX):
            cleaned, _ = clean_xmp(payload[len(_XMP_PREFIX) :])
            if cleaned:
                yield marker, _XMP_PREFIX + cleaned
        elif marker == _APP13 and payload.startswith(_PHOTOSHOP_PREFIX):
            body = payload[len(_PHOTOSHOP_PREFIX) :]
            yield marker, _PHOTOSHOP_PREFIX + strip_photoshop_thumbnails(body)
        elif _is_stale(marker, payload) or _kind(marker, payload) in with_pictures:
            continue
        elif marker == _COM or 0xE0 < marker <= 0xEF:
            yield marker, payload


def _kinds_with_pictures(source: bytes) -> set[Segment]:
    """Which segments that this program does not understand hold pictures: makers put the original's previews there.

    A picture may go on through several segments; they have their first bytes in common.
    """
    return {
        _kind(marker, payload)
        for marker, payload in split_segments(source)
        if (marker == _COM or 0xE0 < marker <= 0xEF)
        and not payload.startswith(_UNDERSTOOD)
        and any(start in payload for start in _PICTURE_STARTS)
    }


def _kind(marker: int, payload: bytes) -> Segment:
    return marker, payload[:_KIND_BYTES]


def _is_stale(marker: int, payload: bytes) -> bool:
    return (
        (marker == _APP2 and payload.startswith((b"MPF\x00", _GAIN_MAP_PREFIX)))
        or (marker == _APP1 and payload.startswith(_EXTENDED_XMP_PREFIX))
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
