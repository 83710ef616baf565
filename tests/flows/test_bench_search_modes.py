"""Search modes on a picture that only content can place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.attacks import warps
from ftforensics.flows.bench.beside import Previews
from ftforensics.flows.bench.keys import save_book
from ftforensics.flows.bench.paired import PairedSetup
from ftforensics.flows.bench.pictures import load_set
from ftforensics.flows.bench.search_modes import MODES, SearchWorker, suggest
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.known import LazyFeatures


def test_only_content_is_told_where_the_source_lies(model_folder: Path, tmp_path: Path):
    data = pytest.importorskip("skimage.data")
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(data.astronaut()).save(photos / "astronaut.png")
    Image.fromarray(data.coffee()).save(photos / "coffee.png")
    setup = Setup(model=model_folder, work=tmp_path / "work", seed=4, psnr_db=40.0)
    bench, picture = Bench(setup), load_set(photos, None).pictures[0]
    tagged = bench.tag(picture)
    assert tagged is not None
    book = save_book(setup.work, "registry", bench.key, np.array([int(tagged.tag_id, 16)], dtype=np.uint64))
    worker = SearchWorker(PairedSetup(setup=setup, book=book, photographs={}))
    previews = Previews(bench.key.key_id, {tagged.tag_id: picture.path})
    # Farther than any blind search turns a picture, yet features find it.
    turned = warps.rotate(tagged.pixels, 33.0)
    assert suggest(turned, previews.source(tagged.tag_id), LazyFeatures(turned))
    reads = {read.mode: read for read in worker._read_all(turned, previews, tagged.tag_id, "turned")}
    assert set(reads) == set(MODES)
    assert {mode for mode, read in reads.items() if read.right} == {"content", "compared"}
    assert not any(read.wrong for read in reads.values())
    whole = worker._read_all(tagged.pixels, previews, tagged.tag_id, "none")
    assert all(read.right for read in whole)
    # The same reads as of an untagged picture: what is then named is wrong.
    assert all(read.wrong and not read.right for read in worker._read_all(tagged.pixels, previews, tagged.tag_id, None))
