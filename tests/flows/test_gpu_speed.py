"""Measurements on a GPU: refused without one, and with one every row is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ftforensics.errors import BackendUnavailable
from ftforensics.flows.bench import gpu_speed


def test_without_torch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendUnavailable, match="torch is not installed"):
        gpu_speed.require_gpu()


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for measure in (gpu_speed.measure_resident, gpu_speed.measure_slots, gpu_speed.measure_leak):
        with pytest.raises(BackendUnavailable, match="torch sees no GPU"):
            measure(model_folder)


@pytest.mark.gpu
def test_pixels_on_the_gpu_are_read(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> None:
    monkeypatch.setattr(gpu_speed, "RESIDENT_BATCHES", (1, 4))
    rows = gpu_speed.measure_resident(model_folder, rounds=2)
    assert len(rows) == 2 * len(gpu_speed.PRECISIONS)


@pytest.mark.gpu
def test_nothing_leaks_in_a_hundred_batches(model_folder: Path) -> None:
    early, late = gpu_speed.measure_leak(model_folder, batches=100, batch=8)
    assert late["same"] == early["same"] == "the same bytes as at first"
    assert float(str(late["device_mb"])) - float(str(early["device_mb"])) < 1.0
