"""Timing of readers, stages and ceilings: shapes of rows, sums, and pictures of the roofline."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ftforensics.engine.onnx import OnnxReader
from ftforensics.engine.ring import build_book
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench import engine_speed
from ftforensics.flows.bench.engine_speed import STAGES, measure_readers, measure_stages, summarise_readers
from ftforensics.flows.bench.graph_cost import GraphCost
from ftforensics.flows.bench.keys import draw_ids, draw_key
from ftforensics.flows.bench.peers import summarise_peers
from ftforensics.flows.bench.racing import Timing
from ftforensics.flows.bench.roofline import Ceilings, Standing, summarise_roofline
from ftforensics.flows.bench.roofline_plot import render_svg

COST = GraphCost(macs=500, operations=1000, activation_bytes=90, weight_bytes=20, batch=2)


@pytest.fixture(scope="module")
def reader(model_folder: Path) -> OnnxReader:
    return OnnxReader(model_folder, threads=1)


def test_every_reader_is_timed_at_every_batch(reader: OnnxReader) -> None:
    views = np.zeros((2, 128, 128, 3), dtype=np.uint8)
    speeds = measure_readers({"a": reader, "b": reader}, views, rounds=3, batches=(1, 2))
    assert [(speed.engine, speed.batch) for speed in speeds] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    rows = summarise_readers(speeds)
    for row in rows:
        assert 0 < float(str(row["p50_ms"])) <= float(str(row["p95_ms"])) <= float(str(row["p99_ms"]))
        assert row["device_mb"] is None
        assert float(str(row["memory_mb"])) > 20


def test_arrangements_are_compared_with_one_by_one(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_speed, "BATCHES", (1, 2))
    graph = (model_folder / "reader.onnx").read_bytes()
    rows = engine_speed.measure_arrangements(graph, np.zeros((2, 128, 128, 3), dtype=np.uint8), rounds=2)
    assert [(row["batch"], row["threads"], row["sessions"]) for row in rows] == [
        (1, 1, 1),
        (2, 1, 1),
        (1, 2, 1),
        (2, 2, 1),
        (1, 1, 2),
    ]
    assert rows[0]["speed_up"] == 1.0


class Ticking:
    """A clock whose intervals are 1, 2, 3, 4 and 5 ms, over and over."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0

    def __call__(self) -> float:
        self.now += 0.001 * (self.calls % 6)
        self.calls += 1
        return self.now


def test_stages_add_up(tmp_path: Path, reader: OnnxReader) -> None:
    random = np.random.default_rng(1)
    paths = []
    for index in range(2):
        paths.append(tmp_path / f"{index}.jpg")
        Image.fromarray(random.integers(0, 256, (150, 200, 3), dtype=np.uint8)).save(paths[-1])
    key = draw_key(1, "bench", reader.card.model_id)
    rows = measure_stages(paths, reader, build_book(key, draw_ids(1, 50, [])), clock=Ticking())
    assert [row["stage"] for row in rows] == list(STAGES)
    assert [row["ms"] for row in rows] == [pytest.approx(value) for value in (1, 2, 3, 4, 5)]
    assert [row["share"] for row in rows] == [pytest.approx(value / 15) for value in (1, 2, 3, 4, 5)]


def test_a_file_that_is_gone_says_so(tmp_path: Path, reader: OnnxReader) -> None:
    key = draw_key(1, "bench", reader.card.model_id)
    with pytest.raises(EvidenceUnreadable):
        measure_stages([tmp_path / "gone.jpg"], reader, build_book(key, draw_ids(1, 50, [])))


def test_the_roof_is_bandwidth_then_the_peak() -> None:
    ceilings = Ceilings(device="d", precision="fp32", operations_per_s=100.0, bytes_per_s=10.0)
    assert [ceilings.roof(intensity) for intensity in (1.0, 10.0, 50.0)] == [10.0, 100.0, 100.0]
    # 1000 operations and 90 + 20 / 2 bytes a picture.
    standing = Standing(name="n", cost=COST, images_per_s=0.05, ceilings=ceilings)
    assert COST.intensity == 10.0
    assert standing.share == pytest.approx(0.5)
    (row,) = summarise_roofline([standing])
    assert row["share"] == pytest.approx(0.5)
    assert row["device"] == "d, fp32"


def test_half_the_width_is_half_the_bytes() -> None:
    assert COST.at_half_width().bytes_moved == COST.bytes_moved / 2


def test_the_plot_is_an_svg_with_every_name_escaped() -> None:
    ceilings = Ceilings(device="<GPU & friends>", precision="fp16", operations_per_s=1e12, bytes_per_s=1e11)
    standings = [
        Standing(name=name, cost=COST, images_per_s=rate, ceilings=ceilings)
        for name, rate in (("</svg><script>", 1e8), ("other", 1e6))
    ]
    text = render_svg(standings, 'a "title" & more')
    tree = ElementTree.fromstring(text)
    points = tree.findall("{http://www.w3.org/2000/svg}circle")
    assert len(points) == 2
    assert float(points[0].attrib["cy"]) < float(points[1].attrib["cy"])
    assert "<script" not in text
    assert text == render_svg(standings, 'a "title" & more')


def test_peers_are_compared_with_ours() -> None:
    timings = {"ours": Timing(name="ours", rounds_s=(0.01, 0.02)), "theirs": Timing(name="theirs", rounds_s=(0.1, 0.2))}
    ours, theirs = summarise_peers(timings, dict.fromkeys(timings, COST), ours="ours", threads=2, engine="onnx fp32")
    assert (ours["images_per_s"], ours["ratio"]) == (pytest.approx(100.0), None)
    assert (theirs["ratio"], theirs["low"], theirs["high"]) == tuple(pytest.approx(10.0) for _ in range(3))
