"""An append-only log as a Merkle tree. In: leaf bytes, proofs, checkpoints. Out: roots and proofs, or ChainBroken.

Leaves and nodes are hashed with different prefixes, so that no node can be passed off as a leaf. A tree of any size has
one root, an inclusion proof per leaf and a consistency proof to every later size. Source: RFC 6962 section 2.1 (trees
and proofs), RFC 9162 section 2.1 (their verification); checkpoints after C2SP tlog-checkpoint, in canonical JSON.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from ftforensics.domain.record import SignedEnvelope
from ftforensics.errors import ChainBroken, SignatureInvalid, TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.envelope import sign_envelope, verify_envelope
from ftforensics.trust.fields import SHA256_HEX, Fields
from ftforensics.trust.keys import Signer
from ftforensics.trust.utc import parse_utc

CHECKPOINT_PAYLOAD_TYPE = "application/vnd.ftforensics.checkpoint.v1+json"
EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32
MAX_LEAVES = 2**53 - 1
_CHECKPOINT_NAMES = frozenset({"at", "origin", "root", "size", "version"})


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of a zero byte and the leaf's data: 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of a one byte and the two hashes below: 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: enough to append in logarithmic time and to know the root at any moment."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        """Start from leaf hashes, in order."""
        self._size = 0
        self._peaks: list[bytes] = []
        for leaf in leaves:
            self.append(leaf)

    @classmethod
    def unpack(cls, size: int, packed: bytes) -> Self:
        """Take up an edge of ``size`` leaves from what ``pack`` gave.

        Raises:
            ChainBroken: The number of subtree roots does not fit the size.

        Does not establish that the edge is that of any log: compare its root with a signed checkpoint.
        """
        peaks = [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]
        if not 0 <= size <= MAX_LEAVES or len(packed) % HASH_BYTES or len(peaks) != size.bit_count():
            raise ChainBroken("stored edge of the log's tree does not fit its size", position=size)
        edge = cls()
        edge._size, edge._peaks = size, peaks
        return edge

    def pack(self) -> bytes:
        """The roots of the whole subtrees under the edge, largest first, 32 bytes each."""
        return b"".join(self._peaks)

    @property
    def size(self) -> int:
        """How many leaves were appended."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Append one leaf hash of 32 bytes.

        Raises:
            TrustError: The hash has another length.
        """
        _check_hashes([leaf])
        self._peaks.append(leaf)
        self._size += 1
        for _ in range((self._size & -self._size).bit_length() - 1):
            right = self._peaks.pop()
            self._peaks.append(node_hash(self._peaks.pop(), right))

    def root(self) -> bytes:
        """The root over all leaves so far; of no leaves, the hash of nothing."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root(leaves: Iterable[bytes]) -> bytes:
    """Root over leaf hashes, in order: 32 bytes.

    Raises:
        TrustError: A hash is not 32 bytes long.
    """
    return Frontier(leaves).root()


class Tree:
    """A whole tree in memory, for making proofs: one pass over the leaves, then logarithmic time for each proof.

    Args:
        leaves: Leaf hashes, in order; about 100 bytes of memory for each.

    Raises:
        TrustError: A hash is not 32 bytes long.
    """

    def __init__(self, leaves: Iterable[bytes]) -> None:
        level = list(leaves)
        _check_hashes(level)
        self._levels = [level]
        while len(level) > 1:
            level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
            self._levels.append(level)

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0])

    def root(self) -> bytes:
        """The root over all leaves; of no leaves, the hash of nothing."""
        return self._subtree(0, self.size) if self.size else EMPTY_ROOT

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """The hashes that lead from leaf ``index`` to the root, from the bottom up.

        Raises:
            TrustError: There is no such leaf.
        """
        if not 0 <= index < self.size:
            raise TrustError(f"no leaf {index} in a log of {self.size} entries")
        proof: list[bytes] = []
        low, high = 0, self.size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                proof.append(self._subtree(middle, high))
                high = middle
            else:
                proof.append(self._subtree(low, middle))
                low = middle
        return tuple(reversed(proof))

    def consistency_proof(self, old_size: int) -> tuple[bytes, ...]:
        """The hashes that show that the tree over the first ``old_size`` leaves is the beginning of this one.

        Raises:
            TrustError: ``old_size`` is not from 0 to the number of leaves.
        """
        if not 0 <= old_size <= self.size:
            raise TrustError(f"no earlier log of {old_size} entries in a log of {self.size}")
        if old_size in (0, self.size):
            return ()
        proof: list[bytes] = []
        low, high = 0, self.size
        while old_size != high:
            middle = low + _split(high - low)
            if old_size <= middle:
                proof.append(self._subtree(middle, high))
                high = middle
            else:
                proof.append(self._subtree(low, middle))
                low = middle
        if low:
            proof.append(self._subtree(low, high))
        return tuple(reversed(proof))

    def _subtree(self, low: int, high: int) -> bytes:
        size = high - low
        if size & (size - 1) == 0:
            height = size.bit_length() - 1
            return self._levels[height][low >> height]
        middle = low + _split(size)
        return node_hash(self._subtree(low, middle), self._subtree(middle, high))


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """One inclusion proof over leaf hashes; for many, keep a ``Tree``.

    Raises:
        TrustError: There is no such leaf, or a hash is not 32 bytes long.
    """
    return Tree(leaves).inclusion_proof(index)


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """One consistency proof over leaf hashes; for many, keep a ``Tree``.

    Raises:
        TrustError: ``old_size`` is not from 0 to the number of leaves, or a hash is not 32 bytes long.
    """
    return Tree(leaves).consistency_proof(old_size)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> None:
    """Check that a leaf hash stands at ``index`` in the tree of ``size`` leaves that has this root.

    Raises:
        ChainBroken: It does not, at position ``index``.

    Does not establish that the root is that of the log: check a signed checkpoint for that.
    """
    _check_range(index, size, proof, [leaf, expected_root])
    remaining, last, value = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise ChainBroken("inclusion proof is too long", position=index)
        if remaining & 1 or remaining == last:
            value = node_hash(step, value)
            while remaining and not remaining & 1:
                remaining >>= 1
                last >>= 1
        else:
            value = node_hash(value, step)
        remaining >>= 1
        last >>= 1
    if last != 0 or not hmac.compare_digest(value, expected_root):
        raise ChainBroken(f"entry {index} is not in the log of {size} entries", position=index)


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that a log only grew: its first ``old_size`` entries are still those of ``old_root``.

    Raises:
        ChainBroken: It was rewritten, shortened, or the proof is malformed.

    Does not establish that either root is that of the log: check signed checkpoints for that.
    """
    _check_consistency_range(old_size, old_root, new_size, new_root, proof)
    if old_size in (0, new_size):
        if proof or (old_size == 0 and old_root != EMPTY_ROOT) or (old_size == new_size and old_root != new_root):
            raise ChainBroken("log has other entries than before", position=0)
        return
    steps = list(proof)
    if old_size & (old_size - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        raise ChainBroken("consistency proof is empty", position=old_size)
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first >>= 1
        last >>= 1
    old_value = new_value = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ChainBroken("consistency proof is too long", position=old_size)
        if first & 1 or first == last:
            old_value, new_value = node_hash(step, old_value), node_hash(step, new_value)
            while first and not first & 1:
                first >>= 1
                last >>= 1
        else:
            new_value = node_hash(new_value, step)
        first >>= 1
        last >>= 1
    if last != 0 or not hmac.compare_digest(old_value, old_root) or not hmac.compare_digest(new_value, new_root):
        raise ChainBroken(f"log of {new_size} entries does not continue the log of {old_size}", position=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a log at a moment. ``origin`` is the log's own name, ``root`` 64 hex characters, ``at`` UTC."""

    origin: str
    size: int
    root: str
    at: str
    version: int = 1


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> SignedEnvelope:
    """Sign the state of a log.

    Raises:
        TrustError: A field is malformed, or the signer failed.
    """
    payload = canonical_json(dataclasses.asdict(checkpoint))
    parse_checkpoint(payload)
    return sign_envelope(CHECKPOINT_PAYLOAD_TYPE, payload, signer)


