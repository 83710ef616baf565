"""Verdicts that turn on keys, times and registries: one honest copy of a tagged photograph, other circumstances."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from newsroom import ISSUER, SCANNED_AT, TAGGED_AT, Newsroom, load, pin, save

from ftforensics.domain.record import RecordCore
from ftforensics.errors import SignatureInvalid
from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission
from ftforensics.trust.keys import KeyFolder, SigningKey
from ftforensics.trust.record import parse_record_core, sign_record

BEFORE = "2026-02-01T12:00:00Z"


@pytest.fixture(scope="module")
def copy(newsroom: Newsroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest copy of a tagged photograph: a verified match in ordinary circumstances."""
    return save(load(newsroom.tagged["coffee.webp"]), tmp_path_factory.mktemp("copy") / "copy.jpg", quality=88)


@pytest.fixture
def home(newsroom: Newsroom, tmp_path: Path) -> Path:
    return newsroom.copy_home(tmp_path / "home")


def agency_key(home: Path) -> SigningKey:
    return KeyFolder(home / "keys").load_signing("agency", None)


def test_a_key_that_nobody_pinned(newsroom: Newsroom, copy: Path, home: Path, tmp_path: Path):
    newsroom.ftf("trust", "remove", ISSUER, agency_key(home).key_id, home=home)
    pin(newsroom, home, "Press Agencу", "agency")  # the last letter is Cyrillic: another name
    row = newsroom.scan([copy], tmp_path / "cases", home=home).rows["copy.jpg"]
    assert row["verdict"] == "ISSUER_UNTRUSTED"
    assert row["signature"]["status"] == "issuer_untrusted"
    assert any("nobody has pinned" in reason for reason in row["reasons"])


def test_a_revoked_key(newsroom: Newsroom, copy: Path, home: Path, tmp_path: Path):
    revoked = ("--reason", "compromise", "--at", BEFORE)
    newsroom.ftf("trust", "revoke", agency_key(home).key_id, *revoked, home=home)
    row = newsroom.scan([copy], tmp_path / "cases", home=home).rows["copy.jpg"]
    assert row["verdict"] == "KEY_REVOKED"
    assert row["signature"]["status"] == "key_revoked"
    assert row["signature"]["issuer"] == ISSUER


def test_a_record_younger_than_the_exhibit(newsroom: Newsroom, copy: Path, tmp_path: Path):
    scan = newsroom.scan([copy], tmp_path / "cases", "--acquired-at", BEFORE)
    row = scan.rows["copy.jpg"]
    assert row["verdict"] == "RECORD_POSTDATES_EXHIBIT"
    assert row["acquired_at"] == BEFORE
    assert row["source"]["logged_at"] == TAGGED_AT
    assert any(TAGGED_AT in reason and BEFORE in reason for reason in row["reasons"])


def test_a_record_older_than_the_exhibit_attributes_and_says_whose_word_the_time_is(
    newsroom: Newsroom, copy: Path, tmp_path: Path
):
    row = newsroom.scan([copy], tmp_path / "cases", "--acquired-at", SCANNED_AT).rows["copy.jpg"]
    assert row["verdict"] == "VERIFIED_MATCH"
    assert not any("acquired" in reason for reason in row["reasons"])


def test_a_tag_in_no_registry_at_hand(newsroom: Newsroom, home: Path, tmp_path: Path):
    """Another department tags strongly, under the same carrier key, and keeps its registry to itself."""
    other = tmp_path / "other.sqlite"
    newsroom.ftf("registry", "init", "other-2026", "--key", "agency", "--registry", other, home=home)
    photo = save(load(newsroom.originals["coffee.webp"])[::-1], tmp_path / "photo.png")
    strong = ("--psnr", "40", "--fast", "--registry", other, "--issuer", ISSUER)
    newsroom.ftf("tag", photo, "--out", tmp_path / "tagged", *strong, home=home)
    with Registry.open(other) as registry:
        (record,) = registry.records()
    row = newsroom.scan([tmp_path / "tagged"], tmp_path / "cases", home=home).rows["photo.png"]
    assert row["verdict"] == "TAG_UNREGISTERED"
    assert row["tag"]["kind"] == "decoded"
    assert row["tag"]["tag_id"] == record.tag_id
    assert row["tag"]["false_accept_p"] <= 1e-6
    assert row["source"] is None
    assert row["signature"] is None


