from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_pictures import make_exif, make_pixels, make_thumbnail
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from ftforensics.errors import (
    AlreadyExists,
    EvidenceError,
    EvidenceTooLarge,
    EvidenceUnreadable,
    ModeUnsupported,
    WriteFailed,
)
from ftforensics.media.container import encode_like, list_dropped, load_photo, orient, save_like, unorient
from ftforensics.media.decode import decode_for_reading, open_picture
from ftforensics.media.jpeg_container import join_segment, split_segments
from ftforensics.media.tiff_container import append_folders

Write = Callable[..., Path]

LOSSLESS = ["a.png", "a.tiff", "a.bmp"]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>note</rdf:RDF></x:xmpmeta>'


def tagged(pixels: np.ndarray) -> np.ndarray:
    """A stand-in for tagging: a mild, lasting change of every pixel."""
    return np.clip(pixels.astype(np.int16) + np.array([6, -4, 5]), 0, 255).astype(np.uint8)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


# WebP has no grey pictures, and BMP none with transparency that is written back.
LOSSLESS_MODES = [
    (name, mode)
    for name in (*LOSSLESS, "a.webp")
    for mode in ("RGB", "RGBA", "L")
    if (name, mode) not in (("a.webp", "L"), ("a.bmp", "RGBA"))
]


@pytest.mark.parametrize(("name", "mode"), LOSSLESS_MODES)
def test_lossless_formats_give_back_exactly_the_pixels_written(write_picture: Write, name: str, mode: str) -> None:
    image = Image.fromarray(make_pixels()).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    photo = load_photo(write_picture(name, image, **({"lossless": True, "exact": True} if name == "a.webp" else {})))
    new = tagged(photo.pixels) if mode != "L" else np.repeat(tagged(photo.pixels)[..., :1], 3, 2)
    out = photo.path.with_stem("out")
    saved = save_like(photo, new, out)
    again = load_photo(out)
    assert again.mode == photo.mode == mode
    np.testing.assert_array_equal(again.pixels, new)
    if mode == "RGBA":
        assert again.alpha is not None
        np.testing.assert_array_equal(again.alpha, photo.alpha)
    assert saved.sha256 == hashlib.sha256(out.read_bytes()).hexdigest() == again.sha256
    assert saved.size_bytes == out.stat().st_size


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.heic"])
def test_lossy_formats_come_back_as_the_same_kind_with_nearly_the_pixels(write_picture: Write, name: str) -> None:
    photo = load_photo(write_picture(name, quality=90))
    new = tagged(photo.pixels)
    out = photo.path.with_stem("out")
    save_like(photo, new, out)
    again = load_photo(out)
    assert again.media_type == photo.media_type
    assert np.abs(again.pixels.astype(int) - new).mean() < 3
    drift = (again.pixels.astype(int) - photo.pixels).reshape(-1, 3).mean(0)
    assert np.abs(drift - (6, -4, 5)).max() < 1.5


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_keeps_its_tables_sampling_and_scan_order(
    write_picture: Write, subsampling: int, progressive: bool
) -> None:
    path = write_picture("a.jpg", quality=71, subsampling=subsampling, progressive=progressive)
    photo = load_photo(path)
    out = io.BytesIO(encode_like(photo, tagged(photo.pixels)))
    with Image.open(path) as before, Image.open(out) as after:
        assert after.quantization == before.quantization
        assert JpegImagePlugin.get_sampling(after) == subsampling
        assert bool(after.info.get("progressive")) is progressive


