"""Cases: what was done stays on record, a stopped scan finds its place, and views say whether the case holds."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from case_samples import AT, EXAMINER, LATER, SECOND, make_case, make_finding, make_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftforensics.domain.case import GENESIS_HASH, CaseHead
from ftforensics.domain.link import Verdict
from ftforensics.errors import (
    AlreadyExists,
    KeyUnknown,
    NotFound,
    SignatureInvalid,
    StoreError,
    TrustError,
    UsageError,
    WriteFailed,
)
from ftforensics.store.case_names import check_case_name, list_cases
from ftforensics.store.cases import Case
from ftforensics.store.finding_json import parse_finding, render_finding
from ftforensics.trust.chain import verify_chain


@pytest.fixture
def case(tmp_path: Path) -> Case:
    with make_case(tmp_path) as made:
        yield made


def test_a_new_case_has_one_signed_event(tmp_path: Path) -> None:
    with Case.create(tmp_path / "cases", "a b", title="T", examiner="Ada", signer=EXAMINER, at=AT) as case:
        events = list(case.events())
        assert [event.kind for event in events] == ["case_opened"]
        assert case.head() == CaseHead(case_id="a b", count=1, head_hash=events[0].hash, at=AT)
        assert case.identity.title == "T"
        assert case.identity.head_key_id == EXAMINER.key_id
        assert list_cases(tmp_path / "cases") == [case.folder]
    assert list_cases(tmp_path / "nowhere") == []


def test_events_form_a_chain_under_the_newest_head(case: Case) -> None:
    events = list(case.events())
    assert events[0].previous_hash == GENESIS_HASH
    checked = verify_chain(events, case.head())
    assert checked.count == len(events) == case.head().count
    assert checked.beyond_head == 0


def test_events_are_read_back_as_they_were_written(case: Case) -> None:
    body = {
        "text": "\u00e9\u2028\u202e\x00",
        "numbers": [1, 2.5, 1e-7, 1e16, -0.0],
        "nothing": None,
        "nested": {"b": 1, "a": []},
    }
    event = case.append("note", body, actor="Ada", at=LATER)
    assert list(case.events("note")) == [event]
    assert event.body == body
    case.verify()


def test_a_later_finding_takes_the_place_of_an_earlier_one(case: Case) -> None:
    again = make_finding(1, case_id=case.case_id, verdict=Verdict.CONFLICT, artifacts=())
    case.append_finding(again, actor="Ada", at=LATER)
    assert case.finding("E-0001") == parse_finding(render_finding(again))
    assert [finding.exhibit_id for finding in case.findings()] == ["E-0000", "E-0001", "E-0002"]
    assert len(list(case.events("finding"))) == 4
    assert case.findings()[1].verdict is Verdict.CONFLICT
    item = again.evidence
    assert case.done()[item.path_b64, item.sha256].verdict == "CONFLICT"
    assert case.verify().findings == 4


def test_lookups_for_resuming(case: Case) -> None:
    finding = case.findings()[0]
    item = finding.evidence
    assert [one.exhibit_id for one in case.findings_of(item.sha256)] == ["E-0000", "E-0001", "E-0002"]
    assert [one.exhibit_id for one in case.findings_at(item.path_b64)] == ["E-0000"]
    assert case.findings_of("0" * 64) == ()
    assert case.finding("E-9999") is None
    done = case.done()
    assert [one.exhibit_id for one in done.values()] == ["E-0000", "E-0001", "E-0002"]
    assert case.finding_at(done[item.path_b64, item.sha256].seq) == finding


def test_other_content_at_the_same_path_is_another_exhibit(case: Case) -> None:
    changed = make_finding(0, case_id=case.case_id, exhibit_id="E-new")
    changed = replace(changed, evidence=replace(changed.evidence, sha256="a" * 64))
    case.append_finding(changed, actor="Ada", at=LATER)
    assert [one.exhibit_id for one in case.findings_at(changed.evidence.path_b64)] == ["E-0000", "E-new"]
    assert [one.exhibit_id for one in case.findings_of("4" * 64)] == ["E-0000", "E-0001", "E-0002"]
    assert [one.exhibit_id for one in case.findings_of("a" * 64)] == ["E-new"]


def test_a_view_tells_how_often_an_exhibit_was_examined_and_with_which_verdicts(case: Case) -> None:
    again = make_finding(1, case_id=case.case_id, verdict=Verdict.NO_TAG_READ, artifacts=())
    again = replace(again, evidence=replace(again.evidence, acquired_at="2026-01-05T00:00:00Z"))
    seq = case.append_finding(again, actor="Ada", at=LATER).seq
    first, second, third = case.view().findings
    assert first.limitations == third.limitations == ("l",)
    assert second.limitations[-1] == (
        "This exhibit (this path with this content) was examined 2 times in this case, with verdicts that differ; the "
        f"newest is the one shown here. In order: VERIFIED_DERIVATIVE (event 3), NO_TAG_READ (event {seq}, in hand "
        "since 2026-01-05T00:00:00Z)."
    )
    assert replace(second, limitations=again.limitations) == case.findings()[1]


def test_a_scan_that_was_killed_continues(tmp_path: Path) -> None:
    make_case(tmp_path, findings=2).close()
    with Case.open(tmp_path / "case-1", signer=EXAMINER, read_only=False) as case:
        case.start_run(make_run("run-2"), at=LATER)
        done = {one.exhibit_id for one in case.done().values()}
        todo = [number for number in range(4) if f"E-{number:04d}" not in done]
        assert todo == [2, 3]
        new = [make_finding(number, case_id=case.case_id, artifacts=()) for number in todo]
        case.append_findings(new, actor="Ada", at=LATER)
        assert [run.run_id for run in case.runs()] == ["run-1", "run-2"]
        assert [run.ended_at for run in case.runs()] == [LATER, None]
        case.verify()


def test_findings_of_another_case_are_refused(case: Case) -> None:
    with pytest.raises(StoreError, match="of the case 'other'"):
        case.append_finding(make_finding(7, case_id="other"), actor="Ada", at=LATER)


def test_a_batch_is_all_or_nothing(case: Case) -> None:
    before = case.head()
    with pytest.raises(TrustError):
        case.append_many([("note", {"a": 1}), ("NOT A KIND", {})], actor="Ada", at=LATER)
    with pytest.raises(StoreError):
        case.append_many([("note", {"a": 1}), ("finding", {"not": "a finding"})], actor="Ada", at=LATER)
    assert case.head() == before
    assert case.append_many([], actor="Ada", at=LATER) == ()
    events = case.append_many([("note", {"a": 1}), ("note", {"a": 2})], actor="Ada", at=LATER)
    assert case.head().count == before.count + 2
    assert case.head().head_hash == events[1].hash


def test_adding_needs_the_right_key(case: Case) -> None:
    case.close()
    with Case.open(case.folder, read_only=False) as unsigned, pytest.raises(KeyUnknown, match="needs a key"):
        unsigned.append("note", {}, actor="Ada", at=LATER)
    with Case.open(case.folder, signer=SECOND, read_only=False) as stranger, pytest.raises(KeyUnknown, match="admit"):
        stranger.append("note", {}, actor="Grace", at=LATER)
    with Case.open(case.folder, signer=EXAMINER) as reader, pytest.raises(StoreError, match="for reading only"):
        reader.append("note", {}, actor="Ada", at=LATER)


def test_a_second_examiner_can_be_admitted(case: Case) -> None:
    case.admit_examiner("Grace", SECOND.key_id, actor="Ada", at=LATER)
    case.close()
    with Case.open(case.folder, signer=SECOND, read_only=False) as shared:
        shared.append("note", {"text": "mine too"}, actor="Grace", at=LATER)
        check = shared.verify(expected_key_ids=frozenset({EXAMINER.key_id, SECOND.key_id}))
        assert check.head_key_id == SECOND.key_id
        with pytest.raises(SignatureInvalid, match=SECOND.key_id):
            shared.verify(expected_key_ids=frozenset({EXAMINER.key_id}))


def test_two_writers_take_turns(case: Case) -> None:
    with Case.open(case.folder, signer=EXAMINER, read_only=False) as other:
        for number in range(3):
            case.append("note", {"n": number}, actor="Ada", at=LATER)
            other.append("note", {"n": number}, actor="Ada", at=LATER)
    case.verify()


def test_verify_says_what_it_cannot_exclude(case: Case) -> None:
    notes = case.verify().notes
    assert any("Rollback not excluded" in note for note in notes)
    assert any("Head key not compared" in note for note in notes)
    assert case.verify(case.head(), expected_key_ids=frozenset({EXAMINER.key_id})).notes == ()


def test_a_case_that_grew_still_fits_an_earlier_head(case: Case) -> None:
    before = case.head()
    case.append("note", {}, actor="Ada", at=LATER)
    assert "1 event(s) were added after the expected head." in case.verify(before).notes


def test_a_clock_that_was_set_back_is_noted(case: Case) -> None:
    case.append("note", {}, actor="Ada", at=AT)
    assert any("clock was set back" in note for note in case.verify().notes)


def test_a_view_holds_everything(case: Case) -> None:
    view = case.view(case.head(), expected_key_ids=frozenset({EXAMINER.key_id}))
    assert view.head_verified
    assert view.integrity_notes == ()
    assert (view.case_id, view.name, view.title, view.examiner) == ("case-1", "case-1", "Three pictures", "Ada")
    assert (view.created_at, view.head_key_id, view.head) == (AT, EXAMINER.key_id, case.head())
    assert view.findings == case.findings()
    assert list(view.events) == list(case.events())
    assert view.runs == case.runs()
    assert list(view.artifacts.values()) == [b"not really PNG"]


def test_pictures_are_kept_once_under_their_hash(case: Case) -> None:
    one = case.save_artifact(b"pixels", role="a", media_type="image/jpeg", width_px=1, height_px=2)
    two = case.save_artifact(b"pixels", role="b", media_type="image/jpeg", width_px=1, height_px=2)
    assert one.sha256 == two.sha256
    assert case.load_artifact(one.sha256) == b"pixels"
    assert (case.folder / "artifacts" / f"{one.sha256}.jpg").read_bytes() == b"pixels"
    assert any("belong to no finding" in note for note in case.verify().notes)
    with pytest.raises(StoreError):
        case.save_artifact(b"<svg>", role="a", media_type="image/svg+xml", width_px=1, height_px=2)
    for name in ("0" * 64, "../case.sqlite", ""):
        with pytest.raises(NotFound):
            case.load_artifact(name)


def test_a_case_is_not_written_over(case: Case) -> None:
    before = case.head()
    with pytest.raises(AlreadyExists):
        make_case(case.folder.parent)
    assert case.head() == before


def test_creation_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(TrustError):
        Case.create(tmp_path, "new", title="T", examiner="Ada", signer=EXAMINER, at="yesterday")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteFailed):
        Case.create(tmp_path / "file", "new", title="T", examiner="Ada", signer=EXAMINER, at=AT)


def test_places_without_a_case(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no case"):
        Case.open(tmp_path / "nowhere")
    (tmp_path / "case.sqlite").write_bytes(b"")
    with pytest.raises(StoreError):
        Case.open(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-rf",
        "a/b",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a\x1b[2Jb",
        "a\u202eb",
        "a\ufe0f",
        "a\u3164",
        "a\u1680b",
        " a",
        "a ",
        "a.",
        "x" * 121,
        "C:x",
        "\udcff",
    ],
)
def test_names_that_cannot_name_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Case.create(tmp_path, name, title="T", examiner="Ada", signer=EXAMINER, at=AT)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=30))
def test_usable_names_stay_inside_the_folder(name: str) -> None:
    try:
        check_case_name(name)
    except UsageError:
        return
    assert (Path("/cases") / name).parent == Path("/cases")
    assert name.isprintable()


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.none() | st.integers(-9, 9) | st.text(max_size=5), max_size=3),
        max_size=5,
    )
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_plain_bodies_round_trip(case: Case, bodies: list[dict[str, object]]) -> None:
    before = len(list(case.events("note")))
    case.append_many([("note", body) for body in bodies], actor="Ada", at=LATER)
    assert [event.body for event in case.events("note")][before:] == bodies


def test_the_database_itself_refuses_changes(case: Case) -> None:
    connection = sqlite3.connect(case.folder / "case.sqlite")
    for statement in (
        "UPDATE events SET actor = 'x'",
        "DELETE FROM events",
        "DELETE FROM heads",
        "UPDATE findings SET verdict = 'x'",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 1",
        "INSERT OR REPLACE INTO heads SELECT * FROM heads LIMIT 1",
        "INSERT OR REPLACE INTO findings SELECT * FROM findings LIMIT 1",
        "INSERT INTO events SELECT seq + 99, previous_hash, kind, body, actor, at, hash || '0' FROM events LIMIT 1",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()
