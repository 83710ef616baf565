"""From a picture to an identification, end to end with the shipped model: plain embedding at 38 dB, no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from ftforensics.attacks import capture, handling, regions, warps
from ftforensics.attacks.collage import collage_of_four, cover
from ftforensics.codec import channel
from ftforensics.codec.blind import chance_words
from ftforensics.codec.carriers import build_tag_planes
from ftforensics.domain.tag import LINK_E_LIMIT, DecodedTag, MatchedTag, SearchMode, TagAbsence
from ftforensics.engine.hints import NO_HINTS, Hints
from ftforensics.engine.matcher import Matcher
from ftforensics.engine.onnx import OnnxReader
from ftforensics.engine.reading import Reading, SearchBudget, TagReader, soft_bits
from ftforensics.engine.ring import Book, RingKey, build_book
from ftforensics.engine.search import PictureSearch
from ftforensics.engine.sync import SyncSearch
from ftforensics.engine.tries import Candidate, Try
from ftforensics.errors import EngineError
from ftforensics.imaging import geometry

Pixels = np.ndarray
Photographs = dict[str, Pixels]
Tag = Callable[..., Pixels]

IDS = np.random.default_rng(1).integers(0, 2**64, 2000, dtype=np.uint64)
OURS, THEIRS = f"{int(IDS[5]):016x}", f"{int(IDS[9]):016x}"
NONE = np.empty(0, dtype=np.uint64)
NAMES = ["astronaut", "chelsea", "coffee", "rocket"]
CORNERS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]).T


@pytest.fixture(scope="module")
def reader(model_folder: Path) -> OnnxReader:
    """The shipped model with thresholds of its own, so that these tests do not move with a calibration."""
    made = OnnxReader(model_folder, threads=1)
    made.card = replace(made.card, presence_threshold=12.0, sync_threshold=14.0)
    return made


@pytest.fixture(scope="module")
def book(ring_key: RingKey) -> Book:
    return build_book(ring_key, IDS)


@pytest.fixture(scope="module")
def blind(reader: OnnxReader, book: Book) -> TagReader:
    return TagReader(reader, [book])


def read(tag_reader: TagReader, picture: Pixels, frames: Sequence[geometry.Affine] = ()) -> Reading:
    return tag_reader.identify(picture, tag_reader.residuals([picture])[0], Hints(suggest=lambda: frames))


def matched(reading: Reading, mode: SearchMode) -> MatchedTag:
    """The match, checked for what every match must be."""
    outcome = reading.outcome
    assert isinstance(outcome, MatchedTag)
    assert outcome.tag_id == OURS
    assert outcome.carrier_key_id == "carrier:ours"
    assert outcome.geometry.mode == mode
    assert outcome.e_case <= LINK_E_LIMIT
    assert 0 < outcome.runner_up_z < outcome.z <= np.sqrt(128)
    assert outcome.bit_agreement > 0.8
    assert reading.presence > 8.0
    assert reading.residual.shape == (3, 64, 64)
    return outcome


@pytest.mark.parametrize("name", NAMES)
def test_the_right_record_is_read_directly(name: str, blind: TagReader, photographs: Photographs, tag: Tag) -> None:
    reading = read(blind, tag(photographs[name], OURS))
    outcome = matched(reading, "direct")
    assert outcome.records == len(IDS)
    assert outcome.symbols_corrected is not None
    assert outcome.geometry.matrix == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    assert reading.hypotheses_tried == 1
    assert reading.sync_peak is None
    assert reading.others == ()


@pytest.mark.parametrize("name", NAMES)
def test_an_untagged_picture_is_a_typed_absence(
    name: str, blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    reading = read(blind, photographs[name])
    outcome = reading.outcome
    assert isinstance(outcome, TagAbsence)
    assert outcome.best_z is not None
    assert outcome.best_z < 6.5
    assert reading.sync_peak is not None
    # After a search for the strongest frame it still shows less than the same picture tagged shows at once.
    tagged = blind.residuals([tag(photographs[name], OURS)])[0]
    assert outcome.presence < blind.presence(tagged) - 2.0


@pytest.mark.parametrize("name", NAMES)
def test_read_directly_an_untagged_picture_shows_nothing(
    name: str, reader: OnnxReader, book: Book, photographs: Photographs
) -> None:
    outcome = read(TagReader(reader, [book], budget=SearchBudget(mode="direct")), photographs[name]).outcome
    assert isinstance(outcome, TagAbsence)
    assert outcome.reason == "not_present"
    assert outcome.presence < 12.0


class Broken:
    """A backend that computes one value for everything, as an overflowing or failing device does."""

    def __init__(self, sound: OnnxReader, value: float) -> None:
        self.card, self.backend, self.precision = sound.card, "broken", "fp16"
        self.engine_sha256, self.value = None, value

    def read(self, pictures: Pixels) -> np.ndarray:
        return np.full((len(pictures), 3, 64, 64), self.value, dtype=np.float32)

    def close(self) -> None:
        """Nothing to give back."""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_backend_that_computes_nonsense_stops_the_run(
    value: float, reader: OnnxReader, book: Book, photographs: Photographs
) -> None:
    with pytest.raises(EngineError, match="no numbers"):
        read(TagReader(Broken(reader, value), [book]), photographs["coffee"])


@pytest.mark.parametrize("mode", ["direct", "blind", "deep"])
def test_a_reader_that_sees_nothing_gives_no_tag(
    mode: SearchMode, reader: OnnxReader, book: Book, photographs: Photographs
) -> None:
    tag_reader = TagReader(Broken(reader, 0.0), [book], budget=SearchBudget(mode=mode))
    outcome = read(tag_reader, photographs["coffee"]).outcome
    assert isinstance(outcome, TagAbsence)
    assert (outcome.reason, outcome.presence) == ("not_present", 0.0)


@pytest.mark.parametrize("level", [0, 64, 128, 200, 255])
def test_a_plain_fill_shows_no_sign_of_a_tag(level: int, model_folder: Path, book: Book) -> None:
    shipped = TagReader(OnnxReader(model_folder, threads=1), [book])
    outcome = read(shipped, np.full((300, 400, 3), level, dtype=np.uint8)).outcome
    assert isinstance(outcome, TagAbsence)
    assert outcome.reason == "not_present"


def test_a_wrong_key_reads_nothing_and_says_that_something_is_there(
    reader: OnnxReader, other_key: RingKey, photographs: Photographs, tag: Tag
) -> None:
    outcome = read(TagReader(reader, [build_book(other_key, IDS)]), tag(photographs["coffee"], OURS)).outcome
    assert isinstance(outcome, TagAbsence)
    assert outcome.reason == "present_unreadable"
    assert outcome.presence > 10.0
    assert outcome.best_z is not None
    assert outcome.best_z < 6.5


def test_without_any_key_the_tag_is_seen_and_the_key_is_missed(
    reader: OnnxReader, photographs: Photographs, tag: Tag
) -> None:
    keyless = TagReader(reader, [], budget=SearchBudget(mode="direct"))
    outcome = read(keyless, tag(photographs["coffee"], OURS)).outcome
    assert isinstance(outcome, TagAbsence)
    assert outcome.reason == "no_carrier_key"
    assert outcome.best_z is None
    untagged = read(keyless, photographs["coffee"]).outcome
    assert isinstance(untagged, TagAbsence)
    assert untagged.reason == "not_present"


def test_the_right_key_of_a_ring_is_named(
    reader: OnnxReader, book: Book, other_key: RingKey, photographs: Photographs, tag: Tag
) -> None:
    ring = TagReader(reader, [build_book(other_key, IDS), book])
    reading = read(ring, tag(photographs["chelsea"], OURS))
    assert matched(reading, "direct").records == 2 * len(IDS)
    assert reading.others == ()


def test_two_tags_under_two_keys_are_both_reported(
    reader: OnnxReader, book: Book, other_key: RingKey, photographs: Photographs, tag: Tag
) -> None:
    twin = Book(key=replace(book.key, key_id="carrier:twin"), ids=book.ids, words=book.words)
    reading = read(TagReader(reader, [twin, book]), tag(photographs["coffee"], OURS))
    assert isinstance(reading.outcome, MatchedTag)
    assert [reading.outcome.carrier_key_id, *(other.carrier_key_id for other in reading.others)] == [
        "carrier:ours",
        "carrier:twin",
    ]


def test_a_mirrored_picture_is_found_by_the_blind_search(blind: TagReader, photographs: Photographs, tag: Tag) -> None:
    reading = read(blind, warps.mirror(tag(photographs["coffee"], OURS)))
    outcome = matched(reading, "blind")
    a, b, c, d, e, f = outcome.geometry.matrix
    assert a * e - b * d < 0
    np.testing.assert_allclose([[a, b, c], [d, e, f]] @ CORNERS, [[1, 0, 0, 1], [0, 0, 1, 1]], atol=0.03)
    assert outcome.geometry.sync_peak == reading.sync_peak
    assert reading.sync_peak is not None
    assert reading.sync_peak > 7.0


# How a picture can lie, as EXIF orientations 3 to 8 say it.
ORIENTATIONS: dict[int, Callable[[Pixels], Pixels]] = {
    3: lambda picture: picture[::-1, ::-1],
    4: lambda picture: picture[::-1],
    5: lambda picture: picture.transpose(1, 0, 2),
    6: lambda picture: np.rot90(picture, 1),
    7: lambda picture: np.rot90(picture.transpose(1, 0, 2), 2),
    8: lambda picture: np.rot90(picture, -1),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_picture_that_lies_otherwise_is_read(
    orientation: int, blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    turn = ORIENTATIONS[orientation]
    picture = np.ascontiguousarray(turn(tag(photographs["coffee"], OURS)))
    outcome = matched(read(blind, handling.jpeg(picture, 85)), "blind")
    # Through the frame that is told, the picture lies as it was tagged.
    frame = np.array(outcome.geometry.matrix).reshape(2, 3)
    seen = geometry.sample_frame(picture, frame, (100, 150))
    upright = geometry.sample_frame(photographs["coffee"], geometry.IDENTITY, (100, 150))
    assert np.abs(seen.astype(int) - upright.astype(int)).mean() < 12


@pytest.mark.parametrize(("answer", "right"), [((0.0, 0.0, 0.5, 1.0), 0.5), (geometry.WHOLE, 0.583)])
def test_what_shows_the_source_of_a_tag_in_a_panel_is_asked_for(
    answer: geometry.Rectangle, right: float, blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    """A part of a photograph beside a stranger: its frame reaches into the other panel, whose it is says content."""
    part = np.ascontiguousarray(tag(photographs["astronaut"], OURS)[:, 64:448])
    sheet = np.concatenate([part, cover(photographs["rocket"], part.shape[1], part.shape[0])], axis=1)
    asked: list[tuple[str, geometry.Rectangle]] = []

    def confine(found: MatchedTag, frame: geometry.Affine, panels: Sequence[geometry.Rectangle]) -> geometry.Rectangle:
        asked.append((found.tag_id, panels[0]))
        assert geometry.bounds(frame)[2] == pytest.approx(0.583, abs=0.03)
        return answer

    reading = blind.identify(sheet, blind.residuals([sheet])[0], Hints(confine=confine))
    assert isinstance(reading.outcome, MatchedTag)
    assert reading.region[2] == pytest.approx(right, abs=0.03)
    ((tag_id, panel),) = asked
    assert tag_id == OURS
    assert panel == pytest.approx((0.0, 0.0, 0.5, 1.0), abs=0.02)


@pytest.mark.parametrize("gutter", [0.0, 0.02])
def test_two_tagged_pictures_of_a_collage_are_found_where_they_are(
    gutter: float, blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    """Tagged above left and below right, strangers between them."""
    first, second = tag(photographs["astronaut"], OURS), tag(cover(photographs["coffee"], 512, 512), THEIRS)
    edge = round(gutter * 512)
    sheet = np.full((512 + 3 * edge, 512 + 3 * edge, 3), 255, dtype=np.uint8)
    cells = [first, cover(photographs["rocket"], 512, 512), cover(photographs["chelsea"], 512, 512), second]
    for at, cell in enumerate(cells):
        top, left = edge + at // 2 * (256 + edge), edge + at % 2 * (256 + edge)
        sheet[top : top + 256, left : left + 256] = cover(cell, 256, 256)
    reading = read(blind, handling.jpeg(sheet, 88))
    found = {one.outcome.tag_id: one for one in (reading, *reading.elsewhere) if isinstance(one.outcome, MatchedTag)}
    assert found.keys() == {OURS, THEIRS}
    assert len(reading.elsewhere) == 1
    assert reading.others == reading.elsewhere[0].others == ()
    side = sheet.shape[0]
    for tag_id, start in ((OURS, edge / side), (THEIRS, (2 * edge + 256) / side)):
        wanted = (start, start, start + 256 / side, start + 256 / side)
        np.testing.assert_allclose(found[tag_id].region, wanted, atol=0.015)
    scores = [one.outcome.z for one in (reading, *reading.elsewhere) if isinstance(one.outcome, MatchedTag)]
    assert scores == sorted(scores, reverse=True)


def test_a_picture_cut_to_fit_a_collage_is_found_in_its_cell(
    blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    cells = [cover(tag(photographs["coffee"], OURS), 320, 280), cover(photographs["astronaut"], 240, 280)]
    reading = read(blind, np.concatenate(cells, axis=1))
    matched(reading, "blind")
    # The frame reaches beyond the cell; the region does not.
    np.testing.assert_allclose(reading.region, (0.0, 0.0, 320 / 560, 1.0), atol=0.02)


def test_a_tagged_picture_in_a_strongly_compressed_collage_is_read(
    blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    strangers = [photographs[name] for name in ("rocket", "chelsea", "coffee")]
    sheet, place = collage_of_four(tag(photographs["astronaut"], OURS), strangers, 0.02, np.random.default_rng(4))
    reading = read(blind, handling.jpeg(sheet, 75))
    matched(reading, "blind")
    left, top, right, bottom = reading.region
    assert ((left + right) / 2 > 0.5, (top + bottom) / 2 > 0.5) == (place % 2 == 1, place // 2 == 1)


def test_one_picture_twice_is_two_tags(blind: TagReader, photographs: Photographs, tag: Tag) -> None:
    cell = cover(tag(photographs["astronaut"], OURS), 300, 300)
    reading = read(blind, np.concatenate([cell, np.full((300, 12, 3), 20, dtype=np.uint8), cell], axis=1))
    matched(reading, "blind")
    (other,) = reading.elsewhere
    assert isinstance(other.outcome, MatchedTag)
    assert other.outcome.tag_id == OURS
    assert geometry.likeness(reading.region, other.region) == 0.0


def test_a_picture_between_bars_of_text_is_read(blind: TagReader, photographs: Photographs, tag: Tag) -> None:
    shot = capture.screenshot(tag(photographs["coffee"], OURS), 1.0, np.random.default_rng(1))
    reading = read(blind, handling.jpeg(shot, 75))
    matched(reading, "blind")
    np.testing.assert_allclose(reading.region, (0.0, 0.10 / 1.18, 1.0, 1.10 / 1.18), atol=0.015)


def test_an_untagged_collage_holds_no_tag(blind: TagReader, photographs: Photographs) -> None:
    others = [photographs[name] for name in ("chelsea", "coffee", "rocket")]
    sheet, _ = collage_of_four(photographs["astronaut"], others, 0.02, np.random.default_rng(1))
    reading = read(blind, sheet)
    assert isinstance(reading.outcome, TagAbsence)
    assert reading.elsewhere == ()
    assert reading.region == geometry.WHOLE
    assert reading.outcome.best_z is not None
    assert reading.outcome.best_z < 6.5


def test_a_tag_of_no_registry_beside_a_registered_one_is_decoded(
    reader: OnnxReader, ring_key: RingKey, photographs: Photographs, tag: Tag
) -> None:
    known = TagReader(reader, [build_book(ring_key, IDS[:6])])
    cells = [
        tag(cover(photographs["coffee"], 300, 300), OURS, 34.0),
        tag(cover(photographs["rocket"], 300, 300), THEIRS, 32.0),
    ]
    reading = read(known, np.concatenate(cells, axis=1))
    matched(reading, "blind")
    (other,) = reading.elsewhere
    assert isinstance(other.outcome, DecodedTag)
    assert other.outcome.tag_id == THEIRS
    np.testing.assert_allclose(other.region, (0.5, 0.0, 1.0, 1.0), atol=0.02)


def cropped(picture: Pixels, left: float, top: float, right: float, bottom: float) -> tuple[Pixels, geometry.Affine]:
    """A crop, and where the whole picture's frame lies in it."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = round(left * width), round(top * height), round(right * width), round(bottom * height)
    frame = np.array(
        [[width / (x1 - x0), 0.0, -x0 / (x1 - x0)], [0.0, height / (y1 - y0), -y0 / (y1 - y0)]], dtype=np.float64
    )
    return np.ascontiguousarray(picture[y0:y1, x0:x1]), frame


