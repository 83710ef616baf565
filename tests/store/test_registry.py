"""The registry: what goes in comes out, in order, once, under checkpoints that verify."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_samples import AT, CARRIER, ISSUER, LATER, OTHER, make_registry, make_submission

from ftforensics.errors import AlreadyExists, ChainBroken, KeyUnknown, NotFound, SignatureInvalid, StoreError
from ftforensics.store import registry as registry_module
from ftforensics.store.registry import Registry, registry_schema
from ftforensics.store.registry_log import StoredFrontier
from ftforensics.store.registry_rows import BY_LOG, BY_TAG, from_column, to_column
from ftforensics.trust import ledger
from ftforensics.trust.record import log_entry, parse_record_core, verify_record
from ftforensics.trust.trustlist import TrustList


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    with make_registry(tmp_path / "r.sqlite", 7) as made:
        yield made


def test_records_come_out_as_they_went_in(registry: Registry) -> None:
    rows = list(registry.records())
    assert [row.log_index for row in rows] == list(range(7))
    for number, row in enumerate(rows):
        submission = make_submission(number)
        assert (row.record, row.binding, row.descriptors, row.preview, row.public_key) == (
            submission.record,
            submission.binding,
            submission.descriptors,
            submission.preview,
            submission.public_key,
        )
        assert row.logged_at == AT
        assert registry.get(row.tag_id) == row == registry.get(row.tag_id, CARRIER)


def test_a_record_verifies_under_a_pinned_key(tmp_path: Path) -> None:
    with make_registry(tmp_path / "r.sqlite", 1, real_tag_ids=True) as registry:
        row = next(registry.records())
        verified = verify_record(row, TrustList().pin("Press Agency", ISSUER.key_id), LATER)
    assert verified.log_index == 0


def test_index_is_sorted_and_complete(registry: Registry) -> None:
    ids, values = registry.index(CARRIER)
    assert ids == sorted(row.tag_id for row in registry.records())
    assert values.dtype == np.uint64
    assert [int(one, 16) for one in ids] == values.tolist()
    empty_ids, empty = registry.index("carrier:" + "0" * 32)
    assert empty_ids == []
    assert empty.shape == (0,)


def test_phash_index_goes_with_the_records(registry: Registry) -> None:
    ids, values = registry.phash_index()
    expected = {row.tag_id: int(parse_record_core(row.record.payload).phash, 16) for row in registry.records()}
    assert dict(zip(ids, values.tolist(), strict=True)) == expected


def test_descriptor_index_goes_with_the_records(registry: Registry) -> None:
    ids, blobs = registry.descriptor_index()
    assert list(zip(ids, blobs, strict=True)) == [(row.tag_id, row.descriptors) for row in registry.records()]
    assert len(ids) == registry.count()


def test_two_carrier_keys_have_two_indexes(registry: Registry) -> None:
    other = "carrier:" + "b2" * 16
    registry.append([make_submission(50, carrier=other)], signer=ISSUER, at=AT, check_tag_ids=False)
    assert len(registry.index(CARRIER)[0]) == 7
    assert len(registry.index(other)[0]) == 1
    assert registry.carrier_key_ids() == (CARRIER, other)
    assert registry.count() == 8


def test_the_same_blob_is_kept_once(registry: Registry) -> None:
    connection = sqlite3.connect(registry.path)
    assert connection.execute("SELECT count(*) FROM blobs WHERE content = ?", (b"preview",)).fetchone() == (1,)
    connection.close()


def test_checkpoint_is_the_merkle_root(registry: Registry) -> None:
    leaves = [ledger.leaf_hash(log_entry(row)) for row in registry.records()]
    checkpoint = registry.checkpoint()
    assert checkpoint.size == 7
    assert checkpoint.root == ledger.root(leaves).hex()
    assert ledger.verify_checkpoint(registry.signed_checkpoint(), ISSUER.public_key) == checkpoint


def test_verify_holds_and_says_what_it_cannot_exclude(registry: Registry) -> None:
    open_check = registry.verify()
    assert any("Rollback not excluded" in note for note in open_check.notes)
    assert any("not pinned" in note for note in open_check.notes)
    seen: list[int] = []
    check = registry.verify(expected=registry.checkpoint(), expected_key_id=ISSUER.key_id, on_progress=seen.append)
    assert check.notes == ()
    assert check.records == 7
    assert seen == list(range(1, 8))


def test_an_earlier_pinned_checkpoint_still_holds_after_growth(registry: Registry) -> None:
    pinned = registry.checkpoint()
    registry.append([make_submission(9)], signer=ISSUER, at=LATER, check_tag_ids=False)
    assert registry.verify(expected=pinned).checkpoint.size == 8


def test_only_the_logs_own_key_appends(registry: Registry) -> None:
    with pytest.raises(KeyUnknown, match=ISSUER.key_id):
        registry.append([make_submission(9)], signer=OTHER, at=AT, check_tag_ids=False)
    assert registry.count() == 7


def test_records_of_another_issuer_may_be_logged(registry: Registry) -> None:
    registry.append([make_submission(9, signer=OTHER)], signer=ISSUER, at=AT, check_tag_ids=False)
    assert registry.verify().records == 8


def test_a_tag_id_is_taken_once(registry: Registry) -> None:
    with pytest.raises(AlreadyExists, match="new nonce"):
        registry.append([make_submission(20), make_submission(3)], signer=ISSUER, at=AT, check_tag_ids=False)
    assert registry.count() == 7
    assert registry.checkpoint().size == 7


def test_time_does_not_run_backwards(registry: Registry) -> None:
    registry.append([make_submission(9)], signer=ISSUER, at=LATER, check_tag_ids=False)
    with pytest.raises(StoreError, match="set the clock right"):
        registry.append([make_submission(10)], signer=ISSUER, at=AT, check_tag_ids=False)


def test_appending_nothing_changes_nothing(registry: Registry) -> None:
    before = registry.checkpoint()
    assert registry.append([], signer=ISSUER, at=LATER) == ()
    assert registry.checkpoint() == before


@pytest.mark.parametrize(
    "change",
    [
        {"descriptors": b"others"},
        {"preview": b"others"},
        {"public_key": OTHER.public_key},
        {"carrier_key_id": "carrier:" + "0" * 32},
        {"tag_id": "0" * 16},
        {"tag_id": "0X1f" + "0" * 12},
        {"record": make_submission(99).record},
        {"binding": make_submission(99).binding},
    ],
    ids=lambda change: next(iter(change)),
)
def test_parts_that_do_not_belong_together_are_refused(registry: Registry, change: dict[str, object]) -> None:
    with pytest.raises(SignatureInvalid):
        registry.append([replace(make_submission(9), **change)], signer=ISSUER, at=AT, check_tag_ids=False)
    assert registry.count() == 7


def test_an_invented_tag_id_is_refused_unless_told_not_to_look(registry: Registry) -> None:
    with pytest.raises(SignatureInvalid, match="does not follow"):
        registry.append([make_submission(9, bound=False)], signer=ISSUER, at=AT)


def test_a_record_without_preview_or_binding(registry: Registry) -> None:
    submission = make_submission(9, bound=False, preview=None)
    registry.append([submission], signer=ISSUER, at=AT, check_tag_ids=False)
    row = registry.get(submission.tag_id)
    assert row.preview is None
    assert row.binding is None
    assert registry.verify().records == 8


@pytest.mark.parametrize("tag_id", ["0" * 16, "", "xyz", "0" * 17, "F" * 16])
def test_unknown_tag_ids(registry: Registry, tag_id: str) -> None:
    with pytest.raises(NotFound):
        registry.get(tag_id)


def test_an_existing_registry_is_not_written_over(registry: Registry) -> None:
    with pytest.raises(AlreadyExists):
        Registry.create(registry.path, "again", signer=ISSUER, at=AT)
    assert registry.count() == 7


def test_a_reader_sees_what_a_writer_adds(registry: Registry) -> None:
    with Registry.open(registry.path) as reader:
        assert reader.count() == 7
        registry.append([make_submission(9)], signer=ISSUER, at=AT, check_tag_ids=False)
        assert reader.count() == 8
        with pytest.raises(StoreError, match="for reading only"):
            reader.append([make_submission(10)], signer=ISSUER, at=AT)


@given(st.integers(0, 2**64 - 1))
def test_64_bit_values_fit_signed_columns(value: int) -> None:
    column = to_column(f"{value:016x}")
    assert -(2**63) <= column < 2**63
    assert from_column(column) == f"{value:016x}"


@given(st.integers(0, 70), st.integers(0, 70))
@settings(deadline=None)
def test_the_stored_edge_of_the_tree_grows_as_the_whole_tree(before: int, after: int) -> None:
    leaves = [ledger.leaf_hash(bytes([number])) for number in range(before + after)]
    edge = StoredFrontier()
    for leaf in leaves[:before]:
        edge.append(leaf)
    edge = StoredFrontier.load(before, edge.pack())
    for leaf in leaves[before:]:
        edge.append(leaf)
    assert edge.root() == ledger.root(leaves)


def test_an_edge_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(ChainBroken):
        StoredFrontier.load(3, bytes(32))


def steps_to_append(registry: Registry, number: int) -> int:
    """How many steps of SQLite's virtual machine one append takes."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    submission = make_submission(number)
    registry.database._connection.set_progress_handler(count, 1)
    registry.append([submission], signer=ISSUER, at=AT, check_tag_ids=False)
    registry.database._connection.set_progress_handler(None, 0)
    return steps


