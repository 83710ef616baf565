"""A tagged file never carries its untagged self along, in whatever corner of the source it lay."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from media_pictures import make_pixels
from PIL import Image, PngImagePlugin, TiffImagePlugin

from ftforensics.media.container import Photo, encode_like, list_dropped, load_photo
from ftforensics.media.jpeg_container import join_segment
from ftforensics.media.png_container import join_chunk
from ftforensics.media.xmp import clean_xmp

Write = Callable[..., Path]

MAIN = b"http://ns.adobe.com/xap/1.0/\x00"
EXTENSION = b"http://ns.adobe.com/xmp/extension/\x00"
NAMESPACES = (
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    b'xmlns:GImage="http://ns.google.com/photos/1.0/image/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b'xmlns:Cam="http://ns.google.com/photos/1.0/camera/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
)


def code_original(kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(make_pixels(64, 48)).save(buffer, kind)
    return base64.b64encode(buffer.getvalue())


def packet(attributes: bytes = b"", elements: bytes = b"") -> bytes:
    description = b"<rdf:Description " + NAMESPACES + b' dc:format="image/jpeg"' + attributes + b">" + elements
    return b"<x:xmpmeta><rdf:RDF>" + description + b"<dc:title>kept</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"


def retag(photo: Photo) -> bytes:
    return encode_like(photo, np.clip(photo.pixels.astype(int) + 5, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_pictures_kept_as_text_are_taken_out_and_all_else_is_kept(kind: str) -> None:
    original = code_original(kind)
    lines = b"\n".join(original[at : at + 76] for at in range(0, len(original), 76))
    cases = (
        (b' GImage:Data="' + original + b'"', b""),
        (b" GImage:Data='" + original + b"'", b""),
        (b"", b"<GImage:Data>\n" + lines + b"\n</GImage:Data>"),
        (b"", b"<GImage:Data>" + lines.replace(b"\n", b"&#xA;") + b"</GImage:Data>"),
        (b"", b"<GImage:Data><![CDATA[" + original + b"]]></GImage:Data>"),
        (b' GImage:Data="data:image/any;base64,' + original + b'"', b""),
    )
    for attributes, elements in cases:
        cleaned, dropped = clean_xmp(packet(attributes, elements))
        assert original[:24] not in cleaned
        assert cleaned.replace(b"<GImage:Data></GImage:Data>", b"") == packet()
        assert len(dropped) == 1


def test_claims_about_parts_that_are_not_written_again_go_whatever_their_prefix() -> None:
    stale = packet(
        b' xmpNote:HasExtendedXMP="ABC" Cam:MotionPhoto="1" Cam:MotionPhotoVersion = \'1\' hdrgm:Version="1.0"',
        b"<Cam:MicroVideo>1</Cam:MicroVideo><Cam:MicroVideoOffset/>"
        b"<Container:Directory><rdf:Seq><rdf:li/></rdf:Seq></Container:Directory>",
    )
    assert clean_xmp(stale) == (packet(), ())
    assert clean_xmp(packet(b' Cam:HdrPlusMakernote="1"')) == (packet(b' Cam:HdrPlusMakernote="1"'), ())


def test_a_packet_with_nothing_to_hide_is_kept_byte_for_byte() -> None:
    for kept in (packet() + b" " * 2000, packet() + bytes(4), packet(b' dc:source="SUkqAAAA"'), b"", b"<a/>"):
        assert clean_xmp(kept) == (kept, ())


def test_a_packet_that_cannot_be_searched_is_left_out() -> None:
    for wide in (packet().decode().encode("utf-16"), packet().decode().encode("utf-32-le"), b"\xff" + packet()):
        cleaned, dropped = clean_xmp(wide)
        assert cleaned == b""
        assert "UTF-8" in dropped[0]


def write_extended(path: Path) -> bytes:
    """A JPEG of Google's depth kind: main XMP that names extended XMP, which holds the original. Gives the original."""
    original = code_original()
    extended = packet(b' GImage:Data="' + original + b'"')
    digest = hashlib.md5(extended).hexdigest().upper().encode()
    segments = join_segment(0xE1, MAIN + packet(b' xmpNote:HasExtendedXMP="' + digest + b'"'))
    half = len(extended) // 2
    for at, part in ((0, extended[:half]), (half, extended[half:])):
        segments += join_segment(0xE1, EXTENSION + digest + struct.pack(">II", len(extended), at) + part)
    data = path.read_bytes()
    path.write_bytes(data[:2] + segments + data[2:])
    return original


