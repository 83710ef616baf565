"""Attack: a preview whose bytes show a viewer another picture than the one that is compared.

The comparison looks at a preview's pixels as they are coded. A viewer turns them by an EXIF orientation and bends them
by a colour profile, and a report would show people what the machine never saw.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from newsroom import Newsroom, cat, save
from PIL import Image, ImageCms
from test_doctored_preview import submit

from ftforensics.flows.pictures import registered_jpeg
from ftforensics.link import fingerprint


def make_sawtooth_profile() -> bytes:
    """sRGB whose tone curve is a sawtooth: the lowest bits of a picture decide what it shows."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile += bytes(-len(profile) % 4)
    values = [65535 if at % 16 >= 8 else 0 for at in range(256)]
    curve = b"curv\0\0\0\0" + struct.pack(">I", 256) + struct.pack(">256H", *values)
    (count,) = struct.unpack_from(">I", profile, 128)
    for at in range(132, 132 + 12 * count, 12):
        if profile[at : at + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            struct.pack_into(">II", profile, at + 4, len(profile), len(curve))
    profile += curve
    struct.pack_into(">I", profile, 0, len(profile))
    return bytes(profile)


@pytest.fixture(scope="module")
def two_faced() -> bytes:
    """The cat as compared; upside down and in bars of black and white as shown."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 3
    bars = np.where(np.arange(cat().shape[0])[:, None, None] // 40 % 2, 12, 4)
    picture = Image.fromarray((cat() // 16 * 16 + bars).astype(np.uint8))
    picture.save(buffer, "JPEG", quality=97, subsampling=0, icc_profile=make_sawtooth_profile(), exif=exif)
    return buffer.getvalue()


def test_the_case_shows_the_very_pixels_that_were_compared(newsroom: Newsroom, two_faced: bytes, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    submit(newsroom, home, two_faced, False)
    suspect = save(cat(), tmp_path / "suspects" / "cat.png")
    scan = newsroom.scan([suspect.parent], tmp_path / "cases", home=home)
    row = scan.rows["cat.png"]
    assert row["verdict"] == "CONTENT_LEAD"
    (source,) = [one for one in row["artifacts"] if one["role"] == "source"]
    content = (scan.folder / "artifacts" / f"{source['sha256']}.jpg").read_bytes()
    check_shown(content, two_faced)


def test_the_same_preview_gives_the_same_bytes_and_nothing_but_pixels(two_faced: bytes):
    one, other = registered_jpeg(two_faced), registered_jpeg(two_faced + b"and a file behind it")
    assert one == other
    assert (one.width_px, one.height_px) == cat().shape[1::-1]
    check_shown(one.content, two_faced)


def check_shown(content: bytes, preview: bytes) -> None:
    with Image.open(io.BytesIO(content)) as shown:
        assert not set(shown.info) & {"exif", "icc_profile", "xmp", "comment"}
        difference = np.asarray(shown.convert("RGB")).astype(int) - fingerprint.decode_preview(preview)
    assert np.abs(difference).mean() < 4
