from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_pictures import make_exif, make_pixels, make_swapped_icc
from PIL import Image, ImageOps

from ftforensics.errors import EvidenceError, EvidenceTooLarge, EvidenceUnreadable
from ftforensics.media.container import load_photo
from ftforensics.media.decode import ReadingPicture, decode_for_reading, open_picture
from ftforensics.media.sniff import PICTURE_TYPES, sniff_media_type

Write = Callable[..., Path]


def read(path: Path, max_px: int = 1024) -> ReadingPicture:
    data = path.read_bytes()
    return decode_for_reading(data, sniff_media_type(data), max_px=max_px)


def as_array(picture: ReadingPicture) -> np.ndarray:
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height_px, picture.width_px, 3)


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.bmp", "a.jpg", "a.webp", "a.heic", "a.avif"])
def test_every_format_is_read(write_picture: Write, name: str) -> None:
    picture = read(write_picture(name, quality=95) if name not in ("a.bmp", "a.tiff") else write_picture(name))
    tolerance = 0 if name in ("a.png", "a.tiff", "a.bmp") else 4
    assert np.abs(as_array(picture).astype(int) - make_pixels()).mean() <= tolerance
    assert (picture.info.width_px, picture.info.height_px, picture.info.frames) == (120, 88, 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F", "LAB", "YCbCr"])
def test_every_mode_becomes_the_picture_a_viewer_shows(write_picture: Write, mode: str) -> None:
    grey = np.tile(np.linspace(0, 255, 120), (88, 1)).astype(np.uint8)
    image = Image.fromarray(np.repeat(grey[..., None], 3, 2))
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    elif mode == "LAB":
        from PIL import ImageCms

        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    elif mode == "P":
        image = image.quantize(256)
    else:
        image = image.convert(mode)
    shown = as_array(read(write_picture("a.tiff", image)))
    if mode == "1":  # dithered: only right on average
        assert set(np.unique(shown)) == {0, 255}
        assert shown.mean() == pytest.approx(grey.mean(), abs=3)
    else:
        assert np.abs(shown[..., 0].astype(int) - grey).mean() < 4
    assert np.ptp(shown, axis=2).max() <= 6


def test_transparency_is_laid_on_white(write_picture: Write) -> None:
    image = Image.new("RGBA", (40, 20), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 20, 20))
    shown = as_array(read(write_picture("a.png", image)))
    assert shown[10, 5].tolist() == [0, 0, 255]
    assert shown[10, 35].tolist() == [255, 255, 255]
    palette = Image.new("P", (40, 20))
    palette.putpalette([9, 9, 9, 200, 0, 0])
    shown = as_array(read(write_picture("b.png", palette, transparency=0)))
    assert shown.min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_exif_orientation_is_applied(write_picture: Write, name: str, orientation: int) -> None:
    path = write_picture(name, exif=make_exif(orientation))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    picture = read(path)
    np.testing.assert_array_equal(as_array(picture), expected)
    assert picture.info.orientation == orientation


def test_xmp_cannot_turn_a_picture_that_its_exif_leaves_alone(write_picture: Write) -> None:
    path = write_picture("a.jpg", xmp=b'<x:xmpmeta><r tiff:Orientation="6"/></x:xmpmeta>')
    assert read(path).info.orientation == 1
    assert as_array(read(path)).shape == (88, 120, 3)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_embedded_profile_is_used_alike_for_reading_and_tagging(write_picture: Write, name: str) -> None:
    path = write_picture(name, np.full((40, 60, 3), (230, 30, 30), np.uint8), icc_profile=make_swapped_icc())
    red, green, _ = as_array(read(path))[20, 30]
    assert green > 150 > red
    np.testing.assert_array_equal(load_photo(path).srgb, as_array(read(path)))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "RGB"])
@pytest.mark.parametrize("profile", [None, make_swapped_icc()])
def test_reading_and_tagging_see_the_same_picture(write_picture: Write, mode: str, profile: bytes | None) -> None:
    image = Image.fromarray(make_pixels()).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    path = write_picture("a.png", image, exif=make_exif(8), **({"icc_profile": profile} if profile else {}))
    np.testing.assert_array_equal(load_photo(path).srgb, as_array(read(path)))


