"""A fake is registered as the source, its tag copied into the genuine photograph; or another picture is registered."""

from tag_samples import matched_tag

from ftforensics.domain.link import Registration, SignatureCheck, SourceRef, Verdict
from ftforensics.link.verdict import Facts, judge

TAG = matched_tag()


def _source(issuer, logged_at, tag_id):
    return SourceRef(
        tag_id=tag_id,
        issuer=issuer,
        key_id=f"ed25519:{issuer}",
        record_sha256="a" * 64,
        source_sha256="b" * 64,
        tagged_sha256=None,
        log_index=1,
        logged_at=logged_at,
        created=logged_at,
    )


def _facts(**changes):
    source = _source("Forger", "2026-03-01T12:00:00Z", TAG.tag_id)
    facts = {
        "tag": TAG,
        "signature": SignatureCheck(
            status="verified", issuer="Forger", key_id="ed25519:f", record_sha256="a" * 64, log_index=1, time=None
        ),
        "source": source,
        "logged_at": source.logged_at,
        "acquired_at": "2026-02-01T09:00:00Z",
        "registration": Registration(
            inliers=200,
            matches=210,
            inlier_ratio=0.95,
            homography=(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0),
            against="preview",
            overlap_fraction=1.0,
            changed_fraction=0.0,
        ),
        "suspect_features": 300,
        "source_features": 300,
    }
    return Facts(**{**facts, **changes})


def test_a_record_made_after_the_exhibit_was_in_hand_attributes_nothing():
    judgement = judge(_facts())
    assert judgement.verdict == Verdict.RECORD_POSTDATES_EXHIBIT
    assert any("2026-03-01T12:00:00Z" in text and "2026-02-01T09:00:00Z" in text for text in judgement.reasons)


def test_an_earlier_record_still_proves_kinship_only():
    judgement = judge(_facts(acquired_at="2026-04-01T00:00:00Z"))
    assert judgement.verdict == Verdict.VERIFIED_MATCH
    assert any("kinship, not direction" in text for text in judgement.limitations)


def test_two_issuers_of_one_photograph_are_both_shown():
    rival = _source("Photographer", "2025-06-01T00:00:00Z", "ffeeddccbbaa9988")
    judgement = judge(_facts(acquired_at="2026-04-01T00:00:00Z", rivals=(rival,)))
    assert judgement.verdict == Verdict.CONFLICT
    text = " ".join(judgement.reasons)
    assert "Photographer" in text
    assert "Forger" in text
    assert text.index("2025-06-01") < text.index("2026-03-01")
