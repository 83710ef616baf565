"""A scan with several pictures at once finds what one at a time finds, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from newsroom import SCANNED_AT, Newsroom, Scan, load, replace_face, save

from ftforensics.attacks import warps
from ftforensics.cli.settings import load_settings
from ftforensics.cli.trust_file import load_trust
from ftforensics.flows.sources import RecordChecks
from ftforensics.store.registry import Registry
from ftforensics.trust.trustlist import TrustList


@pytest.fixture(scope="module")
def evidence(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several suspects of each source, so that what is remembered of a source is used; and files of other kinds."""
    folder = tmp_path_factory.mktemp("several") / "evidence"
    folder.mkdir()
    portrait = load(newsroom.tagged["portrait.png"])
    coffee = load(newsroom.tagged["coffee.webp"])
    save(portrait, folder / "a.png")
    save(replace_face(portrait)[0], folder / "b.jpg", quality=90)
    save(np.ascontiguousarray(portrait[:, ::-1]), folder / "c.png")
    save(warps.crop(coffee, 0.8, np.random.default_rng(3)), folder / "d.jpg", quality=85)
    save(coffee, folder / "e.jpg", quality=70)
    save(load(newsroom.originals["coffee.webp"]), folder / "f.jpg", quality=92)
    save(np.random.default_rng(1).integers(0, 255, (200, 300, 3), dtype=np.uint8), folder / "g.png")
    (folder / "h.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    save(portrait, folder / "i.jpg", quality=60)
    return folder


def artifacts(scan: Scan) -> dict[str, bytes]:
    folder = scan.folder / "artifacts"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_findings_and_pictures_do_not_depend_on_how_many_are_examined_at_once(
    newsroom: Newsroom, evidence: Path, tmp_path: Path
) -> None:
    alone, together = (
        newsroom.scan([evidence], tmp_path / jobs, "--jobs", jobs, "--no-progress", expect=3) for jobs in ("1", "3")
    )
    assert (alone.folder / "scan.jsonl").read_bytes() == (together.folder / "scan.jsonl").read_bytes()
    assert artifacts(alone) == artifacts(together)
    assert len(artifacts(alone)) > len(alone.rows)
    rows = alone.rows
    assert len(rows) == 9
    assert rows["a.png"]["verdict"] == "VERIFIED_MATCH"
    assert rows["b.jpg"]["verdict"] == "VERIFIED_DERIVATIVE"
    assert rows["f.jpg"]["verdict"] == "CONTENT_LEAD"
    assert rows["g.png"]["verdict"] == "NO_TAG_READ"
    assert rows["h.jpg"]["verdict"] == "UNREADABLE"


def test_a_record_that_differs_anywhere_is_checked_by_itself(newsroom: Newsroom) -> None:
    trust = load_trust(load_settings({"FTF_HOME": str(newsroom.home), "FTF_NOW": SCANNED_AT}))
    with Registry.open(newsroom.home / "registry.sqlite") as registry:
        row = registry.get(newsroom.rows["portrait.png"]["tag_id"])
    checks = RecordChecks(trust, SCANNED_AT)
    assert checks.of(row)[0].status == "verified"
    assert checks.of(row) is checks.of(replace(row))
    assert checks.of(replace(row, descriptors=row.descriptors + b"\0"))[0].status == "signature_invalid"
    assert checks.of(replace(row, tag_id="0" * 16))[0].status == "signature_invalid"
    assert RecordChecks(TrustList(), SCANNED_AT).of(row)[0].status == "issuer_untrusted"
