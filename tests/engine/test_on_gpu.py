"""On a real GPU: the same maps as ONNX Runtime, back-off, several readers, and no leak over 10,000 batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftforensics.engine.agreement import build_test_pictures, check_agreement
from ftforensics.engine.backends import Wanted, open_backend, probe, try_backend
from ftforensics.engine.onnx import OnnxReader

pytestmark = pytest.mark.gpu

LEAK_BATCHES = 10_000


def cuda_reader(folder: Path, **options: object):  # type: ignore[no-untyped-def]
    pytest.importorskip("torch")
    from ftforensics.engine.cuda.torch_reader import TorchReader

    return TorchReader(folder, device="cuda:0", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_torch_on_a_gpu_reads_what_onnx_runtime_reads(
    precision: str, model_folder: Path, onnx_reader: OnnxReader
) -> None:
    with cuda_reader(model_folder, precision=precision) as reader:
        assert reader.backend == "torch-cuda"
        check_agreement(reader, onnx_reader)


def test_maps_on_a_gpu_do_not_depend_on_their_neighbours(model_folder: Path) -> None:
    pictures = np.concatenate([build_test_pictures(128)] * 20)
    with cuda_reader(model_folder, batch=8) as reader:
        maps = reader.read(pictures)
        for at in (0, 1, 13, 39):
            np.testing.assert_allclose(reader.read(pictures[at : at + 1])[0], maps[at], atol=1e-5)
        np.testing.assert_array_equal(maps[::2], np.broadcast_to(maps[0], maps[::2].shape))


def test_a_gpu_without_room_gets_smaller_batches(model_folder: Path) -> None:
    torch = pytest.importorskip("torch")
    pictures = np.concatenate([build_test_pictures(128)] * 10)
    with cuda_reader(model_folder, batch=4) as reader:
        wanted = reader.read(pictures)
    torch.cuda.empty_cache()
    share = (2 << 30) / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(share, 0)
    try:
        with cuda_reader(model_folder, batch=4096) as reader:
            np.testing.assert_allclose(reader.read(pictures), wanted, atol=1e-3)
            assert reader.runner.lanes[0].batch < 4096
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, 0)


def test_ten_thousand_batches_leave_no_memory_behind(model_folder: Path) -> None:
    torch = pytest.importorskip("torch")
    pictures = np.concatenate([build_test_pictures(128)] * 500)
    with cuda_reader(model_folder, batch=1) as reader:
        reader.read(pictures)
        before = torch.cuda.mem_get_info(0)[0]
        for _ in range(LEAK_BATCHES // len(pictures)):
            reader.read(pictures)
        assert before - torch.cuda.mem_get_info(0)[0] < 16 << 20


def test_opening_and_closing_leaves_no_memory_behind(model_folder: Path) -> None:
    torch = pytest.importorskip("torch")
    left = []
    for _ in range(6):
        with cuda_reader(model_folder) as reader:
            reader.read(build_test_pictures(128))
        left.append(torch.cuda.mem_get_info(0)[0])
    assert left[1] - left[-1] < 16 << 20


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx", "torch"])
def test_what_a_probe_promises_holds_in_a_process_of_its_own(name: str, model_folder: Path) -> None:
    wanted = Wanted(folder=model_folder)
    status = probe(name, wanted)
    if not status.works:
        assert status.reason
        return
    assert try_backend(name, wanted).works
    open_backend(name, wanted).close()
