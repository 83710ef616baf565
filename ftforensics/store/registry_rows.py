"""Rows of the registry: what goes in for one record, what comes out, and what must hold for its parts.

In: the parts of a record as an issuer submits them, or a row of the database. Out: ``RegisteredRecord`` values, still
untrusted: only ``trust.verify_record`` makes trust of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from ftforensics.domain.record import (
    BINDING_PAYLOAD_TYPE,
    RECORD_PAYLOAD_TYPE,
    RecordCore,
    RegisteredRecord,
    SignedEnvelope,
)
from ftforensics.errors import ChainBroken, SignatureInvalid, TrustError
from ftforensics.store.sqlite import Database, Row
from ftforensics.trust import record as trust_record
from ftforensics.trust.envelope import envelope_to_json, parse_envelope, verify_envelope
from ftforensics.trust.fields import TAG_ID

OWN_LOG = 1
MAX_DESCRIPTORS_BYTES = 1 << 20
MAX_PREVIEW_BYTES = 8 << 20

_COLUMNS = """
    SELECT e.entry_id, e.log_id, e.log_index, c.key_id, e.tag_id, e.phash, e.logged_at, e.leaf_hash,
           l.origin, l.key_id,
           r.record, r.binding, r.public_key, r.descriptors_sha256, d.content, r.preview_sha256, p.content
    FROM entries AS e
    LEFT JOIN logs AS l USING (log_id)
    LEFT JOIN carriers AS c USING (carrier_id)
    LEFT JOIN records AS r USING (entry_id)
    LEFT JOIN blobs AS d ON d.sha256 = r.descriptors_sha256
    LEFT JOIN blobs AS p ON p.sha256 = r.preview_sha256
"""
BY_TAG = _COLUMNS + " WHERE e.tag_id = ? ORDER BY e.entry_id"
BY_LOG = _COLUMNS + " WHERE e.log_id = ? ORDER BY e.log_index"
BOUND_FILES = """
    SELECT e.tag_id, r.binding FROM entries AS e JOIN records AS r USING (entry_id)
    WHERE e.log_id = ? AND r.binding IS NOT NULL ORDER BY e.log_index
