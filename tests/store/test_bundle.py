"""Bundles verify without their registry, and importing them is all or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_samples import AT, CARRIER, ISSUER, LATER, OTHER, make_registry, make_submission

from ftforensics.errors import AlreadyExists, ChainBroken, FtfError, NotFound, SignatureInvalid, StoreError
from ftforensics.store.bundle_export import ExportReport
from ftforensics.store.bundle_import import verify_bundle
from ftforensics.store.bundle_lines import parse_header, parse_record
from ftforensics.store.registry import Registry
from ftforensics.trust.canonical import canonical_json


@pytest.fixture
def source(tmp_path: Path) -> Registry:
    with make_registry(tmp_path / "source.sqlite", 5) as made:
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Registry:
    with Registry.create(tmp_path / "target.sqlite", "examiner", signer=OTHER, at=AT) as made:
        yield made


def take(target: Registry, path: Path) -> tuple[int, int]:
    report = target.import_bundle(path, check_tag_ids=False)
    return report.added, report.already_present


def test_a_bundle_carries_everything(source: Registry, target: Registry, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    assert source.export_bundle(path) == ExportReport(records=5, entries=5)
    assert verify_bundle(path, check_tag_ids=False).checkpoints == (source.checkpoint(),)
    assert take(target, path) == (5, 0)
    assert sorted(map(repr, target.records())) == sorted(map(repr, source.records()))
    assert target.index(CARRIER)[0] == source.index(CARRIER)[0]
    assert target.checkpoint().size == 0
    check = target.verify()
    assert (check.records, check.imported_logs) == (5, 1)


def test_real_tag_ids_are_checked_in_threads(tmp_path: Path, target: Registry) -> None:
    path = tmp_path / "real.jsonl"
    with make_registry(tmp_path / "real.sqlite", 2, real_tag_ids=True) as real:
        real.export_bundle(path)
    progress: list[tuple[int, int]] = []
    report = target.import_bundle(path, jobs=2, on_progress=lambda done, of: progress.append((done, of)))
    assert report.added == 2
    assert progress == [(2, 2)]


def test_invented_tag_ids_are_refused(source: Registry, target: Registry, tmp_path: Path) -> None:
    source.export_bundle(tmp_path / "all.jsonl")
    with pytest.raises(SignatureInvalid, match=r"Line 2 .*does not follow"):
        target.import_bundle(tmp_path / "all.jsonl")
    assert target.count() == 0


def test_importing_twice_adds_nothing(source: Registry, target: Registry, tmp_path: Path) -> None:
    source.export_bundle(tmp_path / "all.jsonl")
    assert take(target, tmp_path / "all.jsonl") == (5, 0)
    assert take(target, tmp_path / "all.jsonl") == (0, 5)
    assert target.verify().records == 5


def test_a_part_keeps_its_place_in_the_log(source: Registry, target: Registry, tmp_path: Path) -> None:
    wanted = [row.tag_id for row in source.records()][3]
    assert source.export_bundle(tmp_path / "one.jsonl", [wanted, wanted]) == ExportReport(records=1, entries=1)
    assert take(target, tmp_path / "one.jsonl") == (1, 0)
    row = target.get(wanted)
    assert (row.log_index, row.logged_at) == (3, AT)
    source.export_bundle(tmp_path / "all.jsonl")
    assert take(target, tmp_path / "all.jsonl") == (4, 1)
    assert target.verify().records == 5


def test_imported_records_travel_on(source: Registry, target: Registry, tmp_path: Path) -> None:
    source.export_bundle(tmp_path / "first.jsonl")
    take(target, tmp_path / "first.jsonl")
    target.append([make_submission(30, signer=OTHER)], signer=OTHER, at=LATER, check_tag_ids=False)
    assert target.export_bundle(tmp_path / "second.jsonl") == ExportReport(records=6, entries=6)
    with Registry.create(tmp_path / "third.sqlite", "third", signer=ISSUER, at=AT) as third:
        assert take(third, tmp_path / "second.jsonl") == (6, 0)
        assert third.verify().imported_logs == 2


def test_a_registry_takes_its_own_bundle_as_known(source: Registry, tmp_path: Path) -> None:
    source.export_bundle(tmp_path / "own.jsonl")
    assert take(source, tmp_path / "own.jsonl") == (0, 5)
    assert source.verify().imported_logs == 0


def test_growth_is_proved_by_a_consistency_proof(source: Registry, target: Registry, tmp_path: Path) -> None:
    first = [row.tag_id for row in source.records()][:1]
    source.export_bundle(tmp_path / "early.jsonl", first)
    take(target, tmp_path / "early.jsonl")
    source.append([make_submission(40)], signer=ISSUER, at=LATER, check_tag_ids=False)
    last = [row.tag_id for row in source.records()][-1:]
    source.export_bundle(tmp_path / "unproved.jsonl", last)
    source.export_bundle(tmp_path / "proved.jsonl", last, since_sizes=[5])
    with Registry.create(tmp_path / "copy.sqlite", "copy", signer=OTHER, at=AT) as copy:
        take(copy, tmp_path / "early.jsonl")
        notes = copy.import_bundle(tmp_path / "unproved.jsonl", check_tag_ids=False).notes
        assert any("Not shown" in note for note in notes)
    assert target.import_bundle(tmp_path / "proved.jsonl", check_tag_ids=False).notes == ()


def test_growth_is_proved_by_the_whole_log(source: Registry, target: Registry, tmp_path: Path) -> None:
    source.export_bundle(tmp_path / "early.jsonl")
    take(target, tmp_path / "early.jsonl")
    source.append([make_submission(40)], signer=ISSUER, at=LATER, check_tag_ids=False)
    source.export_bundle(tmp_path / "late.jsonl")
    report = target.import_bundle(tmp_path / "late.jsonl", check_tag_ids=False)
    assert (report.added, report.already_present, report.notes) == (1, 5, ())


def test_export_refuses_what_it_cannot_do(source: Registry, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        source.export_bundle(tmp_path / "x.jsonl", ["0" * 16])
    with pytest.raises(NotFound):
        source.export_bundle(tmp_path / "x.jsonl", ["no tag id"])
    (tmp_path / "taken").write_bytes(b"mine")
    with pytest.raises(AlreadyExists):
        source.export_bundle(tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == b"mine"
    source.export_bundle(tmp_path / "taken", clobber=True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".sqlite") == sorted(
        ["taken", "source.sqlite-shm", "source.sqlite-wal"]
    )


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"hello", b'{"schema":"ftforensics.bundle.v2"}\n', b"\xff\n"])
def test_files_that_are_no_bundle(target: Registry, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(StoreError):
        target.import_bundle(tmp_path / "x.jsonl")


def test_missing_and_odd_bundles(target: Registry, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        target.import_bundle(tmp_path / "missing.jsonl")
    with pytest.raises(StoreError):
        target.import_bundle(tmp_path)


def join(first: Path, second: Path, target: Path) -> Path:
    """One bundle of two, whose logs and lines it has one after the other."""
    rows = [[json.loads(line) for line in path.read_bytes().splitlines()] for path in (first, second)]
    logs = rows[0][0]["logs"] + rows[1][0]["logs"]
    lines = rows[0][1:] + [row | {"log": row["log"] + len(rows[0][0]["logs"])} for row in rows[1][1:]]
    header = rows[0][0] | {"logs": logs, "records": len(lines)}
    text = "".join(canonical_json(row).decode() + "\n" for row in (header, *lines))
    target.write_text(text, "utf-8")
    return target


def write_bundle(folder: Path, name: str, numbers: Sequence[int]) -> Path:
    with Registry.create(folder / f"{name}.sqlite", "agency-2026", signer=ISSUER, at=AT) as registry:
        submissions = [make_submission(number) for number in numbers]
        registry.append(submissions, signer=ISSUER, at=AT, check_tag_ids=False)
        registry.export_bundle(folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("numbers", "match"), [((1,), "two different states of 1"), ((1, 2), "two different entries 0")]
)
def test_a_bundle_that_shows_two_histories_does_not_hold(
    target: Registry, tmp_path: Path, numbers: tuple[int, ...], match: str
) -> None:
    both = join(write_bundle(tmp_path, "one", [0]), write_bundle(tmp_path, "other", numbers), tmp_path / "both")
    with pytest.raises(ChainBroken, match=match):
        verify_bundle(both, check_tag_ids=False)
    with pytest.raises(ChainBroken):
        target.import_bundle(both, check_tag_ids=False)
    assert target.count() == 0


def test_a_line_that_is_there_twice_counts_once(source: Registry, target: Registry, tmp_path: Path) -> None:
    source.export_bundle(tmp_path / "all.jsonl")
    twice = join(tmp_path / "all.jsonl", tmp_path / "all.jsonl", tmp_path / "twice.jsonl")
    checked = verify_bundle(twice, check_tag_ids=False)
    assert (checked.records, checked.entries) == (5, 5)
    report = target.import_bundle(twice, check_tag_ids=False)
    assert (report.added, report.already_present, report.further_entries) == (5, 0, 0)
    again = target.import_bundle(twice, check_tag_ids=False)
    assert (again.added, again.already_present, again.further_entries) == (0, 5, 0)


def edit(path: Path, line: int, change: dict[str, object]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    row = json.loads(lines[line]) | change
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    lines[line] = text.encode() + b"\n"
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"logged_at": "2020-01-01T00:00:00Z"}, ChainBroken),
        ({"log_index": 0}, ChainBroken),
        ({"log_index": 99}, ChainBroken),
        ({"tag_id": "0" * 16}, SignatureInvalid),
        ({"descriptors": "aGVsbG8="}, SignatureInvalid),
        ({"preview": None}, ChainBroken),
        ({"preview": "aGVsbG8="}, SignatureInvalid),
        ({"binding": None}, ChainBroken),
        ({"public_key": OTHER.public_key.hex()}, SignatureInvalid),
        ({"inclusion": []}, ChainBroken),
        ({"inclusion": ["zz"]}, StoreError),
        ({"log": 1}, StoreError),
        ({"log": -1}, StoreError),
        ({"surprise": 1}, StoreError),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value.__name__,
)
def test_an_edited_line_is_refused_and_named(
    source: Registry, target: Registry, tmp_path: Path, change: dict[str, object], error: type[FtfError]
) -> None:
    path = tmp_path / "edited.jsonl"
    source.export_bundle(path)
    edit(path, 3, change)
    with pytest.raises(error, match="ine 4 of the bundle"):
        target.import_bundle(path, check_tag_ids=False)
    assert target.count() == 0
    assert target.verify().imported_logs == 0


def test_a_cut_bundle_is_refused(source: Registry, target: Registry, tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    source.export_bundle(path)
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(StoreError, match="announces 5 entries and holds 4"):
        take(target, path)
    path.write_bytes(whole[:-10])
    with pytest.raises(StoreError, match="cut off"):
        take(target, path)
    assert target.count() == 0


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_noticed(source: Registry, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "flip.jsonl"
    if not (tmp_path / "whole.jsonl").exists():
        source.export_bundle(tmp_path / "whole.jsonl", [next(source.records()).tag_id])
    content = bytearray((tmp_path / "whole.jsonl").read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(FtfError):
        verify_bundle(path, check_tag_ids=False)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_sentence(line: bytes) -> None:
    with pytest.raises(StoreError):
        parse_header(line)
    with pytest.raises(StoreError, match="Line 2"):
        parse_record(line, 2)
