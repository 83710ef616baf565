"""One test a verdict: the situation is made with pictures, and the real program says what it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from newsroom import (
    ISSUER,
    Newsroom,
    Scan,
    cat,
    load,
    replace_face,
    save,
)

from ftforensics.attacks.handling import resize_long_side

UNTRUSTED = "ISSUER_UNTRUSTED"
ATTRIBUTING = {"VERIFIED_MATCH", "VERIFIED_DERIVATIVE", "TAG_UNCONFIRMED"}


def plain_wall() -> np.ndarray:
    """A wall in soft light: nothing on it that could be found again."""
    y, x = np.mgrid[0:480, 0:640].astype(np.float32)
    light = 150 + 40 * x / 640 - 25 * y / 480
    grain = np.random.default_rng(5).normal(0, 1.2, (480, 640, 3))
    return np.clip(light[:, :, None] * np.array([1.0, 0.96, 0.9]) + grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def wall(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home whose registry also has a picture of a plain wall, and the tagged wall."""
    folder = tmp_path_factory.mktemp("wall")
    home = newsroom.copy_home(folder / "home")
    original = save(plain_wall(), folder / "wall.png")
    newsroom.ftf("tag", original, "--out", folder / "tagged", "--issuer", ISSUER, "--fast", home=home)
    return home, folder / "tagged" / "wall.png"


@pytest.fixture(scope="module")
def scan(newsroom: Newsroom, wall: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """One scan of a folder with a suspect for most verdicts."""
    folder = tmp_path_factory.mktemp("verdicts") / "suspects"
    home, tagged_wall = wall
    portrait = load(newsroom.tagged["portrait.png"])
    save(replace_face(portrait)[0], folder / "face-swap.jpg", quality=90)
    save(load(newsroom.tagged["coffee.webp"]), folder / "copy.jpg", quality=85)
    save(resize_long_side(load(newsroom.tagged["rocket.jpg"]), 480), folder / "small" / "rocket.jpg", quality=75)
    save(load(newsroom.originals["portrait.png"]), folder / "untagged-portrait.jpg", quality=90)
    save(cat(), folder / "never-registered.jpg", quality=90)
    shutil.copy(tagged_wall, folder / "wall.png")
    (folder / "torn.jpg").write_bytes(newsroom.tagged["rocket.jpg"].read_bytes()[:9000])
    return newsroom.scan([folder], folder.parent / "cases", "--format", "jsonl", expect=3, home=home)


def test_a_copy_of_a_tagged_photograph_is_a_verified_match(newsroom: Newsroom, scan: Scan):
    row = scan.rows["copy.jpg"]
    assert row["verdict"] == "VERIFIED_MATCH"
    assert row["tag"]["tag_id"] == newsroom.rows["coffee.webp"]["tag_id"]
    assert row["match"]["e_case"] <= 1e-6
    assert row["signature"]["status"] == "verified"
    assert row["signature"]["issuer"] == row["source"]["issuer"] == ISSUER
    assert row["registration"]["inliers"] >= 20
    assert row["registration"]["changed_regions"] == []
    assert any("No changed region" in reason for reason in row["reasons"])
    assert any("kinship" in limit for limit in row["limitations"])


def test_a_smaller_copy_in_another_format_is_a_verified_match(newsroom: Newsroom, scan: Scan):
    row = scan.rows["small/rocket.jpg"]
    assert row["verdict"] == "VERIFIED_MATCH"
    assert row["tag"]["tag_id"] == newsroom.rows["rocket.jpg"]["tag_id"]


def test_a_face_swap_is_a_verified_derivative_and_the_face_is_found(newsroom: Newsroom, scan: Scan):
    row = scan.rows["face-swap.jpg"]
    assert row["verdict"] == "VERIFIED_DERIVATIVE"
    assert row["tag"]["tag_id"] == newsroom.rows["portrait.png"]["tag_id"]
    assert row["signature"]["status"] == "verified"
    assert share_of_box_found(row["registration"]["changed_regions"], (0.32, 0.10, 0.56, 0.43)) > 0.5
    assert 0.01 < row["registration"]["changed_fraction"] < 0.25
    assert row["survival"]["inside"] < row["survival"]["outside"]
    roles = [artifact["role"] for artifact in row["artifacts"]]
    assert roles == ["suspect", "source", "difference", "survival"]


def share_of_box_found(regions: list[dict[str, float]], box: tuple[float, float, float, float]) -> float:
    """How much of a box the regions cover, on a grid."""
    at = (np.arange(200) + 0.5) / 200
    x, y = np.meshgrid(at, at)
    inside = (x > box[0]) & (y > box[1]) & (x < box[2]) & (y < box[3])
    covered = np.zeros_like(inside)
    for region in regions:
        covered |= (x > region["left"]) & (x < region["right"]) & (y > region["top"]) & (y < region["bottom"])
    return float((inside & covered).sum() / inside.sum())


def test_a_plain_wall_is_a_tag_without_confirmation(scan: Scan):
    row = scan.rows["wall.png"]
    assert row["verdict"] == "TAG_UNCONFIRMED"
    assert row["signature"]["status"] == "verified"
    assert row["registration"] is None
    assert any("too few features" in reason for reason in row["reasons"])
    assert any("identifies the tag, not the picture" in limit for limit in row["limitations"])


def test_an_untagged_copy_of_a_registered_photograph_is_a_lead(newsroom: Newsroom, scan: Scan):
    row = scan.rows["untagged-portrait.jpg"]
    assert row["verdict"] == "CONTENT_LEAD"
    assert row["tag"]["kind"] == "absent"
    assert row["source"]["tag_id"] == newsroom.rows["portrait.png"]["tag_id"]
    assert row["signature"] is None


def test_a_stranger_s_photograph_has_no_readable_tag(scan: Scan):
    row = scan.rows["never-registered.jpg"]
    assert row["verdict"] == "NO_TAG_READ"
    assert row["source"] is None
    assert row["error"] is None
    assert not any(word in " ".join(row["reasons"]).lower() for word in ("authentic", "genuine", "real"))
    assert row["limitations"]


def test_a_torn_file_is_unreadable_and_the_scan_partial(scan: Scan):
    row = scan.rows["torn.jpg"]
    assert row["verdict"] == "UNREADABLE"
    assert row["error"]["stage"] == "decode"
    assert row["reading"] is None
    assert "torn.jpg" in scan.run.err


def test_every_finding_has_reasons_limits_and_a_source_only_where_it_says_so(scan: Scan):
    for row in scan.rows.values():
        assert row["reasons"], row["path"]
        assert row["limitations"], row["path"]
        if row["verdict"] in ATTRIBUTING:
            assert row["match"]["e_case"] <= 1e-6
            assert row["signature"]["status"] == "verified"
