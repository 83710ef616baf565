"""A face is replaced in a photograph with a hard edge, on the side of the edge on which the tag is not read.

The search takes what lies on either side for pictures of their own and reads the tag on one side. What is replaced on
the other must be compared all the same. The registry is as one that is too large to be searched by features.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from newsroom import CASE, ISSUER, SCANNED_AT, Newsroom, cat, load, save

from ftforensics.attacks import regions
from ftforensics.attacks.collage import cover
from ftforensics.cli.main import run_command
from ftforensics.flows import sources

# Of the diptych.
FACE = (0.68, 0.15, 0.92, 0.75)


@pytest.fixture(scope="module")
def diptych(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A home whose issuer tagged two pictures side by side as one photograph, and that photograph."""
    folder = tmp_path_factory.mktemp("diptych")
    home = newsroom.copy_home(folder / "home")
    sides = [cover(np.ascontiguousarray(skimage.data.astronaut()), 420, 520), cover(cat(), 300, 520)]
    original = save(np.concatenate(sides, axis=1), folder / "diptych.png")
    newsroom.ftf("tag", original, "--out", folder / "tagged", "--issuer", ISSUER, home=home)
    return home, np.asarray(load(folder / "tagged" / "diptych.png"))


def scan(
    newsroom: Newsroom, home: Path, tagged: np.ndarray, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The finding about a part of the photograph, some of all sides cut away."""
    height, width = (int(0.7 * side) for side in tagged.shape[:2])
    top, left = int(0.15 * tagged.shape[0]), int(0.075 * tagged.shape[1])
    suspect = np.ascontiguousarray(tagged[top : top + height, left : left + width])
    save(suspect, folder / "suspects" / "a.jpg", quality=90)
    newsroom.new_case(folder / "cases")
    monkeypatch.setenv("FTF_HOME", str(home))
    monkeypatch.setenv("FTF_NOW", SCANNED_AT)
    monkeypatch.setattr(sources, "MOST_INDEXED", 0)
    assert run_command(["scan", str(folder / "suspects"), "--case", CASE, "--cases", str(folder / "cases")]) == 0
    row: dict[str, Any] = json.loads((folder / "cases" / CASE / "scan.jsonl").read_text("ascii"))
    return row


def test_it_is_found(
    newsroom: Newsroom, diptych: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, tagged = diptych
    mask = regions.box_mask(*tagged.shape[:2], FACE, 0.0)
    donor = np.ascontiguousarray(skimage.data.coffee())
    fake = regions.swap_region(tagged, donor, mask, colour_matched=False)[0]
    row = scan(newsroom, home, fake, tmp_path, monkeypatch)
    assert row["verdict"] == "VERIFIED_DERIVATIVE"
    assert row["region"] is None
    assert row["further_tags"] == []
    (box,) = row["registration"]["changed_regions"]
    # Where the face was, as the part shows it.
    assert box["left"] == pytest.approx((FACE[0] - 0.075) / 0.7, abs=0.05)
    assert box["bottom"] == pytest.approx((FACE[3] - 0.15) / 0.7, abs=0.05)


def test_the_photograph_itself_is_seen_whole(
    newsroom: Newsroom, diptych: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, tagged = diptych
    row = scan(newsroom, home, tagged, tmp_path, monkeypatch)
    assert row["verdict"] == "VERIFIED_MATCH"
    assert row["region"] is None
    assert row["further_tags"] == []
