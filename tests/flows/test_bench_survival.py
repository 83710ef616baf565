"""Outlines held against masks: the measure, and that they are those of a real examination."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.codec import channel
from ftforensics.codec.carriers import build_sync_carrier, build_tag_planes
from ftforensics.domain.tag import MatchedTag
from ftforensics.engine.reading import TagReader
from ftforensics.engine.ring import build_book
from ftforensics.flows.bench.keys import save_book
from ftforensics.flows.bench.paired import PairedSetup, PairedTask
from ftforensics.flows.bench.pictures import load_set
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.survival import (
    AFTER,
    INTACT,
    NOTHING,
    PASTES,
    PUT_BACK,
    TAGGED_ANEW,
    Outlined,
    SurvivalWorker,
    hold,
    open_source,
    overlap,
    summarise_intact,
    summarise_survival,
)
from ftforensics.flows.bench.tagging import load_exhibit
from ftforensics.flows.comparing import Comparer


@pytest.fixture(scope="module")
def setup(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return Setup(model=model_folder, work=tmp_path_factory.mktemp("work"), seed=4, psnr_db=40.0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(data.astronaut()).save(folder / "astronaut.png")
    Image.fromarray(data.coffee()).save(folder / "coffee.png")
    return folder


def test_overlap_counts_what_is_drawn_and_what_was_pasted():
    truth, drawn = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    truth[:2], drawn[1:3] = True, True
    found = overlap(drawn, truth)
    assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)
    assert found.iou == pytest.approx(1 / 3)
    assert overlap(truth, truth) == overlap(truth.copy(), truth)
    assert overlap(truth, truth).iou == 1.0
    nothing = overlap(np.zeros_like(truth), truth)
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.iou) == (0.0, 0.0, 0.0, 0.0)


def test_a_paste_is_outlined_where_it_is(setup: Setup, photos: Path):
    bench, pictures = Bench(setup), load_set(photos, None).pictures
    tagged = bench.tag(pictures[0])
    assert tagged is not None
    book = save_book(setup.work, "registry", bench.key, np.array([int(tagged.tag_id, 16)], dtype=np.uint64))
    worker = SurvivalWorker(PairedSetup(setup=setup, book=book, photographs={}))
    found = worker(PairedTask(picture=pictures[0], donor=pictures[1]))
    assert found is not None
    intact = [one for one in found if one.paste == NOTHING]
    back = [one for one in found if one.paste == PUT_BACK]
    found = [one for one in found if one.paste in PASTES]
    assert [(one.paste, one.after) for one in found] == [(paste, after) for paste in PASTES for after in AFTER]
    assert [one.after for one in intact] == [*INTACT, TAGGED_ANEW]
    assert all(one.gone_area > 0.02 and one.replaced_area > 0.02 for one in found)
    # Only the tag can tell that the photograph's own content was put back without it.
    assert np.mean([one.gone.f1 for one in back]) > 0.85
    assert np.mean([one.changed.f1 for one in back]) < 0.2
    assert np.mean([one.gone_area for one in intact]) < 0.02
    areas = {row["after"]: row["gone_area"] for row in summarise_intact([intact, None], 1)}
    assert areas == {one.after: pytest.approx(one.gone_area) for one in intact}
    assert all(one.identified for one in found)
    # Drawn blindly, an outline of a third of the picture would reach an F1 of about 0.2.
    assert np.mean([one.changed.f1 for one in found]) > 0.6
    assert np.mean([one.gone.f1 for one in found]) > 0.85
    assert np.mean([one.replaced.f1 for one in found]) > 0.8
    rows = summarise_survival([found + back, None], 1)
    assert len(rows) == len(found) + len(back)
    assert rows[0]["f1"] == pytest.approx(found[0].gone.f1)
    assert rows[0]["pictures"] == 1


def test_an_untouched_picture_has_hardly_a_hole(setup: Setup, photos: Path):
    bench, pictures = Bench(setup), load_set(photos, None).pictures
    tagged = bench.tag(pictures[0])
    assert tagged is not None
    reader = TagReader(bench.reader, [build_book(bench.key, np.array([int(tagged.tag_id, 16)], dtype=np.uint64))])
    sync = build_sync_carrier(bench.reader.card.model_id)
    planes = build_tag_planes(channel.encode(tagged.tag_id, bench.key.channel), bench.key.carriers, sync)
    source = open_source(load_exhibit(pictures[0].path), planes, reader)
    reading = reader.identify(tagged.pixels, reader.residuals([tagged.pixels])[0])
    assert isinstance(reading.outcome, MatchedTag)
    comparer = Comparer(tag_reader=reader, keys=[], localiser=bench.localiser)
    held = hold(comparer, tagged.pixels, reading, reading.outcome, source)
    assert held.lined_up.moved is None
    holes = held.holes
    assert holes is not None
    assert holes.visible.mean() > 0.4
    assert holes.gone.sum() <= 0.02 * holes.visible.sum()
    assert not holes.region.any()


def test_what_is_not_identified_counts_as_nothing():
    nothing = overlap(np.zeros((2, 2), bool), np.ones((2, 2), bool))
    first = next(iter(PASTES))
    lost = Outlined(
        paste=first,
        after=AFTER[0],
        identified=False,
        gone=nothing,
        changed=nothing,
        replaced=nothing,
        visible=0.0,
        gone_area=0.0,
        replaced_area=0.0,
    )
    row = summarise_survival([[lost]], 1)[0]
    assert (row["f1"], row["identified"]) == (0.0, 0.0)
