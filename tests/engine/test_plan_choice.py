"""Which built plan a TensorRT backend takes: trusted, of this model and release, for a GPU at hand; or why none."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_samples import MALLORY, PINNED, make_manifest, save_plan

from ftforensics.engine.backends import Wanted, open_backend, probe
from ftforensics.engine.cuda.driver import DriverReport, Gpu
from ftforensics.engine.models import load_card
from ftforensics.engine.plans.agreeing import describe_doubt
from ftforensics.errors import BackendUnavailable

NAME = "tensorrt-rtx"


def gpu(ordinal: int, name: str, capability: tuple[int, int]) -> Gpu:
    return Gpu(ordinal=ordinal, name=name, compute_capability=capability, memory_bytes=24 << 30)


ADA, HOPPER = gpu(0, "RTX 4090", (8, 9)), gpu(0, "H200", (9, 0))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A machine with these GPUs, as far as the preflight and the list of packages tell."""

    def have(*gpus: Gpu, cuda: str = "13.0") -> None:
        report = DriverReport(works=True, reason=f"{len(gpus)} GPUs", cuda_version=cuda, gpus=gpus)
        monkeypatch.setattr("ftforensics.engine.backends.check_driver", lambda: report)
        monkeypatch.setattr("ftforensics.engine.backends._package_folder", lambda package: Path("/packages"))

    have(ADA)
    return have


def wanted(model_folder: Path, engines: Path, **options: str | bool) -> Wanted:
    return Wanted(folder=model_folder, engines=engines, fingerprints=lambda: PINNED, **options)  # type: ignore[arg-type]


def weights(model_folder: Path) -> dict[str, str]:
    sha256 = load_card(model_folder).reader_sha256
    return {"model_sha256": sha256, "graph_sha256": sha256}


