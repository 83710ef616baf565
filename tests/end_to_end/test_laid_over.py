"""Registered photographs with something laid over them: honest copies, whose own tag shows between the letters.

The tag that came after a swap is strong; a faint one can pass with or without letters.
"""

from __future__ import annotations

import numpy as np
import pytest
from newsroom import Newsroom, Scan, embed, load, load_ring_key, replace_half, save

from ftforensics.attacks.handling import jpeg
from ftforensics.attacks.overlays import caption, pixelate_face, watermark
from ftforensics.imaging.resample import fit_within

LAID_OVER = {"caption": caption, "watermark": watermark, "pixelated": pixelate_face}


@pytest.fixture(scope="module")
def scan(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("laid-over") / "suspects"
    tagged, untagged = load(newsroom.tagged["portrait.png"]), load(newsroom.originals["portrait.png"])
    tag_id, key = newsroom.rows["portrait.png"]["tag_id"], load_ring_key(newsroom.home)
    for name, lay in LAID_OVER.items():
        save(lay(tagged, 1.0, np.random.default_rng(3)), folder / f"{name}.png")
    small = jpeg(np.ascontiguousarray(fit_within(caption(tagged, 1.0, np.random.default_rng(4)), 400)), 60)
    save(small, folder / "shared.png")
    late = caption(embed(replace_half(untagged), tag_id, key, 30.0), 1.0, np.random.default_rng(5))
    save(late, folder / "late.png")
    return newsroom.scan([folder], folder.parent / "cases")


@pytest.mark.parametrize("name", ["caption.png", "pixelated.png", "shared.png"])
def test_an_honest_picture_under_something_is_a_derivative(newsroom: Newsroom, scan: Scan, name: str) -> None:
    row = scan.rows[name]
    assert row["verdict"] == "VERIFIED_DERIVATIVE"
    assert row["source"]["tag_id"] == newsroom.rows["portrait.png"]["tag_id"]
    assert row["registration"]["changed_regions"]


def test_a_watermark_does_not_cast_doubt_on_the_tag(scan: Scan) -> None:
    assert scan.rows["watermark.png"]["verdict"] in {"VERIFIED_DERIVATIVE", "VERIFIED_MATCH"}


def test_a_caption_does_not_hide_a_tag_that_came_after_a_swap(scan: Scan) -> None:
    row = scan.rows["late.png"]
    assert row["verdict"] == "TAG_TRANSPLANT_SUSPECTED"
    assert any("embedded afterwards" in reason for reason in row["reasons"])
