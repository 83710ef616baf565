"""The registry: signed records of tagged photographs in an append-only log, with the indexes that matching needs.

In: submissions of issuers, bundles of other registries. Out: ``RegisteredRecord`` values (untrusted until
``trust.verify_record``), arrays of 64-bit ids for matching, signed checkpoints. Sized for a million records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from ftforensics.domain.record import RegisteredRecord, SignedEnvelope
from ftforensics.errors import AlreadyExists, ChainBroken, NotFound, StoreError, TrustError
from ftforensics.store.bundle_export import ExportReport, export_bundle
from ftforensics.store.bundle_import import ImportReport, import_bundle
from ftforensics.store.bundle_import import Progress as ImportProgress
from ftforensics.store.registry_check import Progress, RegistryCheck, verify_registry
from ftforensics.store.registry_log import (
    LogIdentity,
    append_checkpoint,
    load_checkpoints,
    load_log,
    start_log,
    take_up_log,
)
from ftforensics.store.registry_rows import (
    ALL_ROWS,
    BOUND_FILES,
    BY_TAG,
    OWN_LOG,
    RecordSubmission,
    from_column,
    insert_row,
    kept_records,
    read_rows,
    to_column,
    verify_parts,
)
from ftforensics.store.schema import Schema, load_schema
from ftforensics.store.sqlite import Database, create_database, open_database
from ftforensics.trust.canonical import canonical_json
from ftforensics.trust.envelope import parse_envelope
from ftforensics.trust.fields import TAG_ID
from ftforensics.trust.keys import Signer
from ftforensics.trust.ledger import Checkpoint, leaf_hash
from ftforensics.trust.record import log_entry, parse_binding

REGISTRY_APPLICATION_ID = 0x46744672
_LEAVES = (
    "SELECT l.key_id, l.origin, e.log_index, e.leaf_hash FROM entries AS e JOIN logs AS l USING (log_id)"
    " ORDER BY l.key_id, l.origin, e.log_index"
)
Ids = tuple[list[str], npt.NDArray[np.uint64]]


@cache
def registry_schema() -> Schema:
    """What a registry database looks like."""
    return load_schema("registry", REGISTRY_APPLICATION_ID, readable_from=1)


class Registry:
    """One registry file. Made by ``create`` or ``open``; close it, or use it in ``with``.

    ``log_name``, ``log_key_id`` and ``log_public_key`` say whose log it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._log = load_log(database, OWN_LOG)
        self.path = database.path
        self.log_name = self._log.origin
        self.log_key_id = self._log.key_id
        self.log_public_key = self._log.public_key

    @classmethod
    def create(cls, path: Path, log_name: str, *, signer: Signer, at: str) -> Self:
        """Makes a new registry with an empty log, and opens it for writing.

        Args:
            path: Where; must not exist.
            log_name: The log's name, which its checkpoints carry; make it unique, for instance a host and a year.
            signer: The log's key; only it will be able to append.
            at: Now, UTC.

        Raises:
            AlreadyExists: Something is at ``path``.
            WriteFailed: The folder or disk does not let us write.
            TrustError: The name or time is malformed, or the signer failed.
        """
        create_database(path, registry_schema(), lambda database: start_log(database, log_name, signer, at))
        return cls.open(path, read_only=False)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = True) -> Self:
        """Opens a registry.

        Raises:
            NotFound: No such file.
            StoreError: Not a registry, damaged or locked; SchemaMismatch for one of another version.
            ChainBroken: Its tables or append-only protections were altered.
            WriteFailed: To be opened for writing where that is not permitted.
        """
        database = open_database(path, registry_schema(), read_only=read_only)
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; harmless when it is closed already."""
        self._database.close()

    @property
    def database(self) -> Database:
        """The open database, for the rooms' own modules that check, export and import."""
        return self._database

    def append(
        self, submissions: Sequence[RecordSubmission], *, signer: Signer, at: str, check_tag_ids: bool = True
    ) -> tuple[RegisteredRecord, ...]:
        """Logs records under one new signed checkpoint: all of them, or none.

        Args:
            submissions: The records, in log order.
            signer: The log's own key.
            at: Now, UTC; not before the newest checkpoint.
            check_tag_ids: Also derive each tag id from its record, about 0.1 s each.

        Returns:
            The rows as logged.

        Raises:
            KeyUnknown: The signer is not the log's key.
            SignatureInvalid: A submission's parts do not belong together.
            AlreadyExists: A tag id is taken for its carrier key, or the record is there already.
            StoreError: Read-only, or ``at`` lies before the newest checkpoint.
            WriteFailed: Disk full or read-only.
        """
        rows: list[RegisteredRecord] = []
        with self._database.transaction():
            edge = take_up_log(self._database, self._log, signer, at)
            if not submissions:
                return ()
            for submission in submissions:
                row = _log_row(submission, self._log, edge.size, at)
                core = verify_parts(row, check_tag_id=check_tag_ids)
                if kept_records(self._database, row.tag_id, row.carrier_key_id):
                    raise AlreadyExists(
                        f"The tag id {row.tag_id} is taken for this carrier key",
                        subject=str(self.path),
                        remedy="make the record again with a new nonce",
                    )
                leaf = leaf_hash(log_entry(row))
                insert_row(self._database, OWN_LOG, row, core, leaf)
                edge.append(leaf)
                rows.append(row)
            append_checkpoint(self._database, self._log.origin, edge, signer, at)
        return tuple(rows)

    def get(self, tag_id: str, carrier_key_id: str | None = None) -> RegisteredRecord:
        """The record of a tag id, as the log has it from which it came in first; see ``all_of`` for all logs.

        A million records or ten take the same time.

        Args:
            tag_id: 16 hex characters.
            carrier_key_id: Needed only where two carrier keys share the tag id.

        Raises:
            NotFound: No such record.
            StoreError: Two records share the tag id, for instance under two carrier keys of which none was named.
            ChainBroken: The row is incomplete or was altered so that it cannot be read.
        """
        found = [row for row in self.all_of(tag_id) if carrier_key_id in (None, row.carrier_key_id)]
        if not found:
            raise NotFound("The registry has no such record", subject=f"tag id {tag_id}, {self.path}")
        if len({(row.carrier_key_id, row.record.payload) for row in found}) > 1:
            raise StoreError("Two records share this tag id", subject=tag_id, remedy="name the carrier key too")
        return found[0]

    def all_of(self, tag_id: str) -> list[RegisteredRecord]:
        """The entries of a tag id in all logs, in the order they came in; mostly one.

        There are several where several logs have the record, and where records under two carrier keys share the tag id.

        Raises:
            ChainBroken: A row is incomplete or was altered so that it cannot be read.
        """
        return [row.record for row in read_rows(self._database, BY_TAG, (_tag_column(tag_id),))]

    def records(self) -> Iterator[RegisteredRecord]:
        """Yields all entries, those of imported logs included, in the order they came in: a record once for each log.

        Raises:
            ChainBroken: A row is incomplete or was altered so that it cannot be read.
        """
        for row in read_rows(self._database, ALL_ROWS):
            yield row.record

    def index(self, carrier_key_id: str) -> Ids:
        """All tag ids under one carrier key, for matching.

        Returns:
            The ids as hex in ascending order, and the same as a ``uint64`` array of that length. Empty for a carrier
            key that the registry does not know.
        """
        rows = self._database.all_rows(
            "SELECT DISTINCT tag_id FROM entries WHERE carrier_id = (SELECT carrier_id FROM carriers WHERE key_id = ?)",
            (carrier_key_id,),
        )
        values = np.sort(_unsigned(rows, 0))
        return _as_hex(values), values

    def phash_index(self) -> Ids:
        """Perceptual hashes of all records, for near-duplicate search.

        Returns:
            The tag ids as hex in ascending order, and the perceptual hash of each as a ``uint64`` array. A record that
            is in several logs is given once.
        """
        rows = self._database.all_rows("SELECT DISTINCT tag_id, phash FROM entries")
        tags, phashes = _unsigned(rows, 0), _unsigned(rows, 1)
        order = np.argsort(tags, kind="stable")
        return _as_hex(tags[order]), phashes[order]

    def descriptor_index(self) -> tuple[list[str], list[bytes]]:
        """The local features of all records, for finding the source of a part of a picture.

        Returns:
            The tag ids as hex, and the descriptor blob of each, in the order of registration; once for a record that is
            in several logs. Nothing was verified.
        """
        rows = self._database.all_rows(
            "SELECT e.tag_id, d.content FROM entries AS e JOIN records AS r USING (entry_id) "
            "JOIN blobs AS d ON d.sha256 = r.descriptors_sha256 WHERE e.entry_id IN ("
            "SELECT min(entry_id) FROM entries JOIN records USING (entry_id) GROUP BY tag_id, descriptors_sha256"
            ") ORDER BY e.entry_id"
        )
        return _as_hex(_unsigned(rows, 0)), [bytes(row[1]) for row in rows]

    def tagged_files(self) -> dict[str, str]:
        """Which file each record of the registry's own log was tagged into: hex SHA-256 of the file, and the tag id.

        Nothing was verified.

        Raises:
            ChainBroken: A row was altered so that it cannot be read.
        """
        found = {}
        for tag_id, binding in self._database.all_rows(BOUND_FILES, (OWN_LOG,)):
            try:
                statement = parse_binding(parse_envelope(binding, subject="binding").payload)
            except TrustError as exc:
                raise ChainBroken(
                    f"The record of tag id {from_column(tag_id)} was altered ({exc.what})", subject=str(self.path)
                ) from exc
            found[statement.tagged_sha256] = from_column(tag_id)
        return found

    def carrier_key_ids(self) -> tuple[str, ...]:
        """The carrier keys that records were made for, sorted."""
        return tuple(sorted(str(row[0]) for row in self._database.all_rows("SELECT key_id FROM carriers")))

    def count(self) -> int:
        """How many records there are, imported ones included; one that is in several logs counts once."""
        row = self._database.row("SELECT count(*) FROM (SELECT DISTINCT carrier_id, tag_id FROM entries)")
        return int(row[0]) if row else 0

    def count_entries(self) -> int:
        """How many entries there are in all logs together."""
        row = self._database.row("SELECT count(*) FROM entries")
        return int(row[0]) if row else 0

    def state(self) -> tuple[str, ...]:
        """All that can be found in the registry, in a few words: equal only where every entry of every log is.

        Returns:
            For each log its name, key and newest checkpoint as size:root, then the number of all entries and a hash
            over them. The order of imports does not show.
        """
        ids = self._database.all_rows("SELECT log_id FROM logs")
        logs = [load_log(self._database, int(row[0])) for row in ids]
        newest = [load_checkpoints(self._database, log, newest_only=True)[0].checkpoint for log in logs]
        lines = [f"{log.origin} {log.key_id} {one.size}:{one.root}" for log, one in zip(logs, newest, strict=True)]
        digest, count = hashlib.sha256(), 0
        for key_id, origin, index, leaf in self._database.rows(_LEAVES):
            digest.update(canonical_json([key_id, origin, index, bytes(leaf).hex()]))
            count += 1
        return (*sorted(lines), f"entries {count} sha256:{digest.hexdigest()}")

    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint of the registry's own log, its signature verified under the log's key.

        Raises:
            SignatureInvalid: It was not signed by that key.
            ChainBroken: There is none.
        """
        return load_checkpoints(self._database, self._log, newest_only=True)[0].checkpoint

    def signed_checkpoint(self) -> SignedEnvelope:
        """The envelope of ``checkpoint``, to be pinned or witnessed elsewhere."""
        stored = load_checkpoints(self._database, self._log, newest_only=True)[0]
        return parse_envelope(stored.envelope, subject="checkpoint")

    def verify(
        self,
        *,
        expected: Checkpoint | None = None,
        expected_key_id: str | None = None,
        check_tag_ids: bool = False,
        on_progress: Progress | None = None,
    ) -> RegistryCheck:
        """Walks the whole registry; arguments, steps and errors as in ``registry_check.verify_registry``."""
        return verify_registry(
            self._database,
            expected=expected,
            expected_key_id=expected_key_id,
            check_tag_ids=check_tag_ids,
            on_progress=on_progress,
        )

    def export_bundle(
        self,
        path: Path,
        tag_ids: Sequence[str] | None = None,
        *,
        since_sizes: Sequence[int] = (),
        clobber: bool = False,
    ) -> ExportReport:
        """Writes records with their proofs; arguments, result and errors as in ``bundle_export.export_bundle``."""
        return export_bundle(self._database, path, tag_ids, since_sizes=since_sizes, clobber=clobber)

    def import_bundle(
        self, path: Path, *, check_tag_ids: bool = True, jobs: int = 1, on_progress: ImportProgress | None = None
    ) -> ImportReport:
        """Verifies and adds records of others; arguments and errors as in ``bundle_import.import_bundle``."""
        return import_bundle(self._database, path, check_tag_ids=check_tag_ids, jobs=jobs, on_progress=on_progress)


def _log_row(submission: RecordSubmission, log: LogIdentity, log_index: int, at: str) -> RegisteredRecord:
    return RegisteredRecord(
        tag_id=submission.tag_id,
        carrier_key_id=submission.carrier_key_id,
        record=submission.record,
        binding=submission.binding,
        public_key=submission.public_key,
        descriptors=submission.descriptors,
        preview=submission.preview,
        log_index=log_index,
        logged_at=at,
        log_name=log.origin,
        log_key_id=log.key_id,
    )


def _tag_column(tag_id: str) -> int:
    if TAG_ID.fullmatch(tag_id) is None:
        raise NotFound(f"A tag id has 16 lower-case hex characters, not {tag_id[:40]!a}")
    return to_column(tag_id)


def _unsigned(rows: list[tuple[int, ...]], column: int) -> npt.NDArray[np.uint64]:
    return np.fromiter((row[column] for row in rows), dtype=np.int64, count=len(rows)).view(np.uint64)


def _as_hex(values: npt.NDArray[np.uint64]) -> list[str]:
    text = values.astype(">u8").tobytes().hex()
    return [text[at : at + 16] for at in range(0, len(text), 16)]