def test_the_newest_plan_is_taken_on_all_gpus_it_fits(machine, model_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    machine(ADA, gpu(1, "H200", (9, 0)), gpu(2, "RTX 4090", (8, 9)))
    save_plan(tmp_path, b"older", precision="fp32", built_at="2026-01-01T00:00:00Z", **weights(model_folder))
    newer = save_plan(tmp_path, b"newer", built_at="2026-02-01T00:00:00Z", **weights(model_folder))
    found = probe(NAME, wanted(model_folder, tmp_path))
    assert (found.works, found.precision, found.device) == (True, "fp16", "2 GPUs")
    assert found.reason == f"has the plan {newer.request.name}"
    assert probe(NAME, wanted(model_folder, tmp_path, precision="fp32")).precision == "fp32"


def test_without_a_plan_the_command_that_builds_one_is_named(machine, model_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    save_plan(tmp_path)  # of other weights
    found = probe(NAME, wanted(model_folder, tmp_path))
    assert (found.works, found.reason) == (False, "no plan was built for this model")
    assert found.remedy == "build one with 'ftf engine build ftf-1 --flavour tensorrt-rtx'"
    assert "in int8" in probe(NAME, wanted(model_folder, tmp_path, precision="int8")).reason


def test_a_gpu_that_is_no_target_is_told_so_before_anyone_builds_for_it(  # type: ignore[no-untyped-def]
    machine, model_folder: Path, tmp_path: Path
) -> None:
    machine(HOPPER)
    found = probe(NAME, wanted(model_folder, tmp_path))
    assert found.reason == "tensorrt-rtx supports none of the GPUs here: H200 (sm_90)"
    assert found.remedy == "use another engine: tensorrt or torch"


def test_a_plan_of_a_stranger_is_not_taken_and_not_hidden(machine, model_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    save_plan(tmp_path, signer=MALLORY, **weights(model_folder))
    found = probe(NAME, wanted(model_folder, tmp_path))
    assert not found.works
    assert "not pinned for engine plans" in found.reason
    with pytest.raises(BackendUnavailable, match="does not work here: the plan is signed with"):
        open_backend(NAME, wanted(model_folder, tmp_path))


@pytest.mark.parametrize(
    ("gpus", "cuda", "reason"),
    [
        ((gpu(0, "RTX 3090", (8, 6)),), "13.0", "the plan is for sm_89, sm_120, and RTX 3090 is sm_86"),
        ((ADA,), "12.4", r"stops at CUDA 12\.4"),
    ],
)
def test_a_plan_for_another_machine_says_what_stands_in_the_way(  # type: ignore[no-untyped-def]
    gpus: tuple[Gpu, ...], cuda: str, reason: str, machine, model_folder: Path, tmp_path: Path
) -> None:
    machine(*gpus, cuda=cuda)
    save_plan(tmp_path, **weights(model_folder))
    with pytest.raises(BackendUnavailable, match=reason):
        open_backend(NAME, wanted(model_folder, tmp_path))


HOLDS = {"reads": 200, "sign_agreement": 0.9995, "identical_identities": 200}


def test_auto_takes_no_plan_whose_parity_was_not_measured(machine, model_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    plan = save_plan(tmp_path, precision="int8", **weights(model_folder)).request.name
    assert probe(NAME, wanted(model_folder, tmp_path)).works  # whoever names the engine may have it
    found = probe(NAME, wanted(model_folder, tmp_path, unasked=True))
    assert (found.works, found.reason) == (False, f"the parity of the plan {plan} was not measured")
    assert found.remedy == "run 'ftf engine parity --images DIR --engine tensorrt-rtx:int8 --record'"


@pytest.mark.parametrize(
    "figures",
    [
        {**HOLDS, "sign_agreement": 0.9989},
        {**HOLDS, "identical_identities": 199},
        {**HOLDS, "reads": 199, "identical_identities": 199},
        {**HOLDS, "sign_agreement": "1.0"},
        {"reads": 200, "sign_agreement": 1.0},
        {"note": "all is well"},
    ],
)
@pytest.mark.parametrize("precision", ["fp16", "int8", "fp32"])
def test_auto_takes_no_plan_whose_own_figures_fail(  # type: ignore[no-untyped-def]
    precision: str, figures: dict[str, float | str], machine, model_folder: Path, tmp_path: Path
) -> None:
    save_plan(tmp_path, precision=precision, parity=figures, **weights(model_folder))
    found = probe(NAME, wanted(model_folder, tmp_path, unasked=True))
    assert not found.works
    assert found.reason.endswith("was measured and does not hold")


def test_auto_goes_past_a_newer_plan_to_one_that_agrees(machine, model_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    agreeing = save_plan(tmp_path, b"a", built_at="2026-01-02T00:00:00Z", parity=HOLDS, **weights(model_folder))
    save_plan(tmp_path, b"b", precision="fp32", built_at="2026-01-01T00:00:00Z", **weights(model_folder))
    doubtful = save_plan(tmp_path, b"c", precision="int8", built_at="2026-01-03T00:00:00Z", **weights(model_folder))
    assert probe(NAME, wanted(model_folder, tmp_path)).plan == doubtful.request.name
    found = probe(NAME, wanted(model_folder, tmp_path, unasked=True))
    assert (found.works, found.plan, found.precision) == (True, agreeing.request.name, "fp16")


def test_auto_takes_a_plan_in_fp32_without_figures(machine, model_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    save_plan(tmp_path, precision="fp32", **weights(model_folder))
    assert probe(NAME, wanted(model_folder, tmp_path, unasked=True)).works


def test_what_speaks_against_a_plan_that_was_asked_for_can_be_told() -> None:
    assert "was not measured" in str(describe_doubt(make_manifest(b"plan")))
    assert "does not hold" in str(describe_doubt(make_manifest(b"plan", parity={**HOLDS, "sign_agreement": 0.5})))
    assert describe_doubt(make_manifest(b"plan", parity=HOLDS)) is None
    assert describe_doubt(make_manifest(b"plan", precision="fp32")) is None


def test_the_plan_that_was_tried_is_opened_and_no_newer_one(machine, model_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tried = save_plan(tmp_path, b"a", built_at="2026-01-01T00:00:00Z", **weights(model_folder)).request.name
    assert probe(NAME, wanted(model_folder, tmp_path)).plan == tried
    save_plan(tmp_path, b"b", precision="int8", built_at="2026-01-02T00:00:00Z", **weights(model_folder))
    assert probe(NAME, wanted(model_folder, tmp_path, plan=tried)).plan == tried
    assert not probe(NAME, wanted(model_folder, tmp_path, plan="ftf-1-gone")).works
