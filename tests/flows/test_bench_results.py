from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench.results import (
    Column,
    DataInfo,
    Table,
    interval_columns,
    load_tables,
    parse_tables,
    render_markdown,
    render_tables,
    save_tables,
)


def table(name: str = "robustness", rows: tuple[dict, ...] = ()) -> Table:
    return Table(
        name=name,
        title="What survives",
        columns=(Column(key="what", label="what"), *interval_columns("rate", "right", "rate")),
        rows=rows,
        command="ftf bench robustness --images DIR",
        seed=3,
        data=DataInfo(count=2, sha256="ab" * 32, folders={"faces": 2}),
        machine={"processor": "Example CPU", "cores": "2 cores"},
        tool_version="0.1",
        weights_sha256="cd" * 32,
        settings={"jobs": 2},
        notes=("a note",),
    )


FIELDS = ["format", "version", "tables", "columns", "rows", "data", "notes", "name"]
ROW = {"what": "none", "rate": 0.5, "rate_low": 0.25, "rate_high": 0.75}


def test_tables_come_back_as_they_were():
    tables = [table("b", (ROW,)), table("a", ({**ROW, "rate": None},))]
    assert parse_tables(render_tables(tables)) == [tables[1], tables[0]]


def test_saving_replaces_tables_of_the_same_name_alone(tmp_path: Path):
    path = tmp_path / "bench.json"
    save_tables(path, [table("a"), table("b")])
    save_tables(path, [table("b", (ROW,))])
    assert [(one.name, len(one.rows)) for one in load_tables(path)] == [("a", 0), ("b", 1)]


def test_a_file_of_something_else_is_never_written_over(tmp_path: Path):
    path = tmp_path / "diary.json"
    path.write_text('{"dear": "diary"}')
    with pytest.raises(EvidenceUnreadable):
        save_tables(path, [table()])
    assert path.read_text() == '{"dear": "diary"}'


@pytest.mark.parametrize(("key", "value"), [("format", "other"), ("version", 2), ("tables", 7), ("tables", [{}])])
def test_other_formats_and_versions_are_refused(key: str, value: object):
    document = json.loads(render_tables([table()]))
    with pytest.raises(EvidenceUnreadable):
        parse_tables(json.dumps({**document, key: value}).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_that_hold_no_results_are_refused_with_a_remedy(data: bytes):
    with pytest.raises(EvidenceUnreadable) as caught:
        parse_tables(data)
    assert caught.value.remedy


def test_markdown_shows_intervals_in_brackets_and_what_the_numbers_rest_on():
    text = render_markdown(table(rows=(ROW,)))
    assert "| none | 50.0 % [25.0, 75.0] |" in text
    assert "right, low" not in text
    for needed in ("a note", "ftf bench robustness --images DIR", "seed 3", "2 pictures", "abababab", "Example CPU"):
        assert needed in text


def test_markdown_keeps_a_hostile_picture_name_inside_its_cell():
    text = render_markdown(table(rows=({**ROW, "what": "a|b\nc"},)))
    assert "| a\\|b c | 50.0 %" in text


def test_numbers_that_json_cannot_carry_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        render_tables([table(rows=({**ROW, "rate": float("nan")},))])