"""
ALL_ROWS = _COLUMNS + " ORDER BY e.entry_id"
_COLUMN_TYPES = (int, int, int, str, int, int, str, bytes, str, str, bytes, bytes | None, bytes, bytes, bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSubmission:
    """What an issuer hands in for one photograph; the log adds index and time.

    ``descriptors`` and ``preview`` are the blobs that the record signs by their hashes; ``public_key`` is the issuer's,
    32 raw bytes.
    """

    tag_id: str
    carrier_key_id: str
    record: SignedEnvelope
    binding: SignedEnvelope | None
    public_key: bytes
    descriptors: bytes
    preview: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """One row as it lies in the database: the record, and the columns that repeat parts of it for quick search."""

    entry_id: int
    log_id: int
    record: RegisteredRecord
    phash: str
    leaf_hash: bytes


def to_column(hex64: str) -> int:
    """A 64-bit value in hex as the signed integer that SQLite keeps."""
    value = int(hex64, 16)
    return value - 2**64 if value >= 2**63 else value


def from_column(value: int) -> str:
    """The 16 hex characters of a 64-bit value kept as a signed integer."""
    return f"{value & (2**64 - 1):016x}"


def verify_parts(row: RegisteredRecord, *, check_tag_id: bool) -> RecordCore:
    """Makes sure that a row's parts belong together and are signed by the key that came with them.

    Args:
        row: From anywhere.
        check_tag_id: Also derive the tag id from the record, which takes about 0.1 s.

    Returns:
        The record core.

    Raises:
        SignatureInvalid: A signature, hash, id or size does not fit.

    Does not establish whose key it is: that is the trust list's question, asked by ``trust.verify_record``.
    """
    try:
        if TAG_ID.fullmatch(row.tag_id) is None:
            raise SignatureInvalid("The tag id is not 16 lower-case hex characters")
        payload = verify_envelope(row.record, row.public_key, RECORD_PAYLOAD_TYPE)
        core = trust_record.parse_record_core(payload)
        if core.key_id != row.record.key_id:
            raise SignatureInvalid("The record names another key than the one that signed it")
        if core.carrier_key_id != row.carrier_key_id:
            raise SignatureInvalid("The record was made for another carrier key than its row says")
        _check_blobs(row, core)
        if row.binding is not None:
            binding = trust_record.parse_binding(verify_envelope(row.binding, row.public_key, BINDING_PAYLOAD_TYPE))
            if binding.tag_id != row.tag_id or binding.record_sha256 != trust_record.record_sha256(payload):
                raise SignatureInvalid("The binding speaks of another record")
        if check_tag_id and trust_record.tag_id(payload) != row.tag_id:
            raise SignatureInvalid("The tag id does not follow from the record")
    except TrustError as exc:
        raise SignatureInvalid(exc.what, subject=f"record {row.tag_id[:40]!a}", remedy=exc.remedy) from exc
    return core


def _check_blobs(row: RegisteredRecord, core: RecordCore) -> None:
    if len(row.descriptors) > MAX_DESCRIPTORS_BYTES or len(row.preview or b"") > MAX_PREVIEW_BYTES:
        raise SignatureInvalid("The record's descriptors or preview are larger than any that this program makes")
    if hashlib.sha256(row.descriptors).hexdigest() != core.descriptors_sha256:
        raise SignatureInvalid("The descriptors are not the ones that the record signs")
    if row.preview is not None and hashlib.sha256(row.preview).hexdigest() != core.preview_sha256:
        raise SignatureInvalid("The preview is not the one that the record signs")


def insert_row(database: Database, log_id: int, row: RegisteredRecord, core: RecordCore, leaf: bytes) -> int:
    """Adds one row inside a transaction and returns its entry id.

    Raises:
        AlreadyExists: The log index is taken in this log.
        WriteFailed: Disk full or read-only.
    """
    carrier = _carrier_id(database, row.carrier_key_id)
    entry_id = database.insert(
        "INSERT INTO entries (log_id, log_index, carrier_id, tag_id, phash, logged_at, leaf_hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (log_id, row.log_index, carrier, to_column(row.tag_id), to_column(core.phash), row.logged_at, leaf),
    )
    database.insert(
        "INSERT INTO records (entry_id, record, binding, public_key, descriptors_sha256, preview_sha256)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            entry_id,
            envelope_to_json(row.record),
            None if row.binding is None else envelope_to_json(row.binding),
            row.public_key,
            _keep_blob(database, row.descriptors),
            None if row.preview is None else _keep_blob(database, row.preview),
        ),
    )
    return entry_id


def kept_records(database: Database, tag_id: str, carrier_key_id: str) -> set[bytes]:
    """Payloads of the records that have this tag id under this carrier key, in whatever logs: mostly none or one."""
    rows = database.all_rows(
        "SELECT DISTINCT r.record FROM entries AS e JOIN records AS r USING (entry_id)"
        " JOIN carriers AS c USING (carrier_id) WHERE e.tag_id = ? AND c.key_id = ?",
        (to_column(tag_id), carrier_key_id),
    )
    return {parse_envelope(bytes(row[0]), subject="record").payload for row in rows}


def read_rows(database: Database, sql: str, values: tuple[int, ...] = ()) -> Iterator[StoredRow]:
    """Yields the rows of one of this module's queries.

    Raises:
        ChainBroken: A row is incomplete or holds values of other types than were put there.
    """
    for row in database.rows(sql, values):
        yield _parse_row(row, database)


def _parse_row(row: Row, database: Database) -> StoredRow:
    position = row[2] if isinstance(row[2], int) else None
    well_typed = all(map(isinstance, row, _COLUMN_TYPES))
    if not well_typed or (row[15] is None) != (row[16] is None):
        raise ChainBroken(
            f"Entry {position} of the registry is incomplete", position=position, subject=str(database.path)
        )
    try:
        record = RegisteredRecord(
            tag_id=from_column(row[4]),
            carrier_key_id=row[3],
            record=parse_envelope(row[10], subject="record"),
            binding=None if row[11] is None else parse_envelope(row[11], subject="binding"),
            public_key=row[12],
            descriptors=row[14],
            preview=row[16],
            log_index=row[2],
            logged_at=row[6],
            log_name=row[8],
            log_key_id=row[9],
        )
    except TrustError as exc:
        raise ChainBroken(
            f"Entry {position} of the registry was altered ({exc.what})", position=position, subject=str(database.path)
        ) from exc
    return StoredRow(entry_id=row[0], log_id=row[1], record=record, phash=from_column(row[5]), leaf_hash=row[7])


def _carrier_id(database: Database, key_id: str) -> int:
    found = database.row("SELECT carrier_id FROM carriers WHERE key_id = ?", (key_id,))
    if found is not None:
        return int(found[0])
    return database.insert("INSERT INTO carriers (key_id) VALUES (?)", (key_id,))


def _keep_blob(database: Database, content: bytes) -> bytes:
    digest = hashlib.sha256(content).digest()
    if database.row("SELECT 1 FROM blobs WHERE sha256 = ?", (digest,)) is None:
        database.insert("INSERT INTO blobs (sha256, content) VALUES (?, ?)", (digest, content))
    return digest
