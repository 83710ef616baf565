"""A tag is read from a registered photograph and embedded in another picture, or on a finished fake."""

from dataclasses import replace

import cv2
import numpy as np
import skimage.data
from tag_samples import matched_tag

from ftforensics.domain.link import SignatureCheck, Verdict
from ftforensics.link import fingerprint
from ftforensics.link.difference import compare, measured, project_to_source
from ftforensics.link.register import attempt
from ftforensics.link.survival import build_survival, measure_level, summarise
from ftforensics.link.verdict import Facts, judge

TAG = matched_tag()
SIGNATURE = SignatureCheck(
    status="verified", issuer="Agency", key_id="ed25519:aa", record_sha256="a" * 64, log_index=1, time=None
)


def _facts(suspect, source):
    made = fingerprint.build(source)
    preview = fingerprint.decode_preview(made.preview)
    tried = attempt(suspect, preview, made.descriptors)
    nearest = min(fingerprint.hamming(f"{value:016x}", made.phash) for value in fingerprint.phash_pair(suspect))
    facts = Facts(
        tag=TAG,
        signature=SIGNATURE,
        acquired_at="2026-05-01T00:00:00Z",
        logged_at="2026-01-01T00:00:00Z",
        registration=tried.registration,
        suspect_features=tried.suspect_features,
        source_features=tried.source_features,
        common_geometry=tried.reason == "not_confirmed",
        coarse_distance_bits=nearest,
    )
    return facts, preview


def _tag_pattern():
    noise = np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32)
    band = np.stack([cv2.GaussianBlur(p, (0, 0), 0.9) - cv2.GaussianBlur(p, (0, 0), 4) for p in noise])
    return (band / band.std()).astype(np.float32)


def _fake():
    source = skimage.data.astronaut()
    donor = cv2.resize(skimage.data.coffee(), (512, 512), interpolation=cv2.INTER_AREA)
    alpha = np.zeros((512, 512, 1), np.float32)
    cv2.ellipse(alpha, (220, 130), (80, 100), 0, 0, 360, 1.0, -1)
    return source, (source * (1 - alpha) + donor * alpha).astype(np.uint8)


def test_a_tag_in_another_picture_is_not_attributed():
    facts, _ = _facts(skimage.data.chelsea(), skimage.data.astronaut())
    assert judge(facts).verdict == Verdict.TAG_TRANSPLANT_SUSPECTED


def test_a_tag_put_on_a_finished_fake_is_told_from_one_that_the_fake_inherited():
    source, fake = _fake()
    facts, preview = _facts(fake, source)
    difference = compare(fake, preview, facts.registration)
    hole = project_to_source(difference.replaced, facts.registration, 64)
    around = cv2.dilate(hole.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    tag = _tag_pattern()
    noise = np.random.default_rng(1).normal(size=tag.shape).astype(np.float32)
    verdicts = {}
    for name, left in (("inherited", tag * ~hole), ("put on afterwards", tag)):
        inside, outside = (measure_level(left + noise, tag, part) for part in (hole, ~around))
        survival = replace(summarise(build_survival(left + noise, tag)), inside=inside, outside=outside)
        verdicts[name] = judge(
            replace(
                facts,
                registration=measured(facts.registration, difference),
                survival=survival,
            )
        ).verdict
    assert verdicts == {
        "inherited": Verdict.VERIFIED_DERIVATIVE,
        "put on afterwards": Verdict.TAG_TRANSPLANT_SUSPECTED,
    }
