"""Attackers' arithmetic on maps made for the purpose, and their rows."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.codec.carriers import build_carriers, build_sync_carrier, rows_from_planes
from ftforensics.domain.link import Verdict
from ftforensics.flows.bench import attackers as flow
from ftforensics.flows.bench.carrier_attack import (
    Loot,
    copy_message,
    fit_known,
    forge,
    match_carriers,
    span_share,
    unmix,
)

CARRIERS = rows_from_planes(build_carriers(b"c" * 32, "ftf-1"))


def loot(count: int, noise: float, rng: np.random.Generator, bits: int = 128) -> Loot:
    """Maps that hold a constant, a tag, and noise of ``noise`` times the tag's energy."""
    words = rng.choice(np.array([-1.0, 1.0], dtype=np.float32), (count, bits))
    spread = noise * np.sqrt(bits / CARRIERS.shape[1])
    rows = words @ CARRIERS[:bits] + spread * rng.normal(size=(count, CARRIERS.shape[1])) + 0.3
    return Loot(rows=rows, words=words)


def test_known_words_give_the_carriers_and_more_pictures_give_better_ones(rng: np.random.Generator):
    few, many = (match_carriers(fit_known(loot(count, 1.0, rng)), CARRIERS).mean() for count in (150, 400))
    assert 0.2 < few < many
    assert many > 0.8


def test_unmixing_needs_no_words(rng: np.random.Generator):
    held = loot(300, 0.2, rng, bits=6)
    estimated = unmix(held, 1, sources=6)
    assert match_carriers(estimated, CARRIERS[:6]).mean() > 0.9
    assert span_share(held, CARRIERS[:6]) > 0.9
    message = copy_message(held.rows[0] - held.rows.mean(axis=0), estimated)
    truth = held.words[0] @ CARRIERS[:6]
    assert message @ truth / np.linalg.norm(message) / np.linalg.norm(truth) > 0.7


def test_chance_is_matched_to_next_to_nothing(rng: np.random.Generator):
    assert match_carriers(rng.normal(size=CARRIERS.shape), CARRIERS).mean() < 0.1
    shuffled = -CARRIERS[rng.permutation(128)]
    assert match_carriers(shuffled, CARRIERS).min() == pytest.approx(1.0)


def test_a_forged_tag_has_the_energy_of_a_real_one():
    planes = forge(CARRIERS[0] + CARRIERS[5], build_sync_carrier("ftf-1"))
    assert np.mean(planes**2) == pytest.approx(1.0, abs=1e-3)


def test_subtracting_costs_what_it_says(photographs: dict[str, np.ndarray]):
    from ftforensics.imaging.quality import psnr_db

    planes = forge(CARRIERS[0], build_sync_carrier("ftf-1"))
    picture = photographs["coffee"]
    once, twice = (flow.add_planes(picture, planes, 40.0, times) for times in (-1.0, -2.0))
    assert psnr_db(once, picture) == pytest.approx(40.0, abs=0.5)
    assert psnr_db(twice, picture) == pytest.approx(34.0, abs=0.5)


def test_verified_forgeries_are_counted_and_bounded():
    def scan(attack: str, verdict: Verdict) -> flow.Forgery:
        return flow.Forgery(attack=attack, read=True, verdict=verdict)

    first, second = flow.ATTACKS[:2]
    rows = flow.summarise_forgeries(
        [
            scan(first, Verdict.TAG_TRANSPLANT_SUSPECTED),
            scan(first, Verdict.VERIFIED_DERIVATIVE),
            scan(second, Verdict.NO_TAG_READ),
        ],
        1,
    )
    assert [(row["attack"], row["verified"]) for row in rows] == [(first, 1), (second, 0)]
    assert rows[0]["verdicts"] == "TAG_TRANSPLANT_SUSPECTED 1, VERIFIED_DERIVATIVE 1"
    assert rows[1]["verified_upper"] == pytest.approx(0.95)


def test_who_is_left_after_two_issuers_adds_up():
    def tagged(first: bool, second: bool) -> flow.Retagged:
        return flow.Retagged(first=first, second=second, verdict=Verdict.CONFLICT)

    row = flow.summarise_retagging([tagged(True, True), tagged(False, True), tagged(False, False)], 1)[0]
    assert sum(float(row[key] or 0.0) for key in ("both", "first", "second", "neither")) == pytest.approx(1.0)
    assert row["second"] == pytest.approx(1 / 3)
    assert flow.summarise_retagging([], 1) == ()


def test_a_picture_from_which_nothing_was_taken_has_no_psnr():
    kept = flow.Removal(how="nothing", identified=True, wrong=False, psnr_db=float("inf"))
    lost = flow.Removal(how="once", identified=False, wrong=False, psnr_db=45.0)
    rows = flow.summarise_removal([kept, lost], 1)
    assert rows[0].get("psnr_db") is None
    assert (rows[1]["identified"], rows[1]["psnr_db"]) == (0.0, 45.0)
