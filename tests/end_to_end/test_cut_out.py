"""Somebody cut out of a registered photograph and set before another background, and the same with a later tag."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from newsroom import Newsroom, Scan, embed, load, load_ring_key, save

from ftforensics.attacks.regions import ellipse_mask, swap_region
from ftforensics.attacks.warps import mirror
from ftforensics.imaging.resample import Pixels


def cut_out(picture: Pixels) -> Pixels:
    """An oval of a quarter of the picture is kept; coffee is all around it."""
    height, width = picture.shape[:2]
    kept = ellipse_mask(height, width, (0.45, 0.4), (0.27, 0.3), 0.015)
    background = cv2.resize(np.ascontiguousarray(skimage.data.coffee()), (width, height), interpolation=cv2.INTER_AREA)
    return swap_region(picture, background, np.float32(1.0) - kept, colour_matched=False)[0]


@pytest.fixture(scope="module")
def scan(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("cut-out") / "suspects"
    save(cut_out(load(newsroom.tagged["portrait.png"])), folder / "honest.png")
    untagged, tag_id = load(newsroom.originals["portrait.png"]), newsroom.rows["portrait.png"]["tag_id"]
    key = load_ring_key(newsroom.home)
    save(embed(cut_out(untagged), tag_id, key, 34.0), folder / "late.png")
    # The part lies elsewhere than a tag that is laid over all says: mirrored, and moved.
    save(embed(mirror(cut_out(untagged)), tag_id, key, 34.0), folder / "mirrored.png")
    save(embed(np.roll(cut_out(untagged), untagged.shape[1] // 4, axis=1), tag_id, key, 34.0), folder / "moved.png")
    save(embed(mirror(untagged), tag_id, key, 34.0), folder / "mirrored-whole.png")
    return newsroom.scan([folder], folder.parent / "cases")


def test_somebody_before_another_background_is_linked_to_the_photograph(newsroom: Newsroom, scan: Scan) -> None:
    row = scan.rows["honest.png"]
    assert row["verdict"] == "VERIFIED_DERIVATIVE"
    assert row["source"]["tag_id"] == newsroom.rows["portrait.png"]["tag_id"]
    assert row["registration"]["changed_fraction"] > 0.4
    assert any("A part of the source" in reason for reason in row["reasons"])


@pytest.mark.parametrize("name", ["mirrored.png", "moved.png", "mirrored-whole.png"])
def test_a_tag_that_does_not_lie_where_the_content_does_links_nothing(scan: Scan, name: str) -> None:
    assert scan.rows[name]["verdict"] in {"TAG_UNCONFIRMED", "TAG_TRANSPLANT_SUSPECTED"}


def test_a_tag_all_over_another_background_came_afterwards(scan: Scan) -> None:
    row = scan.rows["late.png"]
    assert row["verdict"] == "TAG_TRANSPLANT_SUSPECTED"
    assert any("embedded afterwards" in reason for reason in row["reasons"])
