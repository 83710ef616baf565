"""What may be shipped in eight bits, and which pictures judge it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftforensics.engine.plans.agreeing import LEAST_READS
from ftforensics.engine.quantise import Choice, Trial
from ftforensics.errors import EvidenceUnreadable
from ftforensics.flows.bench.parity import Parity
from ftforensics.flows.bench.pictures import BenchPicture, PictureSet, split_held_out
from ftforensics.flows.bench.quantising import Quantisation, summarise_outcome, summarise_trials
from ftforensics.flows.bench.results import DataInfo

PARITY = Parity(
    reads=LEAST_READS,
    max_abs_difference=0.1,
    mean_abs_difference=0.01,
    sign_agreement=0.9995,
    identical_identities=LEAST_READS,
    identified=LEAST_READS,
    reference="onnxruntime-cpu fp32",
    images_sha256="0" * 64,
    views_sha256="0" * 64,
    seed=1,
)
TRIAL = Trial(runs=("run 0", "run 1"), sign_agreement=0.9996, relative_error=0.01)
GOOD = Quantisation(
    choice=Choice(graph=b"g", runs=TRIAL.runs, trials=(TRIAL,)), parity=PARITY, speed_up=1.8, sure_speed_up=1.7
)


def test_what_agrees_and_is_faster_is_shipped() -> None:
    assert GOOD.refusal is None
    (row,) = summarise_outcome(GOOD)
    assert (row["outcome"], row["runs"], row["speed_up"]) == ("shipped", "run 0; run 1", 1.8)
    assert summarise_trials([TRIAL])[0]["relative_error"] == 0.01


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sure_speed_up": 1.05}, "1.05 times as fast"),
        ({"parity": replace(PARITY, sign_agreement=0.99)}, "99.000 % of signs"),
        ({"parity": replace(PARITY, identical_identities=LEAST_READS - 1)}, "199 of 200 identities"),
        ({"choice": Choice(graph=None, runs=(), trials=()), "parity": None, "sure_speed_up": None}, "no run"),
    ],
)
def test_what_does_not_is_not(change: dict[str, Any], said: str) -> None:
    found = replace(GOOD, **change)
    assert said in str(found.refusal)
    assert str(summarise_outcome(found)[0]["outcome"]).startswith("not shipped: ")


def pictures(names: list[str]) -> PictureSet:
    made = tuple(
        BenchPicture(name=name, folder=name.split("/")[0], path=Path(name), sha256=f"{at:064x}")
        for at, name in enumerate(names)
    )
    return PictureSet(pictures=made, data=DataInfo(count=len(made), sha256="0" * 64))


def test_the_last_of_each_folder_are_kept_back() -> None:
    names = [f"{folder}/{number:02d}.jpg" for folder in ("a", "b") for number in range(20)]
    first, last = split_held_out(pictures(names[::-1]))
    assert [picture.name for picture in last.pictures] == [*names[17:20], *names[37:40]]
    assert {picture.name for picture in first.pictures} == set(names) - {picture.name for picture in last.pictures}
    assert (first.data.count, last.data.count) == (34, 6)
    assert first.data.sha256 != last.data.sha256
    assert last.data.folders == {"a": 3, "b": 3}


def test_nothing_to_keep_back_is_an_error() -> None:
    with pytest.raises(EvidenceUnreadable):
        split_held_out(pictures(["a/1.jpg", "a/2.jpg", "a/3.jpg"]))
