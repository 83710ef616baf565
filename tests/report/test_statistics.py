from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ftforensics.domain.case import CaseView
from ftforensics.domain.link import TAG_FRAME, Finding
from ftforensics.domain.tag import MatchedTag
from ftforensics.report.statistics import build_scale, build_statistics


def with_tag(view: CaseView, **changes: float) -> Finding:
    finding = view.findings[0]
    assert isinstance(finding.tag, MatchedTag)
    return replace(finding, tag=replace(finding.tag, **changes))  # type: ignore[arg-type]


def test_every_number_is_explained(view: CaseView) -> None:
    for finding in view.findings:
        for row in build_statistics(finding):
            assert row.value
            assert row.meaning.endswith(".")


def test_a_match_lists_what_the_identification_rests_on(view: CaseView) -> None:
    rows = {row.name: row.value for row in build_statistics(view.findings[0])}
    assert rows["z"] == "10.62 of 11.3"
    assert rows["Runner-up z"] == "3.41 of 11.3"
    assert rows["Bits agreeing"] == "124 of 128"
    assert rows["Symbols corrected"] == "2 of 16"
    assert rows["Erasures"] == "1 of 16"
    assert rows["Search mode"] == "direct"
    assert rows["Tag inside / outside"] == "0.04 / 0.63"
    assert {"E-value", "e_case", "Matching points", "Overlap", "Changed area", "Tag surviving"} <= rows.keys()


def test_a_source_that_lies_where_its_tag_says_has_no_points_but_agrees(view: CaseView) -> None:
    finding = view.findings[0]
    assert finding.registration is not None
    assert "Agreeing content" not in {row.name for row in build_statistics(finding)}
    in_place = replace(finding.registration, inliers=0, matches=0, inlier_ratio=0.0, agreement=0.974, against=TAG_FRAME)
    rows = {row.name: row.value for row in build_statistics(replace(finding, registration=in_place))}
    assert rows["Matching points"] == "not used"
    assert rows["Agreeing content"] == "97.4 %"


def test_a_mirrored_crop_is_named(view: CaseView) -> None:
    rows = {row.name: row.value for row in build_statistics(view.findings[1])}
    assert rows["Tagged frame"] == "1.74 ×, mirrored"


def test_an_unmeasured_change_is_not_zero(view: CaseView) -> None:
    (row,) = (row for row in build_statistics(view.findings[10]) if row.name == "Changed area")
    assert row.value == "–"
    assert row.meaning.startswith("Not measured")


def test_the_scale_places_the_limit_between_weak_and_strong(view: CaseView) -> None:
    strong, weak = build_scale(with_tag(view, e_case=1e-7)), build_scale(with_tag(view, e_case=1e-5))
    assert strong is not None
    assert weak is not None
    assert weak.best_x < weak.limit_x == strong.limit_x < strong.best_x
    assert (strong.passes, weak.passes) == (True, False)
    assert strong.runner_up_x < strong.best_x


def test_the_runner_up_stands_where_its_own_e_value_puts_it(view: CaseView) -> None:
    near = build_scale(with_tag(view, e_case=1e-12, runner_up_e_case=1e-11))
    same = build_scale(with_tag(view, e_case=1e-11, runner_up_e_case=1e-11))
    assert near is not None
    assert same is not None
    assert same.best_x == same.runner_up_x == near.runner_up_x < near.best_x
    # Findings of before it was kept: both by Hoeffding's bound.
    old = build_scale(with_tag(view, e_case=1e-12, z=9.0, runner_up_z=9.0, runner_up_e_case=None))
    assert old is not None
    assert old.best_x == old.runner_up_x


@pytest.mark.parametrize("e_case", [1e3, 1e-6, 1e-20, 1e-36, 2.0**-128])
def test_every_possible_match_has_a_place_of_its_own(view: CaseView, e_case: float) -> None:
    here, weaker = build_scale(with_tag(view, e_case=e_case)), build_scale(with_tag(view, e_case=e_case * 10.0))
    assert here is not None
    assert weaker is not None
    assert here.best_x - weaker.best_x == pytest.approx(here.width / 44.0, abs=0.2)
    assert all(0 < x < here.width for x, _ in here.ticks)


@pytest.mark.parametrize("e_case", [0.0, 1e-300, 5.0, 1e300])
def test_the_scale_stays_on_the_paper(view: CaseView, e_case: float) -> None:
    scale = build_scale(with_tag(view, e_case=e_case))
    assert scale is not None
    assert 0 <= scale.best_x <= scale.width
    assert 0 <= scale.runner_up_x <= scale.width


@pytest.mark.parametrize("field", ["e_case", "z", "runner_up_z"])
def test_no_scale_without_numbers(view: CaseView, field: str) -> None:
    assert build_scale(with_tag(view, **{field: math.nan})) is None
