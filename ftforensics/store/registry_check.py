"""Checking a whole registry: every hash, every signature, every link between its tables.

In: an open registry, and a checkpoint kept outside it if there is one. Out: what was checked and what could not be, or
the first entry that does not fit. Source: RFC 6962 section 2.1; ``trust.ledger``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ftforensics.errors import ChainBroken, SignatureInvalid, StoreError, TrustError
from ftforensics.store.registry_log import (
    LogIdentity,
    StoredCheckpoint,
    StoredFrontier,
    load_checkpoints,
    load_log,
    unpack_hashes,
)
from ftforensics.store.registry_rows import BY_LOG, OWN_LOG, StoredRow, read_rows, verify_parts
from ftforensics.store.sqlite import Database
from ftforensics.trust.keys import fingerprint
from ftforensics.trust.ledger import Checkpoint, leaf_hash, verify_inclusion
from ftforensics.trust.record import log_entry

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryCheck:
    """What checking a registry gave: its newest checkpoint, how many records hold, and what remains open.

    ``entries`` counts a record once for each log that has it.
    """

    checkpoint: Checkpoint
    records: int
    entries: int
    imported_logs: int
    notes: tuple[str, ...]


def verify_registry(
    database: Database,
    *,
    expected: Checkpoint | None = None,
    expected_key_id: str | None = None,
    check_tag_ids: bool = False,
    on_progress: Progress | None = None,
) -> RegistryCheck:
    """Walks the whole registry.

    Steps: 1. SQLite's own check; 2. the log's key is the expected one; 3. every checkpoint's signature; 4. every entry
    in order: blobs against the hashes the record signs, record and binding under their key, search columns against
    the record, leaf hash, the tree at every checkpoint; 5. the expected checkpoint lies on that tree; 6. the same for
    imported logs, by their inclusion proofs.

    Args:
        database: An open registry, for reading or writing.
        expected: A checkpoint pinned outside the registry.
        expected_key_id: The log key's fingerprint, known from elsewhere.
        check_tag_ids: Also derive every tag id from its record, about 0.1 s each.
        on_progress: Called with the number of entries checked so far.

    Raises:
        ChainBroken: At ``position`` the first entry that does not fit.
        SignatureInvalid: A checkpoint or record is not signed by its key.
        StoreError: The file is damaged, or ``expected`` is of another log.

    Does not establish whose keys the records are signed with, nor, without ``expected``, that the registry was not set
    back to an earlier state or replaced as a whole.
    """
    database.check_pages()
    log = load_log(database, OWN_LOG)
    _check_log_key(log, expected_key_id, database)
    notes: list[str] = []
    if expected_key_id is None:
        notes.append(f"Log key not pinned: compare {log.key_id} with the issuer's.")
    if expected is None:
        notes.append("Rollback not excluded: no earlier checkpoint was given to compare with.")
    elif expected.origin != log.origin:
        raise StoreError(
            f"The expected checkpoint is of the log {expected.origin!a}, this registry's is {log.origin!a}",
            subject=str(database.path),
        )
    walk = _Walk(database=database, check_tag_ids=check_tag_ids, on_progress=on_progress)
    newest = walk.own_log(log, expected)
    others = [load_log(database, int(row[0])) for row in database.all_rows(_OTHER_LOGS, (OWN_LOG,))]
    for other in others:
        walk.imported_log(other)
    _check_orphans(database, walk.checked)
    if others:
        notes.append(f"{len(others)} imported log(s): shown to contain these records, not shown to contain no others.")
    records = database.row("SELECT count(*) FROM (SELECT DISTINCT carrier_id, tag_id FROM entries)")
    return RegistryCheck(
        checkpoint=newest,
        records=int(records[0]) if records else 0,
        entries=walk.checked,
        imported_logs=len(others),
        notes=tuple(notes),
    )


_OTHER_LOGS = "SELECT log_id FROM logs WHERE log_id <> ? ORDER BY log_id"


class _Walk:
    def __init__(self, *, database: Database, check_tag_ids: bool, on_progress: Progress | None) -> None:
        self.database = database
        self.check_tag_ids = check_tag_ids
        self.on_progress = on_progress
        self.checked = 0

    def own_log(self, log: LogIdentity, expected: Checkpoint | None) -> Checkpoint:
        checkpoints = {stored.checkpoint.size: stored for stored in load_checkpoints(self.database, log)}
        edge = StoredFrontier()
        self._check_edge(edge, checkpoints, expected)
        for row in read_rows(self.database, BY_LOG, (log.log_id,)):
            self._check_row(row, edge.size)
            edge.append(row.leaf_hash)
            self._check_edge(edge, checkpoints, expected)
        newest = checkpoints[max(checkpoints)].checkpoint
        if edge.size != newest.size:
            raise ChainBroken(
                f"The log has {edge.size} entries and its newest checkpoint counts {newest.size}",
                position=min(edge.size, newest.size),
                subject=str(self.database.path),
            )
        if expected is not None and edge.size < expected.size:
            raise ChainBroken(
                f"The log was set back: it has {edge.size} entries and the expected checkpoint counts {expected.size}",
                position=edge.size,
                subject=str(self.database.path),
                remedy="find out who restored an older copy and why",
            )
        return newest

    def imported_log(self, log: LogIdentity) -> None:
        _check_log_key(log, None, self.database)
        stored = {one.checkpoint_id: one.checkpoint for one in load_checkpoints(self.database, log)}
        proofs = "SELECT checkpoint_id, path FROM proofs WHERE entry_id = ?"
        for row in read_rows(self.database, BY_LOG, (log.log_id,)):
            self._check_row(row, row.record.log_index)
            proof = self.database.row(proofs, (row.entry_id,))
            checkpoint = stored.get(proof[0]) if proof is not None else None
            if proof is None or checkpoint is None or not isinstance(proof[1], bytes):
                raise self._broken(row, "has no inclusion proof")
            root = bytes.fromhex(checkpoint.root)
            verify_inclusion(row.leaf_hash, row.record.log_index, checkpoint.size, unpack_hashes(proof[1]), root)

    def _check_edge(
        self, edge: StoredFrontier, checkpoints: dict[int, StoredCheckpoint], expected: Checkpoint | None
    ) -> None:
        stored = checkpoints.get(edge.size)
        if stored is not None and (stored.checkpoint.root != edge.root().hex() or stored.frontier != edge.pack()):
            raise ChainBroken(
                f"The log's first {edge.size} entries are not the ones that its checkpoint signs",
                position=edge.size - 1,
                subject=str(self.database.path),
            )
        if expected is not None and edge.size == expected.size and edge.root().hex() != expected.root:
            raise ChainBroken(
                f"History was rewritten: the log's first {edge.size} entries are not those of the expected checkpoint",
                position=edge.size - 1,
                subject=str(self.database.path),
            )

    def _check_row(self, row: StoredRow, position: int) -> None:
        if row.record.log_index != position:
            raise ChainBroken(
                f"Entry {position} of the log is missing", position=position, subject=str(self.database.path)
            )
        try:
            core = verify_parts(row.record, check_tag_id=self.check_tag_ids)
            leaf = leaf_hash(log_entry(row.record))
        except SignatureInvalid as exc:
            raise SignatureInvalid(f"Entry {position}: {exc.what}", subject=exc.subject, remedy=exc.remedy) from exc
        except TrustError as exc:
            raise self._broken(row, f"is malformed ({exc.what})") from exc
        if leaf != row.leaf_hash:
            raise self._broken(row, "was changed after it was logged")
        if core.phash != row.phash:
            raise self._broken(row, "has a search column that is not what its record says")
        self.checked += 1
        if self.on_progress is not None:
            self.on_progress(self.checked)

    def _broken(self, row: StoredRow, what: str) -> ChainBroken:
        position = row.record.log_index
        return ChainBroken(f"Entry {position} {what}", position=position, subject=str(self.database.path))


def _check_log_key(log: LogIdentity, expected_key_id: str | None, database: Database) -> None:
    try:
        key_id = fingerprint(log.public_key)
    except TrustError as exc:
        raise ChainBroken(f"The key of the log {log.origin!a} is malformed", subject=str(database.path)) from exc
    if key_id != log.key_id or expected_key_id not in (None, key_id):
        raise ChainBroken(
            f"The log {log.origin!a} is signed with {key_id}, not with {expected_key_id or log.key_id}",
            subject=str(database.path),
            remedy="do not use this registry until its owner has explained the change",
        )


def _check_orphans(database: Database, checked: int) -> None:
    entries = database.row("SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM records)")
    if entries != (checked, checked):
        raise ChainBroken("The registry holds rows that belong to no log", subject=str(database.path))
