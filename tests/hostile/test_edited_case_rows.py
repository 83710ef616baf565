"""Attack: change, add, remove or reorder anything that a case holds on disk, with the file open in SQLite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from stored_case import AT, EXAMINER, LATER, MALLORY, append_verdicts, make_stored_case, make_verdict, tampering

from ftforensics.domain.case import CaseHead
from ftforensics.errors import ChainBroken, FtfError, SignatureInvalid
from ftforensics.store.cases import Case
from ftforensics.store.finding_json import render_finding
from ftforensics.trust.canonical import canonical_json
from ftforensics.trust.chain import append_event, sign_head
from ftforensics.trust.envelope import envelope_to_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with make_stored_case(tmp_path) as case:
        return case.folder


def test_an_untouched_case_holds(folder: Path) -> None:
    with tampering(folder / "case.sqlite"):
        pass
    with Case.open(folder) as case:
        assert case.verify().events == 6
        assert case.view().head_verified


EDITS = {
    "verdict": (2, "UPDATE events SET body = replace(body, 'NO_TAG_READ', 'VERIFIED_MATCH') WHERE seq = 2"),
    "actor": (3, "UPDATE events SET actor = 'Eve' WHERE seq = 3"),
    "time": (1, "UPDATE events SET at = '2020-01-01T00:00:00Z' WHERE seq = 1"),
    "kind": (5, "UPDATE events SET kind = 'note' WHERE seq = 5"),
    "examiner": (0, "UPDATE events SET body = replace(body, 'Ada', 'Eve') WHERE seq = 0"),
    "hash": (4, "UPDATE events SET hash = lower(hex(zeroblob(32))) WHERE seq = 4"),
    "previous hash": (4, "UPDATE events SET previous_hash = lower(hex(zeroblob(32))) WHERE seq = 4"),
    "spelling of a body": (3, "UPDATE events SET body = replace(body, '{', '{ ') WHERE seq = 3"),
    "body that is no JSON": (3, "UPDATE events SET body = 'x' WHERE seq = 3"),
    "body that is no text": (3, "UPDATE events SET body = CAST(x'fffe' AS TEXT) WHERE seq = 3"),
    "removed from the middle": (2, "DELETE FROM events WHERE seq = 2"),
    "removed from the end": (5, "DELETE FROM events WHERE seq = 5"),
    "swapped": (1, "UPDATE events SET seq = CASE seq WHEN 1 THEN -2 WHEN 2 THEN -1 ELSE seq END"),
    "index row": (2, "UPDATE findings SET verdict = 'VERIFIED_MATCH' WHERE seq = 2"),
    "index row removed": (3, "DELETE FROM findings WHERE seq = 3"),
    "index row added": (5, "INSERT INTO findings VALUES (5, 9, 'E9', '', '', 'VERIFIED_MATCH')"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_row_is_found_and_named(folder: Path, edit: str) -> None:
    position, statement = EDITS[edit]
    with tampering(folder / "case.sqlite") as connection:
        connection.execute(statement)
        connection.execute("UPDATE events SET seq = -seq WHERE seq < 0")
    with Case.open(folder) as case:
        with pytest.raises(ChainBroken) as caught:
            case.verify()
        view = case.view()
    assert caught.value.position == position
    assert not view.head_verified
    assert view.integrity_notes[0].startswith("INTEGRITY FAILURE")


@pytest.mark.parametrize("statement", ["DELETE FROM heads", "DELETE FROM heads WHERE event_count = 6"])
def test_removed_heads_are_found(folder: Path, statement: str) -> None:
    with tampering(folder / "case.sqlite") as connection:
        connection.execute(statement)
    with Case.open(folder) as case, pytest.raises(ChainBroken):
        case.verify()


def test_heads_of_events_that_are_gone_are_found(folder: Path) -> None:
    with tampering(folder / "case.sqlite") as connection:
        connection.execute("DELETE FROM events WHERE seq >= 4")
        connection.execute("DELETE FROM findings WHERE seq >= 4")
    with Case.open(folder) as case, pytest.raises(ChainBroken) as caught:
        case.verify()
    assert caught.value.position == 4


def test_an_edited_head_is_found(folder: Path) -> None:
    with tampering(folder / "case.sqlite") as connection:
        connection.execute(
            "UPDATE heads SET envelope = CAST(replace(CAST(envelope AS TEXT), 'sig\":\"', 'sig\":\"AA') AS BLOB)"
            " WHERE event_count = 6"
        )
    with Case.open(folder) as case, pytest.raises(SignatureInvalid):
        case.verify()


def forge_event(folder: Path, signer=None) -> None:
    """Appends an event as the program would, and with a signer its head too."""
    with Case.open(folder) as case:
        last = list(case.events())[-1]
        event = append_event(last, "finding", render_finding(make_verdict(case, 9)), "Ada", LATER)
        head = CaseHead(case_id=case.case_id, count=event.seq + 1, head_hash=event.hash, at=LATER)
    with tampering(folder / "case.sqlite") as connection:
        body = canonical_json(event.body).decode()
        row = (event.seq, event.previous_hash, event.kind, body, event.actor, event.at, event.hash)
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute(
            "INSERT INTO findings VALUES (?, 9, 'E9', ?, 'cGljdHVyZQ==', 'NO_TAG_READ')", (6, f"{9:064x}")
        )
        if signer is not None:
            signed = envelope_to_json(sign_head(head, signer))
            connection.execute("INSERT INTO heads VALUES (?, ?, ?)", (head.count, signer.public_key, signed))


def test_an_event_that_nobody_signed_is_found(folder: Path) -> None:
    forge_event(folder)
    with Case.open(folder) as case, pytest.raises(ChainBroken, match="covers 6"):
        case.verify()
    with Case.open(folder, signer=EXAMINER, read_only=False) as case, pytest.raises(ChainBroken):
        case.append("note", {}, actor="Ada", at=LATER)


def test_an_event_signed_with_a_strangers_key_is_found(folder: Path) -> None:
    forge_event(folder, MALLORY)
    with Case.open(folder) as case, pytest.raises(SignatureInvalid, match="not admitted"):
        case.verify()


def test_the_examiners_own_event_is_accepted(folder: Path) -> None:
    forge_event(folder, EXAMINER)
    with Case.open(folder) as case:
        assert case.verify().events == 7


def test_a_stranger_cannot_admit_himself(folder: Path) -> None:
    with Case.open(folder) as case:
        last = list(case.events())[-1]
        body = {"examiner": "Mallory", "key_id": MALLORY.key_id}
        event = append_event(last, "examiner_admitted", body, "Ada", LATER)
        head = CaseHead(case_id=case.case_id, count=event.seq + 1, head_hash=event.hash, at=LATER)
    with tampering(folder / "case.sqlite") as connection:
        row = (6, event.previous_hash, event.kind, canonical_json(body).decode(), "Ada", LATER, event.hash)
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        signed = envelope_to_json(sign_head(head, MALLORY))
        connection.execute("INSERT INTO heads VALUES (7, ?, ?)", (MALLORY.public_key, signed))
    with Case.open(folder) as case, pytest.raises(SignatureInvalid, match="not admitted"):
        case.verify()


def test_a_case_rebuilt_with_another_key_is_told_by_the_key(folder: Path, tmp_path: Path) -> None:
    with Case.create(tmp_path / "x", "case", title="Attacked", examiner="Ada", signer=MALLORY, at=AT) as rebuilt:
        append_verdicts(rebuilt, range(4))
        assert any(MALLORY.key_id in note for note in rebuilt.verify().notes)
        with pytest.raises(SignatureInvalid, match=MALLORY.key_id):
            rebuilt.verify(expected_key_ids=frozenset({EXAMINER.key_id}))


@pytest.mark.parametrize("damage", ["edit", "remove", "replace with a link"])
def test_a_picture_that_was_touched_is_found(folder: Path, tmp_path: Path, damage: str) -> None:
    picture = next((folder / "artifacts").iterdir())
    content = picture.read_bytes()
    picture.unlink()
    if damage == "edit":
        picture.write_bytes(content + b"!")
    elif damage == "replace with a link":
        (tmp_path / "same").write_bytes(content)
        picture.symlink_to(tmp_path / "same")
    with Case.open(folder) as case:
        with pytest.raises(ChainBroken) as caught:
            case.verify()
        view = case.view()
    assert caught.value.position == 1
    assert view.artifacts == {}
    assert not view.head_verified


def test_any_byte_of_the_database(folder: Path) -> None:
    """Flips one byte at many places; none may pass unnoticed and change what the case says."""
    path = folder / "case.sqlite"
    whole = path.read_bytes()
    with Case.open(folder) as case:
        honest = case.view()
    for position in range(0, len(whole), 1201):
        changed = bytearray(whole)
        changed[position] ^= 0x15
        path.write_bytes(changed)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        try:
            with Case.open(folder) as case:
                case.verify()
                view = case.view()
        except FtfError:
            continue
        assert (view.findings, view.events, view.head) == (honest.findings, honest.events, honest.head)


def test_a_byte_that_is_no_text_does_not_pass_for_its_spelling(tmp_path: Path) -> None:
    r"""The four characters \xff of a name become the one byte that such a name would be spelt so for."""
    with make_stored_case(tmp_path) as case:
        finding = make_verdict(case, 9)
        named = replace(finding, evidence=replace(finding.evidence, path="a\\xff.png"))
        case.append_finding(named, actor="Ada", at=LATER)
        folder = case.folder
    with tampering(folder / "case.sqlite") as connection:
        for seq, body in connection.execute("SELECT seq, CAST(body AS BLOB) FROM events").fetchall():
            # Canonical JSON writes the backslash twice; both spellings are tried.
            edited = body.replace(b"\\\\xff", b"\\\xff").replace(b"\\xff", b"\xff")
            if edited != body:
                connection.execute("UPDATE events SET body = CAST(? AS TEXT) WHERE seq = ?", (edited, seq))
                changed = seq
    with Case.open(folder) as case:
        with pytest.raises(ChainBroken, match=f"Event {changed} holds values of the wrong type"):
            case.verify()
        view = case.view()
    assert not view.head_verified
    assert any(f"Left out: Event {changed}" in note for note in view.integrity_notes)
