import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tag_samples import matched_tag

from ftforensics.domain.evidence import IntakeFailure
from ftforensics.domain.link import Box, Movement, Registration, SignatureCheck, SourceRef, Survival, Verdict
from ftforensics.domain.tag import DecodedTag, Geometry, MatchedTag, TagAbsence
from ftforensics.link.sentences import BESIDE_PREVIEW, MISPLACED, PART_ALONE, PART_LIMITS, describe_frames
from ftforensics.link.verdict import Facts, judge

TAG = matched_tag()
SOURCE = SourceRef(
    tag_id=TAG.tag_id,
    issuer="Agency One",
    key_id="ed25519:aa",
    record_sha256="a" * 64,
    source_sha256="b" * 64,
    tagged_sha256=None,
    log_index=4,
    logged_at="2026-01-01T00:00:00Z",
    created="2026-01-01T00:00:00Z",
)
RIVAL = replace(SOURCE, tag_id="ffeeddccbbaa9988", issuer="Agency Two", log_index=9, logged_at="2026-02-01T00:00:00Z")
SIGNATURE = SignatureCheck(
    status="verified", issuer="Agency One", key_id="ed25519:aa", record_sha256="a" * 64, log_index=4, time=None
)
UNCHANGED = Registration(
    inliers=180,
    matches=200,
    inlier_ratio=0.9,
    homography=(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0),
    against="preview",
    overlap_fraction=1.0,
    changed_fraction=0.0,
)
CHANGED = replace(UNCHANGED, changed_fraction=0.12, changed_regions=(Box(left=0.3, top=0.2, right=0.6, bottom=0.6),))
UNMEASURED = replace(UNCHANGED, against="descriptors", changed_fraction=None)
GOOD = Facts(
    tag=TAG,
    signature=SIGNATURE,
    source=SOURCE,
    acquired_at="2026-03-01T00:00:00Z",
    logged_at=SOURCE.logged_at,
    registration=UNCHANGED,
    suspect_features=300,
    source_features=320,
    survival=Survival(surviving_fraction=0.97, inside=None, outside=None),
)
FAKE = replace(
    GOOD,
    registration=CHANGED,
    survival=Survival(surviving_fraction=0.8, inside=0.03, outside=0.6),
)


def _verdict(facts=GOOD, **changes):
    return judge(replace(facts, **changes)).verdict


def test_a_source_that_lies_where_its_tag_says_needs_no_matching_points():
    in_place = replace(UNCHANGED, inliers=0, matches=0, inlier_ratio=0.0, against="tag frame", agreement=0.97)
    judgement = judge(replace(GOOD, registration=in_place))
    assert judgement.verdict == Verdict.VERIFIED_MATCH
    assert any("laid where the tag was read" in text and "97 %" in text for text in judgement.reasons)
    assert not any("separate points" in text for text in judgement.reasons)
    assert any("separate points" in text for text in judge(GOOD).reasons)


def test_an_unchanged_copy_is_a_verified_match():
    judgement = judge(GOOD)
    assert judgement.verdict == Verdict.VERIFIED_MATCH
    assert any("kinship, not direction" in text for text in judgement.limitations)
    assert any("same scene" in text for text in judgement.limitations)


def test_a_changed_region_is_a_verified_derivative():
    judgement = judge(FAKE)
    assert judgement.verdict == Verdict.VERIFIED_DERIVATIVE
    assert any("12 %" in text for text in judgement.reasons)
    assert any("0.03 where content was replaced" in text for text in judgement.reasons)


@pytest.mark.parametrize("facts", [GOOD, FAKE, replace(GOOD, registration=None)])
def test_it_is_said_when_only_the_first_of_several_frames_was_examined(facts):
    alone, several = judge(facts), judge(replace(facts, frames=3))
    assert (several.verdict, several.reasons) == (alone.verdict, alone.reasons)
    assert several.limitations == (*alone.limitations, describe_frames(3))
    assert "3 pictures" in several.limitations[-1]


@pytest.mark.parametrize("facts", [GOOD, FAKE, replace(GOOD, registration=None)])
def test_it_is_said_when_a_tag_was_read_beside_the_preview(facts):
    compared = replace(facts, tag=replace(TAG, geometry=Geometry(mode="compared")))
    alone, beside = judge(facts), judge(compared)
    assert beside.verdict == alone.verdict
    assert beside.limitations == (*alone.limitations, BESIDE_PREVIEW)


