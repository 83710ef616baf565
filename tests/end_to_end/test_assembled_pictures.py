"""Pictures put together from several, and pictures that lie on their side, through the real program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from newsroom import CASE, ISSUER, Newsroom, Run, Scan, cat, load, pin, replace_face, save

from ftforensics.attacks.collage import cover

OTHER_ISSUER = "Second Desk"


@pytest.fixture(scope="module")
def home(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that trusts a second issuer too, who has tagged the picture of a cat."""
    folder = tmp_path_factory.mktemp("assembled")
    home = newsroom.copy_home(folder / "home")
    pin(newsroom, home, OTHER_ISSUER, "agency")
    original = save(cat(), folder / "cat.png")
    newsroom.ftf("tag", original, "--out", folder / "tagged", "--issuer", OTHER_ISSUER, "--fast", home=home)
    return home


@pytest.fixture(scope="module")
def scan(newsroom: Newsroom, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("sheets") / "suspects"
    portrait, coffee = load(newsroom.tagged["portrait.png"]), load(newsroom.tagged["coffee.webp"])
    tagged_cat = load(home.parent / "tagged" / "cat.png")
    save(np.ascontiguousarray(np.rot90(coffee)), folder / "turned.jpg", quality=90)
    fake = cover(replace_face(portrait)[0], 480, 480)
    right = np.concatenate([cover(tagged_cat, 480, 320), np.full((160, 480, 3), 90, dtype=np.uint8)])
    gap = np.full((480, 16, 3), 255, dtype=np.uint8)
    save(np.concatenate([fake, gap, right], axis=1), folder / "sheet.jpg", quality=92)
    stranger = load(newsroom.originals["rocket.jpg"])[:200, :300]
    untagged = np.concatenate([cover(stranger, 300, 300), cover(cat()[:, ::-1], 300, 300)], axis=1)
    save(untagged, folder / "untagged.jpg", quality=90)
    options = ("--fail-on", "VERIFIED_MATCH", "--format", "csv")
    return newsroom.scan([folder], folder.parent / "cases", *options, home=home, expect=1)


def test_a_turned_picture_is_a_match_and_lines_up(newsroom: Newsroom, scan: Scan):
    row = scan.rows["turned.jpg"]
    assert row["verdict"] == "VERIFIED_MATCH"
    assert row["tag"]["tag_id"] == newsroom.rows["coffee.webp"]["tag_id"]
    assert row["region"] is None
    assert row["further_tags"] == []
    a, b, _, d, e, _ = row["tag"]["geometry"]["matrix"]
    assert abs(a) < 0.05
    assert abs(e) < 0.05
    assert b * d < 0  # a turn, not a mirror image


def both_tags(row: dict) -> list[dict]:
    """What is said of each tag of an exhibit."""
    return [{**row, "region": row["region"]}, *row["further_tags"]]


def test_both_pictures_of_a_sheet_are_named_with_their_places(newsroom: Newsroom, scan: Scan):
    row = scan.rows["sheet.jpg"]
    assert row["verdict"] != "CONFLICT"
    assert len(row["further_tags"]) == 1
    by_issuer = {one["source"]["issuer"]: one for one in both_tags(row)}
    assert by_issuer.keys() == {ISSUER, OTHER_ISSUER}
    portrait, cat_row = by_issuer[ISSUER], by_issuer[OTHER_ISSUER]
    assert portrait["tag"]["tag_id"] == newsroom.rows["portrait.png"]["tag_id"]
    assert list(portrait["region"].values()) == pytest.approx([0.0, 0.0, 480 / 976, 1.0], abs=0.02)
    assert list(cat_row["region"].values()) == pytest.approx([496 / 976, 0.0, 1.0, 2 / 3], abs=0.02)
    for one in both_tags(row):
        assert one["signature"]["status"] == "verified"
        assert one["other_sources"] == []
        assert one["tag"]["e_case"] <= 1e-6
        assert any("says nothing about it" in limit for limit in one["limitations"])


def test_only_the_changed_panel_is_called_changed_and_only_there(scan: Scan):
    row = scan.rows["sheet.jpg"]
    by_issuer = {one["source"]["issuer"]: one for one in both_tags(row)}
    assert by_issuer[ISSUER]["verdict"] == "VERIFIED_DERIVATIVE"
    assert by_issuer[OTHER_ISSUER]["verdict"] == "VERIFIED_MATCH"
    assert by_issuer[OTHER_ISSUER]["registration"]["changed_regions"] == []
    regions = by_issuer[ISSUER]["registration"]["changed_regions"]
    assert regions
    # The face, in coordinates of the whole sheet, and nothing of the other panel.
    assert all(region["right"] <= 480 / 976 + 0.01 for region in regions)
    assert regions[0]["left"] < 0.44 * 480 / 976 < regions[0]["right"]
    assert any("Another tag was read in another part" in reason for reason in row["reasons"])


def test_an_untagged_sheet_names_nobody(scan: Scan):
    row = scan.rows["untagged.jpg"]
    assert row["tag"]["kind"] == "absent"
    assert row["further_tags"] == []
    assert row["verdict"] in {"NO_TAG_READ", "CONTENT_LEAD"}


def test_the_table_tells_the_further_tag(scan: Scan):
    rows = {row["path"]: row["further_tags"] for row in scan.run.csv_rows()}
    (further,) = scan.rows["sheet.jpg"]["further_tags"]
    assert rows["sheet.jpg"] == f"{further['tag']['tag_id']} {further['verdict']}"
    assert rows["turned.jpg"] == ""


def test_the_report_shows_both_and_the_case_verifies(newsroom: Newsroom, scan: Scan, tmp_path: Path):
    roles = [artifact["role"] for artifact in scan.rows["sheet.jpg"]["artifacts"]]
    assert roles == ["suspect", "source", "difference", "survival", "source-2", "difference-2", "survival-2"]
    run: Run = newsroom.ftf("case", "verify", CASE, "--cases", scan.cases)
    assert run.code == 0
    page = tmp_path / "report.html"
    newsroom.ftf("report", "export", "--case", CASE, "--cases", scan.cases, "--format", "html", "--output", page)
    text = page.read_text("utf-8")
    (further,) = scan.rows["sheet.jpg"]["further_tags"]
    assert "Tag 2 of 2, in another part of this exhibit" in text
    assert further["tag"]["tag_id"] in text
    assert further["source"]["record_sha256"] in text
    assert OTHER_ISSUER in text
