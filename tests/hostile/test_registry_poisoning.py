"""Attack: change a registry's rows, its log or its checkpoints, or slip bad records in with a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from signed_rows import CARRIER, EXAMINER, HERALD, MALLORY, make_row
from stored_case import tampering

from ftforensics.domain.record import RegisteredRecord
from ftforensics.errors import AlreadyExists, ChainBroken, FtfError, KeyUnknown, SignatureInvalid, StoreError
from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission
from ftforensics.trust.keys import SigningKey

AT = "2026-03-01T10:00:05Z"
LATER = "2026-04-01T10:00:00Z"
ROWS = [make_row(HERALD, photograph=f"photo {number}") for number in range(4)]


def submit(row: RegisteredRecord) -> RecordSubmission:
    return RecordSubmission(
        tag_id=row.tag_id,
        carrier_key_id=row.carrier_key_id,
        record=row.record,
        binding=row.binding,
        public_key=row.public_key,
        descriptors=row.descriptors,
        preview=row.preview,
    )


def make_log(path: Path, rows: list[RegisteredRecord], signer: SigningKey = HERALD) -> Registry:
    registry = Registry.create(path, "herald/photos", signer=signer, at=AT)
    for row in rows:
        registry.append([submit(row)], signer=signer, at=AT, check_tag_ids=False)
    return registry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with make_log(tmp_path / "r.sqlite", ROWS) as registry:
        return registry.path


def test_an_untouched_registry_holds(path: Path) -> None:
    with tampering(path):
        pass
    with Registry.open(path) as registry:
        assert registry.verify(check_tag_ids=True).records == 4


EDITS = {
    "log time": (1, "UPDATE entries SET logged_at = '2020-01-01T00:00:00Z' WHERE log_index = 1"),
    "tag id": (1, "UPDATE entries SET tag_id = tag_id + 1 WHERE log_index = 1"),
    "perceptual hash": (2, "UPDATE entries SET phash = phash + 1 WHERE log_index = 2"),
    "leaf hash": (2, "UPDATE entries SET leaf_hash = zeroblob(32) WHERE log_index = 2"),
    "entry removed": (2, "DELETE FROM entries WHERE log_index = 2"),
    "newest entry removed": (3, "DELETE FROM entries WHERE log_index = 3"),
    "order": (0, "UPDATE entries SET log_index = 9 - log_index"),
    "binding removed": (1, "UPDATE records SET binding = NULL WHERE entry_id = 2"),
    "record removed": (1, "DELETE FROM records WHERE entry_id = 2"),
    "records swapped": (0, "UPDATE records SET entry_id = -8 + entry_id WHERE entry_id < 3"),
    "preview removed": (1, "UPDATE records SET preview_sha256 = NULL WHERE entry_id = 2"),
    "descriptors": (1, "UPDATE blobs SET content = x'00' WHERE content = CAST('descriptors of photo 1' AS BLOB)"),
    "public key": (1, "UPDATE records SET public_key = zeroblob(32) WHERE entry_id = 2"),
    "envelope": (1, "UPDATE records SET record = x'7b7d' WHERE entry_id = 2"),
    "carrier key": (0, "UPDATE carriers SET key_id = 'carrier:00000000000000000000000000000000'"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_row_is_found_and_named(path: Path, edit: str) -> None:
    position, statement = EDITS[edit]
    with tampering(path) as connection:
        connection.execute(statement)
        connection.execute("UPDATE records SET entry_id = -5 - entry_id WHERE entry_id < 0")
    with Registry.open(path) as registry, pytest.raises((ChainBroken, SignatureInvalid)) as caught:
        registry.verify()
    if isinstance(caught.value, ChainBroken):
        assert caught.value.position == position
    else:
        assert f"Entry {position}" in caught.value.what


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM checkpoints",
        "DELETE FROM checkpoints WHERE tree_size = 4",
        "UPDATE checkpoints SET tree_size = 9 WHERE tree_size = 4",
        "UPDATE checkpoints SET frontier = zeroblob(32) WHERE tree_size = 4",
        "UPDATE checkpoints SET frontier = zeroblob(64) WHERE tree_size = 3",
        "UPDATE checkpoints SET envelope = (SELECT envelope FROM checkpoints WHERE tree_size = 3) WHERE tree_size = 4",
        "UPDATE logs SET origin = 'other'",
        "UPDATE logs SET public_key = zeroblob(32)",
        "INSERT INTO records (entry_id, record, public_key, descriptors_sha256)"
        " SELECT 99, record, public_key, descriptors_sha256 FROM records LIMIT 1",
    ],
)
def test_an_edited_log_is_found(path: Path, statement: str) -> None:
    with tampering(path) as connection:
        connection.execute(statement)
    with pytest.raises((ChainBroken, SignatureInvalid)), Registry.open(path) as registry:
        registry.verify()


def test_nothing_is_appended_to_an_edited_log(path: Path) -> None:
    with tampering(path) as connection:
        connection.execute("DELETE FROM entries WHERE log_index = 3")
    with Registry.open(path, read_only=False) as registry, pytest.raises(ChainBroken):
        registry.append([submit(make_row(HERALD, photograph="new"))], signer=HERALD, at=LATER)


def test_a_registry_rebuilt_under_another_key_is_told_by_the_key(tmp_path: Path) -> None:
    with make_log(tmp_path / "fake.sqlite", ROWS, signer=MALLORY) as fake:
        assert any(MALLORY.key_id in note for note in fake.verify().notes)
        with pytest.raises(ChainBroken, match=MALLORY.key_id):
            fake.verify(expected_key_id=HERALD.key_id)


def test_a_strangers_key_cannot_append(path: Path) -> None:
    with Registry.open(path, read_only=False) as registry, pytest.raises(KeyUnknown):
        registry.append([submit(make_row(MALLORY, photograph="new"))], signer=MALLORY, at=LATER)


def test_a_registry_set_back_is_found_with_a_pinned_checkpoint(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "older.sqlite")
    with Registry.open(path, read_only=False) as registry:
        registry.append([submit(make_row(HERALD, photograph="later"))], signer=HERALD, at=LATER)
        pinned = registry.checkpoint()
    with Registry.open(tmp_path / "older.sqlite") as older:
        assert any("Rollback not excluded" in note for note in older.verify().notes)
        with pytest.raises(ChainBroken, match="set back"):
            older.verify(expected=pinned)


def test_history_rewritten_by_the_logs_owner_is_found_with_a_pinned_checkpoint(path: Path, tmp_path: Path) -> None:
    with Registry.open(path) as registry:
        pinned = registry.checkpoint()
    others = [ROWS[0], make_row(HERALD, photograph="slipped in"), *ROWS[2:], make_row(HERALD, photograph="more")]
    with make_log(tmp_path / "rewritten.sqlite", others) as rewritten:
        rewritten.verify()
        with pytest.raises(ChainBroken, match="History was rewritten") as caught:
            rewritten.verify(expected=pinned)
    assert caught.value.position == 3


def test_a_pinned_checkpoint_of_another_log_is_a_mistake(path: Path, tmp_path: Path) -> None:
    with (
        Registry.create(tmp_path / "o.sqlite", "other", signer=MALLORY, at=AT) as other,
        Registry.open(path) as registry,
        pytest.raises(StoreError, match="'other'"),
    ):
        registry.verify(expected=other.checkpoint())


@pytest.fixture
def target(tmp_path: Path) -> Registry:
    with Registry.create(tmp_path / "target.sqlite", "examiner", signer=EXAMINER, at=AT) as made:
        yield made


def bundle(tmp_path: Path, name: str, rows: list[RegisteredRecord], signer: SigningKey = HERALD) -> Path:
    with make_log(tmp_path / f"{name}.sqlite", rows, signer) as registry:
        registry.export_bundle(tmp_path / f"{name}.jsonl")
    return tmp_path / f"{name}.jsonl"


def test_a_bundle_cannot_squat_on_a_genuine_tag_id(tmp_path: Path, target: Registry) -> None:
    """Mallory claims the tag id of a photograph of the Herald for a record of her own, to keep the genuine one out."""
    genuine = ROWS[0]
    squat = submit(make_row(MALLORY, photograph="squat"))
    squat = RecordSubmission(
        tag_id=genuine.tag_id,
        carrier_key_id=CARRIER.key_id,
        record=squat.record,
        binding=None,
        public_key=squat.public_key,
        descriptors=squat.descriptors,
        preview=squat.preview,
    )
    with Registry.create(tmp_path / "m.sqlite", "mallory", signer=MALLORY, at=AT) as registry:
        registry.append([squat], signer=MALLORY, at=AT, check_tag_ids=False)
        registry.export_bundle(tmp_path / "m.jsonl")
    with pytest.raises(SignatureInvalid, match="does not follow"):
        target.import_bundle(tmp_path / "m.jsonl")
    assert target.import_bundle(bundle(tmp_path, "good", ROWS[:1])).added == 1
    with pytest.raises(AlreadyExists):
        target.import_bundle(tmp_path / "m.jsonl", check_tag_ids=False)


def test_a_log_that_shows_two_histories_is_found(tmp_path: Path, target: Registry) -> None:
    target.import_bundle(bundle(tmp_path, "one", ROWS[:2]), check_tag_ids=False)
    for name, rows in (("same size", [ROWS[0], ROWS[3]]), ("longer", [ROWS[2], ROWS[1], ROWS[3]])):
        with pytest.raises(ChainBroken):
            target.import_bundle(bundle(tmp_path, name, rows), check_tag_ids=False)
        assert target.count() == 2
        target.verify()


@pytest.mark.parametrize("squatted", [[], ROWS[2:]], ids=["empty", "records"])
def test_a_log_under_anothers_name_keeps_nobody_out(
    tmp_path: Path, target: Registry, squatted: list[RegisteredRecord]
) -> None:
    """Names are free for all: logs are told apart by their keys, and the genuine one is accused of nothing."""
    fake = bundle(tmp_path, "fake", squatted, signer=MALLORY)
    assert target.import_bundle(fake, check_tag_ids=False).notes == ()
    report = target.import_bundle(bundle(tmp_path, "one", ROWS[:2]), check_tag_ids=False)
    (note,) = report.notes
    for part in ("herald/photos", HERALD.key_id, MALLORY.key_id, "told apart by their keys"):
        assert part in note
    assert report.added == 2
    assert target.get(ROWS[0].tag_id).log_key_id == HERALD.key_id
    check = target.verify()
    assert (check.records, check.imported_logs) == (2 + len(squatted), 2)


def test_a_log_under_the_name_of_the_own_log_is_another_log(path: Path, tmp_path: Path) -> None:
    with Registry.open(path, read_only=False) as registry:
        report = registry.import_bundle(bundle(tmp_path, "fake", ROWS[:1], signer=MALLORY), check_tag_ids=False)
        assert (report.added, report.further_entries) == (0, 1)
        assert any("told apart by their keys" in note for note in report.notes)
        assert registry.checkpoint().size == 4
        registry.verify()


def test_entries_of_the_own_log_that_were_lost_are_noticed(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "older.sqlite")
    with Registry.open(path, read_only=False) as registry:
        registry.append([submit(make_row(HERALD, photograph="later"))], signer=HERALD, at=LATER)
        registry.export_bundle(tmp_path / "newer.jsonl")
    with (
        Registry.open(tmp_path / "older.sqlite", read_only=False) as older,
        pytest.raises(ChainBroken, match="set back"),
    ):
        older.import_bundle(tmp_path / "newer.jsonl", check_tag_ids=False)


def test_edited_imported_rows_are_found(tmp_path: Path, target: Registry) -> None:
    target.import_bundle(bundle(tmp_path, "one", ROWS), check_tag_ids=False)
    assert target.verify().imported_logs == 1
    target.close()
    for statement in (
        "UPDATE entries SET logged_at = '2020-01-01T00:00:00Z' WHERE log_index = 2",
        "UPDATE proofs SET path = zeroblob(64) WHERE entry_id = 3",
        "DELETE FROM proofs WHERE entry_id = 3",
        "UPDATE entries SET log_id = 1 WHERE log_index = 2",
    ):
        copy = tmp_path / "copy.sqlite"
        shutil.copy(target.path, copy)
        with tampering(copy) as connection:
            connection.execute(statement)
        with Registry.open(copy) as registry, pytest.raises(ChainBroken):
            registry.verify()


def test_any_byte_of_the_database(path: Path) -> None:
    """Flips one byte at many places; none may pass unnoticed and change what the registry holds."""
    whole = path.read_bytes()
    with Registry.open(path) as registry:
        honest = list(registry.records())
        ids = registry.index(CARRIER.key_id)[0]
    for position in range(0, len(whole), 1511):
        changed = bytearray(whole)
        changed[position] ^= 0x15
        path.write_bytes(changed)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        try:
            with Registry.open(path) as registry:
                registry.verify()
                found = list(registry.records())
                found_ids = registry.index(CARRIER.key_id)[0]
        except FtfError:
            continue
        assert found == honest
        assert found_ids == ids
