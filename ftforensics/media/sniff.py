"""What a file is, told by its first bytes and never by its name.

Source: the magic numbers in the formats' own specifications (ISO/IEC 14496-12 ``ftyp`` for HEIF and AVIF; ISO/IEC
18181-1 and 15444-1 for JPEG XL and JPEG 2000 pictures without a container).
"""

from __future__ import annotations

HEAD_BYTES = 64
EMPTY = "application/x-empty"
UNKNOWN = "application/octet-stream"

PICTURE_TYPES = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/tiff",
        "image/bmp",
        "image/heic",
        "image/heif",
        "image/avif",
    }
)

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf'\x1c", "application/x-7z-compressed"),
    (b"\x1aE\xdf\xa3", "video/x-matroska"),
    (b"\x7fELF", "application/x-executable"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\x00\x00\x00\x0cJXL ", "image/jxl"),
    (b"\xff\x0a", "image/jxl"),
    (b"\xff\x4f\xff\x51", "image/j2c"),
    (b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
)

_BMP_HEADER_BYTES = frozenset({12, 40, 52, 56, 64, 108, 124})

_BRANDS: dict[bytes, str] = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"qt  ": "video/quicktime",
}

_EXTENSIONS: dict[str, frozenset[str]] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), frozenset({"image/jpeg"})),
    ".png": frozenset({"image/png"}),
    ".apng": frozenset({"image/png"}),
    ".gif": frozenset({"image/gif"}),
    ".webp": frozenset({"image/webp"}),
    **dict.fromkeys((".tif", ".tiff", ".dng", ".nef", ".cr2", ".arw"), frozenset({"image/tiff"})),
    **dict.fromkeys((".bmp", ".dib"), frozenset({"image/bmp"})),
    **dict.fromkeys((".heic", ".heif", ".hif", ".heics", ".heifs"), frozenset({"image/heic", "image/heif"})),
    ".avif": frozenset({"image/avif", "image/heif"}),
    ".pdf": frozenset({"application/pdf"}),
    **dict.fromkeys((".zip", ".docx", ".xlsx", ".pptx", ".odt"), frozenset({"application/zip"})),
    **dict.fromkeys((".mp4", ".m4v"), frozenset({"video/mp4"})),
    ".mov": frozenset({"video/quicktime", "video/mp4"}),
    ".psd": frozenset({"image/vnd.adobe.photoshop"}),
    ".jxl": frozenset({"image/jxl"}),
    ".jp2": frozenset({"image/jp2"}),
    **dict.fromkeys((".j2k", ".j2c", ".jpc"), frozenset({"image/jp2", "image/j2c"})),
}


def sniff_media_type(head: bytes) -> str:
    """The media type told by a file's first ``HEAD_BYTES`` bytes.

    Args:
        head: The first bytes of the file, fewer where the file is shorter.

    Returns:
        A media type; ``EMPTY`` for no bytes at all and ``UNKNOWN`` for bytes of no known kind. That a type is told does
        not mean that the rest of the file is well formed.
    """
    if not head:
        return EMPTY
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return "image/bmp"
    if head[4:8] == b"ftyp":
        return _sniff_brands(head)
    return UNKNOWN


def is_extension_mismatch(name: str, media_type: str) -> bool:
    """Whether a file's name claims another kind of content than its bytes have.

    A picture under any foreign extension counts; a file that is no picture counts when its extension claims a kind that
    its bytes do not have. No extension claims nothing.

    Args:
        name: File name or path as text.
        media_type: Result of ``sniff_media_type``.
    """
    base = name.rsplit("/", 1)[-1]
    dot = base.rfind(".")
    if dot <= 0 or dot == len(base) - 1:
        return False
    claimed = _EXTENSIONS.get(base[dot:].lower())
    if claimed is None:
        return media_type in PICTURE_TYPES
    return media_type not in claimed


def _sniff_brands(head: bytes) -> str:
    box_bytes = int.from_bytes(head[:4], "big")
    brands = [head[8:12]] + [head[i : i + 4] for i in range(16, min(box_bytes, len(head)) - 3, 4)]
    kinds = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    for kind in ("image/avif", "image/heic"):
        if kind in kinds:
            return kind
    if kinds:
        return kinds[0]
    return "video/mp4"