def test_a_cropped_picture_is_found_by_the_blind_search(blind: TagReader, photographs: Photographs, tag: Tag) -> None:
    suspect, frame = cropped(tag(photographs["rocket"], OURS), 0.05, 0.15, 0.85, 0.95)
    outcome = matched(read(blind, suspect), "blind")
    found = np.array(outcome.geometry.matrix).reshape(2, 3)
    np.testing.assert_allclose(found @ CORNERS, frame @ CORNERS, atol=0.03)


def test_a_rotated_picture_is_found_by_the_blind_search(blind: TagReader, photographs: Photographs, tag: Tag) -> None:
    matched(read(blind, warps.rotate(tag(photographs["coffee"], OURS), 6.0)), "blind")


@pytest.mark.parametrize("angle_deg", [-15.0, 15.0])
def test_a_picture_rotated_by_fifteen_degrees_is_found(
    angle_deg: float, blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    matched(read(blind, warps.rotate(tag(photographs["coffee"], OURS), angle_deg)), "blind")


def test_a_swapped_region_and_recompression_do_not_hide_the_record(
    blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    tagged = tag(photographs["coffee"], OURS)
    mask = regions.ellipse_mask(*tagged.shape[:2], (0.5, 0.5), (0.18, 0.25), 0.02)
    swapped, _ = regions.swap_region(tagged, photographs["astronaut"], mask)
    matched(read(blind, handling.jpeg(swapped, 60)), "direct")


def test_content_frames_are_used_when_the_direct_read_fails(
    reader: OnnxReader, book: Book, photographs: Photographs, tag: Tag
) -> None:
    content = TagReader(reader, [book], budget=SearchBudget(mode="content"))
    suspect, frame = cropped(tag(photographs["rocket"], OURS), 0.05, 0.15, 0.85, 0.95)
    wrong = geometry.about_centre(scale_x=0.4, scale_y=0.4)
    reading = read(content, suspect, [wrong, frame])
    # Four may be tried through found frames, and share half.
    assert matched(reading, "content").hypotheses == 8
    assert reading.hypotheses_tried == 4  # directly, twice through the wrong frame, then through the right one
    assert isinstance(read(content, suspect, [wrong]).outcome, TagAbsence)


def test_content_is_not_asked_for_when_the_direct_read_succeeds(
    blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    def unwanted() -> Sequence[geometry.Affine]:
        raise AssertionError("content frames were asked for without need")

    picture = tag(photographs["coffee"], OURS)
    matched(blind.identify(picture, blind.residuals([picture])[0], Hints(suggest=unwanted)), "direct")


def test_a_direct_budget_looks_once(reader: OnnxReader, book: Book, photographs: Photographs, tag: Tag) -> None:
    direct = TagReader(reader, [book], budget=SearchBudget(mode="direct"))
    reading = read(direct, warps.mirror(tag(photographs["coffee"], OURS)), [geometry.about_centre(mirrored=True)])
    assert isinstance(reading.outcome, TagAbsence)
    assert reading.hypotheses_tried == 1
    assert reading.sync_peak is None


def search_of(tag_reader: TagReader, picture: Pixels, hints: Hints = NO_HINTS) -> PictureSearch:
    return PictureSearch(
        picture,
        lambda frames: tag_reader.reader.read(np.stack([tag_reader.view(picture, frame) for frame in frames])),
        lambda source: tag_reader.compare(picture, source),
        matcher=Matcher(tag_reader.books, pictures=1, budget=tag_reader.budget),
        sync_search=SyncSearch(tag_reader.sync),
        budget=tag_reader.budget,
        hints=hints,
    )


def test_a_picture_that_lies_as_it_was_tagged_is_read_with_its_bends_undone(
    blind: TagReader, photographs: Photographs, ring_key: RingKey
) -> None:
    """The reader's map of a warped picture, made from the tag itself: bent by two cells, under noise."""
    planes = build_tag_planes(channel.encode(OURS, ring_key.channel), ring_key.carriers, blind.sync)
    rows, columns = np.mgrid[0:64, 0:64].astype(np.float32)
    bend = np.float32(2.2) * np.sin(np.pi * rows / 64).astype(np.float32)
    bent = cv2.remap(np.ascontiguousarray(planes.transpose(1, 2, 0)), columns + bend, rows - bend, cv2.INTER_CUBIC)
    noise = np.random.default_rng(4).standard_normal(planes.shape).astype(np.float32)
    search = search_of(blind, photographs["coffee"])
    residual = np.asarray(0.5 * bent.transpose(2, 0, 1) + 1.2 * noise, dtype=np.float32)
    direct = Try(residual=residual, frame=geometry.IDENTITY, mode="direct")
    assert search._match(direct) is None
    hit = search._read_straightened(direct)
    assert hit is not None
    (found,) = hit.tags
    assert (found.tag_id, found.geometry.mode, found.hypotheses) == (OURS, "blind", blind.budget.counts("blind"))
    assert found.geometry.matrix == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def test_a_map_without_the_carrier_is_not_straightened(blind: TagReader, photographs: Photographs) -> None:
    noise = np.random.default_rng(5).standard_normal((3, 64, 64)).astype(np.float32)
    search = search_of(blind, photographs["coffee"])
    assert blind.presence(noise) < 2.0
    assert search._read_straightened(Try(residual=noise, frame=geometry.IDENTITY, mode="direct")) is None
    assert search.tries == []


def test_what_is_straightened_nominates_the_record_that_it_came_nearest_itself(
    blind: TagReader, photographs: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Less near to any record than what it was made from, as far as can be.
    monkeypatch.setattr("ftforensics.engine.search.straighten", lambda residual, _: np.zeros_like(residual))
    search = search_of(blind, photographs["coffee"])
    residual = blind.residuals([photographs["coffee"]])[0]
    source = Try(residual=residual, frame=geometry.IDENTITY, mode="direct")
    assert search._read_best(Candidate(source=source, within=geometry.IDENTITY, peak=None, standing=0.0)) is None
    assert len(search.tries) == 2
    for tried in search.tries:
        assert tried.nominee is not None
        assert tried.nominee.z == tried.best_z


@pytest.mark.parametrize(("mode", "count"), [("direct", 1), ("content", 6), ("blind", 30), ("deep", 34)])
def test_every_mode_counts_all_it_may_try(mode: SearchMode, count: int) -> None:
    assert SearchBudget(mode=mode).hypotheses == count


@pytest.mark.parametrize("mode", ["direct", "content", "blind", "deep"])
def test_all_that_may_be_tried_counts_as_one_together(mode: SearchMode) -> None:
    budget = SearchBudget(mode=mode)
    compared, others = budget.compared_reads, budget.hypotheses - 1 - budget.compared_reads
    parts = Fraction(1, budget.counts("direct")) + others * Fraction(1, budget.counts(mode))
    parts += compared * Fraction(1, budget.counts("compared"))
    assert parts == 1


def test_the_direct_read_is_one_hypothesis(blind: TagReader, photographs: Photographs) -> None:
    picture = photographs["coffee"]
    search = search_of(blind, picture, Hints(suggest=lambda: [geometry.about_centre(scale_x=0.9, scale_y=0.9)]))
    assert search.run(blind.residuals([picture])[0]) == []
    assert [tried.mode == "direct" for tried in search.tries] == [True] + [False] * (len(search.tries) - 1)


def test_a_direct_match_counts_a_quarter_and_found_frames_share_half(
    blind: TagReader, photographs: Photographs, tag: Tag
) -> None:
    picture = tag(photographs["coffee"], OURS)
    assert matched(read(blind, picture), "direct").hypotheses == 4
    assert matched(read(blind, warps.mirror(picture)), "blind").hypotheses == 56


def test_never_more_is_tried_than_is_counted(blind: TagReader, photographs: Photographs) -> None:
    framed = warps.border(photographs["coffee"], (0.1, 0.1, 0.1, 0.1), (255, 255, 255))
    frames = [geometry.about_centre(scale_x=size, scale_y=size) for size in (0.9, 0.8, 0.7)]
    reading = read(blind, framed, frames)
    assert isinstance(reading.outcome, TagAbsence)
    # All but turned frames, straightening and the border's inside refined, where the carrier does not show, and panels.
    left_out = blind.budget.turned_reads + blind.budget.border_frames + blind.budget.straightened_reads
    left_out += blind.budget.panels + blind.budget.searched_panels + blind.budget.compared_reads
    assert blind.budget.hypotheses - left_out <= reading.hypotheses_tried < blind.budget.hypotheses


def test_nor_in_a_picture_of_many_panels(blind: TagReader, photographs: Photographs) -> None:
    names = ["astronaut", "chelsea", "coffee", "rocket", "coffee", "astronaut", "rocket", "chelsea", "astronaut"]
    cells = [cover(photographs[name], 200, 150) for name in names]
    sheet = np.concatenate([np.concatenate(cells[at : at + 3], axis=1) for at in (0, 3, 6)])
    reading = read(blind, np.pad(sheet, ((20, 20), (20, 20), (0, 0)), constant_values=255), [geometry.IDENTITY] * 2)
    assert isinstance(reading.outcome, TagAbsence)
    assert reading.elsewhere == ()
    assert 13 < reading.hypotheses_tried <= blind.budget.hypotheses


def test_a_screenshot_is_found_inside_its_border(blind: TagReader, photographs: Photographs, tag: Tag) -> None:
    screenshot = warps.border(tag(photographs["rocket"], OURS), (0.06, 0.2, 0.06, 0.3), (250, 250, 250))
    outcome = matched(read(blind, screenshot), "blind")
    width, height = 1.12, 1.5
    frame = np.array([[1 / width, 0, 0.06 / width], [0, 1 / height, 0.2 / height]])
    np.testing.assert_allclose(np.array(outcome.geometry.matrix).reshape(2, 3) @ CORNERS, frame @ CORNERS, atol=0.03)


def test_more_pictures_in_a_case_ask_for_more_certainty(
    reader: OnnxReader, book: Book, photographs: Photographs, tag: Tag
) -> None:
    picture = tag(photographs["coffee"], OURS)
    budget = SearchBudget(mode="direct")
    one = matched(read(TagReader(reader, [book], budget=budget), picture), "direct")
    many = matched(read(TagReader(reader, [book], pictures_in_case=1000, budget=budget), picture), "direct")
    assert many.e_value == one.e_value
    assert many.e_case == pytest.approx(1000 * one.e_case)
    crowded = TagReader(reader, [book], pictures_in_case=10**30, budget=budget)
    outcome = read(crowded, picture).outcome
    assert isinstance(outcome, TagAbsence)
    assert outcome.reason == "present_unreadable"
    assert outcome.best_z == pytest.approx(one.z)


@pytest.mark.parametrize(("mode", "pictures", "books"), [("direct", 1, 1), ("direct", 1000, 2), ("blind", 7, 1)])
def test_a_decoded_word_is_bounded_over_all_that_was_tried(
    mode: SearchMode,
    pictures: int,
    books: int,
    reader: OnnxReader,
    ring_key: RingKey,
    other_key: RingKey,
    photographs: Photographs,
    tag: Tag,
) -> None:
    empty = [build_book(key, NONE) for key in (ring_key, other_key)[:books]]
    budget = SearchBudget(mode=mode)
    strong = tag(photographs["rocket"], OURS, 34.0)
    many = TagReader(reader, empty, pictures_in_case=pictures, budget=budget)
    reading = read(many, strong)
    outcome = reading.outcome
    assert isinstance(outcome, DecodedTag)
    soft = soft_bits(reading.residual, empty[0])
    assert outcome.z is not None
    expected = chance_words(soft, outcome.z) * pictures * books * budget.counts(outcome.geometry.mode)
    assert outcome.false_accept_p == pytest.approx(expected)
    crowded = TagReader(reader, empty, pictures_in_case=10**30, budget=budget)
    assert isinstance(read(crowded, strong).outcome, TagAbsence)


def test_a_tag_in_no_registry_is_decoded_blindly(
    reader: OnnxReader, ring_key: RingKey, photographs: Photographs, tag: Tag
) -> None:
    unregistered = TagReader(reader, [build_book(ring_key, NONE)], budget=SearchBudget(mode="direct"))
    outcome = read(unregistered, tag(photographs["rocket"], OURS, 34.0)).outcome
    assert isinstance(outcome, DecodedTag)
    assert outcome.tag_id == OURS
    assert outcome.carrier_key_id == "carrier:ours"
    assert outcome.false_accept_p <= 1e-6
    assert outcome.erasures == 0
    assert outcome.z is not None
    assert outcome.runner_up_z is not None
    assert 0 < outcome.runner_up_z < outcome.z <= np.sqrt(128)
    untagged = read(unregistered, photographs["rocket"]).outcome
    assert isinstance(untagged, TagAbsence)
    assert untagged.best_z == 0.0  # there was no record to compare with


def test_another_record_of_the_same_key_is_not_matched(
    reader: OnnxReader, ring_key: RingKey, photographs: Photographs, tag: Tag
) -> None:
    others = build_book(ring_key, np.delete(IDS, 5))
    outcome = read(TagReader(reader, [others], budget=SearchBudget(mode="direct")), tag(photographs["coffee"], OURS))
    assert not isinstance(outcome.outcome, MatchedTag)


def test_the_same_picture_gives_the_same_reading(blind: TagReader, photographs: Photographs, tag: Tag) -> None:
    picture = warps.mirror(tag(photographs["chelsea"], OURS))
    first, second = read(blind, picture), read(blind, picture)
    assert first.outcome == second.outcome
    assert first.residual.tobytes() == second.residual.tobytes()