def parse_checkpoint(payload: bytes) -> Checkpoint:
    """Read a checkpoint from its payload bytes. Nothing is verified.

    Raises:
        TrustError: Not canonical, or a field is missing, unknown or malformed.
    """
    fields = Fields(parse_canonical(payload, subject="checkpoint"), _CHECKPOINT_NAMES, subject="checkpoint")
    return Checkpoint(
        version=fields.integer("version", 1, 1),
        origin=fields.text("origin", max_chars=200),
        size=fields.integer("size", 0, MAX_LEAVES),
        root=fields.match("root", SHA256_HEX),
        at=fields.utc("at"),
    )


def verify_checkpoint(envelope: SignedEnvelope, public_key: bytes, *, origin: str | None = None) -> Checkpoint:
    """Check a signed checkpoint.

    Args:
        envelope: From anywhere.
        public_key: The log's key.
        origin: The log's name, where it is known.

    Raises:
        SignatureInvalid: The signature does not fit, the payload is malformed, or it speaks of another log.

    Does not establish that the log showed everyone the same state, nor that ``at`` is right.
    """
    payload = verify_envelope(envelope, public_key, CHECKPOINT_PAYLOAD_TYPE)
    try:
        checkpoint = parse_checkpoint(payload)
    except TrustError as exc:
        raise SignatureInvalid(exc.what, subject=exc.subject, remedy=exc.remedy) from exc
    if origin is not None and checkpoint.origin != origin:
        raise SignatureInvalid(f"checkpoint is of the log {checkpoint.origin!a}, not {origin!a}")
    return checkpoint


def verify_growth(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """Check that a later checkpoint continues an earlier one, for instance a pinned one.

    Raises:
        ChainBroken: Another log, a shorter one, an earlier time, or rewritten entries.
    """
    if old.origin != new.origin:
        raise ChainBroken(f"checkpoints are of two logs, {old.origin!a} and {new.origin!a}")
    if parse_utc(new.at) < parse_utc(old.at):
        raise ChainBroken(f"checkpoint of {new.at} is older than the one of {old.at}", position=new.size)
    verify_consistency(old.size, bytes.fromhex(old.root), new.size, bytes.fromhex(new.root), proof)


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _check_hashes(hashes: Sequence[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise TrustError(f"hash in the log has {len(value)} bytes, not {HASH_BYTES}")


def _check_range(index: int, size: int, proof: Sequence[bytes], hashes: Sequence[bytes]) -> None:
    if not 0 <= index < size <= MAX_LEAVES:
        raise ChainBroken(f"no entry {index} in a log of {size}", position=index)
    if any(len(value) != HASH_BYTES for value in (*proof, *hashes)):
        raise ChainBroken("inclusion proof holds something that is no hash", position=index)


def _check_consistency_range(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    if not 0 <= old_size <= new_size <= MAX_LEAVES:
        raise ChainBroken(f"log shrank from {old_size} to {new_size} entries", position=new_size)
    if any(len(value) != HASH_BYTES for value in (*proof, old_root, new_root)):
        raise ChainBroken("consistency proof holds something that is no hash", position=old_size)
