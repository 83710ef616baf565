"""The registry's own log in the database: its identity, its signed checkpoints, and the tree that grows under them.

In: a database and a signer. Out: checkpoints. Only the right edge of the tree is kept with each checkpoint, so
appending costs the same at a million entries as at ten. Source: RFC 6962 section 2.1; ``trust.ledger``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ftforensics.errors import ChainBroken, KeyUnknown, SignatureInvalid, StoreError, TrustError
from ftforensics.store.registry_rows import OWN_LOG
from ftforensics.store.sqlite import Database
from ftforensics.trust.envelope import envelope_to_json, parse_envelope
from ftforensics.trust.keys import Signer
from ftforensics.trust.ledger import HASH_BYTES, Checkpoint, Frontier, sign_checkpoint, verify_checkpoint
from ftforensics.trust.utc import parse_utc

_CHECKPOINT_TYPES = (int, int, bytes, bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIdentity:
    """Whose log it is: its name and the key that signs its checkpoints. ``log_id`` numbers the logs in one registry."""

    log_id: int
    origin: str
    key_id: str
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A checkpoint row whose signature was verified under the log's key."""

    checkpoint_id: int
    checkpoint: Checkpoint
    envelope: bytes
    frontier: bytes


class StoredFrontier(Frontier):
    """A tree's right edge that can be put away and taken up again."""

    @classmethod
    def load(cls, size: int, packed: bytes) -> Self:
        """Takes up an edge of ``size`` leaves from its subtree roots, largest first, 32 bytes each.

        Raises:
            ChainBroken: The number of roots does not fit the size.
        """
        peaks = [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]
        if len(packed) % HASH_BYTES or len(peaks) != size.bit_count():
            raise ChainBroken("The stored edge of the log's tree does not fit its size", position=size)
        edge = cls()
        edge._size, edge._peaks = size, peaks
        return edge

    def pack(self) -> bytes:
        """The subtree roots, largest first."""
        return b"".join(self._peaks)


def load_log(database: Database, log_id: int) -> LogIdentity:
    """Reads who a log is.

    Raises:
        ChainBroken: The log's row is missing or malformed.
    """
    row = database.row("SELECT log_id, origin, key_id, public_key FROM logs WHERE log_id = ?", (log_id,))
    if row is None or not isinstance(row[1], str) or not isinstance(row[2], str) or not isinstance(row[3], bytes):
        raise ChainBroken("The registry does not say whose log it is", subject=str(database.path))
    return LogIdentity(log_id=row[0], origin=row[1], key_id=row[2], public_key=row[3])


def load_checkpoints(database: Database, log: LogIdentity, *, newest_only: bool = False) -> list[StoredCheckpoint]:
    """Reads a log's checkpoints by size and verifies each signature.

    Raises:
        SignatureInvalid: A checkpoint was not signed by the log's key, or is of another log.
        ChainBroken: A checkpoint's row says another size than what was signed, or there is none.
    """
    sql = (
        "SELECT checkpoint_id, tree_size, envelope, frontier FROM checkpoints WHERE log_id = ? ORDER BY tree_size DESC"
    )
    rows = database.all_rows(sql + (" LIMIT 1" if newest_only else ""), (log.log_id,))
    if not rows:
        raise ChainBroken(f"The log {log.origin!a} has no checkpoint", subject=str(database.path))
    if not all(isinstance(value, kind) for row in rows for value, kind in zip(row, _CHECKPOINT_TYPES, strict=True)):
        raise ChainBroken(f"The checkpoints of the log {log.origin!a} are malformed", subject=str(database.path))
    return [_verify_row(database, log, *row) for row in reversed(rows)]


