"""Small parts of tagged photographs: found by their content, read beside the registered preview, and said to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from newsroom import CASE, Newsroom, Scan, cat, load, save

from ftforensics.imaging.resample import resize
from ftforensics.link.sentences import BESIDE_PREVIEW

TRACED = {"VERIFIED_MATCH", "VERIFIED_DERIVATIVE"}
TINY = [f"{name}-{at}.png" for name in ("coffee", "portrait") for at in range(3)]


@pytest.fixture(scope="module")
def scan(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Parts of tagged, untagged and unknown photographs. Keys are new in every run: no single tiny part must read."""
    folder = tmp_path_factory.mktemp("crops") / "suspects"
    coffee, portrait = load(newsroom.tagged["coffee.webp"]), load(newsroom.tagged["portrait.png"])
    for name, picture in (("coffee", coffee), ("portrait", portrait)):
        for at, (left, top) in enumerate(((0.18, 0.14), (0.35, 0.35), (0.5, 0.3))):
            save(part(picture, left, top, 0.3), folder / f"{name}-{at}.png")
    save(part(coffee, 0.25, 0.25, 0.45), folder / "coffee.png")
    save(part(load(newsroom.originals["coffee.webp"]), 0.35, 0.35, 0.3), folder / "untagged.png")
    save(part(cat(), 0.35, 0.35, 0.3), folder / "stranger.png")
    fake = part(portrait, 0.1, 0.05, 0.7)
    fake[120:260, 110:260] = np.asarray(cat())[60:200, 140:290]
    save(fake, folder / "portrait.jpg", quality=70)
    pieces = [part(coffee, 0.25, 0.25, 0.42), part(portrait, 0.3, 0.05, 0.42), cat(), part(cat(), 0.3, 0.3, 0.5)]
    save(collage(pieces), folder / "collage.png")
    return newsroom.scan([folder], folder.parent / "cases", expect=None)


def collage(pieces: list[np.ndarray]) -> np.ndarray:
    """Four pictures in two rows of two, all squeezed to one shape, with a white gutter."""
    sheet = np.full((412, 532, 3), 255, np.uint8)
    for at, piece in enumerate(pieces):
        top, left = 212 * (at // 2), 272 * (at % 2)
        sheet[top : top + 200, left : left + 260] = resize(np.ascontiguousarray(piece), 260, 200)
    return sheet


def part(picture: np.ndarray, left: float, top: float, share: float) -> np.ndarray:
    height, width = picture.shape[:2]
    y, x = int(top * height), int(left * width)
    return picture[y : y + int(share * height), x : x + int(share * width)].copy()


def source_of(newsroom: Newsroom, name: str) -> str:
    return newsroom.rows["coffee.webp" if name.startswith("coffee") else "portrait.png"]["tag_id"]


def test_a_part_is_traced(newsroom: Newsroom, scan: Scan):
    row = scan.rows["coffee.png"]
    assert row["verdict"] == "VERIFIED_MATCH"
    assert row["source"]["tag_id"] == source_of(newsroom, "coffee.png")


def test_tiny_parts_are_read_beside_their_source_or_told_as_leads(newsroom: Newsroom, scan: Scan):
    rows = {name: scan.rows[name] for name in TINY}
    assert {row["verdict"] for row in rows.values()} <= {*TRACED, "CONTENT_LEAD", "NO_TAG_READ"}
    # So small a part lines up on a dozen points; where it does so loosely, a speck of it may be called changed.
    assert all(row["registration"]["changed_fraction"] < 0.02 for row in rows.values() if row["verdict"] in TRACED)
    for name, row in rows.items():
        if row["source"] is not None:
            assert row["source"]["tag_id"] == source_of(newsroom, name)
    beside = [row for row in rows.values() if is_beside(row)]
    assert beside
    for row in rows.values():
        assert (BESIDE_PREVIEW in row["limitations"]) == is_beside(row)
        for graph in ("pair_reader_sha256", "simulator_sha256"):
            assert (row["reading"][graph] is not None) == is_beside(row)


def is_beside(row: dict[str, Any]) -> bool:
    frame = row["reading"]["geometry"]
    return frame is not None and frame["mode"] == "compared"


def test_a_part_of_the_untagged_photograph_is_a_lead_only(newsroom: Newsroom, scan: Scan):
    row = scan.rows["untagged.png"]
    assert row["verdict"] == "CONTENT_LEAD"
    assert row["match"] is None
    assert row["source"]["tag_id"] == newsroom.rows["coffee.webp"]["tag_id"]


def test_a_part_of_another_photograph_is_nothing(scan: Scan):
    assert scan.rows["stranger.png"]["verdict"] == "NO_TAG_READ"


def test_every_part_in_a_collage_is_traced(newsroom: Newsroom, scan: Scan):
    """Each is less than half of its photograph's sides, so that neither need read without its source."""
    row = scan.rows["collage.png"]
    told = {row["tag"]["tag_id"], *(further["tag"]["tag_id"] for further in row["further_tags"])}
    assert told == {source_of(newsroom, name) for name in ("coffee.png", "portrait.png")}
    assert {row["verdict"], *(further["verdict"] for further in row["further_tags"])} <= TRACED


def test_a_changed_part_is_a_derivative(newsroom: Newsroom, scan: Scan):
    row = scan.rows["portrait.jpg"]
    assert row["verdict"] == "VERIFIED_DERIVATIVE"
    assert row["source"]["tag_id"] == newsroom.rows["portrait.png"]["tag_id"]


def test_the_report_says_how_it_was_read(newsroom: Newsroom, scan: Scan):
    newsroom.ftf("report", "export", "--case", CASE, "--cases", scan.cases)
    page = " ".join((scan.folder / "report.html").read_text("utf-8").split())
    assert "compared" in page
    assert "read beside the registered preview of the photograph" in page
    assert BESIDE_PREVIEW in page
    newsroom.ftf("case", "verify", CASE, "--cases", scan.cases)


def test_a_second_scan_says_the_same(newsroom: Newsroom, scan: Scan, tmp_path: Path):
    again = newsroom.scan([scan.cases.parent / "suspects"], tmp_path / "cases", expect=None)
    assert (again.folder / "scan.jsonl").read_bytes() == (scan.folder / "scan.jsonl").read_bytes()
