"""Agreement of readers: what counts as holding, and the figures of a reader that is off by a known amount."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ftforensics.domain.model import ModelCard
from ftforensics.engine.onnx import OnnxReader
from ftforensics.engine.plans.agreeing import LEAST_READS
from ftforensics.errors import EngineError
from ftforensics.flows.bench.parity import (
    MANIPULATIONS,
    Answers,
    Exam,
    Parity,
    build_exam,
    compare_answers,
    summarise_parity,
    take_exam,
)
from ftforensics.flows.bench.pictures import load_set
from ftforensics.flows.bench.setup import Bench, Setup


class Faulty:
    """The reader, its maps scaled and noisy."""

    backend, precision, engine_sha256 = "faulty", "fp32", None

    def __init__(self, reader: OnnxReader, noise: float) -> None:
        self.reader, self.noise, self.card = reader, noise, reader.card

    card: ModelCard

    def read(self, pictures: np.ndarray) -> np.ndarray:
        maps = self.reader.read(pictures)
        return (maps + np.random.default_rng(1).normal(0, self.noise, maps.shape)).astype(np.float32)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, photographs: dict[str, Any]) -> Exam:
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("astronaut", "coffee"):
        Image.fromarray(photographs[name]).save(folder / f"{name}.png")
    setup = Setup(model=model_folder, work=tmp_path_factory.mktemp("work"), seed=3, psnr_db=40.0, informed=None)
    return build_exam(load_set(folder, None), Bench(setup), reads=len(MANIPULATIONS) + 1)


@pytest.fixture(scope="module")
def reader(model_folder: Path) -> OnnxReader:
    return OnnxReader(model_folder, threads=1)


@pytest.fixture(scope="module")
def reference(exam: Exam, reader: OnnxReader) -> Answers:
    return take_exam(reader, exam)


def test_the_reference_identifies_tagged_pictures_and_agrees_with_itself(
    exam: Exam, reader: OnnxReader, reference: Answers
) -> None:
    assert len(exam.views) == len(exam.names) == 2 * len(MANIPULATIONS)
    assert reference.identities[0] != ""
    parity = compare_answers(reference, take_exam(reader, exam), exam, name="itself")
    assert (parity.max_abs_difference, parity.sign_agreement) == (0.0, 1.0)
    assert parity.identical_identities == parity.reads == 2 * len(MANIPULATIONS)
    assert parity.identified >= len(MANIPULATIONS)


def test_noise_shows_in_every_figure(exam: Exam, reader: OnnxReader, reference: Answers) -> None:
    little, much = (
        compare_answers(reference, take_exam(Faulty(reader, noise), exam), exam, name="onnx") for noise in (0.01, 30.0)
    )
    assert 0 < little.mean_abs_difference < little.max_abs_difference < 0.1
    assert much.mean_abs_difference > 100 * little.mean_abs_difference
    assert much.sign_agreement < 0.9
    assert much.identical_identities < much.reads


def test_figures_fit_a_manifest(exam: Exam, reference: Answers) -> None:
    figures = compare_answers(reference, reference, exam, name="onnx fp32").as_dict()
    assert {
        "reads",
        "max_abs_difference",
        "mean_abs_difference",
        "sign_agreement",
        "identical_identities",
        "reference",
        "images_sha256",
        "seed",
    } <= figures.keys()
    assert all(isinstance(value, int | float | str) for value in figures.values())


PARITY = Parity(
    reads=LEAST_READS,
    max_abs_difference=0.1,
    mean_abs_difference=0.01,
    sign_agreement=0.9995,
    identical_identities=LEAST_READS,
    identified=LEAST_READS,
    reference="onnx",
    images_sha256="0" * 64,
    views_sha256="0" * 64,
    seed=1,
)


def test_what_holds_depends_on_precision() -> None:
    assert PARITY.holds("int8")
    assert PARITY.holds("fp16")
    assert not PARITY.holds("fp32")
    assert not PARITY.holds("something else")


@pytest.mark.parametrize(
    "change", [{"reads": LEAST_READS - 1}, {"identical_identities": LEAST_READS - 1}, {"sign_agreement": 0.9989}]
)
def test_what_does_not_hold(change: dict[str, Any]) -> None:
    assert not replace(PARITY, **change).holds("int8")


def test_rows_say_what_was_not_measured() -> None:
    rows = summarise_parity([("torch fp32", "fp32", "torch is not installed"), ("onnx int8", "int8", PARITY)])
    assert rows[0]["holds"] == "not measured: torch is not installed"
    assert (rows[1]["holds"], rows[1]["reads"]) == ("yes", LEAST_READS)


def test_too_few_pictures_are_refused(tmp_path: Path, model_folder: Path, photographs: dict[str, Any]) -> None:
    for name in ("astronaut", "coffee"):
        Image.fromarray(photographs[name][:256, :256]).save(tmp_path / f"{name}.png")
    bench = Bench(Setup(model=model_folder, work=tmp_path / "work", seed=3, psnr_db=40.0))
    with pytest.raises(EngineError, match="200 reads are wanted"):
        build_exam(load_set(tmp_path, None), bench)