def test_too_few_features_leave_the_tag_unconfirmed():
    judgement = judge(replace(GOOD, registration=None, suspect_features=7))
    assert judgement.verdict == Verdict.TAG_UNCONFIRMED
    assert any("identifies the tag, not the picture" in text for text in judgement.limitations)


def test_heavy_regeneration_leaves_the_tag_unconfirmed():
    assert _verdict(registration=None, coarse_distance_bits=6) == Verdict.TAG_UNCONFIRMED


def test_a_geometry_that_could_not_be_confirmed_is_no_contradiction():
    assert _verdict(registration=None, common_geometry=True) == Verdict.TAG_UNCONFIRMED


def test_content_that_contradicts_the_record_is_a_suspected_transplant():
    judgement = judge(replace(GOOD, registration=None, coarse_distance_bits=30))
    assert judgement.verdict == Verdict.TAG_TRANSPLANT_SUSPECTED
    assert any("contradicts" in text for text in judgement.reasons)


# Somebody before another background: little of the source is left, and the tag with it alone.
CUT_OUT = replace(
    FAKE,
    registration=replace(CHANGED, agreement=0.25, changed_fraction=0.55),
    in_part=True,
    survival=Survival(surviving_fraction=0.3, inside=0.01, outside=0.3, inside_error=0.02),
)


@pytest.mark.parametrize(
    "facts", [CUT_OUT, replace(CUT_OUT, in_part=False, registration=replace(CHANGED, changed_fraction=0.9))]
)
def test_a_small_part_of_the_source_is_a_derivative_if_the_tag_keeps_to_it(facts):
    judgement = judge(facts)
    assert judgement.verdict == Verdict.VERIFIED_DERIVATIVE
    assert any("came into the picture with that part of the source" in text for text in judgement.reasons)
    assert not any("came into the picture with that part of the source" in text for text in judge(FAKE).reasons)


@pytest.mark.parametrize(
    "changes",
    [
        {"inside": None},
        {"inside": None, "outside": None},
        {"inside_error": None},
        {"inside_error": 0.08},
        {"inside": 0.12},
        {"outside": 0.1},
    ],
)
def test_a_small_part_confirms_nothing_where_it_is_not_sure_that_the_tag_keeps_to_it(changes):
    facts = replace(CUT_OUT, survival=replace(CUT_OUT.survival, **changes))
    assert judge(facts).verdict in {Verdict.TAG_UNCONFIRMED, Verdict.TAG_TRANSPLANT_SUSPECTED}


def test_a_small_part_in_which_nothing_differs_is_no_match():
    facts = replace(CUT_OUT, registration=replace(UNCHANGED, agreement=0.25), survival=GOOD.survival)
    assert judge(facts).verdict == Verdict.TAG_UNCONFIRMED


def test_a_tag_all_over_another_background_is_a_suspected_transplant():
    survival = Survival(surviving_fraction=1.0, inside=0.4, outside=0.45, inside_error=0.02)
    assert _verdict(CUT_OUT, survival=survival) == Verdict.TAG_TRANSPLANT_SUSPECTED


def test_that_little_is_read_around_a_replacement_is_no_excuse_for_a_tag_in_it():
    over = Survival(surviving_fraction=0.5, inside=0.6, outside=0.14, inside_error=0.02)
    assert _verdict(FAKE, survival=over) == Verdict.TAG_TRANSPLANT_SUSPECTED
    assert _verdict(FAKE, survival=replace(over, inside=0.22)) == Verdict.VERIFIED_DERIVATIVE


def test_a_tag_as_strong_inside_the_replacement_is_a_suspected_transplant():
    survival = Survival(surviving_fraction=1.0, inside=0.58, outside=0.6)
    judgement = judge(replace(FAKE, survival=survival))
    assert judgement.verdict == Verdict.TAG_TRANSPLANT_SUSPECTED
    assert any("embedded afterwards" in text for text in judgement.reasons)


@pytest.mark.parametrize("error", [None, 0.02])
def test_what_shows_in_the_replacement_beyond_accident_is_a_suspected_transplant(error):
    survival = Survival(surviving_fraction=1.0, inside=0.168, outside=0.379, inside_error=error)
    assert judge(replace(FAKE, survival=survival)).verdict == Verdict.TAG_TRANSPLANT_SUSPECTED