def test_extended_xmp_of_a_jpeg_is_left_out_and_said_to_be(write_picture: Write) -> None:
    path = write_picture("a.jpg")
    original = write_extended(path)
    photo = load_photo(path)
    out = retag(photo)
    assert original[:40] not in out
    assert EXTENSION not in out
    assert b"HasExtendedXMP" not in out
    assert MAIN + packet() in out
    assert "extended XMP" in list_dropped(photo)[0]


def test_pictures_in_the_main_packet_go_from_every_container(write_picture: Write) -> None:
    original = code_original()
    xmp = packet(b' GImage:Data="' + original + b'"')
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    small = PngImagePlugin.PngInfo()
    small.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[700] = xmp
    options: dict[str, dict[str, object]] = {
        "a.jpg": {"xmp": xmp},
        "a.png": {"pnginfo": info},
        "zipped.png": {"pnginfo": small},
        "a.webp": {"xmp": xmp},
        "a.tiff": {"tiffinfo": tags},
        "a.heic": {"xmp": xmp},
    }
    for name, given in options.items():
        photo = load_photo(write_picture(name, **given))
        assert "inside XMP" in list_dropped(photo)[0], name
        out = retag(photo)
        assert original[:40] not in out, name
        assert packet() in out, name


def test_a_png_drops_raw_profiles_and_xmp_that_it_cannot_search(write_picture: Write) -> None:
    path = write_picture("a.png")
    data = path.read_bytes()
    hexed = b"\nexif\n  12\n" + code_original().hex().encode()
    extra = join_chunk(b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(hexed))
    extra += join_chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + b"not deflated")
    extra += join_chunk(b"tEXt", b"Author\x00Aino")
    path.write_bytes(data[:33] + extra + data[33:])
    photo = load_photo(path)
    out = retag(photo)
    assert b"Raw profile" not in out
    assert b"XML:com.adobe.xmp" not in out
    assert b"Author\x00Aino" in out
    assert len(list_dropped(photo)) == 2


def test_a_maker_segment_with_a_picture_is_left_out_with_all_of_its_parts(write_picture: Write) -> None:
    path = write_picture("a.jpg")
    data = path.read_bytes()
    preview = base64.b64decode(code_original())
    extra = join_segment(0xE1, b"FLIR\x00\x01\x00\x01" + preview[:400])
    extra += join_segment(0xE1, b"FLIR\x00\x01\x01\x01" + preview[400:])
    extra += join_segment(0xE5, b"vendor data")
    extra += join_segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\x00\x00\x00")
    path.write_bytes(data[:2] + extra + data[2:])
    photo = load_photo(path)
    out = retag(photo)
    assert b"FLIR" not in out
    assert b"21496" not in out
    assert b"vendor data" in out
    assert any("maker" in words for words in list_dropped(photo))


def test_depth_and_gain_maps_of_a_heic_are_said_to_be_left_out(write_picture: Write) -> None:
    photo = load_photo(write_picture("a.heic"))
    assert list_dropped(photo) == ()
    for kind, is_told in (
        (b"urn:com:apple:photo:2020:aux:hdrgainmap", True),
        (b"urn:mpeg:hevc:2015:auxid:2", True),
        (b"urn:mpeg:hevc:2015:auxid:1", False),
    ):
        held = replace(photo, data=photo.data + b"\0\0\0\x40auxC\0\0\0\0" + kind + b"\0")
        assert bool(list_dropped(held)) is is_told
