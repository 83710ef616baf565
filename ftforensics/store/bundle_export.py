"""Exporting records with their proofs. In: an open registry, tag ids. Out: a bundle file that verifies without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftforensics.errors import ChainBroken, NotFound
from ftforensics.store.artifacts import open_atomically
from ftforensics.store.bundle_lines import BundleHeader, BundleLog, BundleRecord, render_header, render_record
from ftforensics.store.registry_log import StoredCheckpoint, load_checkpoints, load_log, unpack_hashes
from ftforensics.store.registry_rows import ALL_ROWS, BY_TAG, OWN_LOG, StoredRow, read_rows, to_column
from ftforensics.store.sqlite import Database
from ftforensics.trust.envelope import parse_envelope
from ftforensics.trust.fields import TAG_ID
from ftforensics.trust.ledger import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written: records, and their entries, of which a record has one in each log that has it."""

    records: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proofs:
    """Where the logs stand in the header, and the own log's tree."""

    header: dict[int, int]
    tree: Tree


def export_bundle(
    database: Database,
    path: Path,
    tag_ids: Sequence[str] | None,
    *,
    since_sizes: Sequence[int] = (),
    clobber: bool = False,
) -> ExportReport:
    """Writes records with their blobs, public keys, inclusion proofs and signed checkpoints.

    Args:
        database: An open registry.
        path: Where to.
        tag_ids: Which records; all where it is None.
        since_sizes: Sizes of this log's earlier checkpoints that the bundle is to prove it continues, for importers
            that hold an earlier bundle.
        clobber: Whether an existing file is replaced.

    Returns:
        How many records and entries were written.

    Raises:
        NotFound: A tag id is not in the registry.
        AlreadyExists: Something is at ``path``.
        WriteFailed: Disk full or not permitted.
        ChainBroken: The registry's log does not fit its checkpoint.
    """
    for tag_id in tag_ids or ():
        if TAG_ID.fullmatch(tag_id) is None:
            raise NotFound(f"A tag id has 16 lower-case hex characters, not {tag_id[:40]!a}")
    with database.snapshot():
        checkpoints = _list_checkpoints(database, tag_ids)
        tree = _build_tree(database, checkpoints[0])
        own = BundleLog(
            public_key=load_log(database, OWN_LOG).public_key,
            checkpoint=parse_envelope(checkpoints[0].envelope),
            consistency={size: tree.consistency_proof(size) for size in since_sizes if 0 < size <= tree.size},
        )
        others = [_render_other(database, stored) for stored in checkpoints[1:]]
        proofs = _Proofs(header={stored.checkpoint_id: at for at, stored in enumerate(checkpoints)}, tree=tree)
        written = _count(database, tag_ids)
        with open_atomically(path, clobber=clobber) as file:
            file.write(render_header(BundleHeader(logs=(own, *others), records=written.entries)))
            for row in _select(database, tag_ids):
                file.write(render_record(_prove(database, row, proofs)))
    return written


def _list_checkpoints(database: Database, tag_ids: Sequence[str] | None) -> list[StoredCheckpoint]:
    """The own log's newest checkpoint, then those that the wanted imported records came with."""
    own = load_checkpoints(database, load_log(database, OWN_LOG), newest_only=True)
    if tag_ids is None:
        used = database.all_rows("SELECT DISTINCT checkpoint_id FROM proofs")
    else:
        of_tag = "SELECT p.checkpoint_id FROM proofs AS p JOIN entries AS e USING (entry_id) WHERE e.tag_id = ?"
        used = [row for tag_id in tag_ids for row in database.all_rows(of_tag, (to_column(tag_id),))]
    wanted = {row[0] for row in used}
    others = database.all_rows("SELECT log_id FROM logs WHERE log_id <> ? ORDER BY log_id", (OWN_LOG,))
    imported = [stored for row in others for stored in load_checkpoints(database, load_log(database, row[0]))]
    return own + [stored for stored in imported if stored.checkpoint_id in wanted]


def _render_other(database: Database, stored: StoredCheckpoint) -> BundleLog:
    row = database.row("SELECT log_id FROM checkpoints WHERE checkpoint_id = ?", (stored.checkpoint_id,))
    public_key = load_log(database, row[0] if row else 0).public_key
    return BundleLog(public_key=public_key, checkpoint=parse_envelope(stored.envelope), consistency={})


def _build_tree(database: Database, newest: StoredCheckpoint) -> Tree:
    rows = database.rows("SELECT leaf_hash FROM entries WHERE log_id = ? ORDER BY log_index", (OWN_LOG,))
    tree = Tree(row[0] for row in rows)
    if tree.size != newest.checkpoint.size or tree.root().hex() != newest.checkpoint.root:
        raise ChainBroken(
            "The log does not fit its newest checkpoint, so nothing can be proved from it",
            position=min(tree.size, newest.checkpoint.size),
            subject=str(database.path),
            remedy="check the registry with 'ftf registry verify'",
        )
    return tree


def _count(database: Database, tag_ids: Sequence[str] | None) -> ExportReport:
    if tag_ids is None:
        entries = database.row("SELECT count(*) FROM entries")
        records = database.row("SELECT count(*) FROM (SELECT DISTINCT carrier_id, tag_id FROM entries)")
        return ExportReport(records=int(records[0]) if records else 0, entries=int(entries[0]) if entries else 0)
    counted = []
    for tag_id in dict.fromkeys(tag_ids):
        row = database.row(
            "SELECT count(DISTINCT carrier_id), count(*) FROM entries WHERE tag_id = ?", (to_column(tag_id),)
        )
        if row is None or row[1] == 0:
            raise NotFound("The registry has no such record", subject=f"tag id {tag_id}, {database.path}")
        counted.append((int(row[0]), int(row[1])))
    return ExportReport(records=sum(one[0] for one in counted), entries=sum(one[1] for one in counted))


def _select(database: Database, tag_ids: Sequence[str] | None) -> Iterator[StoredRow]:
    if tag_ids is None:
        yield from read_rows(database, ALL_ROWS)
        return
    for tag_id in dict.fromkeys(tag_ids):
        yield from read_rows(database, BY_TAG, (to_column(tag_id),))


def _prove(database: Database, row: StoredRow, proofs: _Proofs) -> BundleRecord:
    if row.log_id == OWN_LOG:
        return BundleRecord(log=0, record=row.record, inclusion=proofs.tree.inclusion_proof(row.record.log_index))
    kept = database.row("SELECT checkpoint_id, path FROM proofs WHERE entry_id = ?", (row.entry_id,))
    if kept is None or kept[0] not in proofs.header:
        raise ChainBroken(
            f"The imported entry {row.record.log_index} has no inclusion proof", subject=str(database.path)
        )
    return BundleRecord(log=proofs.header[kept[0]], record=row.record, inclusion=unpack_hashes(kept[1]))
