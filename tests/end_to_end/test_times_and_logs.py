"""Whose time counts, and what a run says that it searched: mirrors of a log, wrong clocks, damaged indexes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from newsroom import CASE, ISSUER, SCANNED_AT, TAGGED_AT, Newsroom, load, save

from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission, to_column
from ftforensics.trust.keys import KeyFolder, SigningKey

BEFORE, LONG_BEFORE, LONG_AFTER = "2026-02-01T12:00:00Z", "2020-01-01T00:00:00Z", "2028-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def copy(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(load(newsroom.tagged["coffee.webp"]), tmp_path_factory.mktemp("copy") / "copy.jpg", quality=88)


@pytest.fixture(scope="module")
def bundles(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agency's records as its own bundle, and in Mallory's logs under the same name: later, earlier, stripped."""
    folder = tmp_path_factory.mktemp("bundles")
    newsroom.ftf("registry", "export", "-o", folder / "genuine")
    for name, at in (("late", LONG_AFTER), ("early", LONG_BEFORE)):
        mirror(newsroom, folder / name, at)
    return folder


def mirror(newsroom: Newsroom, path: Path, at: str, *, whole: bool = False) -> None:
    mallory = SigningKey.generate("mallory", "issuer")
    with Registry.open(newsroom.home / "registry.sqlite") as source:
        submissions = [
            RecordSubmission(
                tag_id=row.tag_id,
                carrier_key_id=row.carrier_key_id,
                record=row.record,
                binding=None,
                public_key=row.public_key,
                descriptors=row.descriptors,
                preview=row.preview if whole else None,
            )
            for row in source.records()
        ]
    with Registry.create(path.with_suffix(".sqlite"), "agency-2026", signer=mallory, at=LONG_BEFORE) as registry:
        registry.append(submissions, signer=mallory, at=at, check_tag_ids=False)
        registry.export_bundle(path)


def gather(newsroom: Newsroom, path: Path, *bundles: Path) -> Path:
    newsroom.ftf("registry", "init", "mine", "--key", "agency", "--registry", path, now=TAGGED_AT)
    for bundle in bundles:
        newsroom.ftf("registry", "import", bundle, "--registry", path)
    return path


def test_a_mirror_at_hand_first_changes_nothing(newsroom: Newsroom, copy: Path, bundles: Path, tmp_path: Path):
    genuine, late, early = (bundles / name for name in ("genuine", "late", "early"))
    first = gather(newsroom, tmp_path / "first.sqlite", late, early, genuine)
    last = gather(newsroom, tmp_path / "last.sqlite", genuine, early)
    ways = {
        "alone": (newsroom.home / "registry.sqlite",),
        "mirrors first": (first,),
        "mirror last": (last,),
        "beside": (late.with_suffix(".sqlite"), newsroom.home / "registry.sqlite"),
    }
    lines = {}
    for name, registries in ways.items():
        options = [word for registry in registries for word in ("--registry", registry)]
        scan = newsroom.scan([copy], tmp_path / name, *options, "--acquired-at", SCANNED_AT)
        lines[name] = (scan.folder / "scan.jsonl").read_bytes()
    row = scan.rows["copy.jpg"]
    assert row["verdict"] == "VERIFIED_MATCH"
    assert (row["source"]["logged_at"], row["source"]["log_name"]) == (TAGGED_AT, "agency-2026")
    assert row["source"]["log_standing"] == "issuer"
    assert row["source"]["log_key_id"] == row["source"]["key_id"]
    assert len(set(lines.values())) == 1
    page = tmp_path / "report.html"
    export = ("report", "export", "--case", CASE, "--cases", scan.cases, "--format", "html")
    newsroom.ftf(*export, "--output", page)
    assert "signed with a key that is pinned for the record" in page.read_text("utf-8")


def test_a_mirror_cannot_backdate_what_was_made_after_the_exhibit(
    newsroom: Newsroom, copy: Path, bundles: Path, tmp_path: Path
):
    registry = gather(newsroom, tmp_path / "mine.sqlite", bundles / "early")
    row = newsroom.scan([copy], tmp_path / "cases", "--registry", registry, "--acquired-at", BEFORE).rows["copy.jpg"]
    assert row["verdict"] == "RECORD_POSTDATES_EXHIBIT"
    assert any("under its issuer's signature" in reason and TAGGED_AT in reason for reason in row["reasons"])
    assert any(LONG_BEFORE in limit and "That cannot be" in limit for limit in row["limitations"])


def test_where_no_log_time_can_be_the_signed_time_is_compared_and_said_to_be(
    newsroom: Newsroom, copy: Path, tmp_path: Path
):
    mirror(newsroom, tmp_path / "early", LONG_BEFORE, whole=True)
    registry = gather(newsroom, tmp_path / "mine.sqlite", tmp_path / "early")
    scan = newsroom.scan([copy], tmp_path / "cases", "--registry", registry, "--acquired-at", SCANNED_AT)
    row = scan.rows["copy.jpg"]
    assert row["verdict"] == "VERIFIED_MATCH"
    (limit,) = [limit for limit in row["limitations"] if "acquisition of the exhibit" in limit]
    assert limit.startswith(f"Of the record's times only {TAGGED_AT},")
    page = tmp_path / "report.html"
    export = ("report", "export", "--case", CASE, "--cases", scan.cases, "--format", "html")
    newsroom.ftf(*export, "--output", page)
    assert page.read_text("utf-8").count("not used: before the record was made") == 1


