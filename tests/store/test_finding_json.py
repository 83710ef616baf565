"""Findings survive the trip through JSON, two writers write the same bytes, and edited lines are refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from case_samples import make_finding
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ftforensics.domain.evidence import DecodeInfo, EvidenceItem
from ftforensics.domain.link import (
    Artifact,
    Box,
    Finding,
    FurtherTag,
    Movement,
    Registration,
    SourceRef,
    Survival,
)
from ftforensics.domain.tag import DecodedTag, MatchedTag, TagAbsence
from ftforensics.errors import FtfError, StoreError
from ftforensics.store.finding_json import parse_finding, render_finding, render_finding_line
from ftforensics.store.plain_json import round_number
from ftforensics.trust.canonical import canonical_json, parse_canonical

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: float(f"{x:.6g}") + 0.0).filter(math.isfinite)
INTEGER = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGER | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
_TYPES: dict[Any, Any] = {str: TEXT, float: NUMBER, int: INTEGER}


@pytest.fixture(autouse=True, scope="module")
def _types() -> Any:
    """Hypothesis draws every str, int and float field of the domain's dataclasses from what JSON can carry."""
    for kind, strategy in _TYPES.items():
        st.register_type_strategy(kind, strategy)
    yield
    for kind, strategy in ((str, st.text()), (float, st.floats()), (int, st.integers())):
        st.register_type_strategy(kind, strategy)


REGISTRATIONS = st.deferred(
    lambda: st.builds(
        Registration,
        homography=st.lists(NUMBER, min_size=9, max_size=9).map(tuple),
        changed_regions=st.lists(st.builds(Box), max_size=2).map(tuple),
    )
)
FURTHER = st.deferred(
    lambda: st.builds(
        FurtherTag,
        tag=st.builds(MatchedTag) | st.builds(DecodedTag),
        reasons=st.lists(TEXT, max_size=2).map(tuple),
        limitations=st.lists(TEXT, max_size=2).map(tuple),
        other_sources=st.lists(st.builds(SourceRef), max_size=1).map(tuple),
        registration=st.none() | REGISTRATIONS,
        movement=st.none() | st.builds(Movement),
    )
)
FINDINGS = st.deferred(
    lambda: st.builds(
        Finding,
        evidence=st.builds(
            EvidenceItem, exif=st.dictionaries(TEXT, TEXT, max_size=3), decode=st.none() | st.builds(DecodeInfo)
        ),
        reasons=st.lists(TEXT, max_size=3).map(tuple),
        limitations=st.lists(TEXT, max_size=3).map(tuple),
        tag=st.none() | st.builds(MatchedTag) | st.builds(DecodedTag) | st.builds(TagAbsence),
        registration=st.none() | REGISTRATIONS,
        movement=st.none() | st.builds(Movement),
        region=st.none() | st.builds(Box),
        further_tags=st.lists(FURTHER, max_size=2).map(tuple),
        other_sources=st.lists(st.builds(SourceRef), max_size=2).map(tuple),
        artifacts=st.lists(st.builds(Artifact), max_size=2).map(tuple),
        extra=st.dictionaries(TEXT.filter(lambda name: name not in {"md5", "sha1", "c2pa"}), PLAIN, max_size=2),
    )
)


@given(FINDINGS)
@settings(max_examples=40, deadline=None)
def test_round_trip_through_canonical_json_and_lines(finding: Finding) -> None:
    row = render_finding(finding)
    assert parse_finding(row) == finding
    assert parse_finding(json.loads(render_finding_line(finding))) == finding
    again = parse_finding(parse_canonical(canonical_json(row)))
    assert again == finding
    assert render_finding_line(again) == render_finding_line(finding)


