"""Another GPU, release or driver is told in one sentence, before anything is loaded."""

from __future__ import annotations

from typing import Any

import pytest
from plan_samples import RTX, make_manifest

from ftforensics.cli.errors import ENGINE, exit_code
from ftforensics.engine.plans.builder import check_builds_here
from ftforensics.engine.plans.fitness import check_runs_here
from ftforensics.engine.plans.flavours import FLAVOURS
from ftforensics.errors import EngineError

MANIFEST = make_manifest(b"plan")
FITS: dict[str, Any] = {"flavour_version": RTX, "capability": (8, 9), "device_name": "L4", "driver_cuda": "13.0"}


@pytest.mark.parametrize(
    "change", [{}, {"capability": (12, 0)}, {"driver_cuda": "13.2"}, {"driver_cuda": "14.0"}, {"driver_cuda": None}]
)
def test_where_all_fits_nothing_is_said(change: dict[str, Any]) -> None:
    check_runs_here(MANIFEST, **(FITS | change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"flavour_version": None}, "needs tensorrt-rtx, which is not installed"),
        ({"flavour_version": "1.7.1.117"}, "built by tensorrt-rtx 1.7.1.116, and 1.7.1.117 is installed"),
        ({"capability": None}, "needs an NVIDIA GPU with its driver, and none was found"),
        (
            {"capability": (9, 0), "device_name": "NVIDIA H200"},
            "NVIDIA H200 (sm_90) is no GPU that tensorrt-rtx supports",
        ),
        ({"capability": (8, 6), "device_name": "A10"}, "the plan is for sm_89, sm_120, and A10 is sm_86"),
        ({"driver_cuda": "12.8"}, "needs a driver for CUDA 13, and the driver here stops at CUDA 12.8"),
        ({"driver_cuda": "unknown"}, "stops at CUDA unknown"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_5(change: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError) as caught:
        check_runs_here(MANIFEST, **(FITS | change))
    assert words in caught.value.sentence
    assert MANIFEST.request.name in caught.value.sentence
    assert caught.value.remedy
    assert "\n" not in caught.value.sentence
    assert exit_code(caught.value) == ENGINE


def test_a_driver_is_not_asked_for_more_than_is_known() -> None:
    check_runs_here(make_manifest(b"plan", cuda_major=None), **(FITS | {"driver_cuda": "11.0"}))


def test_rtx_builds_for_any_gpu_and_tensorrt_only_for_the_one_at_hand() -> None:
    check_builds_here(FLAVOURS["tensorrt-rtx"], ("sm_75", "sm_121"), None)
    check_builds_here(FLAVOURS["tensorrt"], ("sm_90",), (9, 0))
    with pytest.raises(EngineError, match="which is sm_90; use --target sm_90"):
        check_builds_here(FLAVOURS["tensorrt"], ("sm_89",), (9, 0))
    with pytest.raises(EngineError, match="no NVIDIA GPU with its driver was found; build there"):
        check_builds_here(FLAVOURS["tensorrt"], ("sm_90",), None)
