"""The measurements on the shipped model: that they tag as ``ftf tag`` does, and count what they say they count."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.cli.main import run_command
from ftforensics.codec import channel
from ftforensics.domain.tag import MatchedTag, TagAbsence
from ftforensics.engine.informed import InformedSettings
from ftforensics.engine.onnx import OnnxEmbedder, OnnxReader
from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.engine.ring import build_book
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench import false_positives, search_modes, verdicts
from ftforensics.flows.bench.false_positives import (
    UNTAGGED,
    FalsePositiveSetup,
    FalsePositiveWorker,
    Outcome,
    draw_views,
    read_direct,
    summarise_false_positives,
)
from ftforensics.flows.bench.keys import draw_ids, draw_key, draw_tag_id, save_book
from ftforensics.flows.bench.pictures import load_set
from ftforensics.flows.bench.results import load_tables
from ftforensics.flows.bench.robustness import judge_reading
from ftforensics.flows.bench.setup import Bench, Setup
from ftforensics.flows.bench.tagging import BenchTagger
from ftforensics.flows.tag import Issuer, Tagger, TagSettings
from ftforensics.store.registry import Registry
from ftforensics.trust.keys import SigningKey

NOW = "2026-05-01T12:00:00Z"
_FALSE_POSITIVES = ["false-positives"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("photos")
    (folder / "people").mkdir()
    (folder / "things").mkdir()
    Image.fromarray(data.astronaut()).save(folder / "people" / "astronaut.jpg", quality=92)
    Image.fromarray(data.coffee()).save(folder / "things" / "coffee.png")
    return folder


@pytest.fixture(scope="module")
def bench(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Setup(model=model_folder, work=tmp_path_factory.mktemp("work"), seed=9, psnr_db=42.0))


@pytest.mark.parametrize("informed", [None, InformedSettings(steps=2)], ids=["plain", "informed"])
@pytest.mark.parametrize("name", ["people/astronaut.jpg", "things/coffee.png"])
def test_pictures_are_tagged_byte_for_byte_as_ftf_tag_does(
    informed: InformedSettings | None, name: str, photos: Path, model_folder: Path, tmp_path: Path
):
    signer = SigningKey.from_seed("issuer", "issuer", b"i" * 32)
    reader = OnnxReader(model_folder)
    key = draw_key(1, "issuer", reader.card.model_id)
    settings = TagSettings(psnr_db=42.0, informed=informed)
    embedder = None if informed is None else OnnxEmbedder(model_folder)
    with Registry.create(tmp_path / "registry.sqlite", "log", signer=signer, at=NOW) as registry:
        tagger = Tagger(
            issuer=Issuer(name="Issuer", signer=signer),
            key=key,
            registry=registry,
            reader=reader,
            embedder=embedder,
            settings=settings,
            now=lambda: NOW,
        )
        tagged = tagger.tag(photos / name, tmp_path / "out" / Path(name).name)
    measured = BenchTagger(key=key, reader=reader, embedder=embedder, settings=settings, work=tmp_path / "kept")
    ours = measured.tag(photos / name, tagged.tag_id)
    assert ours is not None
    assert hashlib.sha256(ours.written.data).hexdigest() == tagged.tagged_sha256
    assert ours.z == tagged.z


def test_a_kept_picture_is_taken_up_again_and_another_strength_is_not(bench: Bench, photos: Path, tmp_path: Path):
    def tagger(psnr_db: float) -> BenchTagger:
        settings = TagSettings(psnr_db=psnr_db, informed=None)
        return BenchTagger(key=bench.key, reader=bench.reader, embedder=None, settings=settings, work=tmp_path)

    first = tagger(42.0).tag(photos / "things/coffee.png", "00" * 8)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = tagger(42.0).tag(photos / "things/coffee.png", "00" * 8)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
    assert first is not None
    assert again is not None
    assert np.array_equal(first.pixels, again.pixels)
    fainter = tagger(43.0).tag(photos / "things/coffee.png", "00" * 8)
    assert fainter is not None
    assert not np.array_equal(first.pixels, fainter.pixels)


def test_a_set_is_the_same_wherever_it_lies_and_names_no_place(photos: Path, tmp_path: Path):
    (tmp_path / "elsewhere" / "people").mkdir(parents=True)
    for name in ("people/astronaut.jpg", "people/copy.jpg", "coffee.png", "note.txt"):
        source = photos / {"people/copy.jpg": "people/astronaut.jpg", "coffee.png": "things/coffee.png"}.get(name, name)
        data = source.read_bytes() if name != "note.txt" else b"no picture"
        (tmp_path / "elsewhere" / name).write_bytes(data)
    here, there = load_set(photos, None), load_set(tmp_path / "elsewhere", None)
    assert here.data.sha256 == there.data.sha256
    assert (there.data.count, there.data.skipped) == (2, 2)
    assert here.data.folders == {"people": 1, "things": 1}
    assert {here.donor_of(index, 1).name for index in range(2)} == {one.name for one in here.pictures}


def test_one_picture_is_too_few(photos: Path):
    with pytest.raises(EvidenceUnreadable):
        load_set(photos / "people", None)


def test_a_registry_holds_the_right_ids_among_random_ones(bench: Bench, tmp_path: Path):
    right = [draw_tag_id(9, name) for name in ("a", "b")]
    ids = draw_ids(9, 5000, right)
    assert ids.size == 5000
    assert {int(tag_id, 16) for tag_id in right} <= set(ids.tolist())
    assert not np.array_equal(ids, draw_ids(10, 5000, right))
    book = save_book(tmp_path, "registry", bench.key, ids).open(bench.key)
    built = build_book(bench.key, ids)
    assert np.array_equal(book.ids, built.ids)
    assert np.array_equal(book.words.halves, built.words.halves)


def test_direct_reads_matched_at_once_are_those_of_the_tag_reader(bench: Bench, photos: Path):
    pictures = load_set(photos, None).pictures
    tagged = bench.tag(pictures[0])
    assert tagged is not None
    views = [tagged.pixels, *draw_views(tagged.pixels, 4, 1, "ab" * 32)]
    registered = build_book(bench.key, draw_ids(1, 3000, [tagged.tag_id]))
    unregistered = build_book(bench.key, draw_ids(1, 3000, []))
    for book in (registered, unregistered):
        reader = TagReader(bench.reader, [book], budget=SearchBudget(mode="direct"))
        residuals = reader.residuals(views)
        batched = read_direct(reader, book, residuals, UNTAGGED, None)
        for view, residual, ours in zip(views, residuals, batched, strict=True):
            outcome = reader.identify(view, residual).outcome
            assert ours.wrong == isinstance(outcome, MatchedTag)
            if isinstance(outcome, MatchedTag):
                assert ours.best_z == pytest.approx(outcome.z, abs=1e-4)
            elif isinstance(outcome, TagAbsence):
                assert ours.best_z == pytest.approx(outcome.best_z, abs=1e-4)
                assert ours.presence == pytest.approx(outcome.presence, abs=1e-4)
                assert ours.present == (outcome.reason == "present_unreadable")
            else:
                assert ours.decoded
    assert read_direct(reader, registered, residuals[:1], UNTAGGED, None)[0].wrong


def test_what_was_read_is_taken_up_again_unless_something_that_it_depends_on_changed(
    bench: Bench, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ids = draw_ids(1, 2000, [])
    picture = load_set(photos, None).pictures[1]

    def worker(views: int) -> FalsePositiveWorker:
        setup = Setup(model=bench.setup.model, work=tmp_path, seed=9, psnr_db=42.0)
        books = [save_book(tmp_path, name, key, ids) for name, key in (("a", bench.key), ("b", bench.other_key))]
        return FalsePositiveWorker(
            FalsePositiveSetup(setup=setup, issuer_book=books[0], other_book=books[1], views=views, blind_views=1)
        )

    monkeypatch.setattr(false_positives, "BATCH", 3)
    first = worker(4)(picture)
    assert sum(one.population == UNTAGGED and one.mode == "direct" for one in first) == 4
    assert sum(one.population == UNTAGGED and one.mode == "blind" for one in first) >= 1
    with monkeypatch.context() as patch:
        patch.setattr(FalsePositiveWorker, "_read_all", lambda *_: pytest.fail("read again"))
        assert worker(4)(picture) == first
        with pytest.raises(pytest.fail.Exception, match="read again"):
            worker(5)(picture)
    assert not list(tmp_path.rglob("*.part"))


def test_another_record_than_the_true_one_is_a_wrong_identity(bench: Bench, photos: Path):
    tagged = bench.tag(load_set(photos, None).pictures[0])
    assert tagged is not None
    book = build_book(bench.key, draw_ids(1, 3000, [tagged.tag_id]))
    reader = TagReader(bench.reader, [book])
    reading = reader.identify(tagged.pixels, reader.residuals([tagged.pixels])[0])
    truth = channel.encode(tagged.tag_id, bench.key.channel)
    right = judge_reading("none", reading, reading.residual, book, tagged.tag_id, truth)
    wrong = judge_reading("none", reading, reading.residual, book, "00" * 8, -truth)
    assert (right.right, right.wrong, right.bits > 0.9) == (True, False, True)
    assert (wrong.right, wrong.wrong) == (False, True)
    assert wrong.bits == pytest.approx(1.0 - right.bits)


def test_false_positives_are_counted_by_kind_and_search():
    def read(mode: str, **seen: bool) -> Outcome:
        flags = {"wrong": False, "decoded": False, "present": False, **seen}
        return Outcome(population=UNTAGGED, mode=mode, best_z=4.0, presence=1.0, sync_peak=None, **flags)

    results = [[read("direct", wrong=True), read("direct")], [read("direct", present=True), read("blind")]]
    direct, blind = summarise_false_positives(results, 1000)
    assert (direct["reads"], direct["pictures"], direct["wrong"], direct["present"]) == (3, 2, 1, 1)
    assert direct["present_pictures"] == 1
    assert (blind["reads"], blind["wrong"], blind["decoded"]) == (1, 0, 0)
    assert blind["wrong_upper"] == pytest.approx(0.95)
    assert blind["needed_z"] > direct["needed_z"]


@pytest.mark.parametrize(
    ("arguments", "tables"),
    [
        (
            ["robustness", "--fast", "--records", "1000"],
            ["message-fast", "robustness-by-folder-fast", "robustness-fast"],
        ),
        (["survival", "--fast", "--records", "1000"], ["survival-fast", "survival-intact-fast"]),
        (["search", "--fast", "--records", "1000"], ["search-fast"]),
        (
            ["false-positives", "--fast", "--records", "1000", "--reads", "10", "--blind-limit", "2"],
            ["false-positives"],
        ),
        (["beside", "--fast", "--records", "1000", "--reads", "4"], ["beside-fast"]),
        (["quality", "--fast"], ["quality-fast"]),
        (["scan", "--records", "1000"], ["scan-speed", "scan-stages"]),
    ],
    ids=lambda value: value[0],
)
def test_a_command_writes_its_tables_and_no_place_of_this_machine(
    arguments: list[str],
    tables: list[str],
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("FTF_HOME", str(tmp_path / "home"))
    # All that is moved, in five modes of which one searches deep, would take half a minute.
    monkeypatch.setattr(search_modes, "MOVED", search_modes.MOVED[:2])
    monkeypatch.setattr(search_modes, "UNTAGGED_VIEWS", 1)
    out = tmp_path / "bench.json"
    shared = ["--images", str(photos), "--jobs", "1", "--seed", "3", "--out", str(out)]
    assert run_command(["bench", *arguments, *shared]) == 0
    made = load_tables(out)
    assert [table.name for table in made] == tables
    for table in made:
        assert table.rows
        assert {key for row in table.rows for key in row} <= {column.key for column in table.columns}
        assert table.command.startswith(f"ftf bench {arguments[0]} --images DIR")
        assert "--seed 3" in table.command
    text = out.read_text()
    assert str(tmp_path) not in text
    assert str(photos) not in text
    assert json.loads(text)["format"] == "ftf-bench"
    assert "| --- |" in capsys.readouterr().out


def test_attackers_attack_a_newsroom_of_their_own(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("FTF_HOME", str(tmp_path / "home"))
    out = tmp_path / "bench.json"
    shared = ["--images", str(photos), "--seed", "3", "--out", str(out), "--psnr", "40"]
    more = ["--fast", "--records", "1000", "--held", "140", "--victims", "1"]
    assert run_command(["bench", "attackers", *shared, *more]) == 0
    made = {table.name: table.rows for table in load_tables(out)}
    assert sorted(made) == ["attackers-carriers", "attackers-forgeries", "attackers-removal", "attackers-retagging"]
    assert [row["held"] for row in made["attackers-carriers"]] == [30, 100, 140, 140]
    assert len(made["attackers-forgeries"]) == 4
    assert all(row["verified"] == 0 for row in made["attackers-forgeries"])
    assert made["attackers-removal"][0]["identified"] == 1.0
    assert made["attackers-retagging"][0]["pictures"] == 1
    assert str(tmp_path) not in out.read_text()
    capsys.readouterr()


def test_verdicts_are_counted_of_pictures_tagged_in_time_and_too_late(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FTF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        verdicts, "CASES", [one for one in verdicts.CASES if "3 %" in one.name or one.name == "nothing"]
    )
    out = tmp_path / "bench.json"
    arguments = ["--images", str(photos), "--fast", "--records", "1000", "--seed", "3", "--out", str(out)]
    assert run_command(["bench", "verdicts", *arguments]) == 0
    made = {table.name: {row["case"]: row for row in table.rows} for table in load_tables(out)}
    in_time, late = made["verdicts-fast"], made["verdicts-late-fast"]
    assert in_time["nothing"]["verdicts"] == "VERIFIED_MATCH 2"
    moved = {"moved all over, 3 %", "a face moved, 3 %"}
    assert set(in_time) == moved | {"nothing"}
    assert set(late) == moved
    for name in moved:
        assert in_time[name]["pictures"] == late[name]["pictures"] == 2
        assert in_time[name]["suspected"] == 0.0
        assert in_time[name]["least"] > late[name]["most"]
    assert late["moved all over, 3 %"]["verified"] == 0
    assert str(photos) not in out.read_text()