@pytest.mark.parametrize(
    "changes",
    [
        {"survival": Survival(surviving_fraction=1.0, inside=None, outside=None)},
        {"survival": Survival(surviving_fraction=1.0, inside=None, outside=0.6)},
        {"survival": Survival(surviving_fraction=0.1, inside=0.05, outside=0.05)},
        {"survival": Survival(surviving_fraction=1.0, inside=0.168, outside=0.379, inside_error=0.06)},
        {"survival": None},
    ],
)
def test_no_transplant_is_suspected_on_weak_grounds(changes):
    assert _verdict(FAKE, **changes) == Verdict.VERIFIED_DERIVATIVE


def test_a_record_logged_after_the_exhibit_is_never_attributed():
    judgement = judge(replace(FAKE, acquired_at="2025-12-31T23:59:59Z"))
    assert judgement.verdict == Verdict.RECORD_POSTDATES_EXHIBIT
    assert any("made from the exhibit" in text for text in judgement.limitations)


@pytest.mark.parametrize(
    ("acquired", "postdates"),
    [
        ("2026-01-01T00:00:00Z", False),
        ("2026-01-01T00:30:00+01:00", True),
        ("2025-12-31T23:30:00-01:00", False),
        ("2025-12-31T23:59:59", True),
        (None, False),
        ("last week", False),
    ],
)
def test_times_are_compared_as_moments(acquired, postdates):
    assert (_verdict(acquired_at=acquired) == Verdict.RECORD_POSTDATES_EXHIBIT) is postdates


MALLORYS = replace(SOURCE, log_name="mirror", log_key_id="ed25519:cc", log_standing="unpinned")


def test_a_record_that_says_itself_that_it_is_younger_postdates_whatever_a_log_says():
    late = replace(SOURCE, created="2026-04-01T00:00:00Z")
    for source in (late, replace(late, log_standing="impossible")):
        for logged_at in (None, "2026-01-01T00:00:00Z"):
            judgement = judge(replace(GOOD, source=source, logged_at=logged_at))
            assert judgement.verdict == Verdict.RECORD_POSTDATES_EXHIBIT
            (reason,) = [text for text in judgement.reasons if "acquired" in text]
            assert "under its issuer's signature" in reason
            assert late.created in reason
            assert GOOD.acquired_at in reason


def test_the_log_of_a_time_is_named():
    (reason,) = [
        text
        for text in judge(replace(GOOD, source=MALLORYS, logged_at="2026-05-01T00:00:00Z")).reasons
        if "was logged at 2026-05-01T00:00:00Z" in text
    ]
    assert 'logged at 2026-05-01T00:00:00Z as entry 4 of the log "mirror", which signs with ed25519:cc, after' in reason
    rival = replace(RIVAL, log_name="other", log_key_id="ed25519:dd", log_standing="unpinned")
    text = " ".join(judge(replace(GOOD, source=MALLORYS, rivals=(rival,))).reasons)
    assert '"mirror"' in text
    assert "ed25519:dd, a key that nobody pinned" in text


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        ("unpinned", "a mere claim"),
        ("pinned", "pinned for somebody else"),
        ("impossible", "was not used"),
        ("issuer", None),
        ("", None),
    ],
)
def test_what_a_log_time_is_worth_is_said(standing, words):
    source = replace(MALLORYS, log_standing=standing)
    for facts in (GOOD, replace(GOOD, registration=UNMEASURED), replace(GOOD, logged_at="2026-05-01T00:00:00Z")):
        limitations = judge(replace(facts, source=source)).limitations
        told = [text for text in limitations if '"mirror"' in text]
        assert [words in text for text in told] == ([] if words is None else [True])


def test_claims_without_a_possible_log_time_stand_at_the_records_own():
    rival = replace(RIVAL, logged_at="2020-01-01T00:00:00Z", created="2026-02-01T00:00:00Z", log_standing="impossible")
    reasons = judge(replace(GOOD, rivals=(rival,))).reasons
    assert "Agency One" in reasons[1]
    assert "made at 2026-02-01T00:00:00Z" in reasons[2]
    assert "2020" not in " ".join(reasons)


def test_a_missing_time_is_said():
    for changes in ({"acquired_at": None}, {"logged_at": None}, {"acquired_at": "yesterday"}):
        judgement = judge(replace(GOOD, **changes))
        assert any("was not checked whether the record is older" in text for text in judgement.limitations)