def test_fields_stand_in_the_documented_order() -> None:
    row = render_finding(make_finding())
    documented = [
        "schema",
        "seq",
        "case_id",
        "exhibit_id",
        "path",
        "path_b64",
        "size_bytes",
        "mtime",
        "sha256",
        "md5",
        "media_type",
        "ext_mismatch",
        "decode",
        "exif",
        "reading",
        "match",
        "signature",
        "registration",
        "c2pa",
        "verdict",
        "reasons",
        "limitations",
        "error",
    ]
    assert list(row)[: len(documented)] == documented
    assert list(row["decode"])[:5] == ["codec", "width_px", "height_px", "orientation", "icc"]
    assert list(row["reading"])[:10] == (
        [
            "model",
            "weights_sha256",
            "engine_sha256",
            "backend",
            "precision",
            "geometry",
            "presence",
            "symbols_corrected",
            "erasures",
            "tag_id",
        ]
    )
    assert list(row["match"]) == ["e_value", "e_case", "z", "runner_up_z", "runner_up_e_case"]
    assert list(row["signature"])[:6] == ["status", "issuer", "key_id", "record_sha256", "log_index", "time"]
    assert list(row["registration"])[:4] == ["inliers", "inlier_ratio", "homography", "changed_fraction"]
    assert list(row["exif"]) == ["a", "b"]


def test_floats_have_six_significant_digits() -> None:
    row = render_finding(make_finding())
    assert row["match"]["e_value"] == 1.23457e-15
    assert row["reading"]["presence"] == 0.987654
    assert b'"overlap_fraction":1,' in render_finding_line(make_finding())


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan, 2**53, np.float32("nan")])
def test_numbers_that_json_cannot_carry_are_refused(bad: float) -> None:
    with pytest.raises(StoreError):
        render_finding(replace(make_finding(), extra={"x": bad}))


def test_numpy_numbers_are_plain_numbers() -> None:
    extra = {"f": np.float32(0.1), "i": np.int64(3), "b": np.bool_(True)}
    assert render_finding(replace(make_finding(), extra=extra))["extra"] == {"f": 0.1, "i": 3, "b": True}


def test_lone_surrogates_become_escapes() -> None:
    finding = replace(make_finding(), evidence=replace(make_finding().evidence, exif={"Artist": "\udcff"}))
    assert render_finding(finding)["exif"] == {"Artist": "\\udcff"}


def test_lines_are_ascii() -> None:
    finding = replace(make_finding(), evidence=replace(make_finding().evidence, path="\u202egpj.\x1b[2J\n"))
    line = render_finding_line(finding)
    assert line.isascii()
    assert b"\x1b" not in line
    assert line.count(b"\n") == 1


def edited(path: str, value: Any) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(render_finding_line(make_finding()))
    *parents, last = path.split(".")
    inner = row
    for name in parents:
        inner = inner[name]
    inner[last] = value
    return row


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("verdict", "AUTHENTIC"),
        ("schema", "ftforensics.finding.v9"),
        ("seq", True),
        ("seq", "3"),
        ("reasons", "r"),
        ("match.z", 1.0),
        ("reading.tag_id", "ffffffffffffffff"),
        ("tag.kind", "invented"),
        ("tag.geometry.matrix", [1, 0, 0]),
        ("decode.codec", None),
        ("surprise", 1),
        ("registration.surprise", 1),
        ("error", {"stage": "nowhere", "type": "t", "message": "m"}),
    ],
)
def test_edited_lines_are_refused(path: str, value: Any) -> None:
    with pytest.raises(StoreError):
        parse_finding(edited(path, value))


@given(st.none() | PLAIN | st.dictionaries(st.sampled_from(["schema", "seq", "tag", "evidence"]), PLAIN))
@settings(deadline=None)
def test_any_value_gives_a_finding_or_a_sentence(value: Any) -> None:
    with pytest.raises(FtfError):
        parse_finding(value)


@given(st.sampled_from(sorted(render_finding(make_finding()))), PLAIN)
@example("match", {})
@settings(deadline=None)
def test_any_replaced_field_gives_a_finding_or_a_sentence(name: str, value: Any) -> None:
    row = render_finding(make_finding()) | {name: value}
    try:
        finding = parse_finding(row)
    except FtfError:
        return
    assert render_finding(finding)[name] == value


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None)
def test_rounding_is_stable(value: float) -> None:
    once = round_number(value, where="test")
    assert round_number(once, where="test") == once
    assert once == pytest.approx(value, rel=1e-5)


