from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.media.sniff import EMPTY, HEAD_BYTES, UNKNOWN, is_extension_mismatch, sniff_media_type


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.jpg", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.gif", "image/gif"),
        ("a.webp", "image/webp"),
        ("a.tiff", "image/tiff"),
        ("a.bmp", "image/bmp"),
        ("a.heic", "image/heic"),
        ("a.avif", "image/avif"),
    ],
)
def test_pictures_are_known_by_their_bytes(write_picture: Callable[..., Path], name: str, media_type: str) -> None:
    path = write_picture(name)
    assert sniff_media_type(path.read_bytes()[:HEAD_BYTES]) == media_type
    assert not is_extension_mismatch(name, media_type)
    assert is_extension_mismatch("a.txt", media_type)
    assert is_extension_mismatch("folder.d/" + name + ".pdf", media_type)


def test_other_things_are_not_taken_for_pictures() -> None:
    assert sniff_media_type(b"") == EMPTY
    assert sniff_media_type(b"BM is how this letter starts, and it goes on") == UNKNOWN
    assert sniff_media_type(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") == "video/mp4"
    assert sniff_media_type(b"RIFF\0\0\0\0WAVEfmt ") == UNKNOWN
    assert sniff_media_type(b"%PDF-1.7") == "application/pdf"
    assert sniff_media_type(b"\xff\x0a\xfa\x7f") == "image/jxl"
    assert sniff_media_type(b"\xff\x4f\xff\x51\0\x2f") == "image/j2c"


@pytest.mark.parametrize(
    ("name", "media_type", "is_mismatch"),
    [
        ("photo.JPG", "image/jpeg", False),
        ("photo.jpg", "image/png", True),
        ("photo.jpg", "application/pdf", True),
        ("photo", "image/jpeg", False),
        (".jpg", "image/png", False),
        ("photo.", "image/jpeg", False),
        ("notes.txt", UNKNOWN, False),
        ("data.bin", "image/jpeg", True),
        ("raw.dng", "image/tiff", False),
        ("bare.jxl", "image/jxl", False),
        ("bare.j2k", "image/j2c", False),
        ("bare.jpc", "image/j2c", False),
        ("boxed.jp2", "image/jp2", False),
        ("bare.jpg", "image/j2c", True),
        ("folder.png/photo", "image/jpeg", False),
    ],
)
def test_extension_against_content(name: str, media_type: str, is_mismatch: bool) -> None:
    assert is_extension_mismatch(name, media_type) is is_mismatch


@settings(deadline=None)
@given(head=st.binary(max_size=HEAD_BYTES), name=st.text(max_size=30))
def test_any_bytes_and_any_name_give_an_answer(head: bytes, name: str) -> None:
    media_type = sniff_media_type(head)
    assert "/" in media_type
    assert is_extension_mismatch(name, media_type) in (True, False)