def test_what_was_compared_with_the_acquisition_is_said():
    said = {}
    for name, changes in {
        "no log": {"logged_at": None, "source": replace(MALLORYS, log_standing="impossible")},
        "no acquisition": {"acquired_at": None},
        "no time of the record": {"logged_at": None, "source": replace(SOURCE, created="yesterday")},
    }.items():
        limitations = judge(replace(GOOD, **changes)).limitations
        (said[name],) = [text for text in limitations if "was not checked whether" in text]
    assert f"only {SOURCE.created}, when it says under its issuer's signature" in said["no log"]
    assert "was compared with the acquisition" in said["no log"]
    assert "No usable acquisition time" in said["no acquisition"]
    assert "acquisition" not in said["no time of the record"]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("issuer_untrusted", Verdict.ISSUER_UNTRUSTED),
        ("key_revoked", Verdict.KEY_REVOKED),
        ("signature_invalid", Verdict.SIGNATURE_INVALID),
        ("anything else", Verdict.SIGNATURE_INVALID),
    ],
)
def test_a_signature_that_is_not_verified_ends_the_matter(status, verdict):
    assert _verdict(signature=replace(SIGNATURE, status=status)) == verdict


def test_a_match_without_a_checked_signature_is_not_accepted():
    assert _verdict(signature=None) == Verdict.SIGNATURE_INVALID


def test_claims_of_two_issuers_are_a_conflict_shown_in_log_order():
    judgement = judge(replace(FAKE, rivals=(RIVAL,)))
    assert judgement.verdict == Verdict.CONFLICT
    claims = [text for text in judgement.reasons if "claims the picture" in text]
    assert len(claims) == 2
    assert "Agency One" in claims[0]
    assert "2026-02-01T00:00:00Z" in claims[1]
    assert any("No winner" in text for text in judgement.limitations)


def test_another_frame_of_the_same_issuer_is_a_limitation_not_a_conflict():
    judgement = judge(replace(GOOD, rivals=(replace(RIVAL, issuer="Agency One"),)))
    assert judgement.verdict == Verdict.VERIFIED_MATCH
    assert any(RIVAL.tag_id in text for text in judgement.limitations)


def test_a_shared_frame_with_other_content_is_not_attributed():
    mostly = replace(CHANGED, changed_fraction=0.75)
    judgement = judge(replace(FAKE, registration=mostly))
    assert judgement.verdict == Verdict.TAG_UNCONFIRMED
    assert any("75 %" in text for text in judgement.reasons)
    assert not any("no preview" in text for text in judgement.limitations)


def test_a_decoded_tag_in_no_registry_is_unregistered():
    tag = DecodedTag(
        tag_id="0" * 16,
        carrier_key_id="carrier:01",
        symbols_corrected=1,
        erasures=0,
        false_accept_p=5e-10,
        geometry=Geometry(mode="direct"),
    )
    assert judge(Facts(tag=tag)).verdict == Verdict.TAG_UNREGISTERED
    assert judge(Facts(tag=replace(tag, false_accept_p=1e-3))).verdict == Verdict.NO_TAG_READ
    alone = judge(Facts(tag=tag))
    beside = judge(Facts(tag=tag, lead=CHANGED, lead_source=SOURCE))
    assert beside.verdict == Verdict.TAG_UNREGISTERED
    assert beside.reasons[: len(alone.reasons)] == alone.reasons
    assert any(SOURCE.tag_id in reason for reason in beside.reasons[len(alone.reasons) :])
    assert any("starting point" in limit for limit in beside.limitations)


@pytest.mark.parametrize("reason", ["not_present", "present_unreadable", "no_carrier_key", "not_read"])
def test_no_tag_read_says_what_it_does_not_mean(reason):
    judgement = judge(Facts(tag=TagAbsence(reason=reason, presence=0.1)))
    assert judgement.verdict == Verdict.NO_TAG_READ
    assert any("does not show that the picture is genuine" in text for text in judgement.limitations)
    assert "not tagged" not in " ".join(judgement.reasons)


def test_content_without_a_tag_is_a_lead():
    facts = Facts(tag=TagAbsence(reason="not_present", presence=0.0), lead=CHANGED, lead_source=SOURCE)
    judgement = judge(facts)
    assert judgement.verdict == Verdict.CONTENT_LEAD
    assert any("not an identification" in text for text in judgement.limitations)
    assert any(SOURCE.tag_id in text for text in judgement.reasons)


