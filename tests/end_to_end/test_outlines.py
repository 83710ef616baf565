"""What the localiser may change in a case, and what it must not: the program with it, and with a model without one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from newsroom import Newsroom, Scan, load, replace_face, save

from ftforensics.engine.models import find_model, load_card

MODEL = find_model("ftf-1")


def without_localiser(engines: Path) -> dict[str, str]:
    """The environment of a program whose model has no localiser."""
    folder = shutil.copytree(MODEL, engines / MODEL.name)
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    (folder / card["localiser_file"]).unlink()
    card |= {"localiser_file": None, "localiser_sha256": None}
    (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
    return {"FTF_ENGINES": str(engines)}


@pytest.fixture(scope="module")
def suspects(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("localiser") / "suspects"
    save(replace_face(load(newsroom.tagged["portrait.png"]))[0], folder / "swap.jpg", quality=90)
    save(load(newsroom.tagged["coffee.webp"]), folder / "copy.jpg", quality=85)
    return folder


@pytest.fixture(scope="module")
def scans(newsroom: Newsroom, suspects: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scan, Scan]:
    """The same folder scanned with the localiser and without."""
    folder = tmp_path_factory.mktemp("cases")
    environment = without_localiser(folder / "engines")
    return (
        newsroom.scan([suspects], folder / "with", "--format", "jsonl"),
        newsroom.scan([suspects], folder / "without", "--format", "jsonl", environment=environment),
    )


def test_findings_and_runs_name_the_localiser(scans: tuple[Scan, Scan]) -> None:
    digest = load_card(MODEL).localiser_sha256
    assert digest is not None
    for scan, expected in zip(scans, (digest, None), strict=True):
        found = scan.rows
        assert len(found) == 2
        assert all(row["survival"]["localiser_sha256"] == expected for row in found.values())
        run = json.loads((scan.folder / "run.json").read_text(encoding="utf-8"))
        assert run["model"].get("localiser_sha256") == expected
        # By this a stopped scan is not gone on with under another localiser.
        assert run["config"]["localiser_sha256"] == expected


def test_only_outlines_depend_on_it(scans: tuple[Scan, Scan]) -> None:
    for name, row in scans[0].rows.items():
        other = scans[1].rows[name]
        drawn = {"survival", "difference"}
        assert row["verdict"] == other["verdict"]
        for one in (row, other):
            del one["survival"]["localiser_sha256"], one["case_id"]
            one["artifacts"] = [kept for kept in one["artifacts"] if kept["role"] not in drawn]
        assert row == other
