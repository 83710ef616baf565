"""``ftf trust``: pins and revocations from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import Ftf

from ftforensics.cli.settings import load_settings
from ftforensics.cli.trust_file import load_trust

KEY = "ed25519:" + "ab" * 32
OTHER = "ed25519:" + "cd" * 32


def test_add_list_remove(ftf: Ftf, home: Path) -> None:
    window = ("--valid-from", "2026-01-01T00:00:00Z", "--valid-until", "2027-01-01T00:00:00Z")
    assert KEY in ftf("trust", "add", "News Agency", KEY).out
    ftf("trust", "add", "Photographer", OTHER, *window)
    rows = ftf("trust", "list", "--format", "jsonl").lines()
    assert [(row["issuer"], row["fingerprint"]) for row in rows] == [("News Agency", KEY), ("Photographer", OTHER)]
    assert rows[0]["valid_from"] is None
    assert (rows[1]["valid_from"], rows[1]["valid_until"]) == (window[1], window[3])
    assert "version 2, not signed" in ftf("trust", "list").err
    ftf("trust", "remove", "News Agency", KEY)
    assert [pin.issuer for pin in load_trust(load_settings()).pins] == ["Photographer"]
    assert (home / "trust.json").stat().st_mode & 0o777 == 0o600


def test_fingerprint_may_be_pasted_in_any_form(ftf: Ftf) -> None:
    ftf("trust", "add", "A", "AB" * 32)
    ftf("trust", "add", "B", "ed25519: " + " ".join(["abab"] * 16))
    assert {row["fingerprint"] for row in ftf("trust", "list", "--format", "jsonl").lines()} == {KEY}


def test_empty_list(ftf: Ftf) -> None:
    result = ftf("trust", "list")
    assert result.out == ""
    assert "ftf trust add" in result.err


def test_revoke(ftf: Ftf) -> None:
    ftf("trust", "add", "News Agency", KEY)
    ftf("trust", "revoke", KEY, "--reason", "superseded")
    ftf("trust", "revoke", OTHER, "--reason", "compromise", "--at", "2026-02-01T00:00:00Z")
    first, second = ftf("trust", "list", "--format", "jsonl").lines()
    assert (first["revoked"], first["revoked_at"]) == ("superseded", "2026-03-01T12:00:00Z")
    assert (second["issuer"], second["fingerprint"], second["revoked"]) == (None, OTHER, "compromise")
    softer = ftf("trust", "revoke", OTHER, "--reason", "superseded", "--at", "2026-02-01T00:00:00Z", expect=2)
    assert "softened" in softer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "News Agency", "ed25519:abc"],
        ["add", "News Agency", "carrier:" + "a" * 32],
        ["add", "", KEY],
        ["add", "a\x1b[0mb", KEY],
        ["add", "a\u202eb", KEY],
        ["add", "agency\ufe0f", KEY],
        ["add", "agency\U000e0101", KEY],
        ["add", "A", KEY, "--valid-from", "2026-01-01"],
        ["add", "A", KEY, "--valid-until", "soon"],
        ["add", "A", KEY, "--valid-from", "2026-01-01T00:00:00Z", "--valid-until", "2025-01-01T00:00:00Z"],
        ["revoke", KEY],
        ["revoke", KEY, "--reason", "boredom"],
        ["revoke", KEY, "--reason", "compromise", "--at", "2026-13-01T00:00:00Z"],
    ],
)
def test_nonsense_is_2_and_changes_nothing(ftf: Ftf, home: Path, arguments: list[str]) -> None:
    ftf("trust", *arguments, expect=2)
    assert not home.exists()


def test_unknown_pin_is_6(ftf: Ftf) -> None:
    ftf("trust", "remove", "Nobody", KEY, expect=6)


def test_damaged_list_is_6_and_is_kept(ftf: Ftf, home: Path) -> None:
    ftf("trust", "add", "A", KEY)
    (home / "trust.json").write_text("{}")
    ftf("trust", "list", expect=6)
    ftf("trust", "add", "B", OTHER, expect=6)
    assert (home / "trust.json").read_text() == "{}"


def test_signed_list(ftf: Ftf, home: Path, examiner: str) -> None:
    ftf("trust", "add", "A", KEY, "--key", "me")
    assert f"signed with {examiner}" in ftf("trust", "list").err
    assert "must be signed too" in ftf("trust", "add", "B", OTHER, expect=6).err
    ftf("trust", "add", "B", OTHER, "--key", "me")
    assert load_trust(load_settings()).signed_by == examiner
    ftf("key", "new", "agency", "--role", "issuer", "--no-passphrase")
    assert "an examiner key is needed" in ftf("trust", "add", "B", OTHER, "--key", "agency", expect=6).err


def test_list_signed_by_a_stranger_is_refused(ftf: Ftf, home: Path, examiner: str) -> None:
    ftf("trust", "add", "A", KEY, "--key", "me")
    (home / "keys" / "me.pem").rename(home / "me.gone")
    assert "none of your examiner keys" in ftf("trust", "list", expect=4).err


def test_edited_signed_list_is_refused(ftf: Ftf, home: Path, examiner: str) -> None:
    ftf("trust", "add", "A", KEY, "--key", "me")
    path = home / "trust.json"
    text = path.read_text()
    at = text.index('"payload":"') + 60
    path.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    ftf("trust", "list", expect=4)


def test_folder_that_cannot_be_made_is_7(ftf: Ftf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTF_HOME", str(tmp_path / "file" / "home"))
    ftf("trust", "add", "A", KEY, expect=7)