def test_a_match_over_the_bound_is_no_link():
    weak = replace(TAG, e_case=2e-6)
    assert _verdict(tag=weak) == Verdict.NO_TAG_READ
    assert _verdict(tag=weak, lead=UNCHANGED, lead_source=SOURCE) == Verdict.CONTENT_LEAD
    assert _verdict(tag=replace(TAG, e_case=float("nan"))) == Verdict.NO_TAG_READ


def test_an_unreadable_file_says_nothing_about_its_content():
    failure = IntakeFailure(stage="decode", type="EvidenceUnreadable", message="truncated after 12 bytes")
    judgement = judge(replace(GOOD, failure=failure))
    assert judgement.verdict == Verdict.UNREADABLE
    assert "truncated after 12 bytes." in judgement.reasons[0]


@pytest.mark.parametrize("present", [1.0, 0.6, 0.0])
def test_without_a_preview_neither_a_change_nor_its_absence_is_claimed(present: float):
    survival = Survival(surviving_fraction=present, inside=None, outside=None)
    judgement = judge(replace(GOOD, registration=UNMEASURED, survival=survival))
    assert judgement.verdict == Verdict.TAG_UNCONFIRMED
    assert any("keeps no preview" in text for text in judgement.limitations)
    assert not any("replaced or destroyed" in text for text in judgement.reasons)


PRECEDENCE = [
    ({"signature": replace(SIGNATURE, status="signature_invalid")}, Verdict.SIGNATURE_INVALID),
    ({"signature": replace(SIGNATURE, status="key_revoked")}, Verdict.KEY_REVOKED),
    ({"signature": replace(SIGNATURE, status="issuer_untrusted")}, Verdict.ISSUER_UNTRUSTED),
    ({"acquired_at": "2020-01-01T00:00:00Z"}, Verdict.RECORD_POSTDATES_EXHIBIT),
    ({"rivals": (RIVAL,)}, Verdict.CONFLICT),
    ({"survival": Survival(surviving_fraction=1.0, inside=0.6, outside=0.6)}, Verdict.TAG_TRANSPLANT_SUSPECTED),
]


def test_the_stricter_verdict_wins():
    changes = {}
    for change, verdict in reversed(PRECEDENCE):
        changes.update(change)
        assert _verdict(FAKE, **changes) == verdict


