"""Requirements held against measured tables."""

from __future__ import annotations

from ftforensics.flows.bench.manipulations import BATTERY
from ftforensics.flows.bench.requirements import FURTHER, REQUIREMENTS, Requirement, render_requirements
from ftforensics.flows.bench.results import Column, DataInfo, Row, Table

LIMIT = Requirement(
    label="JPEG", table="robustness", where=(("how", "JPEG"),), key="bits", sense="at least", limit=0.995, rate=True
)


def table(*rows: Row) -> Table:
    return Table(
        name="robustness",
        title="What survives",
        columns=(Column(key="how", label="manipulation"), Column(key="bits", label="bits", kind="rate")),
        rows=rows,
        command="ftf bench robustness --images DIR",
        seed=1,
        data=DataInfo(count=1, sha256="cd" * 32),
        machine={},
        tool_version="0.1.0",
        weights_sha256="ab" * 32,
    )


def test_a_figure_is_met_missed_or_not_measured() -> None:
    met = render_requirements([table({"how": "JPEG", "bits": 0.996, "bits_low": 0.9, "bits_high": 1.0})], [LIMIT])
    assert "| JPEG | at least 99.5 % | 99.6 % | 90.0 % to 100.0 % | met |" in met
    assert "99.4 % |  | **missed** |" in render_requirements([table({"how": "JPEG", "bits": 0.994})], [LIMIT])
    for tables in ([], [table({"how": "WebP", "bits": 1.0})], [table({"how": "JPEG", "bits": None})]):
        assert "| **not measured** |" in render_requirements(tables, [LIMIT])


def test_every_manipulation_that_is_asked_for_is_one_that_is_measured() -> None:
    asked = {value for one in (*REQUIREMENTS, *FURTHER) if one.table == "robustness" for _, value in one.where}
    assert asked <= {manipulation.name for manipulation in BATTERY}


def test_none_wrong_is_the_only_count_that_passes() -> None:
    never = next(one for one in REQUIREMENTS if one.key == "wrong")
    row: Row = dict(never.where) | {"wrong": 1, "wrong_upper": 0.001}
    shown = render_requirements(
        [Table(**{f: getattr(table(row), f) for f in Table.__slots__} | {"name": never.table})], [never]
    )
    assert "| at most 0 | 1 | at most 0.100 % of reads | **missed** |" in shown
