"""Attack: somebody registers a photograph of others as his own, in his own registry or in a common one."""

from __future__ import annotations

from pathlib import Path

from newsroom import ISSUER, SCANNED_AT, TAGGED_AT, Newsroom, load, pin, save
from stored_case import tampering

from ftforensics.store.registry_rows import to_column


def test_both_claims_are_shown_with_their_times_and_nobody_wins(newsroom: Newsroom, tmp_path: Path):
    """The thief tags the published, tagged photograph once more and is pinned by an examiner who believes him."""
    home, theirs = newsroom.copy_home(tmp_path / "home"), tmp_path / "thief.sqlite"
    for name, kind in (("thief", "--role=issuer"), ("thief-waves", "--carrier")):
        newsroom.ftf("key", "new", name, kind, "--no-passphrase", home=home)
    newsroom.ftf("registry", "init", "thief-2026", "--key", "thief", "--registry", theirs, home=home)
    pin(newsroom, home, "Thief", "thief")
    published = save(load(newsroom.tagged["portrait.png"]), tmp_path / "published.png")
    keys = ("--key", "thief", "--carrier", "thief-waves", "--issuer", "Thief", "--registry", theirs)
    newsroom.ftf("tag", published, "--out", tmp_path / "suspects", "--fast", *keys, home=home)

    both = ("--registry", theirs, "--registry", home / "registry.sqlite")
    row = newsroom.scan([tmp_path / "suspects"], tmp_path / "cases", *both, home=home).rows["published.png"]
    assert row["verdict"] == "CONFLICT"
    claims = [reason for reason in row["reasons"] if TAGGED_AT in reason or SCANNED_AT in reason]
    assert len(claims) == 2
    assert ISSUER in claims[0]
    assert "Thief" in claims[1]
    assert any("No winner is declared" in limit for limit in row["limitations"])
    issuers = {row["source"]["issuer"], *(other["issuer"] for other in row["other_sources"])}
    assert issuers == {ISSUER, "Thief"}


def test_a_common_registry_tells_at_registration(newsroom: Newsroom, tmp_path: Path):
    home = newsroom.copy_home(tmp_path / "home")
    again = save(load(newsroom.originals["coffee.webp"]), tmp_path / "again.jpg", quality=85)
    run = newsroom.ftf("tag", again, "--out", tmp_path / "out", "--fast", "--issuer", "Somebody", home=home)
    assert newsroom.rows["coffee.webp"]["tag_id"] in run.err
    assert "already claims this content" in run.err
    assert TAGGED_AT in run.err


def test_a_record_that_cannot_be_read_is_told_and_stops_no_tagging(newsroom: Newsroom, tmp_path: Path):
    home, tag_id = newsroom.copy_home(tmp_path / "home"), newsroom.rows["coffee.webp"]["tag_id"]
    with tampering(home / "registry.sqlite") as connection:
        of_tag = "entry_id = (SELECT entry_id FROM entries WHERE tag_id = ?)"
        connection.execute(f"UPDATE records SET record = x'7b7d' WHERE {of_tag}", (to_column(tag_id),))
    again = save(load(newsroom.originals["coffee.webp"]), tmp_path / "again.jpg", quality=85)
    run = newsroom.ftf("tag", again, "--out", tmp_path / "out", "--fast", "--issuer", "Somebody", home=home)
    assert f"the record of tag {tag_id} may claim this content, but cannot be read" in run.err
    assert (tmp_path / "out" / "again.jpg").exists()
    newsroom.ftf("registry", "verify", home=home, expect=4)
