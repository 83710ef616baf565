"""What a report shows is the pixels that a case keeps, and no viewer's idea of them."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import replace

import numpy as np
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


def test_other_pictures_are_shown_byte_for_byte(view: CaseView) -> None:
    for finding in view.findings:
        for role, picture in build_pictures(finding, view.artifacts).items():
            assert picture.uri is not None, role
            assert base64.b64decode(picture.uri.split(",")[1]) == view.artifacts[picture.sha256]
