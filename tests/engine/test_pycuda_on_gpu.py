"""PyCUDA on a real GPU: slots, streams and captured graphs in the context that torch uses too, with torch's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from slot_devices import GRID, SIDE, average

from ftforensics.engine.cuda.graphs import CapturedGraph, import_driver_api
from ftforensics.engine.cuda.runner import Runner
from ftforensics.engine.cuda.slots import Floats, Pixels

pytestmark = pytest.mark.gpu

torch = pytest.importorskip("torch")


class Pointer:
    """Device memory of PyCUDA, as torch takes it."""

    def __init__(self, allocation: Any, shape: tuple[int, ...]) -> None:
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": "<f4",
            "data": (int(allocation), False),
            "strides": None,
            "version": 3,
        }


class PoolingSlot:
    """Means of two by two pixels by torch, in PyCUDA's memory and on its stream."""

    def __init__(self, device: PoolingDevice, capacity: int) -> None:
        from ftforensics.engine.cuda.pycuda_context import SlotBuffers

        self.shape = (capacity, 3, SIDE, SIDE)
        self.buffers = SlotBuffers(device.context, self.shape, (capacity, 3, GRID, GRID))
        self.stream = torch.cuda.ExternalStream(int(self.buffers.stream.handle), device=0)
        self.taken = torch.as_tensor(Pointer(self.buffers.device_in, self.shape), device="cuda:0")
        self.given = torch.as_tensor(Pointer(self.buffers.device_out, (capacity, 3, GRID, GRID)), device="cuda:0")
        self.filled = 0
        self.buffers.start_input()
        self.enqueue()
        self.buffers.start_output()
        self.buffers.wait()
        api = import_driver_api()
        self.graph = None if api is None else CapturedGraph(api, int(self.buffers.stream.handle), self.enqueue)
        device.captured.append(self.graph is not None)

    def enqueue(self) -> None:
        with torch.cuda.stream(self.stream), torch.inference_mode():
            torch._C._nn.avg_pool2d(self.taken, [2, 2], out=self.given)

    def submit(self, pictures: Sequence[Pixels]) -> None:
        self.filled = len(pictures)
        self.buffers.host_in[: self.filled] = np.stack(pictures).transpose(0, 3, 1, 2)
        self.buffers.start_input()
        if self.graph is None:
            self.enqueue()
        else:
            self.graph.launch()
        self.buffers.start_output()

    def collect(self) -> Floats:
        self.buffers.wait()
        return self.buffers.host_out[: self.filled].copy()

    def close(self) -> None:
        self.buffers.stream.synchronize()
        if self.graph is not None:
            self.graph.close()
        del self.taken, self.given
        self.buffers.close()


class PoolingDevice:
    """GPU 0 through PyCUDA."""

    def __init__(self) -> None:
        from ftforensics.engine.cuda.pycuda_context import PrimaryContext

        self.name = "GPU 0"
        self.context = PrimaryContext(0)
        self.captured: list[bool] = []

    def open(self) -> None:
        self.context.open()

    def open_slot(self, capacity: int) -> PoolingSlot:
        return PoolingSlot(self, capacity)

    def close(self) -> None:
        self.context.close()


@pytest.fixture(scope="module")
def _pycuda() -> None:
    from ftforensics.engine.cuda.pycuda_context import import_pycuda
    from ftforensics.errors import BackendUnavailable

    try:
        import_pycuda()
    except BackendUnavailable as exc:
        pytest.skip(exc.sentence)


@pytest.mark.usefixtures("_pycuda")
def test_slots_of_pycuda_compute_beside_torch_in_one_context() -> None:
    torch.zeros(1, device="cuda:0")  # torch has the context first, and uses it in between
    pictures = np.random.default_rng(1).integers(0, 256, (1000, SIDE, SIDE, 3), dtype=np.uint8)
    device = PoolingDevice()
    with Runner([device], grid=GRID, slots=3, batch=16) as runner:
        found = runner.read(pictures)
        assert float(torch.arange(4, device="cuda:0").sum()) == 6.0
        again = [runner.submit(picture) for picture in pictures[:50]]
        np.testing.assert_array_equal(np.concatenate([one.result(30) for one in again]), found[:50])
    np.testing.assert_allclose(found, average(pictures), rtol=1e-6)
    assert len(device.captured) > 1
    assert float(torch.ones(4, device="cuda:0").sum()) == 4.0  # the context outlives PyCUDA's share of it


@pytest.mark.usefixtures("_pycuda")
def test_opening_and_closing_pycuda_leaves_no_memory_behind() -> None:
    left = []
    pictures = np.zeros((64, SIDE, SIDE, 3), dtype=np.uint8)
    for _ in range(6):
        with Runner([PoolingDevice()], grid=GRID, slots=2, batch=32) as runner:
            runner.read(pictures)
        left.append(torch.cuda.mem_get_info(0)[0])
    assert left[1] - left[-1] < 4 << 20