_share = st.floats(0, 1)
_level = st.none() | st.floats(-1, 1)
_survivals = st.none() | st.builds(Survival, surviving_fraction=_share, inside=_level, outside=_level)
_boxes = st.lists(st.just(Box(left=0.1, top=0.1, right=0.2, bottom=0.2)), max_size=2).map(tuple)
_registrations = st.none() | st.builds(
    Registration,
    inliers=st.integers(0, 400),
    matches=st.integers(0, 500),
    inlier_ratio=_share,
    homography=st.just((1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)),
    against=st.sampled_from(["preview", "descriptors"]),
    overlap_fraction=_share,
    changed_fraction=st.none() | _share,
    changed_regions=_boxes,
)
_e_values = st.floats(0, 1) | st.sampled_from([1e-6, 1.0000001e-6, float("inf"), float("nan")])
_tags = (
    st.none()
    | st.builds(
        TagAbsence,
        reason=st.sampled_from(["not_present", "present_unreadable", "no_carrier_key", "not_read"]),
        presence=_share,
    )
    | st.builds(lambda e: replace(TAG, e_case=e), _e_values)
    | st.builds(
        DecodedTag,
        tag_id=st.just("0" * 16),
        carrier_key_id=st.just("carrier:01"),
        symbols_corrected=st.integers(0, 4),
        erasures=st.integers(0, 8),
        false_accept_p=_e_values,
        geometry=st.just(Geometry(mode="direct")),
    )
)
_times = st.none() | st.sampled_from(["2025-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "never", ""])
_facts = st.builds(
    Facts,
    failure=st.none() | st.just(IntakeFailure(stage="read", type="X", message="broken")),
    tag=_tags,
    signature=st.none()
    | st.builds(
        lambda s: replace(SIGNATURE, status=s),
        st.sampled_from(["verified", "issuer_untrusted", "key_revoked", "signature_invalid", "", "VERIFIED"]),
    ),
    source=st.none()
    | st.builds(
        lambda created, standing: replace(MALLORYS, created=created, log_standing=standing),
        st.sampled_from([SOURCE.created, "2026-05-01T00:00:00Z"]),
        st.sampled_from(["", "issuer", "pinned", "unpinned", "impossible"]),
    ),
    acquired_at=_times,
    logged_at=_times,
    time_trusted=st.booleans(),
    registration=_registrations,
    suspect_features=st.integers(0, 500),
    source_features=st.integers(0, 500),
    common_geometry=st.booleans(),
    coarse_distance_bits=st.none() | st.integers(0, 64),
    survival=_survivals,
    movement=st.none()
    | st.builds(
        Movement,
        moved_fraction=st.floats(0, 1),
        shift=st.floats(0, 0.1),
        agreement=st.floats(0, 1),
        following=st.none() | st.floats(-20, 20),
        undone=st.booleans(),
    ),
    rivals=st.lists(st.sampled_from([RIVAL, SOURCE]), max_size=2).map(tuple),
    lead=_registrations,
    lead_source=st.none() | st.just(RIVAL),
)
VERIFIED = {Verdict.VERIFIED_MATCH, Verdict.VERIFIED_DERIVATIVE}


@given(_facts)
def test_nothing_is_verified_without_signature_bound_and_registration(facts):
    judgement = judge(facts)
    if judgement.verdict in VERIFIED:
        assert facts.failure is None
        assert isinstance(facts.tag, MatchedTag)
        assert facts.tag.e_case <= 1e-6
        assert facts.signature is not None
        assert facts.signature.status == "verified"
        assert facts.registration is not None
        assert all(rival.issuer == "Agency One" for rival in facts.rivals)
        assert facts.movement is None or not facts.movement.is_left_behind
        assert facts.source is None or facts.acquired_at != "2025-01-01T00:00:00Z"
    if judgement.verdict == Verdict.VERIFIED_MATCH:
        assert facts.registration.changed_fraction is not None
        assert facts.registration.changed_regions == ()


@given(_facts)
def test_every_judgement_is_full_sentences_and_the_same_twice(facts):
    judgement = judge(facts)
    assert judgement == judge(facts)
    assert judgement.reasons
    assert judgement.limitations
    for text in (*judgement.reasons, *judgement.limitations):
        assert text[0].isupper()
        assert text.endswith(".")
        assert "authentic" not in text.lower()
        assert json.loads(json.dumps(text)) == text
    if judgement.verdict in {Verdict.NO_TAG_READ, Verdict.CONTENT_LEAD}:
        assert any("does not show that the picture is genuine" in text for text in judgement.limitations)
    if judgement.verdict in VERIFIED | {Verdict.CONTENT_LEAD, Verdict.CONFLICT, Verdict.RECORD_POSTDATES_EXHIBIT}:
        assert any("kinship, not direction" in text for text in judgement.limitations)


@given(_facts)
def test_weaker_trust_never_turns_into_attribution(facts):
    if judge(facts).verdict in VERIFIED:
        return
    for changes in (
        {"signature": replace(SIGNATURE, status="signature_invalid")},
        {"registration": None},
        {"tag": replace(TAG, e_case=1.0)},
    ):
        assert judge(replace(facts, **changes)).verdict not in VERIFIED


HALF = Box(left=0.5, top=0.0, right=1.0, bottom=1.0)


@pytest.mark.parametrize("facts", [GOOD, FAKE, replace(GOOD, registration=None, suspect_features=7)])
def test_a_verdict_on_a_part_says_which_and_that_the_rest_is_not_meant(facts: Facts):
    whole, part = judge(facts), judge(replace(facts, region=HALF))
    assert part.verdict == whole.verdict
    (where,) = set(part.reasons) - set(whole.reasons)
    assert "from 50 % to 100 % of its width" in where
    assert "from 0 % to 100 % of its height" in where
    (limit,) = set(part.limitations) - set(whole.limitations)
    assert "50 % of the picture" in limit
    assert "says nothing about it" in limit


@pytest.mark.parametrize(("count", "words"), [(1, "Another tag was read"), (3, "Further tags, 3 of them, were read")])
def test_tags_in_other_parts_are_told_and_dispute_nothing(count: int, words: str):
    judgement = judge(replace(GOOD, further_tags=count))
    assert judgement.verdict == Verdict.VERIFIED_MATCH
    assert sum(words in reason for reason in judgement.reasons) == 1


MOVED_ALONG = Movement(moved_fraction=0.4, shift=0.023, agreement=0.9, following=8.1, undone=True)
AT_REST = replace(MOVED_ALONG, following=-7.2, undone=False)
UNCLEAR = replace(MOVED_ALONG, following=1.4, undone=False)


def test_a_bent_picture_whose_tag_was_bent_with_it_is_a_derivative_even_if_nothing_else_changed():
    judgement = judge(replace(GOOD, movement=MOVED_ALONG))
    assert judgement.verdict == Verdict.VERIFIED_DERIVATIVE
    assert any("bent after it had been tagged" in text for text in judgement.reasons)
    assert any("no other change" in text for text in judgement.reasons)
    assert not any("differs from the source" in text for text in judgement.reasons)
    assert any("expression transfer" in text for text in judgement.limitations)


def test_what_differs_besides_is_told_beside_the_movement():
    judgement = judge(replace(FAKE, movement=MOVED_ALONG))
    assert judgement.verdict == Verdict.VERIFIED_DERIVATIVE
    moved, changed = (
        next(at for at, text in enumerate(judgement.reasons) if words in text)
        for words in ("only once it is moved", "Once that is undone, the content differs")
    )
    assert moved < changed


@pytest.mark.parametrize("facts", [GOOD, FAKE, replace(GOOD, registration=None, common_geometry=True)])
def test_a_tag_that_lies_straight_in_a_bent_picture_is_suspected(facts):
    judgement = judge(replace(facts, movement=AT_REST))
    assert judgement.verdict == Verdict.TAG_TRANSPLANT_SUSPECTED
    assert any("embedded afterwards" in text for text in judgement.reasons)
    assert any("it can err" in text for text in judgement.limitations)
    assert any("not attributed" in text for text in judgement.limitations)


@pytest.mark.parametrize("following", [UNCLEAR.following, None, 2.99, -2.99])
def test_a_doubtful_movement_neither_links_nor_accuses(following):
    doubtful = replace(UNCLEAR, following=following)
    unconfirmed = replace(GOOD, registration=None, common_geometry=True, movement=doubtful)
    assert _verdict(unconfirmed) == Verdict.TAG_UNCONFIRMED
    assert any("only once it is moved" in text for text in judge(unconfirmed).reasons)
    assert _verdict(replace(FAKE, movement=doubtful)) == Verdict.VERIFIED_DERIVATIVE


@pytest.mark.parametrize("following", [8.0, -8.0])
def test_displacements_under_which_little_agrees_say_nothing(following):
    """The flow itself is in doubt then, and what was not undone is not said to be."""
    doubtful = replace(MOVED_ALONG, agreement=0.45, following=following, undone=False)
    judgement = judge(replace(FAKE, movement=doubtful))
    assert judgement.verdict == Verdict.VERIFIED_DERIVATIVE
    assert not any("Once that is undone" in text for text in judgement.reasons)
    assert any("cannot be told" in text for text in judgement.reasons)
    assert (
        _verdict(replace(GOOD, registration=None, common_geometry=True, movement=doubtful)) == Verdict.TAG_UNCONFIRMED
    )


def test_a_transplant_suspected_for_another_reason_tells_of_movement_too():
    over = Survival(surviving_fraction=1.0, inside=0.5, outside=0.6, inside_error=0.02)
    judgement = judge(replace(FAKE, survival=over, movement=UNCLEAR))
    assert judgement.verdict == Verdict.TAG_TRANSPLANT_SUSPECTED
    assert any("cannot be told" in text for text in judgement.reasons)


@pytest.mark.parametrize("stricter", ["signature", "acquired_at"])
def test_a_moved_tag_overrules_nothing_stricter(stricter):
    worse = {
        "signature": replace(SIGNATURE, status="signature_invalid"),
        "acquired_at": "2025-12-01T00:00:00Z",
    }[stricter]
    assert not _verdict(replace(GOOD, movement=MOVED_ALONG, **{stricter: worse})).startswith("VERIFIED")


def test_too_large_a_changed_area_is_no_derivative_though_the_rest_was_moved():
    most = replace(CHANGED, changed_fraction=0.7)
    assert _verdict(replace(FAKE, registration=most, movement=MOVED_ALONG)) == Verdict.TAG_UNCONFIRMED


def test_a_movement_of_which_nothing_is_known_is_no_match():
    """Content that agrees only once it is moved was changed, and the sentences say so."""
    judgement = judge(replace(GOOD, movement=UNCLEAR))
    assert judgement.verdict == Verdict.VERIFIED_DERIVATIVE
    assert any("cannot be told" in text for text in judgement.reasons)
    assert any(text.startswith("Besides, no changed region") for text in judgement.reasons)
    assert any("Why content was moved is not told" in text for text in judgement.limitations)


@pytest.mark.parametrize("survival", [None, replace(FAKE.survival, inside=None, outside=None)])
def test_that_a_late_tag_could_not_have_been_noticed_is_said(survival):
    judgement = judge(replace(FAKE, survival=survival))
    assert judgement.verdict == Verdict.VERIFIED_DERIVATIVE
    assert any("could not be judged whether the tag lies" in text for text in judgement.limitations)
    assert not any("could not be judged whether" in text for text in judge(FAKE).limitations)
    assert not any("could not be judged whether" in text for text in judge(GOOD).limitations)


@pytest.mark.parametrize(
    "survival",
    [
        Survival(surviving_fraction=0.1, inside=0.05, outside=0.05),
        Survival(surviving_fraction=0.9, inside=0.3, outside=0.3, inside_error=0.13),
    ],
    ids=["faint all over", "far from sure"],
)
def test_nor_where_one_as_strong_as_around_would_not_have_been_told(survival):
    judgement = judge(replace(FAKE, survival=survival))
    assert judgement.verdict == Verdict.VERIFIED_DERIVATIVE
    assert any("could not be judged whether the tag lies" in text for text in judgement.limitations)


def test_a_tag_that_rather_stayed_is_the_reason_why_a_loose_fit_does_not_confirm():
    stayed = replace(UNCLEAR, following=-1.8)
    for geometry in (True, False):
        judgement = judge(replace(GOOD, registration=None, common_geometry=geometry, movement=stayed))
        assert judgement.verdict == Verdict.TAG_UNCONFIRMED
        assert any("fits its source loosely" in text for text in judgement.reasons)
        assert any("it rather was not (1.8 standard errors)" in text for text in judgement.reasons)
        assert not any("too few features" in text or "too little around" in text for text in judgement.reasons)


def test_what_agrees_once_it_is_moved_does_not_contradict_the_record():
    facts = replace(GOOD, registration=None, common_geometry=False, coarse_distance_bits=30)
    assert judge(facts).verdict == Verdict.TAG_TRANSPLANT_SUSPECTED
    assert judge(replace(facts, movement=replace(UNCLEAR, following=-1.8))).verdict == Verdict.TAG_UNCONFIRMED


def test_a_source_laid_by_its_tag_is_told_without_a_share_too():
    judgement = judge(replace(GOOD, registration=replace(UNCHANGED, against="tag frame", agreement=None)))
    assert any("agrees with the picture; the picture shows" in text for text in judgement.reasons)


def test_it_is_said_where_nothing_can_be_told_of_what_is_left_of_the_tag():
    survival = replace(FAKE.survival, surviving_fraction=0.0, visible_fraction=0.0)
    reasons = judge(replace(FAKE, survival=survival)).reasons
    assert any(text.startswith("Nowhere could it be measured") and "0.03 where" in text for text in reasons)
    assert not any("0 % of the frame" in text for text in reasons)


def test_a_derivative_that_rests_on_a_part_says_so_and_that_tags_can_be_copied():
    judgement = judge(CUT_OUT)
    assert any(text.startswith("A part of the source's preview lies in the picture") for text in judgement.reasons)
    assert not any("shows 100 %" in text for text in judgement.reasons)
    assert PART_LIMITS in judgement.limitations
    assert PART_LIMITS not in judge(FAKE).limitations


def test_a_part_that_is_not_confirmed_is_told_as_one():
    judgement = judge(replace(CUT_OUT, survival=None))
    assert judgement.verdict == Verdict.TAG_UNCONFIRMED
    assert PART_ALONE in judgement.reasons
    assert not any("So much of the shared area differs" in text for text in judgement.reasons)


def test_half_a_tag_in_what_was_painted_over_a_part_is_neither_confirmed_nor_suspected():
    shining_through = Survival(surviving_fraction=0.5, inside=0.2, outside=0.37, inside_error=0.02)
    assert _verdict(CUT_OUT, survival=shining_through) == Verdict.TAG_UNCONFIRMED
    assert _verdict(FAKE, survival=shining_through) == Verdict.TAG_TRANSPLANT_SUSPECTED


def test_a_tag_that_lies_elsewhere_than_its_content_confirms_nothing():
    judgement = judge(replace(GOOD, registration=None, misplaced=True, coarse_distance_bits=30))
    assert judgement.verdict == Verdict.TAG_UNCONFIRMED
    assert MISPLACED in judgement.reasons
