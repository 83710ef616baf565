"""What a report shows is the pixels that a case keeps, and no viewer's idea of them."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import replace

import numpy as np
import skimage
from PIL import Image, ImageCms

from ftforensics.domain.case import CaseView
from ftforensics.report.pictures import build_pictures


def test_a_preview_with_orientation_and_profile_is_shown_as_it_was_compared(view: CaseView) -> None:
    """Older cases hold previews of strangers byte for byte."""
    first = next(one for one in view.findings if any(artifact.role == "source" for artifact in one.artifacts))
    source = next(one for one in first.artifacts if one.role == "source")
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20] = 200
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 3
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, exif=exif, icc_profile=profile)
    content = buffer.getvalue()
    finding = replace(first, artifacts=(replace(source, sha256=hashlib.sha256(content).hexdigest()),))
    shown = build_pictures(finding, {hashlib.sha256(content).hexdigest(): content})["source"]
    assert shown.uri is not None
    with Image.open(io.BytesIO(base64.b64decode(shown.uri.split(",")[1]))) as picture:
        assert not {"exif", "icc_profile"} & set(picture.info)
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - pixels).mean() < 2


def test_metadata_is_left_out_however_large_the_preview_is(view: CaseView) -> None:
    first = next(one for one in view.findings if any(artifact.role == "source" for artifact in one.artifacts))
    source = next(one for one in first.artifacts if one.role == "source")
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray(np.full((16, 5000, 3), 90, np.uint8)).save(buffer, "JPEG", exif=exif)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    finding = replace(first, artifacts=(replace(source, sha256=digest),))
    shown = build_pictures(finding, {digest: buffer.getvalue()})["source"]
    assert shown.uri is not None
    with Image.open(io.BytesIO(base64.b64decode(shown.uri.split(",")[1]))) as picture:
        assert picture.size == (5000, 16)
        assert "exif" not in picture.info


def test_other_jpegs_are_shown_byte_for_byte(view: CaseView) -> None:
    shown = [one for finding in view.findings for one in build_pictures(finding, view.artifacts).values()]
    jpegs = [one for one in shown if view.artifacts[one.sha256].startswith(b"\xff\xd8")]
    assert jpegs
    for picture in jpegs:
        assert picture.uri is not None, picture.role
        assert base64.b64decode(picture.uri.split(",")[1]) == view.artifacts[picture.sha256]


def show_map(view: CaseView, content: bytes) -> tuple[str, bytes]:
    """Media type and bytes of a map in the page."""
    first = next(one for one in view.findings if any(artifact.role == "survival" for artifact in one.artifacts))
    survival = next(one for one in first.artifacts if one.role == "survival")
    digest = hashlib.sha256(content).hexdigest()
    finding = replace(first, artifacts=(replace(survival, sha256=digest),))
    uri = build_pictures(finding, {digest: content})["survival"].uri
    assert uri is not None
    head, data = uri.split(",")
    return head, base64.b64decode(data)


def png_of(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_maps_are_shown_as_small_jpegs_that_look_the_same(view: CaseView) -> None:
    pixels = np.ascontiguousarray(skimage.data.astronaut())
    pixels[100:200, 100:200] = (250, 30, 30)
    content = png_of(pixels)
    head, shown = show_map(view, content)
    assert head == "data:image/jpeg;base64"
    assert len(shown) < len(content) / 3
    with Image.open(io.BytesIO(shown)) as picture:
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - pixels).mean() < 2


def test_a_map_that_is_smaller_as_png_or_does_not_decode_is_shown_as_it_is(view: CaseView) -> None:
    for content in (png_of(np.zeros((64, 64, 3), np.uint8)), b"\x89PNG\r\n\x1a\n" + b"\0" * 40):
        assert show_map(view, content) == ("data:image/png;base64", content)
