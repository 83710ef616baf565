"""Attack, with pictures: a fake is registered as the "source", and its tag copied into the genuine photograph."""

from __future__ import annotations

from pathlib import Path

import pytest
from newsroom import SCANNED_AT, SKIMAGE, Newsroom, embed, load, load_ring_key, pin, replace_face, save

from ftforensics.link.sentences import KINSHIP, NO_ACQUISITION_TIME

ACQUIRED_AT = "2026-04-01T08:00:00Z"


@pytest.fixture(scope="module")
def framed(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A home that trusts the forger, with his registry in the place of its own, and the genuine photograph framed."""
    folder = tmp_path_factory.mktemp("framed")
    home = newsroom.copy_home(folder / "home")
    (home / "registry.sqlite").unlink()
    newsroom.ftf("registry", "init", "forger-2026", "--key", "agency", home=home)
    pin(newsroom, home, "Forger", "agency")
    genuine = load(SKIMAGE / "astronaut.png")
    fake = save(replace_face(genuine)[0], folder / "fake.png")
    options = ("--out", folder / "out", "--issuer", "Forger", "--fast", "--format", "jsonl")
    (row,) = newsroom.ftf("tag", fake, *options, home=home).rows()
    framed = embed(genuine, row["tag_id"], load_ring_key(home), 40.0)
    return home, save(framed, folder / "suspects" / "genuine.png")


def test_a_record_younger_than_the_exhibit_attributes_nothing(
    newsroom: Newsroom, framed: tuple[Path, Path], tmp_path: Path
):
    home, suspect = framed
    options = ("--acquired-at", ACQUIRED_AT)
    row = newsroom.scan([suspect], tmp_path / "cases", *options, home=home).rows["genuine.png"]
    assert row["verdict"] == "RECORD_POSTDATES_EXHIBIT"
    assert any(SCANNED_AT in reason and ACQUIRED_AT in reason for reason in row["reasons"])
    assert any("not attributed" in limit for limit in row["limitations"])


def test_without_a_time_nobody_is_told_which_came_first(newsroom: Newsroom, framed: tuple[Path, Path], tmp_path: Path):
    """Whether or not the tag in the "changed" face gives the forger away."""
    home, suspect = framed
    row = newsroom.scan([suspect], tmp_path / "cases", home=home).rows["genuine.png"]
    assert row["verdict"] in {"VERIFIED_DERIVATIVE", "TAG_TRANSPLANT_SUSPECTED"}
    if row["verdict"] == "VERIFIED_DERIVATIVE":
        assert {KINSHIP, NO_ACQUISITION_TIME} <= set(row["limitations"])
    else:
        assert any("not attributed" in limit for limit in row["limitations"])