def test_a_noisy_progressive_jpeg_of_the_best_quality_can_be_written(write_picture: Write) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    baseline = load_photo(write_picture("a.jpg", noise, quality=100, subsampling=0))
    photo = replace(baseline, data=baseline.data.replace(b"\xff\xc0", b"\xff\xc2", 1))  # claims progressive
    assert np.abs(Image.open(io.BytesIO(encode_like(photo, photo.pixels))) - photo.pixels.astype(int)).mean() < 2


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_grey_picture_stays_grey(write_picture: Write, name: str) -> None:
    photo = load_photo(write_picture(name, Image.fromarray(make_pixels()).convert("L")))
    with Image.open(io.BytesIO(encode_like(photo, tagged(photo.pixels)))) as again:
        assert again.mode == "L"
        grey_shift = np.asarray(again).astype(float).mean() - photo.pixels.mean()
    assert grey_shift == pytest.approx(0.299 * 6 - 0.587 * 4 + 0.114 * 5, abs=0.3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tiff"])
def test_orientation_is_kept_and_shown_upright(write_picture: Write, name: str, orientation: int) -> None:
    path = write_picture(name, **_orientation_options(name, orientation))
    photo = load_photo(path)
    assert photo.decode.orientation == orientation
    assert (photo.decode.width_px, photo.decode.height_px) == (120, 88)
    with Image.open(path) as image:
        np.testing.assert_array_equal(photo.pixels, np.asarray(ImageOps.exif_transpose(image)))
    out = photo.path.with_stem("out")
    save_like(photo, tagged(photo.pixels), out)
    again = load_photo(out)
    assert again.decode.orientation == orientation
    assert np.abs(again.pixels.astype(int) - tagged(photo.pixels)).mean() < 3


def test_encoding_is_the_same_every_time(write_picture: Write) -> None:
    for name in ("a.jpg", "a.png", "a.webp", "a.tiff"):
        photo = load_photo(write_picture(name))
        assert encode_like(photo, photo.pixels) == encode_like(photo, photo.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_unorient_undoes_orient(orientation: int) -> None:
    pixels = make_pixels(5, 3)
    np.testing.assert_array_equal(unorient(orient(pixels, orientation), orientation), pixels)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tiff", "a.heic"])
def test_colour_profile_is_kept_byte_for_byte(write_picture: Write, name: str) -> None:
    photo = load_photo(write_picture(name, icc_profile=PROFILE))
    out = photo.path.with_stem("out")
    save_like(photo, tagged(photo.pixels), out)
    assert photo.icc == load_photo(out).icc == PROFILE
    assert photo.decode.icc == hashlib.sha256(PROFILE).hexdigest()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.heic"])
def test_exif_and_xmp_are_kept_byte_for_byte(write_picture: Write, name: str) -> None:
    exif = make_exif(maker_note=bytes(range(200)))
    options: dict[str, object] = {"exif": exif, "xmp": XMP}
    if name == "a.png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"exif": exif, "pnginfo": info}
    photo = load_photo(write_picture(name, **options))
    out = photo.path.with_stem("out")
    save_like(photo, tagged(photo.pixels), out)
    with open_picture(out.read_bytes(), photo.media_type) as image:
        kept = image.info["exif"].removeprefix(b"Exif\x00\x00")
        xmp = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
    assert kept == exif.removeprefix(b"Exif\x00\x00")
    assert xmp.rstrip(b"\x00") == XMP


def test_png_text_and_physical_size_are_kept(write_picture: Write) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Aino")
    photo = load_photo(write_picture("a.png", pnginfo=info, dpi=(300, 300)))
    with Image.open(io.BytesIO(encode_like(photo, tagged(photo.pixels)))) as again:
        again.load()
        assert again.text["Author"] == "Aino"
        assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_keeps_compression_and_descriptive_tags(write_picture: Write, compression: str) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[315], tags[33432] = "a bridge", "Aino", "all rights"
    path = write_picture("a.tiff", compression=compression, tiffinfo=tags, dpi=(240, 240))
    path.write_bytes(append_folders(path.read_bytes(), {34665: {36867: "2024:05:06 07:08:09"}, 34853: {1: "N"}}))
    photo = load_photo(path)
    with Image.open(io.BytesIO(encode_like(photo, tagged(photo.pixels)))) as again:
        assert again.info["compression"] == compression
        assert (again.tag_v2[270], again.tag_v2[315], again.tag_v2[33432]) == ("a bridge", "Aino", "all rights")
        assert again.info["dpi"] == pytest.approx((240, 240))
        assert again.getexif().get_ifd(34665)[36867] == "2024:05:06 07:08:09"
        assert again.getexif().get_ifd(34853)[1] == "N"
        np.testing.assert_array_equal(np.asarray(again), tagged(photo.pixels))


def test_exif_thumbnail_shows_the_tagged_picture(write_picture: Write) -> None:
    photo = load_photo(write_picture("a.jpg", exif=make_exif(thumbnail=make_thumbnail())))
    new = np.zeros_like(photo.pixels)
    new[..., 1] = 200
    with Image.open(io.BytesIO(encode_like(photo, new))) as again:
        exif = again.info["exif"]
    assert len(exif) == len(photo.exif or b"")
    start = exif.index(b"\xff\xd8\xff")
    with Image.open(io.BytesIO(exif[start:])) as thumbnail:
        red, green, blue = np.asarray(thumbnail).reshape(-1, 3).mean(0)
    assert green > 150 > 60 > max(red, blue)


def test_metadata_that_speaks_of_the_old_pixels_is_dropped_and_the_rest_kept(write_picture: Write) -> None:
    thumbnail_block = b"8BIM" + struct.pack(">HBBI", 0x040C, 0, 0, 6) + b"thumb!"
    caption_block = b"8BIM" + struct.pack(">HBBI", 0x0404, 0, 0, 8) + b"caption!"
    path = write_picture("a.jpg")
    data = path.read_bytes()
    extra = b"".join(
        (
            join_segment(0xED, b"Photoshop 3.0\x00" + thumbnail_block + caption_block),
            join_segment(0xE2, b"MPF\x00" + b"II*\x00" + bytes(12)),
            join_segment(0xEB, b"JP\x00\x01" + b"c2pa" * 4),
            join_segment(0xE0, b"JFXX\x00\x10" + b"old pixels"),
            join_segment(0xE5, b"vendor data"),
            join_segment(0xFE, b"a comment"),
        )
    )
    path.write_bytes(data[:2] + extra + data[2:])
    photo = load_photo(path)
    saved = save_like(photo, tagged(photo.pixels), path.with_stem("out"))
    kept = list(split_segments(saved.path.read_bytes()))
    payloads = b"|".join(payload for _, payload in kept)
    for gone in (b"thumb!", b"MPF", b"c2pa", b"JFXX"):
        assert gone not in payloads
    assert (0xED, b"Photoshop 3.0\x00" + caption_block) in kept
    assert (0xE5, b"vendor data") in kept
    assert (0xFE, b"a comment") in kept
    assert len(saved.dropped) == 2


def test_a_multi_picture_jpeg_is_tagged_and_its_further_pictures_are_said_to_be_dropped(write_picture: Write) -> None:
    first, second = Image.fromarray(make_pixels()), Image.fromarray(make_pixels(seed=8))
    path = write_picture("a.mpo", first, save_all=True, append_images=[second])
    photo = load_photo(path)
    assert (photo.decode.codec, photo.decode.frames) == ("jpeg", 2)
    saved = save_like(photo, photo.pixels, path.with_stem("out"))
    assert load_photo(saved.path).decode.frames == 1
    assert "multi-picture" in saved.dropped[0]


def test_a_film_behind_the_picture_is_said_to_be_dropped(write_picture: Write) -> None:
    path = write_picture("a.jpg", exif=make_exif(thumbnail=make_thumbnail()), progressive=True)
    plain = load_photo(path)
    assert list_dropped(plain) == ()
    path.write_bytes(plain.data + b"\0\0\0\x18ftypmp42")
    photo = load_photo(path)
    assert "motion photo" in list_dropped(photo)[0]
    assert encode_like(photo, photo.pixels) == encode_like(plain, plain.pixels)


@pytest.mark.parametrize(
    ("name", "image", "options"),
    [
        ("palette.png", Image.new("P", (32, 32)), {}),
        ("one-bit.png", Image.new("1", (32, 32)), {}),
        ("sixteen.png", Image.new("I;16", (32, 32)), {}),
        ("sixteen.tiff", Image.new("I;16", (32, 32)), {}),
        ("float.tiff", Image.new("F", (32, 32)), {}),
        ("cmyk.jpg", Image.new("CMYK", (32, 32)), {}),
        ("cmyk.tiff", Image.new("CMYK", (32, 32)), {}),
        ("palette.gif", Image.new("P", (32, 32)), {}),
        ("key.png", Image.new("RGB", (32, 32)), {"transparency": (1, 2, 3)}),
        (
            "moving.webp",
            Image.new("RGB", (32, 32)),
            {"save_all": True, "append_images": [Image.new("RGB", (32, 32), 9)]},
        ),
        (
            "moving.png",
            Image.new("RGB", (32, 32)),
            {"save_all": True, "append_images": [Image.new("RGB", (32, 32), 9)]},
        ),
        (
            "pages.tiff",
            Image.new("RGB", (32, 32)),
            {"save_all": True, "append_images": [Image.new("RGB", (32, 32), 9)]},
        ),
    ],
)
def test_pictures_that_would_come_back_as_something_else_are_refused(
    write_picture: Write, name: str, image: Image.Image, options: dict[str, object]
) -> None:
    path = write_picture(name, image, **options)
    with pytest.raises(ModeUnsupported) as caught:
        load_photo(path)
    assert caught.value.subject == str(path)
    assert caught.value.remedy


def test_a_sixteen_bit_colour_png_is_refused_although_pillow_would_show_eight_bits(tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "deep.png"
    path.write_bytes(cv2.imencode(".png", make_pixels().astype(np.uint16) * 257)[1].tobytes())
    with pytest.raises(ModeUnsupported, match="16 bits"):
        load_photo(path)


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\x0a\xfa\x7f",
        b"\xff\x4f\xff\x51\0\x2f",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"8BPS\0\1",
    ],
)
def test_pictures_of_other_formats_are_refused_as_pictures(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.picture"
    path.write_bytes(head + bytes(400))
    with pytest.raises(ModeUnsupported, match=r"image/\S+ pictures are not tagged.*convert it"):
        load_photo(path)


def test_a_jpeg_of_unusual_coding_is_named(write_picture: Write) -> None:
    path = write_picture("a.jpg")
    data = path.read_bytes()
    for marker, words in ((0xC5, r"hierarchical coding \(SOF5\)"), (0xCD, r"hierarchical arithmetic coding \(SOF13\)")):
        path.write_bytes(data.replace(b"\xff\xc0", bytes([0xFF, marker]), 1))
        with pytest.raises(EvidenceUnreadable, match=words):
            load_photo(path)
        with pytest.raises(EvidenceUnreadable, match=words):
            decode_for_reading(path.read_bytes(), "image/jpeg", max_px=64)


@pytest.mark.parametrize("shift", range(0, 900, 150))
def test_an_arithmetic_coded_jpeg_is_read_wherever_its_blocks_are_cut(write_picture: Write, shift: int) -> None:
    """Any bits are arithmetic code, so a baseline file that claims it will do. Pillow reads 64 KiB at a time."""
    path = write_picture("a.jpg")
    data = path.read_bytes().replace(b"\xff\xc0", b"\xff\xc9", 1)
    path.write_bytes(data[:2] + join_segment(0xFE, bytes(65_000 - shift)) + data[2:])
    assert load_photo(path).decode.width_px == 120
    assert decode_for_reading(path.read_bytes(), "image/jpeg", max_px=64).width_px == 64


def test_broken_files_are_told_apart(tmp_path: Path, write_picture: Write) -> None:
    good = write_picture("a.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:900])
    for name in ("missing.jpg", "empty.jpg", "text.jpg", "cut.jpg"):
        with pytest.raises(EvidenceUnreadable) as caught:
            load_photo(tmp_path / name)
        assert name in caught.value.sentence
    with pytest.raises(EvidenceTooLarge):
        load_photo(good, max_pixels=100)


def test_nothing_is_overwritten_unless_asked(write_picture: Write) -> None:
    photo = load_photo(write_picture("a.png"))
    before = photo.path.read_bytes()
    with pytest.raises(AlreadyExists):
        save_like(photo, tagged(photo.pixels), photo.path)
    assert photo.path.read_bytes() == before
    save_like(photo, tagged(photo.pixels), photo.path, clobber=True)
    assert photo.path.read_bytes() != before


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(write_picture: Write, tmp_path: Path) -> None:
    photo = load_photo(write_picture("a.png"))
    blocker = tmp_path / "file"
    blocker.touch()
    with pytest.raises(WriteFailed):
        save_like(photo, photo.pixels, blocker / "folder" / "out.png")
    with pytest.raises(WriteFailed):
        save_like(photo, photo.pixels, tmp_path / ("x" * 300 + ".png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "file"]


def test_pixels_of_another_shape_are_a_programming_error(write_picture: Write) -> None:
    photo = load_photo(write_picture("a.png"))
    with pytest.raises(ValueError, match="pixels must be"):
        encode_like(photo, photo.pixels[:-1])


def test_srgb_view_lays_transparency_on_white_and_turns_upright(write_picture: Write) -> None:
    image = Image.fromarray(make_pixels())
    image.putalpha(0)
    photo = load_photo(write_picture("a.png", image, exif=make_exif(orientation=6)))
    assert photo.srgb.shape == (120, 88, 3)
    assert photo.srgb.min() == 255


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 2600), junk=st.binary(max_size=40), at=st.integers(0, 2600))
def test_damaged_jpeg_files_load_or_raise_evidence_errors(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes, at: int
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(make_pixels()).save(buffer, "JPEG", exif=make_exif(thumbnail=b"\xff\xd8\xff\xe0tiny"), xmp=XMP)
    data = buffer.getvalue()
    path = tmp_path_factory.mktemp("damaged") / "a.jpg"
    path.write_bytes((data[:at] + junk + data[at + len(junk) :])[: max(4, len(data) - cut)])
    try:
        photo = load_photo(path)
        encode_like(photo, photo.pixels)
    except EvidenceError:
        pass


def _orientation_options(name: str, orientation: int) -> dict[str, object]:
    if name == "a.tiff":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[274] = orientation
        return {"tiffinfo": tags}
    return {"exif": make_exif(orientation), "quality": 95} if name != "a.png" else {"exif": make_exif(orientation)}


def test_why_a_photograph_cannot_be_opened_is_said_once(tmp_path: Path):
    with pytest.raises(EvidenceUnreadable) as caught:
        load_photo(tmp_path / "nope.jpg")
    assert caught.value.what == "The photograph cannot be opened (No such file or directory)"
    (tmp_path / "folder").mkdir()
    with pytest.raises(EvidenceUnreadable, match=r"cannot be opened \(not a plain file\)"):
        load_photo(tmp_path / "folder")
