"""The network as GPUs compute it: the same maps, and only kernels that were seen to give them twice."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch
from torch.nn import functional

from ftforensics.engine.agreement import LIMITS, build_test_pictures
from ftforensics.engine.cuda import torch_fused
from ftforensics.engine.cuda.slots import OutOfDeviceMemory
from ftforensics.engine.cuda.torch_device import PRECISIONS, TorchDevice, lower_precision, translated
from ftforensics.engine.cuda.torch_fused import LADDER, FusedReader, find_forward, name_kernels, spread_pixels
from ftforensics.engine.cuda.torch_weights import load_folded_reader
from ftforensics.engine.models import load_card
from ftforensics.nets.folded import FoldedReader

GREY = float(np.float32(1.0 / 255.0))
SHAPE = (3, 128, 128, 3)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    drawn = build_test_pictures(128)
    return torch.from_numpy(np.concatenate([drawn, drawn[:1, ::-1]]))


def net_in(graph: bytes, kind: torch.dtype) -> FoldedReader:
    return lower_precision(load_folded_reader(graph, subject="reader.onnx"), kind)


def plainly(net: FoldedReader):  # type: ignore[no-untyped-def]
    return lambda given: net(given.permute(0, 3, 1, 2).to(torch.float32) * GREY).contiguous()


def off(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt())


def pretend_fused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """cuDNN's two operators, written out; the list tells which were used."""
    used: list[str] = []

    def clip(features, weight, bias, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
        used.append("relu")
        return functional.relu(functional.conv2d(features, weight, bias, stride, padding, dilation, groups))

    def add_clip(features, weight, z, alpha, bias, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
        used.append("add relu")
        found = functional.conv2d(features, weight, bias, stride, padding, dilation, groups)
        return functional.relu(found + alpha * z)

    monkeypatch.setattr(torch.ops.aten, "cudnn_convolution_relu", clip)
    monkeypatch.setattr(torch.ops.aten, "cudnn_convolution_add_relu", add_clip)
    return used


def test_the_first_layer_takes_the_very_same_numbers(pictures: torch.Tensor) -> None:
    wanted = functional.pixel_unshuffle(pictures.permute(0, 3, 1, 2).to(torch.float32) * GREY * 4.0 - 2.0, 2)
    found = spread_pixels(pictures)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("rung", range(len(LADDER)))
def test_every_rung_reads_what_the_folded_network_reads(
    rung: int, precision: str, graph: bytes, pictures: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = pretend_fused(monkeypatch)
    kind = PRECISIONS[precision]
    net = net_in(graph, kind)
    with torch.inference_mode():
        wanted = plainly(net)(pictures)
        found = FusedReader(net, kind, LADDER[rung])(pictures)
    assert found.dtype is torch.float32
    assert found.is_contiguous()
    assert off(found, wanted) < LIMITS[precision] / 5
    # Stem, and per level of the descent one way down; blocks and ways up have something to add.
    blocks = sum(len(stage) for stage in (*net.encoders, *net.decoders))  # type: ignore[arg-type]
    clips = {0: 1 + len(net.downs) + blocks, 1: len(net.downs) + blocks, 2: 0, 3: 0}[rung]
    assert used.count("relu") == clips
    assert used.count("add relu") == (0 if rung == 3 else blocks + len(net.ups))


def test_where_cudnn_is_missing_nothing_of_it_is_used(graph: bytes) -> None:
    net = net_in(graph, torch.float32)
    with torch.inference_mode():
        forward = find_forward(net, torch.float32, plainly(net), SHAPE, "cpu")
    assert name_kernels(forward) == "in place"


def test_cudnn_is_used_where_it_reads_alike(graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_fused(monkeypatch)
    net = net_in(graph, torch.float32)
    with torch.inference_mode():
        assert name_kernels(find_forward(net, torch.float32, plainly(net), SHAPE, "cpu")) == "fused"


@pytest.mark.parametrize("fault", ["no number", "other bits each time", "no kernel", "another map"])
def test_a_kernel_that_errs_is_not_used(fault: str, graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_fused(monkeypatch)
    good = torch.ops.aten.cudnn_convolution_relu
    calls = [0]

    def bad(*given):  # type: ignore[no-untyped-def]
        calls[0] += 1
        if fault == "no kernel":
            raise RuntimeError("unable to find an engine to execute this computation")
        found = good(*given)
        factor = {"no number": float("nan"), "other bits each time": 1.0 + 1e-5 * calls[0], "another map": 0.5}
        return found * factor[fault]

    monkeypatch.setattr(torch.ops.aten, "cudnn_convolution_relu", bad)
    net = net_in(graph, torch.float32)
    with torch.inference_mode():
        assert name_kernels(find_forward(net, torch.float32, plainly(net), SHAPE, "cpu")) == "fused sums"


def test_where_nothing_reads_alike_the_plain_way_stays(graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    net = net_in(graph, torch.float32)
    plain = plainly(net)
    monkeypatch.setattr(torch_fused, "_reads", lambda *_: False)
    with torch.inference_mode():
        assert find_forward(net, torch.float32, plain, SHAPE, "cpu") is plain
    assert name_kernels(plain) == "plain"


def test_a_gpu_without_room_for_the_trial_is_told_apart(graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_fused(monkeypatch)

    def full(*_):  # type: ignore[no-untyped-def]
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.ops.aten, "cudnn_convolution_relu", full)
    net = net_in(graph, torch.float32)
    with torch.inference_mode(), pytest.raises(torch.OutOfMemoryError):
        find_forward(net, torch.float32, plainly(net), SHAPE, "cpu")


def test_the_processor_reads_as_before(graph: bytes, model_folder: Path) -> None:
    device = TorchDevice(graph, load_card(model_folder), device="cpu", precision="fp32")
    device.open()
    assert name_kernels(device.find_forward(4)) == "plain"
    device.close()


def test_too_little_memory_is_seen_behind_what_it_leads_to() -> None:
    def capture() -> None:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    with pytest.raises(OutOfDeviceMemory, match="CUDA out of memory"), translated("cuda:0"):
        capture()


def test_a_failed_attempt_leaves_its_memory_to_a_smaller_one() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def attempt() -> None:
        taken = torch.zeros(1000)
        held.append(weakref.ref(taken))
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfDeviceMemory) as caught, translated("cuda:0"):
        attempt()
    assert held[0]() is None
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
