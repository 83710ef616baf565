from __future__ import annotations

import io
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from media_pictures import make_exif, make_pixels, make_thumbnail
from PIL import ExifTags, Image

from ftforensics.media.exif_ifd import EXIF_PREFIX, parse_byte_order, parse_ifd
from ftforensics.media.thumbnail import renew_exif_thumbnail, strip_photoshop_thumbnails, strip_xmp_thumbnails

PICTURE = Image.fromarray(make_pixels(640, 480))


def thumbnail_of(exif: bytes) -> Image.Image:
    loaded = Image.Exif()
    loaded.load(exif)
    ifd1 = loaded.get_ifd(ExifTags.IFD.IFD1)
    tiff = exif.removeprefix(EXIF_PREFIX)
    return Image.open(io.BytesIO(tiff[ifd1[0x0201] : ifd1[0x0201] + ifd1[0x0202]]))


def test_only_the_thumbnail_changes_and_it_shows_the_new_picture() -> None:
    old = make_thumbnail()
    exif = make_exif(6, old, maker_note=bytes(range(100)))
    new, outcome = renew_exif_thumbnail(exif, PICTURE)
    assert outcome == "replaced"
    assert len(new) == len(exif)
    start = exif.index(old)
    length_at = start - 4 - 4
    assert new[:length_at] == exif[:length_at]
    assert bytes(range(100)) in new
    with thumbnail_of(new) as thumbnail:
        assert thumbnail.size == (160, 120)
        small = np.asarray(PICTURE.resize((160, 120), Image.Resampling.BOX)).astype(int)
        assert np.abs(np.asarray(thumbnail) - small).mean() < 8


def test_no_byte_of_the_old_thumbnail_is_left_behind() -> None:
    old = make_thumbnail()
    new, _ = renew_exif_thumbnail(make_exif(thumbnail=old), PICTURE)
    assert b"x" * 20 in old
    assert b"x" * 20 not in new


def test_a_thumbnail_without_room_for_another_is_removed_and_blanked() -> None:
    tiny = b"\xff\xd8\xff\xe0" + b"secret pixels" + b"\xff\xd9"
    exif = make_exif(thumbnail=tiny)
    new, outcome = renew_exif_thumbnail(exif, PICTURE)
    assert outcome == "removed"
    assert b"secret pixels" not in new
    assert len(new) == len(exif)
    loaded = Image.Exif()
    loaded.load(new)
    assert loaded.get_ifd(ExifTags.IFD.IFD1) == {}
    assert loaded[0x010F] == "Kamera"


def test_an_uncompressed_thumbnail_is_removed_and_blanked() -> None:
    pixels = b"RGB" * 48
    first, second = 8, 8 + 2 + 12 + 4
    at = second + 2 + 24 + 4
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", first, 1, 0x0112, 3, 1, 1, 0, second)
    tiff += struct.pack(">H", 2) + struct.pack(">HHII", 0x0111, 4, 1, at)
    tiff += struct.pack(">HHII", 0x0117, 4, 1, len(pixels)) + struct.pack(">I", 0) + pixels
    new, outcome = renew_exif_thumbnail(tiff, PICTURE)
    assert outcome == "removed"
    assert b"RGB" not in new
    order = parse_byte_order(new)
    assert order is not None
    ifd = parse_ifd(new, order[1], order[0])
    assert ifd is not None
    assert ifd.next_offset == 0


def test_without_a_thumbnail_nothing_changes() -> None:
    for exif in (make_exif(3), b"", b"Exif\0\0", b"junk", b"II*\0"):
        assert renew_exif_thumbnail(exif, PICTURE) == (exif, "none")


@settings(max_examples=80, deadline=None)
@given(junk=st.binary(max_size=16), at=st.integers(6, 220), cut=st.integers(0, 200))
def test_damaged_blocks_keep_their_length_and_never_raise(junk: bytes, at: int, cut: int) -> None:
    block = make_exif(thumbnail=b"\xff\xd8\xff\xe0" + bytes(60))
    damaged = block[:at] + junk + block[at + len(junk) :]
    damaged = damaged[: len(damaged) - cut]
    new, _ = renew_exif_thumbnail(damaged, Image.new("RGB", (8, 8)))
    assert len(new) == len(damaged)


def test_photoshop_thumbnails_go_and_other_resources_stay() -> None:
    def block(number: int, body: bytes, name: bytes = b"\0\0") -> bytes:
        return b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(body)) + body + bytes(len(body) % 2)

    caption, odd = block(0x0404, b"caption"), block(0x03ED, b"dpi", b"\x02ab\0")
    run = caption + block(0x040C, b"old pixels") + odd + block(0x0409, b"older pixel")
    assert strip_photoshop_thumbnails(run) == caption + odd
    assert strip_photoshop_thumbnails(run + b"trailing") == caption + odd + b"trailing"


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_resources_can_be_stripped(junk: bytes) -> None:
    assert len(strip_photoshop_thumbnails(b"8BIM" + junk)) <= len(junk) + 4


def test_xmp_thumbnails_go_and_the_rest_stays() -> None:
    packet = b"<a><xmp:Thumbnails><rdf:Alt>/9j/4AAQ</rdf:Alt></xmp:Thumbnails><dc:title>t</dc:title></a>"
    assert strip_xmp_thumbnails(packet) == b"<a><dc:title>t</dc:title></a>"
    assert strip_xmp_thumbnails(b"<a/>") == b"<a/>"
