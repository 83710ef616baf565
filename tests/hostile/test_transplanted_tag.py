"""Attack: the tag of one picture is embedded in another, or laid over a picture after half of it was replaced.

A faint tag laid over a small or plain replacement reads less well there than around it and can pass for what a swap
leaves; the ones here are strong, and the replacement shows one well.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from newsroom import Newsroom, Scan, cat, embed, load, load_ring_key, open_reader, replace_half, save

from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.link.verdict import TRANSPLANT_ERRORS, TRANSPLANT_RATIO

SUSPECTED = "TAG_TRANSPLANT_SUSPECTED"


@pytest.fixture(scope="module")
def scan(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("transplants") / "suspects"
    portrait, key = load(newsroom.tagged["portrait.png"]), load_ring_key(newsroom.home)
    tag_id = newsroom.rows["portrait.png"]["tag_id"]
    save(add_residual(cat(), read_tag(portrait), build_mask(cat()), 36.0), folder / "estimated.png")
    save(embed(cat(), tag_id, key), folder / "with-the-key.png")
    untagged = load(newsroom.originals["portrait.png"])
    save(embed(replace_half(portrait), tag_id, key, 30.0), folder / "laid-over.png")
    save(embed(replace_half(untagged), tag_id, key, 30.0), folder / "made-anew.png")
    save(embed(light_from_the_side(replace_half(untagged)), tag_id, key, 30.0), folder / "side-light.png")
    return newsroom.scan([folder], folder.parent / "cases")


def read_tag(picture: np.ndarray) -> np.ndarray:
    """What anybody can read: the residual map of the public reader, (3, 64, 64), scaled to mean square 1."""
    residual = open_reader().read(cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)[None])[0]
    return np.asarray(residual / np.sqrt(np.mean(residual * residual)))


def light_from_the_side(pixels: np.ndarray) -> np.ndarray:
    """Half as dark on one side and half as bright on the other: differences all over, for a forger to hide in."""
    light = np.linspace(0.5, 1.5, pixels.shape[1])[None, :, None]
    return np.clip(pixels * light, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["estimated.png", "with-the-key.png"])
def test_a_tag_moved_to_another_picture_is_suspected(newsroom: Newsroom, scan: Scan, name: str):
    row = scan.rows[name]
    assert row["verdict"] == SUSPECTED
    assert row["tag"]["tag_id"] == newsroom.rows["portrait.png"]["tag_id"]
    assert row["registration"] is None
    assert any("content contradicts the record" in reason for reason in row["reasons"])
    assert any("not attributed" in limit for limit in row["limitations"])


@pytest.mark.parametrize("name", ["laid-over.png", "made-anew.png", "side-light.png"])
def test_a_tag_as_strong_in_the_replaced_face_as_around_it_is_suspected(scan: Scan, name: str):
    row = scan.rows[name]
    assert row["verdict"] == SUSPECTED
    assert row["registration"]["changed_regions"]
    surely = row["survival"]["inside"] - TRANSPLANT_ERRORS * row["survival"]["inside_error"]
    assert surely >= TRANSPLANT_RATIO * row["survival"]["outside"]
    assert any("embedded afterwards" in reason for reason in row["reasons"])
