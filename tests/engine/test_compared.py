"""Reading beside a record's preview: what it reads that the picture alone does not, and what it must not believe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from ftforensics.codec.carriers import build_tag_planes
from ftforensics.codec.channel import encode
from ftforensics.domain.tag import LINK_E_LIMIT, MatchedTag, TagAbsence
from ftforensics.engine.compared import KnownSource, read_beside
from ftforensics.engine.hints import Hints
from ftforensics.engine.onnx import OnnxPairReader, OnnxReader, run_padded
from ftforensics.engine.reading import Reading, SearchBudget, TagReader
from ftforensics.engine.ring import RingKey, build_book
from ftforensics.engine.search import NOMINEES
from ftforensics.engine.tries import Nominee
from ftforensics.errors import EngineError
from ftforensics.imaging import geometry
from ftforensics.imaging.resample import fit_within, resize

Pixels = np.ndarray
Photographs = dict[str, Pixels]
Tag = Callable[..., Pixels]

IDS = np.random.default_rng(1).integers(0, 2**64, 2000, dtype=np.uint64)
OURS, OTHER = f"{int(IDS[5]):016x}", f"{int(IDS[9]):016x}"
KEY = "carrier:ours"


@pytest.fixture(scope="module")
def blind(onnx_reader: OnnxReader, ring_key: RingKey) -> TagReader:
    return TagReader(onnx_reader, [build_book(ring_key, IDS)])


@pytest.fixture(scope="module", params=["as shipped", "without a pair reader"])
def content(
    onnx_reader: OnnxReader, pair_reader: OnnxPairReader, blind: TagReader, request: pytest.FixtureRequest
) -> TagReader:
    """Without the blind search, which takes its time and finds nothing in these pictures."""
    pairs = pair_reader if request.param == "as shipped" else None
    return TagReader(onnx_reader, blind.books, pairs=pairs, budget=SearchBudget(mode="content"))


def crop(picture: Pixels, left: float, top: float, share: float) -> tuple[Pixels, geometry.Affine]:
    """A part of a picture, and the frame of the whole in it."""
    height, width = picture.shape[:2]
    x0, y0, across, down = round(left * width), round(top * height), round(share * width), round(share * height)
    frame = np.array([[width / across, 0.0, -x0 / across], [0.0, height / down, -y0 / down]])
    return np.ascontiguousarray(picture[y0 : y0 + down, x0 : x0 + across]), frame


def source_of(picture: Pixels, frame: geometry.Affine, tag_id: str = OURS, key_id: str = KEY) -> KnownSource:
    return KnownSource(tag_id=tag_id, carrier_key_id=key_id, preview=fit_within(picture, 512), frame=frame)


def read(tag_reader: TagReader, picture: Pixels, sources: Iterable[KnownSource]) -> Reading:
    return tag_reader.identify(picture, tag_reader.residuals([picture])[0], Hints(recall=lambda _, __: sources))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_a_small_crop_is_read_beside_its_source_only(
    name: str, blind: TagReader, content: TagReader, photographs: Photographs, tag: Tag
) -> None:
    picture, frame = crop(tag(photographs[name], OURS, 44.0), 0.18, 0.12, 0.4)
    assert isinstance(read(blind, picture, []).outcome, TagAbsence)
    reading = read(content, picture, [source_of(photographs[name], frame)])
    outcome = reading.outcome
    assert isinstance(outcome, MatchedTag)
    assert (outcome.tag_id, outcome.carrier_key_id, outcome.geometry.mode) == (OURS, KEY, "compared")
    assert outcome.e_case <= LINK_E_LIMIT
    assert outcome.hypotheses == 4
    assert np.allclose(outcome.geometry.matrix, frame.ravel())
    assert 0 < outcome.runner_up_z < outcome.z
    assert reading.residual.shape == (3, 64, 64)
    assert read(content, picture, [source_of(photographs[name], frame)]).outcome == outcome


def test_an_untagged_picture_beside_its_own_source_shows_nothing(content: TagReader, photographs: Photographs) -> None:
    for name, whole in photographs.items():
        picture, frame = crop(whole, 0.1, 0.1, 0.7)
        outcome = read(content, picture, [source_of(whole, frame)]).outcome
        assert isinstance(outcome, TagAbsence), name


def test_only_the_record_whose_source_it_is_may_match(content: TagReader, photographs: Photographs, tag: Tag) -> None:
    """Beside the preview of another record of the same photograph, the tag that is there speaks for its own record."""
    picture, frame = crop(tag(photographs["chelsea"], OURS, 44.0), 0.18, 0.12, 0.4)
    for wrong in ({"tag_id": OTHER}, {"key_id": "carrier:theirs"}):
        assert isinstance(
            read(content, picture, [source_of(photographs["chelsea"], frame, **wrong)]).outcome, TagAbsence
        )
    sources = [source_of(photographs["chelsea"], frame, tag_id=OTHER), source_of(photographs["chelsea"], frame)]
    outcome = read(content, picture, sources).outcome
    assert isinstance(outcome, MatchedTag)
    assert outcome.tag_id == OURS


def test_it_is_the_own_source_that_helps(content: TagReader, photographs: Photographs, tag: Tag) -> None:
    picture, frame = crop(tag(photographs["chelsea"], OURS, 44.0), 0.18, 0.12, 0.4)
    own, other = (
        read(content, picture, [source_of(photographs[name], frame)]).outcome for name in ("chelsea", "coffee")
    )
    assert isinstance(own, MatchedTag)
    # The frame alone may be enough to read a tag that is there; the wrong preview adds nothing to it.
    assert isinstance(other, TagAbsence) or other.z < own.z - 2.0


def test_nobody_is_asked_while_the_picture_speaks_for_itself(
    blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    def unwanted(_: object, __: object) -> Sequence[KnownSource]:
        raise AssertionError("sources were asked for without need")

    picture = tag(photographs["coffee"], OURS)
    reading = blind.identify(picture, blind.residuals([picture])[0], Hints(recall=unwanted))
    assert isinstance(reading.outcome, MatchedTag)
    assert reading.outcome.geometry.mode == "direct"


def test_a_direct_budget_compares_with_nothing(
    onnx_reader: OnnxReader, blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    direct = TagReader(onnx_reader, blind.books, budget=SearchBudget(mode="direct"))
    picture, frame = crop(tag(photographs["coffee"], OURS, 44.0), 0.18, 0.12, 0.4)
    assert isinstance(read(direct, picture, [source_of(photographs["coffee"], frame)]).outcome, TagAbsence)


def test_the_records_that_came_nearest_are_nominated_best_first(
    blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    asked: list[Sequence[Nominee]] = []

    def recall(nominees: Sequence[Nominee] | None, panels: Sequence[geometry.Rectangle]) -> Sequence[KnownSource]:
        assert nominees is not None
        assert panels == []
        asked.append(nominees)
        return []

    picture, _ = crop(tag(photographs["coffee"], OURS, 44.0), 0.36, 0.3, 0.4)
    reading = blind.identify(picture, blind.residuals([picture])[0], Hints(recall=recall))
    assert isinstance(reading.outcome, TagAbsence)
    (nominees,) = asked
    assert 1 < len(nominees) <= NOMINEES
    assert len({nominee.tag_id for nominee in nominees}) == len(nominees)
    assert [nominee.z for nominee in nominees] == sorted((nominee.z for nominee in nominees), reverse=True)
    assert nominees[0].z == reading.outcome.best_z
    assert nominees[0].tag_id == OURS, "a carrier that shows nominates its own record although it does not convince"


def test_more_pictures_in_a_case_ask_more_of_a_read_beside_a_source_too(
    onnx_reader: OnnxReader, content: TagReader, photographs: Photographs, tag: Tag
) -> None:
    picture, frame = crop(tag(photographs["chelsea"], OURS, 44.0), 0.18, 0.12, 0.4)
    sources = [source_of(photographs["chelsea"], frame)]
    alone = read(content, picture, sources).outcome
    assert isinstance(alone, MatchedTag)
    pictures = int(2e-6 / alone.e_value)
    many = TagReader(onnx_reader, content.books, pairs=content.pairs, pictures_in_case=pictures, budget=content.budget)
    assert isinstance(read(many, picture, sources).outcome, TagAbsence)


def test_the_message_is_read_from_the_mean_of_both_views(photographs: Photographs) -> None:
    views: list[Pixels] = []

    def reads(pictures: Sequence[Pixels]) -> np.ndarray:
        views[:] = pictures
        return np.stack([np.full((3, 64, 64), value, np.float32) for value in (1.0, 3.0)])

    picture = photographs["coffee"]
    source = source_of(picture, geometry.IDENTITY)
    for preview in (source.preview, (source.preview // 2).astype(np.uint8)):
        beside = read_beside(picture, replace(source, preview=preview), reads, 128)
        assert np.all(beside.residual == 1.0), "where the tag is left follows from the picture alone"
        as_it_is, plain = views
        assert as_it_is.shape == plain.shape == (128, 128, 3)
        assert as_it_is.std() > 30.0
        # The picture less its source is plain grey, however dark the source is kept.
        assert abs(float(plain.mean()) - 127.5) < 1.0
        assert plain.std() < 3.0
        assert beside.message.shape == (3, 64, 64)
        assert 1.8 < beside.message.min() <= beside.message.max() < 2.01


def test_what_was_replaced_does_not_count(photographs: Photographs) -> None:
    """Beside a source, a map that says nothing but where content was replaced says nothing at all."""
    picture = photographs["astronaut"].copy()
    picture[:, :256] = photographs["coffee"][:400, 100:356][:, :, :].repeat(2, axis=0)[: picture.shape[0]]
    source = source_of(photographs["astronaut"], geometry.IDENTITY)
    beside = read_beside(picture, source, lambda views: np.ones((len(views), 3, 64, 64), np.float32), 128)
    assert beside.message[:, :, 36:].mean() > 0.95
    assert beside.message[:, :, :28].mean() < 0.4


def test_a_pair_reader_that_computes_nonsense_stops_the_run(
    onnx_reader: OnnxReader, blind: TagReader, photographs: Photographs
) -> None:
    class Nonsense:
        sha256 = "0" * 64
        simulator_sha256 = regenerate = None

        def read(self, pairs: np.ndarray) -> np.ndarray:
            return np.full((len(pairs), 3, 64, 64), np.nan, np.float32)

    tag_reader = TagReader(onnx_reader, blind.books, pairs=Nonsense(), budget=SearchBudget(mode="content"))
    picture, frame = crop(photographs["coffee"], 0.1, 0.1, 0.7)
    with pytest.raises(EngineError, match="values that are no numbers: pair reader"):
        read(tag_reader, picture, [source_of(photographs["coffee"], frame)])


class Without:
    """The pair reader, its model having no generator."""

    simulator_sha256 = regenerate = None

    def __init__(self, pairs: OnnxPairReader) -> None:
        self.sha256, self.read = pairs.sha256, pairs.read


def test_a_regenerated_picture_reads_better_where_the_generator_is_at_hand(
    onnx_reader: OnnxReader, blind: TagReader, pair_reader: OnnxPairReader, photographs: Photographs, tag: Tag
) -> None:
    assert pair_reader.regenerate is not None
    picture = pair_reader.regenerate(tag(fit_within(photographs["astronaut"], 512), OURS, 47.0))
    source = source_of(photographs["astronaut"], geometry.IDENTITY)
    read = {}
    for name, pairs in (("with", pair_reader), ("without", Without(pair_reader))):
        _, found = TagReader(onnx_reader, blind.books, pairs=pairs).compare(picture, source)
        read[name] = max((match.z for match in found if match.tag_id == OURS), default=0.0)
    assert read["with"] > read["without"] + 0.5


def test_a_generator_that_computes_nonsense_is_not_read_on() -> None:
    with pytest.raises(EngineError, match="a generator gave values that are no numbers"):
        run_padded(np.zeros((20, 30, 3), np.uint8), lambda batch: batch * np.float32(np.nan))


def test_nothing_beyond_its_panel_is_seen_of_a_source(content: TagReader, photographs: Photographs, tag: Tag) -> None:
    """A crop in a panel: its frame reaches into what lies beside it, which is another picture."""
    part, frame = crop(tag(photographs["chelsea"], OURS, 44.0), 0.18, 0.12, 0.4)
    other = photographs["coffee"][: part.shape[0], : part.shape[1]]
    picture = np.concatenate([part, other], axis=1)
    panel = (0.0, 0.0, 0.5, 1.0)
    placed = replace(source_of(photographs["chelsea"], geometry.compose(geometry.upright(panel), frame)), within=panel)
    alone = content.compare(part, source_of(photographs["chelsea"], frame))[0]
    there, matches = content.compare(picture, placed)
    assert np.abs(there.residual - alone.residual).max() < 0.02
    assert there.message is not None
    assert alone.message is not None
    assert np.abs(there.message - alone.message).max() < 0.02
    assert matches[0].tag_id == OURS
    assert there.region == panel == placed.region


def test_panels_in_which_nothing_was_found_are_read_beside_their_sources(
    blind: TagReader, content: TagReader, photographs: Photographs, tag: Tag
) -> None:
    """One panel speaks for itself, the other is a small crop: only sources that lie in panels are asked for."""
    whole = tag(photographs["coffee"], OTHER)
    part, frame = crop(tag(photographs["chelsea"], OURS, 44.0), 0.18, 0.12, 0.4)
    height, width = 400, 600
    sheet = np.full((height, 2 * width + 20, 3), 255, np.uint8)
    sheet[:, :width] = resize(whole, width, height)
    sheet[:, width + 20 :] = resize(part, width, height)
    panel = ((width + 20) / sheet.shape[1], 0.0, 1.0, 1.0)
    asked: list[object] = []

    def recall(nominees: Sequence[Nominee] | None, panels: Sequence[geometry.Rectangle]) -> Sequence[KnownSource]:
        asked.append(nominees)
        (free,) = (one for one in panels if np.allclose(one, panel, atol=0.01))
        found = geometry.compose(geometry.upright(free), frame)
        return [replace(source_of(photographs["chelsea"], found), within=free)]

    searched = TagReader(blind.reader, blind.books, pairs=content.pairs)
    reading = searched.identify(sheet, searched.residuals([sheet])[0], Hints(recall=recall))
    assert asked == [None]
    assert isinstance(reading.outcome, MatchedTag)
    readings = {one.outcome.tag_id: one for one in (reading, *reading.elsewhere)}  # type: ignore[union-attr]
    assert readings.keys() == {OURS, OTHER}
    assert readings[OURS].outcome.geometry.mode == "compared"  # type: ignore[union-attr]
    assert np.allclose(readings[OURS].region, panel, atol=0.01)


def test_where_a_tag_is_left_is_read_from_the_picture_alone(
    content: TagReader, ring_key: RingKey, photographs: Photographs, tag: Tag
) -> None:
    """A tag that was laid over the picture after a region had been replaced is there too, whatever the source shows."""
    source, fake = photographs["coffee"], photographs["coffee"].copy()
    fake[100:300, 200:400] = photographs["chelsea"][50:250, 100:300]
    tried, _ = content.compare(tag(fake, OURS), source_of(source, geometry.IDENTITY))
    expected = build_tag_planes(encode(OURS, ring_key.channel), ring_key.carriers, content.sync)
    inside = (slice(None), slice(20, 44), slice(25, 39))

    def likeness(residual: np.ndarray) -> float:
        one, other = residual[inside].ravel(), expected[inside].ravel()
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    assert likeness(tried.residual) > 0.35
    assert np.array_equal(tried.residual, content.residuals([tag(fake, OURS)])[0])
    assert tried.message is not None
    assert np.abs(tried.message[inside]).mean() < 0.7 * np.abs(tried.residual[inside]).mean()