def _verify_row(
    database: Database, log: LogIdentity, checkpoint_id: int, size: int, envelope: bytes, frontier: bytes
) -> StoredCheckpoint:
    subject = f"checkpoint {size} of {database.path}"
    try:
        checkpoint = verify_checkpoint(parse_envelope(envelope, subject=subject), log.public_key, origin=log.origin)
    except TrustError as exc:
        raise SignatureInvalid(
            f"The signed checkpoint at size {size} does not verify ({exc.what})", subject=str(database.path)
        ) from exc
    if checkpoint.size != size:
        raise ChainBroken(f"Checkpoint {size} was signed for {checkpoint.size} entries", position=size, subject=subject)
    return StoredCheckpoint(checkpoint_id=checkpoint_id, checkpoint=checkpoint, envelope=envelope, frontier=frontier)


def start_log(database: Database, origin: str, signer: Signer, at: str) -> None:
    """Writes the log's identity and the signed checkpoint of the empty log, inside the creating transaction.

    Raises:
        TrustError: The name or time is malformed, or the signer failed.
    """
    database.insert(
        "INSERT INTO logs (log_id, origin, key_id, public_key) VALUES (?, ?, ?, ?)",
        (OWN_LOG, origin, signer.key_id, signer.public_key),
    )
    append_checkpoint(database, origin, StoredFrontier(), signer, at)


def take_up_log(database: Database, log: LogIdentity, signer: Signer, at: str) -> StoredFrontier:
    """Makes ready to append: the tree's edge at the newest checkpoint, which ``signer`` may continue at time ``at``.

    Raises:
        KeyUnknown: The signer is not the log's key.
        StoreError: The time lies before the newest checkpoint.
        ChainBroken: The stored edge or the entries do not fit the newest checkpoint.
        SignatureInvalid: The newest checkpoint is not signed by the log's key.
    """
    if signer.key_id != log.key_id or signer.public_key != log.public_key:
        raise KeyUnknown(
            f"The log {log.origin!a} is signed by the key {log.key_id}, not by {signer.key_id}",
            subject=str(database.path),
            remedy="append with the log's own key",
        )
    newest = load_checkpoints(database, log, newest_only=True)[0]
    if parse_utc(at) < parse_utc(newest.checkpoint.at):
        raise StoreError(
            f"The time {at} lies before the log's newest checkpoint of {newest.checkpoint.at}",
            subject=str(database.path),
            remedy="set the clock right; if it is right and the log was written with a wrong one, that stays:"
            " make another registry with 'ftf registry init' under a new log name, bring these records over with"
            " 'ftf registry export' and 'ftf registry import', and tag there",
        )
    edge = StoredFrontier.load(newest.checkpoint.size, newest.frontier)
    row = database.row("SELECT max(log_index) FROM entries WHERE log_id = ?", (log.log_id,))
    size = newest.checkpoint.size
    if row != (size - 1 if size else None,) or edge.root().hex() != newest.checkpoint.root:
        raise ChainBroken(
            f"The log's entries do not fit its newest checkpoint of {size}", position=size, subject=str(database.path)
        )
    return edge


def append_checkpoint(database: Database, origin: str, edge: StoredFrontier, signer: Signer, at: str) -> Checkpoint:
    """Signs the tree's present state and keeps it, inside a transaction."""
    checkpoint = Checkpoint(origin=origin, size=edge.size, root=edge.root().hex(), at=at)
    envelope = sign_checkpoint(checkpoint, signer)
    keep_checkpoint(database, OWN_LOG, checkpoint, envelope_to_json(envelope), edge.pack())
    return checkpoint


def keep_checkpoint(database: Database, log_id: int, checkpoint: Checkpoint, envelope: bytes, frontier: bytes) -> int:
    """Adds a checkpoint row inside a transaction and returns its number.

    Raises:
        AlreadyExists: The log has a checkpoint of that size.
    """
    return database.insert(
        "INSERT INTO checkpoints (log_id, tree_size, envelope, frontier) VALUES (?, ?, ?, ?)",
        (log_id, checkpoint.size, envelope, frontier),
    )


def pack_hashes(hashes: Sequence[bytes]) -> bytes:
    """Joins 32-byte hashes."""
    return b"".join(hashes)


def unpack_hashes(packed: bytes) -> tuple[bytes, ...]:
    """Splits what ``pack_hashes`` joined."""
    return tuple(packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES))
