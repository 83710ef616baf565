"""Which tags of a reading count as right and wrong: those of further regions too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tag_samples import matched_tag

from ftforensics.codec import channel
from ftforensics.domain.evidence import EvidenceItem
from ftforensics.domain.link import Box, Finding, FurtherTag, Verdict
from ftforensics.domain.tag import DecodedTag, Geometry, MatchedTag, TagAbsence
from ftforensics.engine.reading import Reading
from ftforensics.engine.ring import build_book
from ftforensics.flows.bench.false_positives import UNREGISTERED, UNTAGGED, judge_search
from ftforensics.flows.bench.identities import gravest_verdict, is_read, leads_with, named_tags, names_another
from ftforensics.flows.bench.keys import draw_key
from ftforensics.flows.bench.robustness import Read, judge_reading

TRUE, OTHER, THIRD = "11" * 8, "22" * 8, "33" * 8


def matched(tag_id: str, z: float = 9.0) -> MatchedTag:
    return matched_tag(tag_id=tag_id, carrier_key_id="key", z=z, geometry=Geometry(mode="blind"))


def decoded(tag_id: str) -> DecodedTag:
    return DecodedTag(
        tag_id=tag_id,
        carrier_key_id="key",
        symbols_corrected=0,
        erasures=0,
        false_accept_p=1e-9,
        geometry=Geometry(mode="blind"),
    )


def reading(outcome: MatchedTag | DecodedTag | TagAbsence, *elsewhere: Reading, others: tuple[MatchedTag, ...] = ()):
    return Reading(
        outcome=outcome,
        others=others,
        elsewhere=elsewhere,
        residual=np.random.default_rng(3).normal(size=(3, 64, 64)).astype(np.float32),
        presence=5.0,
        sync_peak=None,
        hypotheses_tried=3,
    )


ABSENT = TagAbsence(reason="present_unreadable", presence=4.0, best_z=3.5)
# A reading, whether it leads with TRUE, and whether it names anything else.
READINGS = [
    pytest.param(reading(matched(TRUE)), True, False, id="right alone"),
    pytest.param(reading(matched(TRUE), reading(matched(OTHER))), True, True, id="wrong match elsewhere"),
    pytest.param(reading(matched(TRUE), reading(decoded(OTHER))), True, True, id="wrong decode elsewhere"),
    pytest.param(reading(matched(TRUE), reading(matched(TRUE))), True, False, id="the same tag twice"),
    pytest.param(
        reading(matched(TRUE), reading(matched(TRUE), others=(matched(OTHER),))), True, True, id="a rival elsewhere"
    ),
    pytest.param(reading(matched(TRUE), others=(matched(OTHER),)), True, True, id="a rival of the same region"),
    pytest.param(reading(matched(OTHER), reading(matched(TRUE))), False, True, id="right one behind a wrong one"),
    pytest.param(reading(decoded(TRUE)), False, False, id="right one decoded, not matched"),
    pytest.param(reading(ABSENT), False, False, id="absent"),
]


@pytest.mark.parametrize(("found", "right", "wrong"), READINGS)
def test_a_tag_that_is_not_in_the_picture_is_wrong_wherever_it_is_named(found: Reading, right: bool, wrong: bool):
    assert leads_with(found, TRUE) == right
    assert names_another(found, TRUE) == wrong
    assert names_another(found, None) == bool(named_tags(found))


@pytest.mark.parametrize(("found", "right", "wrong"), READINGS)
def test_robustness_counts_them(found: Reading, right: bool, wrong: bool):
    key = draw_key(1, "issuer", "ftf-1")
    book = build_book(key, np.array([int(TRUE, 16)], dtype=np.uint64))
    read: Read = judge_reading("none", found, found.residual, book, TRUE, channel.encode(TRUE, key.channel))
    assert (read.right, read.wrong) == (right, wrong)
    assert read.unreadable == (found.outcome is ABSENT)


def test_false_positives_count_every_region():
    def counted(found: Reading, population: str, tag_id: str | None) -> tuple[bool, bool]:
        outcome = judge_search(found, population, tag_id)
        return outcome.wrong, outcome.decoded

    assert counted(reading(ABSENT), UNTAGGED, None) == (False, False)
    assert counted(reading(matched(OTHER)), UNTAGGED, None) == (True, False)
    assert counted(reading(decoded(TRUE)), UNREGISTERED, TRUE) == (False, False)
    assert counted(reading(decoded(TRUE)), UNTAGGED, None) == (False, True)
    assert counted(reading(decoded(TRUE), reading(matched(OTHER))), UNREGISTERED, TRUE) == (True, False)
    assert counted(reading(decoded(TRUE), reading(decoded(OTHER))), UNREGISTERED, TRUE) == (False, True)
    both = judge_search(reading(matched(OTHER, 8.0), reading(matched(THIRD, 10.0))), UNTAGGED, None)
    assert both.best_z == 10.0
    lost = judge_search(reading(ABSENT), UNTAGGED, None)
    assert (lost.best_z, lost.present) == (3.5, True)


def finding(verdict: Verdict, tag: MatchedTag | TagAbsence, *further: tuple[Verdict, MatchedTag]) -> Finding:
    item = EvidenceItem(
        path="a.png",
        path_b64="YS5wbmc=",
        size_bytes=1,
        mtime="2026-05-01T12:00:00Z",
        sha256="00" * 32,
        media_type="image/png",
        ext_mismatch=False,
    )
    return Finding(
        seq=0,
        case_id="bench",
        exhibit_id="0",
        evidence=item,
        verdict=verdict,
        reasons=(),
        limitations=(),
        tag=tag,
        further_tags=tuple(
            FurtherTag(
                region=Box(left=0.5, top=0.0, right=1.0, bottom=1.0),
                tag=other,
                presence=4.0,
                verdict=judged,
                reasons=(),
                limitations=(),
            )
            for judged, other in further
        ),
    )


def test_a_forgery_that_is_verified_in_a_further_region_has_succeeded():
    suspected = finding(Verdict.TAG_TRANSPLANT_SUSPECTED, matched(OTHER), (Verdict.VERIFIED_DERIVATIVE, matched(TRUE)))
    assert gravest_verdict(suspected) == Verdict.VERIFIED_DERIVATIVE
    assert is_read(suspected, TRUE)
    assert is_read(suspected, OTHER)
    assert not is_read(suspected, THIRD)
    harmless = replace(suspected, further_tags=())
    assert gravest_verdict(harmless) == Verdict.TAG_TRANSPLANT_SUSPECTED
    assert not is_read(harmless, TRUE)
    unread = finding(Verdict.NO_TAG_READ, ABSENT, (Verdict.TAG_UNCONFIRMED, matched(TRUE)))
    assert gravest_verdict(unread) == Verdict.NO_TAG_READ
