"""``ftf verify``: a bundle checked on its own, without a registry at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_samples import Ftf, add_record

from ftforensics.trust.keys import SigningKey

ISSUER = "Press Agency"


@pytest.fixture
def bundle(ftf: Ftf, issuer: str, home: Path, tmp_path: Path) -> Path:
    """Two records, exported; the registry they came from is gone."""
    ftf("registry", "init", "agency-2026")
    key = SigningKey.load(home / "keys" / "agency.pem", None)
    for number in (1, 2):
        add_record(home / "registry.sqlite", key, number, issuer=ISSUER)
    path = tmp_path / "agency.ftfbundle"
    ftf("registry", "export", "-o", path)
    (home / "registry.sqlite").unlink()
    return path


def test_a_whole_bundle_holds_and_says_what_that_does_not_establish(ftf: Ftf, bundle: Path, issuer: str) -> None:
    done = ftf("verify", bundle, "--format", "jsonl")
    facts = done.facts()
    assert (facts["holds"], facts["records"]) == (True, 2)
    assert facts["issuers"] == [f"{ISSUER}, records: 2, key {issuer}, not pinned for this name"]
    assert facts["logs"][0].startswith("agency-2026, checkpoint 2:")
    assert issuer in facts["logs"][0]
    assert any("Whose keys" in line for line in facts["not_established"])
    assert "not pinned" in done.err


def test_the_table_says_the_same(ftf: Ftf, bundle: Path) -> None:
    out = ftf("verify", bundle).out
    assert "holds" in out
    assert "not established" in out
    assert ISSUER in out


def test_a_record_that_is_there_twice_counts_once(ftf: Ftf, bundle: Path, issuer: str) -> None:
    header, *lines = bundle.read_text().splitlines()
    bundle.write_text("\n".join([header.replace('"records":2', '"records":4'), *lines, *lines]) + "\n")
    facts = ftf("verify", bundle, "--format", "jsonl").facts()
    assert (facts["records"], facts["entries"]) == (2, 2)
    assert facts["issuers"] == [f"{ISSUER}, records: 2, key {issuer}, not pinned for this name"]


def test_a_pinned_key_is_named_as_such(ftf: Ftf, bundle: Path, issuer: str) -> None:
    ftf("trust", "add", ISSUER, issuer)
    done = ftf("verify", bundle, "--expect-log-key", issuer, "--format", "jsonl")
    assert done.facts()["issuers"][0].endswith(", pinned")
    assert done.err == ""


def test_a_pin_for_another_name_does_not_count(ftf: Ftf, bundle: Path, issuer: str) -> None:
    ftf("trust", "add", "Press Agencу", issuer)
    assert ftf("verify", bundle, "--format", "jsonl").facts()["issuers"][0].endswith("not pinned for this name")


def test_a_revoked_key_is_warned_of(ftf: Ftf, bundle: Path, issuer: str) -> None:
    ftf("trust", "add", ISSUER, issuer)
    ftf("trust", "revoke", issuer, "--reason", "compromise", "--at", "2026-01-01T00:00:00Z")
    done = ftf("verify", bundle, "--format", "jsonl")
    assert "revoked (compromise, 2026-01-01T00:00:00Z)" in done.facts()["issuers"][0]
    assert "revoked" in done.err


def test_another_log_key_than_expected(ftf: Ftf, bundle: Path) -> None:
    done = ftf("verify", bundle, "--expect-log-key", "ed25519:" + "0" * 64, "--format", "jsonl", expect=4)
    assert done.facts()["holds"] is False
    assert "ask the log's owner" in done.err


@pytest.mark.parametrize("field", ["logged_at", "record", "descriptors", "tag_id", "inclusion", "public_key"])
def test_one_changed_field_and_it_does_not_hold(ftf: Ftf, bundle: Path, field: str) -> None:
    lines = bundle.read_text().splitlines()
    row, other = json.loads(lines[1]), json.loads(lines[2])
    if field == "logged_at":
        row[field] = "2026-02-01T12:00:00Z"
    elif field == "public_key":
        row[field] = SigningKey.from_seed("mallory", "issuer", bytes(32)).public_key.hex()
    elif field == "inclusion":
        row[field] = ["0" * 64]
    else:
        row[field] = other[field]
    lines[1] = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    bundle.write_text("\n".join(lines) + "\n")
    done = ftf("verify", bundle, "--format", "jsonl", expect=4)
    assert done.facts()["holds"] is False
    assert "ine 2" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\xfe\n", b"[1]\n"])
def test_a_file_that_is_no_bundle(ftf: Ftf, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    assert "not a record bundle" in ftf("verify", path, expect=4).err


def test_a_cut_off_bundle(ftf: Ftf, bundle: Path) -> None:
    data = bundle.read_bytes()
    bundle.write_bytes(data[:-10])
    assert "cut off" in ftf("verify", bundle, expect=4).err
    bundle.write_bytes(b"".join(data.splitlines(keepends=True)[:2]))
    assert "announces 2 entries and holds 1" in ftf("verify", bundle, expect=4).err


def test_a_bundle_that_is_not_there(ftf: Ftf, tmp_path: Path) -> None:
    assert "no such bundle" in ftf("verify", tmp_path / "nothing", expect=2).err
    ftf("verify", tmp_path, expect=4)
