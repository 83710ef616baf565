from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_pictures import make_exif, make_pixels, make_thumbnail
from PIL import Image

from ftforensics.errors import EvidenceError
from ftforensics.media.escape import describe_exception, display_path, escape_text
from ftforensics.media.exif import MAX_FIELDS, MAX_NAME_CHARS, MAX_VALUE_CHARS, parse_exif
from ftforensics.media.exif_ifd import parse_orientation
from ftforensics.media.jpeg_container import join_segment
from ftforensics.media.png_container import join_chunk


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(make_pixels()).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_fields_are_read_and_thumbnails_and_maker_notes_left_out() -> None:
    fields = parse_exif(jpeg(exif=make_exif(6, make_thumbnail())))
    assert fields["Image Make"] == "Kamera"
    assert fields["Image Orientation"] == "Rotated 90 CW"
    assert not [name for name in fields if "humbnail" in name or "MakerNote" in name]


def test_a_picture_without_exif_has_no_fields() -> None:
    assert parse_exif(jpeg()) == {}
    assert parse_exif(b"no picture at all") == {}


def test_values_are_printable_and_short() -> None:
    exif = Image.Exif()
    exif[0x010E] = "\x1b[2Jline\nline<script>" + "x" * 999
    fields = parse_exif(jpeg(exif=exif))
    value = fields["Image ImageDescription"]
    assert value.startswith("\\x1b[2Jline\\nline<script>xx")
    assert len(value) <= MAX_VALUE_CHARS


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(min_size=1, max_size=120), at=st.integers(0, 150))
def test_damaged_blocks_give_bounded_fields_or_an_evidence_error(junk: bytes, at: int) -> None:
    block = make_exif()
    damaged = block[:6] + (block[6:][:at] + junk + block[6:][at + len(junk) :])
    try:
        fields = parse_exif(jpeg(exif=damaged))
    except EvidenceError:
        return
    assert len(fields) <= MAX_FIELDS
    for name, value in fields.items():
        assert len(name) <= MAX_NAME_CHARS
        assert len(value) <= MAX_VALUE_CHARS
        assert (name + value).isprintable()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_found_in_either_byte_order(orientation: int) -> None:
    little = make_exif(orientation)
    big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + bytes(6)
    assert parse_orientation(little) == parse_orientation(little[6:]) == parse_orientation(big) == orientation


@settings(deadline=None)
@given(data=st.binary(max_size=60), prefix=st.sampled_from([b"", b"II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08"]))
def test_orientation_of_anything_is_one_of_eight(data: bytes, prefix: bytes) -> None:
    assert 1 <= parse_orientation(prefix + data) <= 8
    assert parse_orientation(None) == 1


@settings(deadline=None)
@given(text=st.text(max_size=80), limit=st.integers(1, 60))
def test_escaped_text_is_printable_bounded_and_encodable(text: str, limit: int) -> None:
    shown = escape_text(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    shown.encode("utf-8")


def test_escapes_show_what_hides() -> None:
    assert escape_text("a\u202eb\x00\n\ud800", 99) == "a\\u202eb\\x00\\n\\ud800"
    assert escape_text("abcdef", 4) == "abc…"
    assert escape_text("abcd", 4) == "abcd"
    assert display_path(b"a\xff/\xc3\xa9") == "a\\xff/é"


def test_descriptions_of_exceptions_hold_no_addresses() -> None:
    assert describe_exception(ValueError(f"bad {object()!r}")) == "ValueError: bad <object object at 0x…>"
    assert describe_exception(EOFError()) == "EOFError"


def coded(kind: str, **options: object) -> bytes:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.fromarray(make_pixels()).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_fields_are_read_from_every_container(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Kamera", "One", 6
    fields = parse_exif(coded(kind, exif=exif))
    assert (fields["Image Make"], fields["Image Model"]) == ("Kamera", "One")
    assert fields["Image Orientation"] == "Rotated 90 CW"
    assert parse_exif(coded(kind)) == {}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_a_block_that_cannot_be_read_is_said_to_be_there(kind: str) -> None:
    junk = b"Exif\0\0nothing of the kind, but a block of some length"
    if kind == "JPEG":
        data = jpeg()
        data = data[:2] + join_segment(0xE1, junk) + data[2:]
    elif kind in ("HEIF", "WEBP"):
        data = coded(kind, exif=make_exif()).replace(make_exif()[6:20], b"XX" + bytes(12))
    else:
        data = coded(kind)
        data = data[:33] + join_chunk(b"eXIf", junk) + data[33:]
    with pytest.raises(EvidenceError, match="EXIF block"):
        parse_exif(data)


def test_an_empty_block_holds_no_fields_and_is_no_fault() -> None:
    empty = b"II*\0\x08\0\0\0" + bytes(6)
    data = coded("PNG")
    assert parse_exif(data[:33] + join_chunk(b"eXIf", empty) + data[33:]) == {}
    assert parse_exif(coded("WEBP", exif=b"Exif\0\0" + empty)) == {}
    assert parse_exif(jpeg(exif=b"Exif\0\0")) == {}


def test_a_block_behind_the_pixels_of_a_png_is_read() -> None:
    data = coded("PNG")
    end = data.rindex(b"IEND") - 4
    block = make_exif()
    assert parse_exif(data[:end] + join_chunk(b"eXIf", block[6:]) + data[end:])["Image Make"] == "Kamera"
    assert parse_exif(data[:end] + join_chunk(b"eXIf", block) + data[end:])["Image Make"] == "Kamera"
