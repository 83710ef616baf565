"""Look for the source of a picture by content, when no tag leads to it.

In: the perceptual hashes of a registry and of a suspect. Out: candidate leads, nearest first. A lead is worth nothing
until ``register`` confirms it: 64 bits of coarse layout are shared by many unrelated pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftforensics.errors import LinkError
from ftforensics.link.fingerprint import phash_pair

MAX_DISTANCE_BITS = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A record whose hash is near. ``position`` is its place in the index; ``mirrored``: the mirror image is nearer."""

    tag_id: str
    position: int
    distance_bits: int
    mirrored: bool


class ContentIndex:
    """All perceptual hashes of a registry, in memory (8 bytes a record).

    Args:
        tag_ids: One id a record.
        phashes: uint64 (N,), in the same order.

    Raises:
        LinkError: The two do not have the same length.
    """

    def __init__(self, tag_ids: Sequence[str], phashes: NDArray[np.uint64]) -> None:
        if len(tag_ids) != len(phashes):
            raise LinkError(f"A content index got {len(tag_ids)} ids for {len(phashes)} hashes")
        self._tag_ids = tag_ids
        self._phashes = np.ascontiguousarray(phashes, np.uint64)

    def __len__(self) -> int:
        return len(self._phashes)

    def nearest(
        self, pixels: NDArray[np.uint8], *, limit: int = 8, max_distance_bits: int = MAX_DISTANCE_BITS
    ) -> tuple[Lead, ...]:
        """Candidate sources of a picture or of its mirror image, nearest first, ties in index order.

        Args:
            pixels: uint8 (H, W, 3).
            limit: Most leads to return.
            max_distance_bits: 0..64; unrelated pictures lie around 32.

        Returns:
            Leads, to be confirmed by ``register``; the hash alone does not establish kinship.
        """
        if len(self._phashes) == 0 or limit < 1:
            return ()
        plain, mirror = (_distances(self._phashes, value) for value in phash_pair(pixels))
        best = np.minimum(plain, mirror)
        near = np.flatnonzero(best <= max_distance_bits)
        order = near[np.argsort(best[near], kind="stable")][:limit]
        return tuple(
            Lead(
                tag_id=self._tag_ids[int(i)],
                position=int(i),
                distance_bits=int(best[i]),
                mirrored=bool(mirror[i] < plain[i]),
            )
            for i in order
        )


def _distances(phashes: NDArray[np.uint64], value: int) -> NDArray[np.uint8]:
    return np.asarray(np.bitwise_count(phashes ^ np.uint64(value)), dtype=np.uint8)
