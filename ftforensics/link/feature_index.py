"""Look for the source of a part of a picture: a crop, a panel, a face that was cut out.

In: the descriptor blobs of a registry and the features of a suspect. Out: candidate sources, best first. The perceptual
hash (``link.index``) is of the whole picture and says nothing about a part of one; local features are still there. Each
feature's bits are cut into several words, and records that share words with the suspect collect votes: locality-
sensitive hashing in Hamming space (Indyk and Motwani, 1998), rare words counting more. A candidate is worth nothing
until ``register`` confirms it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from ftforensics.errors import LinkError
from ftforensics.link.features import BINS, Features, mirror_features, parse_descriptors

# Of 180 crops to 40 % of the sides, and as many chains of a swap, a crop to 70 % and a small JPEG, of 60 held-out
# pictures among 1,350, sixteen words of 24 bits had the source among the first four for 98.9 % and 95.0 %; eight for
# 98.9 % and 91.7 %, eight of twenty bits with words counted by the inverse root of how many share them for 96.7 % and
# 77.8 %. What the best lack has too little in common with its source to be lined up.
TABLES = 16
WORD_BITS = 24
# With more records than this there are fewer words a feature, so that the index takes no more memory; and so few at
# least.
FULLY_INDEXED = 10_000
FEWEST_TABLES = 4
# A word that so many features share is of a pattern that is everywhere, and is not counted.
COMMON = 500
_SEED = 20_401

Words = NDArray[np.int32]
Owners = NDArray[np.uint16] | NDArray[np.int32]


class FeatureIndex:
    """Words of all features of some records, in memory: 48 KB a record of 500 features, some 150 KB while made.

    That is for up to 10,000 records; up to 20,000 it is half of it, and beyond a quarter.

    Args:
        descriptors: One blob a record, as ``fingerprint.build`` makes them; one that does not parse is never a
            candidate.
    """

    def __init__(self, descriptors: Sequence[bytes]) -> None:
        # One photograph registered many times must neither outvote itself nor make its own words common.
        alike: dict[bytes, list[int]] = {}
        for position, blob in enumerate(descriptors):
            alike.setdefault(blob, []).append(position)
        self._positions = list(alike.values())
        tables = max(FEWEST_TABLES, TABLES >> ceil(log2(max(1.0, len(alike) / FULLY_INDEXED))))
        words = [_words(_bits_of(blob), tables) for blob in alike]
        sizes = [len(each) for each in words]
        self._sizes = np.maximum(np.array(sizes, dtype=np.float64), 1.0)
        owners = np.repeat(np.arange(len(words), dtype=np.int64), sizes)
        all_words = np.concatenate(words) if words else np.zeros((0, tables), np.int32)
        del words
        self._tables = [_sort(all_words[:, table], owners) for table in range(tables)]

    def __len__(self) -> int:
        return sum(map(len, self._positions))

    def nearest(self, suspect: Features, *, limit: int = 4) -> tuple[int, ...]:
        """Candidate sources of a picture or of its mirror image, best first, as positions in the index.

        There are as many as are asked for, if so many share a word with the picture: how far chance goes cannot be told
        from the votes, since most records may show one scene.
        """
        if len(self) == 0 or limit < 1 or len(suspect.bits) == 0:
            return ()
        votes = np.maximum(self._votes(suspect.bits), self._votes(mirror_features(suspect).bits))
        standing = votes / np.sqrt(self._sizes)
        order = np.argsort(-standing, kind="stable")
        chosen = [at for at in order[:limit] if votes[at] > 0.0]
        return tuple([position for at in chosen for position in self._positions[at]][:limit])

    def _votes(self, bits: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Votes (N,) of a suspect's features: a shared word has one, which all features that share it divide."""
        votes = np.zeros(len(self._sizes), dtype=np.float64)
        for (known, owners), words in zip(self._tables, _words(bits, len(self._tables)).T, strict=True):
            first = np.searchsorted(known, words, side="left")
            count = np.searchsorted(known, words, side="right") - first
            told = (count > 0) & (count <= COMMON)
            first, count = first[told], count[told]
            if not len(count):
                continue
            steps = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
            voted = owners[np.repeat(first, count) + steps]
            votes += np.bincount(voted, weights=np.repeat(1.0 / count, count), minlength=len(self._sizes))
        return votes


def _bits_of(blob: bytes) -> NDArray[np.uint8]:
    try:
        return parse_descriptors(blob).bits
    except LinkError:
        return np.zeros((0, BINS // 8), np.uint8)


def _words(bits: NDArray[np.uint8], tables: int) -> Words:
    """The words (n, tables) of features' bits (n, 16)."""
    # Sums below 2^24 are exact in single precision, whose products are much faster than those of integers.
    return np.asarray(np.unpackbits(bits, axis=1).astype(np.float32) @ _weights()[:, :tables], dtype=np.int32)


@lru_cache(maxsize=1)
def _weights() -> NDArray[np.float32]:
    """What each bit adds to the word of each table (128, TABLES); the same in every run."""
    random = np.random.default_rng(_SEED)
    weights = np.zeros((BINS, TABLES), dtype=np.float32)
    for table in range(TABLES):
        weights[random.permutation(BINS)[:WORD_BITS], table] = 2.0 ** np.arange(WORD_BITS)
    return weights


def _sort(words: Words, owners: NDArray[np.int64]) -> tuple[Words, Owners]:
    """Words in ascending order, and whose each is. As one number each, the two sort many times faster than by index."""
    both = np.sort(words.astype(np.int64) << 32 | owners)
    whose = both & 0xFFFFFFFF
    small = len(owners) == 0 or int(owners.max()) <= np.iinfo(np.uint16).max
    return (both >> 32).astype(np.int32), whose.astype(np.uint16) if small else whose.astype(np.int32)
