"""The pictures that are measured on: found, hashed, and told apart by name and content.

Enters: a folder. Leaves: taggable photographs in name order. Nothing of where the folder lies gets out.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ftforensics.errors import EvidenceError, EvidenceUnreadable
from ftforensics.flows.bench.results import DataInfo
from ftforensics.flows.tag import SMALLEST_PX
from ftforensics.media.container import load_photo
from ftforensics.media.walk import walk_evidence

# The share that training keeps back.
HELD_OUT_SHARE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPicture:
    """One photograph; ``name`` is its place in the folder, ``folder`` the first part of it, or ""."""

    name: str
    folder: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSet:
    """The pictures of a run. ``donor_of`` pairs each with another."""

    pictures: tuple[BenchPicture, ...]
    data: DataInfo

    def donor_of(self, index: int, seed: int) -> BenchPicture:
        """Another picture of the set, by draw; the same for the same seed and set."""
        random = np.random.default_rng([seed, int(self.pictures[index].sha256[:12], 16)])
        other = int(random.integers(0, len(self.pictures) - 1))
        return self.pictures[other if other < index else other + 1]


def load_set(folder: Path, limit: int | None) -> PictureSet:
    """All photographs of a folder and its sub-folders that ``ftf tag`` takes, or ``limit`` of them, evenly spread.

    Files that are no such photographs, and copies of one already in the set, are counted as skipped.

    Raises:
        EvidenceUnreadable: There are fewer than two, or no such folder.
    """
    if not os.path.lexists(folder):
        raise EvidenceUnreadable("there are no photographs to measure on", subject=str(folder), remedy="check the path")
    found: dict[str, BenchPicture] = {}
    skipped = 0
    for path in walk_evidence([folder]):
        picture = None if path.failure is not None else _open(path.path, Path(os.fsdecode(path.full)))
        if picture is None or picture.sha256 in found:
            skipped += 1
        else:
            found[picture.sha256] = picture
    pictures = list(found.values())
    if limit is not None and limit < len(pictures):
        pictures = [pictures[int(at)] for at in np.linspace(0, len(pictures) - 1, limit).round()]
    if len(pictures) < 2:
        raise EvidenceUnreadable(
            "a measurement needs two photographs at least", subject=str(folder), remedy="name another folder"
        )
    return PictureSet(pictures=tuple(pictures), data=_describe(pictures, skipped))


def split_held_out(pictures: PictureSet, share: float = HELD_OUT_SHARE) -> tuple[PictureSet, PictureSet]:
    """The set without the last part of each folder, in name order, and that part: as training keeps pictures back.

    Raises:
        EvidenceUnreadable: One of the two would hold fewer than two photographs.
    """
    by_folder: dict[str, list[BenchPicture]] = {}
    for picture in sorted(pictures.pictures, key=lambda picture: picture.name):
        by_folder.setdefault(picture.folder, []).append(picture)
    parts: tuple[list[BenchPicture], list[BenchPicture]] = ([], [])
    for found in by_folder.values():
        cut = len(found) - round(len(found) * share)
        parts[0].extend(found[:cut])
        parts[1].extend(found[cut:])
    if min(len(part) for part in parts) < 2:
        raise EvidenceUnreadable(
            "too few photographs to keep some back", remedy="name a folder with twenty or more of them"
        )
    first, last = (PictureSet(pictures=tuple(part), data=_describe(part, 0)) for part in parts)
    return first, last


def _open(name: str, path: Path) -> BenchPicture | None:
    try:
        photo = load_photo(path)
    except EvidenceError:
        return None
    if min(photo.pixels.shape[:2]) < SMALLEST_PX:
        return None
    folder = name.split("/", 1)[0] if "/" in name else ""
    return BenchPicture(name=name, folder=folder, path=path, sha256=photo.sha256)


def _describe(pictures: list[BenchPicture], skipped: int) -> DataInfo:
    lines = "".join(f"{sha256}\n" for sha256 in sorted(picture.sha256 for picture in pictures))
    folders: dict[str, int] = {}
    for picture in pictures:
        folders[picture.folder] = folders.get(picture.folder, 0) + 1
    return DataInfo(
        count=len(pictures), sha256=hashlib.sha256(lines.encode()).hexdigest(), folders=folders, skipped=skipped
    )
