"""Carrier keys and registries of a measurement, all drawn from one seed.

The registry holds the ids of the tagged pictures among random ones, up to the wanted number of records. Its code words
are built once, kept in a file and shared by all workers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ftforensics.codec.words import PackedWords
from ftforensics.engine.ring import Book, RingKey, build_book, build_ring_key
from ftforensics.errors import WriteFailed
from ftforensics.trust.keys import CarrierKey


def draw_key(seed: int, label: str, model_id: str) -> RingKey:
    """A carrier key of the measurement; other labels give unrelated keys."""
    secret = hashlib.sha256(f"ftf bench {seed} {label}".encode()).digest()
    key = CarrierKey.from_secret("bench", secret)
    return build_ring_key(key.key_id, key.derive, model_id)


def draw_tag_id(seed: int, picture_sha256: str) -> str:
    """The tag id of a picture: random, and the same whatever other pictures there are."""
    return hashlib.sha256(f"ftf bench tag {seed} {picture_sha256}".encode()).hexdigest()[:16]


def draw_ids(seed: int, records: int, right: list[str]) -> NDArray[np.uint64]:
    """Ids (records,) of a registry: the right ones and, for the rest, one draw of random ones, sorted."""
    wanted = np.array([int(tag_id, 16) for tag_id in right], dtype=np.uint64)
    random = np.random.default_rng([seed, 1])
    filler = np.setdiff1d(random.integers(0, 2**64, records, dtype=np.uint64, endpoint=False), wanted)
    filler = random.permutation(filler)[: max(0, records - wanted.size)]
    return np.unique(np.concatenate([wanted, filler]))


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFile:
    """A registry's code words on disk, small enough to hand to workers."""

    label: str
    ids_path: Path
    words_path: Path

    def open(self, key: RingKey) -> Book:
        """The book, its words shared with other processes."""
        ids = np.load(self.ids_path)
        return Book(key=key, ids=ids, words=PackedWords(np.asarray(np.load(self.words_path, mmap_mode="r"))))


def save_book(work: Path, label: str, key: RingKey, ids: NDArray[np.uint64]) -> BookFile:
    """Build the code words of all ids under a key, unless this very book is there already.

    Raises:
        WriteFailed: Disk full or not permitted.
    """
    digest = hashlib.sha256(key.key_id.encode() + ids.tobytes() + key.channel.mask.tobytes()).hexdigest()[:24]
    book = BookFile(label=label, ids_path=work / f"{digest}.ids.npy", words_path=work / f"{digest}.packed.npy")
    try:
        work.mkdir(parents=True, exist_ok=True)
        if not book.words_path.exists():
            built = build_book(key, ids)
            np.save(book.ids_path, built.ids)
            partial = work / f"{digest}.part.npy"
            np.save(partial, built.words.halves)
            partial.replace(book.words_path)
    except OSError as exc:
        raise WriteFailed(
            f"the registry's code words cannot be written ({exc.strerror})", subject=str(work), remedy="free some space"
        ) from exc
    return book