def test_appending_takes_no_longer_in_a_larger_registry(tmp_path: Path) -> None:
    with make_registry(tmp_path / "r.sqlite", 4) as registry:
        small = steps_to_append(registry, 1000)
        more = [make_submission(number) for number in range(10, 700)]
        registry.append(more, signer=ISSUER, at=AT, check_tag_ids=False)
        assert steps_to_append(registry, 1001) < small * 1.2


def test_looking_up_takes_no_longer_in_a_larger_registry(tmp_path: Path) -> None:
    with make_registry(tmp_path / "r.sqlite", 4) as registry:
        plans = " ".join(
            str(row[3])
            for sql in (BY_TAG, BY_LOG)
            for row in registry.database.all_rows("EXPLAIN QUERY PLAN " + sql, (1,))
        )
    assert "SCAN" not in plans


def test_a_registry_of_version_1_is_read_as_it_is_and_brought_up_by_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(registry_schema(), migrations=registry_schema().migrations[:1])
    path = tmp_path / "old.sqlite"
    with make_registry(tmp_path / "other.sqlite", 3) as other, monkeypatch.context() as patched:
        other.export_bundle(tmp_path / "other.bundle")
        patched.setattr(registry_module, "registry_schema", lambda: first)
        with Registry.create(path, "mine", signer=OTHER, at=AT) as old:
            old.append([make_submission(8, signer=OTHER)], signer=OTHER, at=AT, check_tag_ids=False)
            old.import_bundle(tmp_path / "other.bundle", check_tag_ids=False)
            rows, state = list(old.records()), old.state()
    assert version_of(path) == 1
    with Registry.open(path) as reader:
        assert (list(reader.records()), reader.state(), reader.count()) == (rows, state, 4)
        assert reader.verify().records == 4
    assert version_of(path) == 1
    with Registry.open(path, read_only=False) as writer:
        assert version_of(path) == 2
        assert (list(writer.records()), writer.state(), writer.verify().entries) == (rows, state, 4)
        # Now another log may have the same record, and everything stays append-only.
        with Registry.create(tmp_path / "mirror.sqlite", "mirror", signer=OTHER, at=AT) as mirror:
            mirror.append([make_submission(0)], signer=OTHER, at=LATER, check_tag_ids=False)
            mirror.export_bundle(tmp_path / "mirror.bundle")
        assert writer.import_bundle(tmp_path / "mirror.bundle", check_tag_ids=False).further_entries == 1
        assert writer.verify().entries == 5
    for statement in ("UPDATE entries SET logged_at = ''", "DELETE FROM records", "DELETE FROM proofs"):
        connection = sqlite3.connect(path)
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
        connection.close()


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)