def test_a_tag_in_no_registry_is_not_given_the_source_of_a_lead(newsroom: Newsroom, home: Path, tmp_path: Path):
    """The other department tags a photograph that is registered here as well, at the usual strength."""
    other = tmp_path / "other.sqlite"
    newsroom.ftf("registry", "init", "other-2026", "--key", "agency", "--registry", other, home=home)
    options = ("--out", tmp_path / "tagged", "--registry", other, "--issuer", ISSUER)
    photo = save(load(newsroom.originals["coffee.webp"]), tmp_path / "photo.png")
    newsroom.ftf("tag", photo, *options, home=home)
    with Registry.open(other) as registry:
        (record,) = registry.records()
    row = newsroom.scan([tmp_path / "tagged"], tmp_path / "cases", home=home).rows["photo.png"]
    assert (row["verdict"], row["tag"]["tag_id"]) == ("TAG_UNREGISTERED", record.tag_id)
    assert row["tag"]["runner_up_z"] < row["tag"]["z"]
    # Its content lines up with the record at hand: said, with its limits, and nowhere else.
    lead = newsroom.rows["coffee.webp"]["tag_id"]
    assert any(lead in reason for reason in row["reasons"])
    assert any("another tag than the one decoded" in reason for reason in row["reasons"])
    assert any("content lead is a starting point" in limit for limit in row["limitations"])
    assert (row["source"], row["registration"], row["signature"], row["match"]) == (None, None, None, None)


def test_a_stolen_tag_id_in_a_registry_whose_log_holds(newsroom: Newsroom, copy: Path, home: Path, tmp_path: Path):
    """A log keeper files a record of his own under somebody else's tag id. His log and his signatures hold."""
    mallory = SigningKey.generate("mallory", "issuer")
    KeyFolder(home / "keys").save(mallory, None)
    stolen = newsroom.rows["coffee.webp"]["tag_id"]
    forged = tmp_path / "forged.sqlite"
    forge_registry(home, forged, mallory, stolen)
    pin(newsroom, home, "Mallory", "mallory")
    newsroom.ftf("registry", "verify", "--registry", forged, home=home)
    newsroom.ftf("registry", "verify", "--deep", "--registry", forged, home=home, expect=4)
    row = newsroom.scan([copy], tmp_path / "cases", "--registry", forged, home=home).rows["copy.jpg"]
    assert row["verdict"] == "SIGNATURE_INVALID"
    assert row["signature"]["status"] == "signature_invalid"
    assert row["source"] is None
    assert not any("Mallory" in reason for reason in row["reasons"])
    # The honest registry beside it is not silenced.
    both = ("--registry", forged, "--registry", home / "registry.sqlite")
    assert newsroom.scan([copy], tmp_path / "both", *both, home=home).rows["copy.jpg"]["verdict"] == "VERIFIED_MATCH"
    # As a bundle it is refused everywhere.
    bundle = tmp_path / "forged.ftfbundle"
    newsroom.ftf("registry", "export", "-o", bundle, "--registry", forged, home=home)
    assert "tag id" in newsroom.ftf("verify", bundle, home=home, expect=4).err
    assert "tag id" in newsroom.ftf("registry", "import", bundle, home=home, expect=4).err


