"""Measurements of pictures one by one, each beside another of the set, against one registry that all workers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftforensics.flows.bench.keys import BookFile, draw_ids, draw_tag_id, save_book
from ftforensics.flows.bench.pictures import BenchPicture, PictureSet
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.workers import collect


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSetup:
    """For one worker; ``photographs`` are those of the set by tag id."""

    setup: Setup
    book: BookFile
    photographs: Mapping[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTask:
    """One picture and the one that regions and collages take from."""

    picture: BenchPicture
    donor: BenchPicture


def measure_paired(
    worker: Callable[[PairedSetup], Callable[[PairedTask], Any]],
    pictures: PictureSet,
    setup: Setup,
    *,
    records: int,
    jobs: int,
    advance: Callable[[], None],
) -> list[Any]:
    """What ``worker`` makes of every picture, in their order.

    Args:
        worker: A class or function of a module, made once in every process.
        pictures: Each gets another of them as its donor.
        setup: Of the measurement.
        records: Of the registry, those of the pictures among them.
        jobs: How many processes.
        advance: Called after each picture.

    Raises:
        FtfError: A picture, the model or the folder for work cannot be used.
    """
    right = [draw_tag_id(setup.seed, picture.sha256) for picture in pictures.pictures]
    book = save_book(setup.work, "registry", Bench(setup).key, draw_ids(setup.seed, records, right))
    tasks = [
        PairedTask(picture=picture, donor=pictures.donor_of(index, setup.seed))
        for index, picture in enumerate(pictures.pictures)
    ]
    photographs = dict(zip(right, (picture.path for picture in pictures.pictures), strict=True))
    return collect(worker, PairedSetup(setup=setup, book=book, photographs=photographs), tasks, jobs, advance)