def test_the_time_of_a_mirror_alone_is_told_as_a_claim(newsroom: Newsroom, copy: Path, bundles: Path, tmp_path: Path):
    registry = bundles / "late.sqlite"
    row = newsroom.scan([copy], tmp_path / "cases", "--registry", registry, "--acquired-at", SCANNED_AT).rows[
        "copy.jpg"
    ]
    assert row["verdict"] == "RECORD_POSTDATES_EXHIBIT"
    (claim,) = [limit for limit in row["limitations"] if "a mere claim" in limit]
    assert row["source"]["log_key_id"] in claim
    assert '"agency-2026"' in claim


def test_a_run_names_all_that_was_searched(newsroom: Newsroom, copy: Path, bundles: Path, tmp_path: Path):
    """Two registries with the same empty log of their own, and as many imported records."""
    said = {}
    for name in ("genuine", "late"):
        registry = gather(newsroom, tmp_path / f"{name}.sqlite", bundles / name)
        folder = newsroom.scan([copy], tmp_path / name, "--registry", registry, "--search", "direct").folder
        run = json.loads((folder / "run.json").read_bytes())
        said[name] = run["registry_checkpoint"], run["config"]["checkpoints"]
    for one, other in zip(said["genuine"], said["late"], strict=True):
        assert one != other
    with Registry.open(newsroom.home / "registry.sqlite") as agency:
        newest = agency.checkpoint()
        assert f"agency-2026 {agency.log_key_id} {newest.size}:{newest.root}" in said["genuine"][0]


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "2026-06-01T09:06:00Z"])
def test_nobody_had_an_exhibit_in_hand_in_the_future(newsroom: Newsroom, copy: Path, tmp_path: Path, at: str):
    scan = newsroom.scan([copy], tmp_path / "cases", "--acquired-at", at, expect=2)
    assert "is later than now" in scan.run.err
    assert not (scan.folder / "scan.jsonl").exists()
    within = ("scan", copy, "--dry-run", "--acquired-at", "2026-06-01T09:04:00Z")
    newsroom.ftf(*within)


def test_a_wrong_clock_is_told_at_once_and_there_is_a_way_out(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    photo = save(load(newsroom.originals["coffee.webp"])[::-1], tmp_path / "photo.png")
    tag = ("tag", photo, "--fast", "--issuer", ISSUER, "--out")
    late = newsroom.ftf(*tag, tmp_path / "late", home=home, now="2099-01-01T00:00:00Z")
    assert "is the clock right?" in late.err
    assert TAGGED_AT in late.err
    refused = newsroom.ftf(*tag, tmp_path / "refused", home=home, expect=4)
    assert "'ftf registry init' under a new log name" in refused.err
    new, bundle = tmp_path / "new.sqlite", tmp_path / "bundle"
    newsroom.ftf("registry", "export", "-o", bundle, home=home)
    newsroom.ftf("registry", "init", "agency-2026b", "--key", "agency", "--registry", new, home=home)
    newsroom.ftf("registry", "import", bundle, "--registry", new, home=home)
    again = newsroom.ftf(*tag, tmp_path / "again", "--registry", new, home=home)
    assert "is the clock right?" not in again.err
    with Registry.open(new) as registry:
        assert registry.verify().records == 5


@pytest.mark.parametrize("how", ["left out", "under another key"])
def test_an_index_that_hides_a_record_stops_the_scan(newsroom: Newsroom, copy: Path, tmp_path: Path, how: str):
    """Whoever can write the file makes an index not find a row; the index's own SQL looks as it did."""
    home = newsroom.copy_home(tmp_path / "home")
    hidden = to_column(newsroom.rows["coffee.webp"]["tag_id"])
    told = "(tag_id)"
    lie = f"(tag_id) WHERE tag_id <> {hidden}" if how == "left out" else f"((tag_id + (tag_id = {hidden})))"
    reindex(home / "registry.sqlite", "entries_tag_id", told, lie)
    scan = newsroom.scan([copy], tmp_path / "cases", home=home, expect=4)
    assert "The registry database is damaged" in scan.run.err
    assert scan.run.out == ""
    newsroom.ftf("registry", "verify", home=home, expect=4)


def reindex(path: Path, index: str, told: str, lie: str) -> None:
    def write_sql(sql: str) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql, index))
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        connection.execute(f"PRAGMA schema_version = {version + 1}")
        connection.close()

    connection = sqlite3.connect(path)
    (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
    connection.close()
    write_sql(sql.replace(told, lie))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"REINDEX {index}")
    connection.close()
    write_sql(sql)


def test_the_keys_of_the_newsroom_are_one(newsroom: Newsroom):
    """What the tests here rest on: the agency's log is signed with the key that is pinned for it."""
    with Registry.open(newsroom.home / "registry.sqlite") as registry:
        assert registry.log_key_id == KeyFolder(newsroom.home / "keys").load_signing("agency", None).key_id
