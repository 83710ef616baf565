"""``ftf registry``: made, read, checked and exchanged from the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_samples import CARRIER, NOW, Ftf, add_record, sqlite_do

from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission
from ftforensics.trust.keys import SigningKey

LATER = "2028-01-01T00:00:00Z"


@pytest.fixture
def registry(ftf: Ftf, issuer: str, home: Path) -> Path:
    ftf("registry", "init", "agency-2026")
    return home / "registry.sqlite"


@pytest.fixture
def key(registry: Path, home: Path) -> SigningKey:
    return SigningKey.load(home / "keys" / "agency.pem", None)


@pytest.fixture
def tag_id(registry: Path, key: SigningKey) -> str:
    return add_record(registry, key)


def test_init_says_what_it_made(ftf: Ftf, issuer: str, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "r.sqlite"
    facts = ftf("registry", "init", "log", "--registry", path, "--key", "agency", "--format", "jsonl").facts()
    assert (facts["path"], facts["log"], facts["log_key"], facts["records"]) == (str(path), "log", issuer, 0)
    assert facts["checkpoint_at"] == NOW
    before = path.read_bytes()
    assert "not written over" in ftf("registry", "init", "log", "--registry", path, expect=7).err
    assert path.read_bytes() == before


def test_init_without_usable_key(ftf: Ftf, passphrase_file: Path, tmp_path: Path) -> None:
    assert "no signing key yet" in ftf("registry", "init", "log", expect=6).err
    ftf("key", "new", "agency", "--role", "issuer", "--passphrase-file", passphrase_file)
    ftf("registry", "init", "log", "--key", "nobody", expect=6)
    (tmp_path / "wrong.txt").write_text("wrong\n")
    wrong = ftf("registry", "init", "log", "--passphrase-file", tmp_path / "wrong.txt", expect=6)
    assert "wrong passphrase" in wrong.err
    assert not (tmp_path / "home" / "registry.sqlite").exists()


def test_init_where_nothing_can_be_written(ftf: Ftf, issuer: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "r.sqlite", Path("/proc/r.sqlite")):
        ftf("registry", "init", "log", "--registry", path, expect=7)
    ftf("registry", "init", "log\x1b[0m", expect=2)


def test_list_and_show(ftf: Ftf, registry: Path, key: SigningKey) -> None:
    tags = [add_record(registry, key, number) for number in (1, 2, 3)]
    rows = ftf("registry", "list", "--format", "jsonl").lines()
    assert [row["tag_id"] for row in rows] == tags
    assert rows[0]["issuer"] == "Press Agency"
    assert [row["log_index"] for row in rows] == [0, 1, 2]
    limited = ftf("registry", "list", "--limit", "2")
    assert tags[1] in limited.out
    assert tags[2] not in limited.out
    assert "2 of 3 records" in limited.err
    assert len(ftf("registry", "list", "--format", "csv").out.splitlines()) == 4
    assert ftf("registry", "show", "--format", "jsonl").facts()["carrier_keys"] == [CARRIER]


def test_show_checks_the_record_against_the_trust_list(ftf: Ftf, registry: Path, tag_id: str, issuer: str) -> None:
    shown = ftf("registry", "show", tag_id.upper(), "--format", "jsonl").facts()
    assert (shown["tag_id"], shown["signature"]) == (tag_id, "issuer_untrusted")
    ftf("trust", "add", "Press Agency", issuer)
    assert ftf("registry", "show", tag_id, "--format", "jsonl").facts()["signature"] == "verified"
    ftf("registry", "show", tag_id, "--carrier", CARRIER)
    ftf("registry", "show", tag_id, "--carrier", "carrier:" + "0" * 32, expect=2)
    ftf("trust", "revoke", issuer, "--reason", "compromise")
    assert ftf("registry", "show", tag_id, "--format", "jsonl").facts()["signature"] == "key_revoked"


def test_missing_registry_or_record_is_2(ftf: Ftf, registry: Path, tmp_path: Path) -> None:
    assert "no such record" in ftf("registry", "show", "0" * 16, expect=2).err
    ftf("registry", "show", "nonsense", expect=2)
    for name in ("list", "show", "verify"):
        assert "There is no registry" in ftf("registry", name, "--registry", tmp_path / "no.sqlite", expect=2).err


def test_verify(ftf: Ftf, registry: Path, tag_id: str, issuer: str, key: SigningKey) -> None:
    facts = ftf("registry", "verify", "--format", "jsonl").facts()
    assert (facts["holds"], facts["records"]) == (True, 1)
    assert any("Rollback not excluded" in note for note in facts["notes"])
    add_record(registry, key, 2)
    again = ftf("registry", "verify", "--deep", "--expect-checkpoint", facts["checkpoint"], "--expect-key", issuer)
    assert "Rollback" not in again.out
    assert "not pinned" not in again.out


def test_verify_tells_a_registry_that_was_set_back(ftf: Ftf, registry: Path, key: SigningKey, tmp_path: Path) -> None:
    add_record(registry, key, 1)
    shutil.copy(registry, tmp_path / "old.sqlite")
    add_record(registry, key, 2)
    head = ftf("registry", "show", "--format", "jsonl").facts()["checkpoint"]
    old = ("registry", "verify", "--registry", tmp_path / "old.sqlite")
    assert "Rollback not excluded" in ftf(*old).out
    result = ftf(*old, "--expect-checkpoint", head, "--format", "jsonl", expect=4)
    assert result.facts()["holds"] is False
    assert "set back" in result.err
    for nonsense in ("2", "x:y", "2:" + "g" * 64):
        ftf(*old, "--expect-checkpoint", nonsense, expect=2)


def test_corrupted_registry_is_4(ftf: Ftf, registry: Path, tag_id: str) -> None:
    sqlite_do(registry, ["PRAGMA journal_mode = DELETE"])
    data = registry.read_bytes()
    assert data.count(b"descriptors 1") == 1
    registry.write_bytes(data.replace(b"descriptors 1", b"descriptors X"))
    result = ftf("registry", "verify", "--format", "jsonl", expect=4)
    assert result.facts()["holds"] is False
    assert "Entry 0" in result.err
    assert ftf("registry", "show", tag_id, "--format", "jsonl", expect=4).facts()["signature"] == "signature_invalid"


def test_dropped_protections_are_4(ftf: Ftf, registry: Path, tag_id: str) -> None:
    import sqlite3

    connection = sqlite3.connect(registry)
    (trigger,) = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger' LIMIT 1").fetchone()
    connection.execute(f"DROP TRIGGER {trigger}")
    connection.commit()
    connection.close()
    for name in ("list", "show", "verify"):
        assert "altered" in ftf("registry", name, expect=4).err


def test_what_is_no_registry_is_4_and_a_newer_one_5(ftf: Ftf, registry: Path, tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("no database at all")
    ftf("registry", "list", "--registry", tmp_path / "text.sqlite", expect=4)
    torn = tmp_path / "torn.sqlite"
    torn.write_bytes(registry.read_bytes()[:5000])
    ftf("registry", "verify", "--registry", torn, expect=4)
    sqlite_do(registry, ["PRAGMA user_version = 99"])
    for name in ("list", "verify"):
        assert "upgrade the program" in ftf("registry", name, expect=5).err


def test_export_and_import(ftf: Ftf, registry: Path, tag_id: str, key: SigningKey, tmp_path: Path) -> None:
    other = add_record(registry, key, 2)
    bundle = tmp_path / "out" / "all.ftfbundle"
    assert "2 records" in ftf("registry", "export", "-o", bundle).out
    ftf("registry", "export", "-o", bundle, expect=7)
    ftf("registry", "export", other, "-o", bundle, "--clobber")
    ftf("registry", "export", "0" * 16, "-o", tmp_path / "none", expect=2)
    assert not (tmp_path / "none").exists()
    mine = tmp_path / "mine.sqlite"
    ftf("registry", "init", "mine", "--registry", mine)
    for added in (1, 0):
        facts = ftf("registry", "import", bundle, "--registry", mine, "--format", "jsonl").facts()
        assert (facts["added"], facts["already_present"], facts["logs"]) == (added, 1 - added, ["agency-2026"])
    assert [row["tag_id"] for row in ftf("registry", "list", "--registry", mine, "--format", "jsonl").lines()] == [
        other
    ]
    ftf("registry", "verify", "--registry", mine)


def test_import_of_a_bad_bundle_adds_nothing(ftf: Ftf, registry: Path, tag_id: str, tmp_path: Path) -> None:
    bundle = tmp_path / "b.ftfbundle"
    ftf("registry", "export", "-o", bundle)
    mine = tmp_path / "mine.sqlite"
    ftf("registry", "init", "mine", "--registry", mine)
    data = bundle.read_bytes()
    for bad in (b"", b"nonsense\n", data[: len(data) // 2], data.replace(tag_id.encode(), b"0" * 16)):
        bundle.write_bytes(bad)
        ftf("registry", "import", bundle, "--registry", mine, expect=4)
        assert ftf("registry", "list", "--registry", mine).out == ""
    ftf("registry", "import", tmp_path / "missing", "--registry", mine, expect=2)


def test_a_record_in_two_logs_is_shown_with_the_one_that_counts(
    ftf: Ftf, registry: Path, tag_id: str, issuer: str, tmp_path: Path
) -> None:
    ftf("registry", "export", "-o", tmp_path / "genuine")
    mallory = SigningKey.from_seed("mallory", "issuer", bytes(32))
    with (
        Registry.open(registry) as source,
        Registry.create(tmp_path / "mirror.sqlite", "agency-2026", signer=mallory, at=NOW) as mirror,
    ):
        row = source.get(tag_id)
        submission = RecordSubmission(**{name: getattr(row, name) for name in RecordSubmission.__slots__})
        mirror.append([submission], signer=mallory, at=LATER)
        mirror.export_bundle(tmp_path / "mirrored")
    mine = ("--registry", tmp_path / "mine.sqlite", "--format", "jsonl")
    ftf("registry", "init", "mine", *mine)
    assert ftf("registry", "import", tmp_path / "mirrored", *mine).facts()["added"] == 1
    imported = ftf("registry", "import", tmp_path / "genuine", *mine).facts()
    assert (imported["added"], imported["already_present"], imported["further_entries"]) == (0, 1, 1)
    assert any("told apart by their keys" in note for note in imported["notes"])
    assert any("another time" in note for note in imported["notes"])
    ftf("trust", "add", "Press Agency", issuer)
    shown = ftf("registry", "show", tag_id, *mine).facts()
    assert (shown["logged_at"], shown["log_key"], shown["log_standing"]) == (NOW, issuer, "issuer")
    assert len(shown["entries"]) == 2
    listed = ftf("registry", "list", *mine)
    assert [row["logged_at"] for row in listed.lines()] == [LATER, NOW]
    assert "2 of 2 log entries of 1 records" in listed.err
    both = tmp_path / "both"
    assert "2 log entries of 1 record written" in ftf("registry", "export", "-o", both, *mine[:2]).out
    empty = ("--registry", tmp_path / "empty.sqlite")
    ftf("registry", "init", "empty", *empty)
    told = ftf("registry", "import", both, *empty).out
    whole = ftf("registry", "import", both, *empty, "--format", "jsonl").facts()
    counts = dict(line.rsplit(maxsplit=1) for line in told.splitlines() if line.rsplit(maxsplit=1)[-1].isdigit())
    assert counts == {"added": "1", "already present": "0", "further entries": "1", "records": "1", "entries": "2"}
    assert (whole["added"], whole["already_present"], whole["further_entries"]) == (0, 1, 0)
    (note,) = (line for line in told.splitlines() if "told apart by their keys" in line)
    assert f"{mallory.key_id[:24]}…" in note
    assert mallory.key_id not in note
    assert any(mallory.key_id in note for note in whole["notes"])
    assert ftf("registry", "verify", *mine).facts()["records"] == 1
    assert ftf("registry", "show", *mine).facts()["records"] == 1


def test_hostile_texts_of_a_record_are_harmless(ftf: Ftf, registry: Path, key: SigningKey) -> None:
    tag_id = add_record(registry, key, issuer="=HYPERLINK [bold]x", rights="<script>alert(1)</script>")
    for form in ("table", "csv", "jsonl"):
        for result in (ftf("registry", "list", "--format", form), ftf("registry", "show", tag_id, "--format", form)):
            assert "[bold]x" in result.out
            if form == "csv":
                assert "'=HYPERLINK" in result.out


def test_reading_needs_no_permission_to_write(ftf: Ftf, registry: Path, tag_id: str, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    shutil.copy(registry, medium / "r.sqlite")
    before = (medium / "r.sqlite").read_bytes()
    ftf("registry", "verify", "--registry", medium / "r.sqlite")
    assert (medium / "r.sqlite").read_bytes() == before
