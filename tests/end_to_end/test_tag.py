"""Tagging: the file stays the kind of file it was, and nothing is kept whose tag cannot be read back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from newsroom import ISSUER, Newsroom, cat, load, save
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from ftforensics.media.exif import parse_exif


def opened(path: Path) -> Image.Image:
    picture = Image.open(path)
    picture.load()
    return picture


def thumbnail_of(path: Path) -> Image.Image:
    """The first JPEG inside the EXIF block of a JPEG."""
    exif = opened(path).info["exif"]
    return Image.open(io.BytesIO(exif[exif.index(b"\xff\xd8\xff") :])).convert("RGB")


def test_a_jpeg_keeps_its_tables_subsampling_metadata_and_orientation(newsroom: Newsroom):
    before, after = opened(newsroom.originals["rocket.jpg"]), opened(newsroom.tagged["rocket.jpg"])
    assert after.format == "JPEG"
    assert after.size == before.size
    assert after.quantization == before.quantization
    assert get_sampling(after) == get_sampling(before) == 1
    assert after.info["icc_profile"] == before.info["icc_profile"]
    assert after.getexif()[0x0112] == before.getexif()[0x0112] == 6
    assert after.getexif()[0x010F] == "Kamera"


def test_the_thumbnail_shows_the_tagged_picture_not_the_old_one(newsroom: Newsroom):
    magenta = np.asarray(thumbnail_of(newsroom.originals["rocket.jpg"])).mean((0, 1))
    assert magenta[0] > 200
    assert magenta[1] < 60
    stored = np.asarray(opened(newsroom.tagged["rocket.jpg"]).convert("RGB").resize((60, 90))).astype(float)
    renewed = np.asarray(thumbnail_of(newsroom.tagged["rocket.jpg"]).resize((60, 90))).astype(float)
    assert np.abs(renewed - stored).mean() < 20


def test_a_webp_and_a_png_stay_what_they_are(newsroom: Newsroom):
    for name, kind in (("coffee.webp", "WEBP"), ("portrait.png", "PNG")):
        before, after = opened(newsroom.originals[name]), opened(newsroom.tagged[name])
        assert (after.format, after.size, after.mode) == (kind, before.size, before.mode)
        assert after.info.get("icc_profile") == before.info.get("icc_profile")


def test_what_was_added_is_hard_to_see_and_reported(newsroom: Newsroom):
    for name, row in newsroom.rows.items():
        difference = load(newsroom.tagged[name]).astype(float) - load(newsroom.originals[name]).astype(float)
        psnr_db = 10 * np.log10(255**2 / np.mean(difference**2))
        assert abs(psnr_db - row["file_psnr_db"]) < 0.2, name
        assert psnr_db > 37, name
        assert row["residual_psnr_db"] >= 42, name
        assert row["z"] >= 8.5


def test_pictures_that_would_come_back_as_something_else_are_refused(newsroom: Newsroom, tmp_path: Path):
    """Each is one sentence; the good one between them is tagged; the registry holds one record more."""
    home = newsroom.copy_home(tmp_path / "home")
    photo = Image.fromarray(cat())
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.quantize(64).save(folder / "palette.gif")
    photo.quantize(64).save(folder / "palette.png")
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 256).save(folder / "sixteen-bit.png")
    photo.convert("1").save(folder / "one-bit.png")
    photo.resize((90, 60)).save(folder / "small.png")
    frames = [photo.resize((300, 200)), photo.resize((300, 200)).rotate(90)]
    frames[0].save(folder / "animated.webp", save_all=True, append_images=frames[1:])
    photo.save(folder / "good.jpg", quality=95)
    refused = sorted(path.name for path in folder.iterdir() if path.name != "good.jpg")
    options = ("--out", tmp_path / "out", "--fast", "--issuer", ISSUER, "--format", "jsonl", "-q")
    run = newsroom.ftf("tag", *sorted(folder.iterdir()), *options, home=home, expect=3)
    lines = run.err.splitlines()
    assert len(lines) == len(refused)
    for name, line in zip(refused, lines, strict=True):
        assert name in line
        assert line.startswith("ftf: ")
    assert [Path(row["tagged"]).name for row in run.rows()] == ["good.jpg"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.jpg"]
    listed = newsroom.ftf("registry", "list", "--format", "jsonl", home=home).rows()
    assert len(listed) == len(newsroom.rows) + 1


def test_a_file_whose_tag_cannot_be_read_back_is_not_kept(newsroom: Newsroom, tmp_path: Path, rng):
    home = newsroom.copy_home(tmp_path / "home")
    noise = save(rng.integers(0, 255, (128, 128, 3), dtype=np.uint8), tmp_path / "noise.jpg", quality=30)
    options = ("--out", tmp_path / "out", "--psnr", "60", "-q")
    run = newsroom.ftf("tag", noise, *options, home=home, expect=3)
    assert "could not be read back" in run.err
    assert "noise.jpg" in run.err
    assert list((tmp_path / "out").iterdir()) == []
    assert len(newsroom.ftf("registry", "list", "--format", "jsonl", home=home).rows()) == len(newsroom.rows)


def test_nothing_is_written_over(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    photo = save(cat(), tmp_path / "photo.png")
    content = photo.read_bytes()
    run = newsroom.ftf("tag", photo, "--out", tmp_path, "--fast", "--clobber", home=home, expect=7)
    assert "would replace its source" in run.err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.png").write_text("mine")
    run = newsroom.ftf("tag", photo, "--out", tmp_path / "out", "--fast", home=home, expect=7)
    assert "--clobber" in run.err
    assert (tmp_path / "out" / "photo.png").read_text() == "mine"
    two = save(cat(), tmp_path / "other" / "photo.png")
    assert (
        "two photographs" in newsroom.ftf("tag", photo, two, "--out", tmp_path / "x", "--fast", home=home, expect=7).err
    )
    assert photo.read_bytes() == content
    assert len(newsroom.ftf("registry", "list", "--format", "jsonl", home=home).rows()) == len(newsroom.rows)


def test_terms_with_control_characters_are_refused(newsroom: Newsroom, tmp_path: Path):
    photo = save(cat(), tmp_path / "photo.png")
    for option in ("--rights", "--contact", "--policy", "--issuer"):
        run = newsroom.ftf("tag", photo, "--out", tmp_path / "out", "--fast", "-q", option, "a\x1b[31mb", expect=2)
        assert run.err.count("\n") == 1
        assert option in run.err
    assert not (tmp_path / "out").exists()


def test_exif_of_the_tagged_file_reads_as_before(newsroom: Newsroom):
    before = parse_exif(newsroom.originals["rocket.jpg"].read_bytes())
    after = parse_exif(newsroom.tagged["rocket.jpg"].read_bytes())
    for name in ("Image Make", "Image Orientation"):
        assert after[name] == before[name]
