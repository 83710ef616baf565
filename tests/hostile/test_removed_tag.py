"""Attack: the tag is removed or drowned, so that the picture may pass for one that never had it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from newsroom import CASE, Newsroom, Scan, load, load_ring_key, save

from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.imaging.perceptual import add_residual, build_mask
from ftforensics.link.sentences import NOT_AUTHENTIC


@pytest.fixture(scope="module")
def scan(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("removed") / "suspects"
    portrait, rng = load(newsroom.tagged["portrait.png"]), np.random.default_rng(3)
    save(drown(newsroom, portrait, rng), folder / "drowned.png")
    mosaic = cv2.resize(portrait, (20, 20), interpolation=cv2.INTER_AREA)
    save(cv2.resize(mosaic, (512, 512), interpolation=cv2.INTER_NEAREST), folder / "mosaic.png")
    save(load(newsroom.originals["rocket.jpg"]), folder / "the-untagged-original.jpg", quality=92)
    return newsroom.scan([folder], folder.parent / "cases")


def drown(newsroom: Newsroom, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Somebody with the carrier key adds random bits, far stronger than the tag that is there."""
    key = load_ring_key(newsroom.home)
    signs = rng.choice([-1.0, 1.0], 128).astype(np.float32)
    planes = build_tag_planes(signs, key.carriers, build_sync_carrier("ftf-1"))
    return add_residual(picture, planes, build_mask(picture), 30.0)


def test_a_drowned_tag_leaves_a_lead_and_no_identification(newsroom: Newsroom, scan: Scan):
    row = scan.rows["drowned.png"]
    assert row["verdict"] == "CONTENT_LEAD"
    assert row["match"] is None
    assert row["source"]["tag_id"] == newsroom.rows["portrait.png"]["tag_id"]
    assert any("signs of a tag" in reason for reason in row["reasons"])


def test_the_original_without_its_tag_leaves_a_lead(newsroom: Newsroom, scan: Scan):
    row = scan.rows["the-untagged-original.jpg"]
    assert row["verdict"] == "CONTENT_LEAD"
    assert row["source"]["tag_id"] == newsroom.rows["rocket.jpg"]["tag_id"]


def test_what_cannot_be_read_is_never_called_genuine_or_untagged(newsroom: Newsroom, scan: Scan):
    row = scan.rows["mosaic.png"]
    assert row["verdict"] == "NO_TAG_READ"
    assert NOT_AUTHENTIC in row["limitations"]
    newsroom.ftf("report", "export", "--case", CASE, "--cases", scan.cases)
    page = " ".join((scan.folder / "report.html").read_text("utf-8").split())
    assert NOT_AUTHENTIC in page
    assert "No tag read is never" in page
    for text in (*row["reasons"], *row["limitations"]):
        rest = text.replace(NOT_AUTHENTIC, "").lower()
        for claim in ("authentic", "genuine", "real", "not tagged", "never tagged", "untagged", "no deepfake"):
            assert claim not in rest
