"""XMP packets cleaned of what would show, or speak of, the picture as it was before it was tagged.

Enters: a packet of the source file. Leaves: the same bytes but for pictures that are kept in them as text, and for
claims about parts of the file that are not written again (a film, a gain map, extended XMP), and words on what went.
Source: ISO 16684-1, XMP specification part 3 (extended XMP), Google's GDepth, GImage, GCamera and Container schemas.
"""

from __future__ import annotations

import re

from ftforensics.media.thumbnail import strip_xmp_thumbnails

PICTURES = "pictures kept inside XMP (such as the original of a depth photograph)"
EXTENDED = "extended XMP (it can hold the untagged original)"
UNREADABLE = "XMP that is not UTF-8 (it can hold the untagged original)"

# Base64 of JPEG, PNG, RIFF (WebP), GIF, TIFF in both byte orders, and of a file type box (HEIC, AVIF). Shorter values
# are no pictures.
_SIGNATURES = rb"(?:[/_]9j[/_]|iVBORw0KGgo|UklGR|R0lGOD|SUkqA|TU0AK|AAAA[\w+/-]{2}Z0eX)"
_BASE64 = rb"\s*(?:data:[\w/.+-]+;base64,\s*)?" + _SIGNATURES + rb"(?:[\w+/=-]|\s|&#\w{1,6};){80,}"
_NAME = rb"[\w.-]+(?::[\w.-]+)?"
_PICTURE_ATTRIBUTE = re.compile(rb"\s+" + _NAME + rb"\s*=\s*(?:\"" + _BASE64 + rb"\"|'" + _BASE64 + rb"')")
_PICTURE_TEXT = re.compile(rb"(?<=>)(?:<!\[CDATA\[)?" + _BASE64 + rb"(?:\]\]>)?(?=<)")

# What a namespace says of parts that no tagged file has; None stands for all that it says.
_STALE: tuple[tuple[bytes, tuple[bytes, ...] | None], ...] = (
    (b"http://ns.adobe.com/xmp/note/", (b"HasExtendedXMP",)),
    (b"http://ns.google.com/photos/1.0/camera/", (rb"MotionPhoto\w*", rb"MicroVideo\w*")),
    (b"http://ns.google.com/photos/1.0/container/", (b"Directory",)),
    (b"http://ns.adobe.com/hdr-gain-map/1.0/", None),
)
_PREFIX = rb"xmlns:([\w.-]+)\s*=\s*[\"']"


def clean_xmp(packet: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Take out of a packet what a tagged file must not carry on.

    Args:
        packet: One XMP packet, without the identifier that containers put before it; padding may stand behind it.

    Returns:
        The packet, byte for byte where there was nothing to take out, and what was left out, in words. A packet that
        is not UTF-8 cannot be searched and comes back empty. Thumbnails and stale claims go without a word.
    """
    if not _is_utf8(packet):
        return b"", (UNREADABLE,)
    cleaned = _strip_stale(strip_xmp_thumbnails(packet))
    without = _PICTURE_TEXT.sub(b"", _PICTURE_ATTRIBUTE.sub(b"", cleaned))
    return without, (PICTURES,) if without != cleaned else ()


def _is_utf8(packet: bytes) -> bool:
    """Whether this is text of one byte a letter: padding behind it may be zeros, nothing before that may."""
    try:
        packet.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\x00" not in packet.rstrip(b"\x00")


def _strip_stale(packet: bytes) -> bytes:
    for namespace, names in _STALE:
        if namespace not in packet:
            continue
        for prefix in set(re.findall(_PREFIX + re.escape(namespace), packet)):
            which = rb"[\w.-]+" if names is None else b"(?:" + b"|".join(names) + b")"
            packet = _strip_property(packet, re.escape(prefix) + b":" + which)
    return packet


def _strip_property(packet: bytes, name: bytes) -> bytes:
    """Take out a property in all three ways to write it: attribute, empty element, element."""
    packet = re.sub(rb"\s+" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", packet)
    packet = re.sub(rb"<" + name + rb"(?:\s[^<>]*)?/>", b"", packet)
    return re.sub(rb"<(" + name + rb")(?:\s[^<>]*)?>.*?</\1\s*>", b"", packet, flags=re.DOTALL)
