"""What is found beside a preview where nothing is to be found: told by kind of picture, and nothing claimed unread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.codec.words import PackedWords
from ftforensics.engine.reading import TagReader
from ftforensics.engine.ring import build_book
from ftforensics.flows.bench.beside import as_kept
from ftforensics.flows.bench.beside_reads import BesideRead, measure_beside, read_view, summarise_beside
from ftforensics.flows.bench.false_positives import OTHER_KEY, POPULATIONS, UNTAGGED
from ftforensics.flows.bench.pictures import load_set
from ftforensics.flows.bench.setup import Bench, Setup


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, np.ndarray]) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "coffee"):
        Image.fromarray(photographs[name]).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def bench(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Setup(model=model_folder, work=tmp_path_factory.mktemp("work"), seed=3, psnr_db=42.0))


def test_every_kind_is_read_beside_its_source_and_nothing_is_found(bench: Bench, photos: Path):
    advanced: list[int] = []
    results = measure_beside(
        load_set(photos, None), bench.setup, reads=4, records=5000, jobs=1, advance=lambda: advanced.append(1)
    )
    assert len(advanced) == 2
    rows = summarise_beside(results, 5000)
    assert [row["population"] for row in rows] == list(POPULATIONS)
    for row in rows:
        assert (row["pictures"], row["views"], row["wrong"]) == (2, 4, 0)
        assert 0 < row["reads"] <= 4
        assert 0 < row["explained"] <= row["reads"]
        assert 2.0 < row["largest_z"] < row["needed_z"]
        assert row["median_ms"] > 0


def test_a_record_that_is_in_the_picture_would_be_seen(bench: Bench, photos: Path):
    """The measurement is not blind: were the picture's own record among the random ones, it would count as wrong."""
    picture = load_set(photos, None).pictures[0]
    tagged = bench.tag(picture)
    assert tagged is not None
    book = build_book(bench.key, np.array([1, 2, int(tagged.tag_id, 16)], dtype=np.uint64))
    assert isinstance(book.words, PackedWords)
    read = read_view(TagReader(bench.reader, [book]), tagged.pixels, as_kept(picture.path), UNTAGGED)
    assert (read.placed, read.wrong) == (True, True)
    unlike = np.zeros((200, 200, 3), dtype=np.uint8)
    assert not read_view(TagReader(bench.reader, [book]), unlike, as_kept(picture.path), UNTAGGED).placed


def test_what_was_not_placed_is_no_read():
    def read(population: str, placed: bool, wrong: bool, z: float) -> BesideRead:
        return BesideRead(population=population, placed=placed, wrong=wrong, z=z, ms=8.0 if placed else 0.0)

    results = [
        [read(UNTAGGED, True, False, 4.0), read(UNTAGGED, False, False, 0.0), read(OTHER_KEY, False, False, 0.0)],
        [read(UNTAGGED, True, True, 8.0)],
    ]
    (row,) = summarise_beside(results, 1000)
    assert (row["population"], row["pictures"], row["views"], row["reads"], row["wrong"]) == (UNTAGGED, 2, 3, 2, 1)
    assert row["median_ms"] == 8.0
    assert 0.5 < row["wrong_upper"] < 1.0