def forge_registry(home: Path, path: Path, signer: SigningKey, tag_id: str) -> None:
    with Registry.open(home / "registry.sqlite") as honest:
        row = honest.get(tag_id)
    core = parse_record_core(row.record.payload)
    fields = {name: getattr(core, name) for name in RecordCore.__slots__}
    record = sign_record(RecordCore(**fields | {"issuer": "Mallory", "key_id": signer.key_id}), signer)
    submission = RecordSubmission(
        tag_id=tag_id,
        carrier_key_id=row.carrier_key_id,
        record=record,
        binding=None,
        public_key=signer.public_key,
        descriptors=row.descriptors,
        preview=row.preview,
    )
    with Registry.create(path, "mallory-2026", signer=signer, at=TAGGED_AT) as registry:
        with pytest.raises(SignatureInvalid):
            registry.append([submission], signer=signer, at=TAGGED_AT)
        registry.append([submission], signer=signer, at=TAGGED_AT, check_tag_ids=False)


def test_a_registry_forged_with_plain_sql_attributes_nothing(
    newsroom: Newsroom, copy: Path, home: Path, tmp_path: Path
):
    """Whoever can write the file drops its triggers and backdates an entry: the scan stops before any picture."""
    registry = sqlite3.connect(home / "registry.sqlite", isolation_level=None)
    triggers = registry.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        registry.execute(f"DROP TRIGGER {name}")
    changed = registry.execute("UPDATE entries SET logged_at = ?", (BEFORE,)).rowcount
    assert changed == 3
    for _, sql in triggers:
        registry.execute(sql)
    registry.close()
    case = newsroom.new_case(tmp_path / "cases")
    before = newsroom.ftf("case", "show", "case-1", "--cases", case.parent, "--format", "jsonl").out
    run = newsroom.scan([copy], tmp_path / "cases", home=home, expect=4).run
    assert run.out == ""
    assert "changed after it was logged" in run.err
    assert newsroom.ftf("case", "show", "case-1", "--cases", case.parent, "--format", "jsonl").out == before
    assert not (case / "scan.jsonl").exists()


def test_two_issuers_who_register_the_same_photograph(newsroom: Newsroom, home: Path, tmp_path: Path):
    shutil.copy(newsroom.originals["coffee.webp"], tmp_path / "coffee.webp")
    second = tmp_path / "second.sqlite"
    for name, kind in (("herald", "--role=issuer"), ("herald-waves", "--carrier")):
        newsroom.ftf("key", "new", name, kind, "--no-passphrase", home=home)
    newsroom.ftf("registry", "init", "herald-2026", "--key", "herald", "--registry", second, home=home)
    pin(newsroom, home, "The Herald", "herald")
    keys = ("--key", "herald", "--carrier", "herald-waves", "--issuer", "The Herald", "--registry", second)
    newsroom.ftf("tag", tmp_path / "coffee.webp", "--out", tmp_path / "out", *keys, "--fast", home=home)
    both = ("--registry", second, "--registry", home / "registry.sqlite")
    suspects = [newsroom.tagged["coffee.webp"], tmp_path / "out" / "coffee.webp"]
    rows = newsroom.scan(suspects, tmp_path / "cases", *both, home=home).rows
    assert len(rows) == 2
    for row in rows.values():
        assert row["verdict"] == "CONFLICT"
        said = " ".join(row["reasons"])
        assert ISSUER in said
        assert "The Herald" in said
        assert TAGGED_AT in said
        assert SCANNED_AT in said
        assert any("No winner is declared" in limit for limit in row["limitations"])


def test_a_record_without_a_preview_is_registered_by_its_descriptors(newsroom: Newsroom, home: Path, tmp_path: Path):
    """What changed cannot be measured then, and the verdict does not pretend that it was."""
    photo = save(np.ascontiguousarray(load(newsroom.originals["rocket.jpg"])[:, ::-1]), tmp_path / "photo.png")
    options = ("--issuer", ISSUER, "--fast", "--no-preview")
    newsroom.ftf("tag", photo, "--out", tmp_path / "tagged", *options, home=home)
    row = newsroom.scan([tmp_path / "tagged"], tmp_path / "cases", home=home).rows["photo.png"]
    assert row["verdict"] == "TAG_UNCONFIRMED"
    assert row["registration"]["against"] == "descriptors"
    assert row["registration"]["changed_fraction"] is None
    assert any("no preview" in limit for limit in row["limitations"])