def with_further() -> dict[str, Any]:
    """A line that tells of a tag in another part."""
    finding = make_finding()
    assert isinstance(finding.tag, MatchedTag)
    further = FurtherTag(
        region=Box(left=0.5, top=0.0, right=1.0, bottom=1.0),
        tag=finding.tag,
        presence=9.5,
        verdict=finding.verdict,
        reasons=("r",),
        limitations=("l",),
    )
    row: dict[str, Any] = json.loads(render_finding_line(replace(finding, further_tags=(further,))))
    return row


def test_a_further_tag_is_told_whole() -> None:
    (further,) = with_further()["further_tags"]
    assert further["tag"]["kind"] == "matched"
    assert further["region"] == {"left": 0.5, "top": 0, "right": 1, "bottom": 1}
    assert further["verdict"] == make_finding().verdict.value


def test_findings_of_before_further_tags_were_kept_are_read() -> None:
    row = json.loads(render_finding_line(make_finding()))
    whole = parse_finding(row)
    del row["further_tags"], row["region"]
    assert parse_finding(row) == whole


def test_the_error_of_a_level_is_kept_and_older_findings_have_none() -> None:
    survival = Survival(surviving_fraction=0.9, inside=0.17, outside=0.5, inside_error=0.06)
    row = json.loads(render_finding_line(make_finding(survival=survival)))
    assert row["survival"]["inside_error"] == 0.06
    assert parse_finding(row).survival == survival
    del row["survival"]["inside_error"]
    assert parse_finding(row).survival == replace(survival, inside_error=None)


def test_what_was_moved_is_kept_and_older_findings_have_none() -> None:
    movement = Movement(moved_fraction=0.41, shift=0.023, agreement=0.9, following=8.125, undone=True)
    row = json.loads(render_finding_line(make_finding(movement=movement)))
    assert row["movement"] == {
        "moved_fraction": 0.41,
        "shift": 0.023,
        "agreement": 0.9,
        "following": 8.125,
        "undone": True,
    }
    assert parse_finding(row).movement == movement
    del row["movement"]
    assert parse_finding(row).movement is None


def test_what_agrees_is_kept_and_older_findings_have_none() -> None:
    finding = make_finding()
    assert finding.registration is not None
    registration = replace(finding.registration, agreement=0.875, against="tag frame")
    row = json.loads(render_finding_line(replace(finding, registration=registration)))
    assert (row["registration"]["agreement"], row["registration"]["against"]) == (0.875, "tag frame")
    assert parse_finding(row).registration == registration
    del row["registration"]["agreement"]
    assert parse_finding(row).registration == replace(registration, agreement=None)


def test_what_outlined_is_kept_and_older_findings_have_none() -> None:
    survival = Survival(surviving_fraction=0.9, inside=None, outside=None, localiser_sha256="ab" * 32)
    row = json.loads(render_finding_line(make_finding(survival=survival)))
    assert row["survival"]["localiser_sha256"] == "ab" * 32
    assert parse_finding(row).survival == survival
    del row["survival"]["localiser_sha256"]
    assert parse_finding(row).survival == replace(survival, localiser_sha256=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tag", {"kind": "absent", "reason": "not_present", "presence": 1, "best_z": None}),
        ("tag", None),
        ("tag", {"kind": "invented"}),
        ("verdict", "AUTHENTIC"),
        ("region", None),
        ("region", {"left": 0}),
        ("presence", "much"),
        ("surprise", 1),
    ],
)
def test_edited_further_tags_are_refused(name: str, value: Any) -> None:
    row = with_further()
    assert parse_finding(row).further_tags
    row["further_tags"][0][name] = value
    with pytest.raises(StoreError):
        parse_finding(row)


@pytest.mark.parametrize("name", ["region", "tag", "presence", "verdict", "reasons", "limitations"])
def test_further_tags_that_lack_something_are_refused(name: str) -> None:
    row = with_further()
    del row["further_tags"][0][name]
    with pytest.raises(StoreError):
        parse_finding(row)


@pytest.mark.parametrize("value", [None, {}, "x", [1], [None]])
def test_what_is_no_list_of_further_tags_is_refused(value: Any) -> None:
    with pytest.raises(StoreError):
        parse_finding(with_further() | {"further_tags": value})