def test_a_broken_profile_is_ignored(write_picture: Write) -> None:
    plain = as_array(read(write_picture("a.png")))
    np.testing.assert_array_equal(as_array(read(write_picture("b.png", icc_profile=b"junk" * 99))), plain)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.heic"])
def test_large_pictures_are_brought_down_and_keep_their_look(write_picture: Write, name: str) -> None:
    big = np.asarray(Image.fromarray(make_pixels()).resize((480, 352), Image.Resampling.BICUBIC))
    picture = read(write_picture(name, big, exif=make_exif(6)), max_px=100)
    assert max(picture.width_px, picture.height_px) == 100
    upright = Image.fromarray(np.rot90(big, -1))
    small = np.asarray(upright.resize((picture.width_px, picture.height_px), Image.Resampling.BOX))
    assert np.abs(as_array(picture).astype(int) - small).mean() < 4


def test_a_heic_is_never_read_from_its_embedded_thumbnail(write_picture: Write) -> None:
    big = np.asarray(Image.fromarray(make_pixels()).resize((240, 176), Image.Resampling.BICUBIC))
    path = write_picture("a.heic", big, thumbnails=[64])
    assert read(path, max_px=40).info.width_px == 240


def test_the_first_frame_stands_for_an_animation(write_picture: Write) -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue", "lime")]
    picture = read(write_picture("a.gif", frames[0], save_all=True, append_images=frames[1:]))
    assert picture.info.frames == 3
    assert as_array(picture)[5, 5].tolist() == [255, 0, 0]


def test_only_the_parser_for_the_sniffed_type_is_tried(write_picture: Write) -> None:
    data = write_picture("a.bmp").read_bytes()
    with pytest.raises(EvidenceUnreadable):
        decode_for_reading(data, "image/png", max_px=64)
    with pytest.raises(EvidenceUnreadable, match="not a picture"):
        decode_for_reading(data, "application/postscript", max_px=64)


def test_too_many_pixels_are_refused_before_decoding(write_picture: Write) -> None:
    data = write_picture("a.png").read_bytes()
    with pytest.raises(EvidenceTooLarge):
        decode_for_reading(data, "image/png", max_px=64, max_pixels=120 * 88 - 1)


def test_messages_are_the_same_on_every_run() -> None:
    messages = set()
    for _ in range(3):
        with pytest.raises(EvidenceUnreadable) as caught:
            decode_for_reading(b"\xff\xd8\xff" + b"\0" * 99, "image/jpeg", max_px=64)
        messages.add(str(caught.value))
    assert len(messages) == 1
    assert "0x…" in messages.pop()


@settings(max_examples=100, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]))
def test_any_damage_gives_a_picture_or_an_evidence_error(data: st.DataObject, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(make_pixels(40, 30)).save(buffer, kind)
    damaged = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(1, len(damaged)))])
    failure = picture = None
    try:
        picture = decode_for_reading(cut, f"image/{kind.lower()}", max_px=32, max_pixels=1 << 16)
    except EvidenceError as exc:
        failure = exc
    assert failure is None or failure.what.isprintable()
    assert picture is None or len(picture.rgb) == picture.width_px * picture.height_px * 3


@settings(max_examples=100, deadline=None)
@given(junk=st.binary(max_size=400), media_type=st.sampled_from(sorted(PICTURE_TYPES)))
def test_junk_is_unreadable(junk: bytes, media_type: str) -> None:
    with pytest.raises(EvidenceError):
        decode_for_reading(junk, media_type, max_px=32)


def test_every_picture_type_has_a_parser(write_picture: Write) -> None:
    names = {"image/heic": "a.heic", "image/heif": "a.heic", "image/jpeg": "a.jpg"}
    for media_type in PICTURE_TYPES:
        path = write_picture(names.get(media_type, "a." + media_type.removeprefix("image/")))
        with open_picture(path.read_bytes(), media_type) as image:
            assert image.size == (120, 88)
