"""Slots, queues, batches, back-off and teardown, on a device without a GPU."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slot_devices import GRID, SIDE, AveragingDevice, average

from ftforensics.engine.cuda.runner import Runner
from ftforensics.errors import EngineError

FOREVER_S = 1e6


def draw(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def run(*devices: AveragingDevice, **options: float) -> Runner:
    return Runner(devices, grid=GRID, **{"batch": 4, "latency_s": 0.001, **options})  # type: ignore[arg-type]


def wait_for(condition: object, what: str) -> None:
    ends_s = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends_s, what
        time.sleep(0.001)


@given(
    counts=st.lists(st.integers(0, 23), max_size=4),
    batch=st.integers(1, 9),
    slots=st.integers(1, 3),
    devices=st.integers(1, 3),
    room=st.integers(1, 30),
)
@settings(max_examples=40)
def test_maps_are_right_and_in_order_however_they_fall_into_batches(
    counts: list[int], batch: int, slots: int, devices: int, room: int
) -> None:
    made = [AveragingDevice(room=room) for _ in range(devices)]
    with run(*made, batch=batch, slots=slots) as runner:
        for seed, count in enumerate(counts):
            pictures = draw(count, seed)
            np.testing.assert_array_equal(runner.read(pictures), average(pictures))
    assert all(device.closed == 1 and device.in_use == 0 for device in made)


def test_a_read_does_not_wait_for_others() -> None:
    with run(AveragingDevice(), latency_s=FOREVER_S) as runner:
        assert runner.read(draw(1)).shape == (1, 3, GRID, GRID)


def test_single_pictures_are_read_together_as_soon_as_the_batch_is_full() -> None:
    device = AveragingDevice()
    pictures = draw(4)
    with run(device, latency_s=FOREVER_S) as runner:
        maps = [runner.submit(picture) for picture in pictures[:3]]
        time.sleep(0.02)
        assert device.batches == []
        maps.append(runner.submit(pictures[3]))
        np.testing.assert_array_equal(np.concatenate([one.result(30) for one in maps]), average(pictures))
    assert device.batches == [4]


def test_a_lonely_picture_waits_no_longer_than_the_latency() -> None:
    device = AveragingDevice()
    with run(device, latency_s=0.05) as runner:
        started_s = time.monotonic()
        runner.submit(draw(1)[0]).result(30)
        assert time.monotonic() - started_s >= 0.05
    assert device.batches == [1]


def test_closing_finishes_what_still_waits_for_company() -> None:
    runner = run(AveragingDevice(), latency_s=FOREVER_S)
    maps = runner.submit(draw(1)[0])
    runner.close()
    np.testing.assert_array_equal(maps.result(0), average(draw(1)))


def test_the_next_batch_starts_while_the_first_is_computed_and_no_more_than_there_are_slots() -> None:
    device = AveragingDevice()
    device.gate.clear()
    with run(device, slots=2) as runner, ThreadPoolExecutor(1) as pool:
        maps = pool.submit(runner.read, draw(16))
        wait_for(lambda: len(device.batches) == 2, "the second slot was not used")
        time.sleep(0.02)
        assert device.batches == [4, 4]
        device.gate.set()
        np.testing.assert_array_equal(maps.result(30), average(draw(16)))
    assert device.slots_opened == 2


def test_a_full_device_gets_half_the_batch_and_is_not_asked_for_more_again() -> None:
    device = AveragingDevice(room=7)
    with run(device, batch=16, slots=2) as runner:
        np.testing.assert_array_equal(runner.read(draw(20)), average(draw(20)))
        assert runner.lanes[0].batch == 2
        refusals = device.refusals
        np.testing.assert_array_equal(runner.read(draw(20)), average(draw(20)))
        assert device.refusals == refusals
    assert max(device.batches) <= 4


def test_with_room_for_one_picture_only_there_is_one_slot() -> None:
    device = AveragingDevice(room=1)
    with run(device, slots=3) as runner:
        np.testing.assert_array_equal(runner.read(draw(5)), average(draw(5)))
        assert (runner.lanes[0].batch, runner.lanes[0].slots) == (1, 1)


def test_without_room_for_one_picture_the_error_says_so_and_nobody_waits_for_ever() -> None:
    with run(AveragingDevice("GPU 3", room=0)) as runner:
        for _ in range(2):
            with pytest.raises(EngineError, match=r"not even memory for one picture.*GPU 3.*--engine onnx"):
                runner.read(draw(9))


def test_what_a_broken_device_owes_is_read_by_another() -> None:
    broken, whole = AveragingDevice(breaks_after=1), AveragingDevice()
    with run(broken, whole) as runner:
        np.testing.assert_array_equal(runner.read(draw(40)), average(draw(40)))
        np.testing.assert_array_equal(runner.read(draw(8)), average(draw(8)))
        assert runner.lanes[0].failure is not None
    assert len(broken.batches) == 2
    assert broken.closed == whole.closed == 1


def test_when_every_device_is_broken_whoever_asks_is_told_why() -> None:
    with run(AveragingDevice(breaks_after=0), AveragingDevice(breaks_after=1)) as runner:
        for _ in range(3):
            with pytest.raises(EngineError, match="illegal memory access"):
                runner.read(draw(40))


def test_a_device_that_does_not_open_is_done_without() -> None:
    with run(AveragingDevice("GPU 0", opens=False), AveragingDevice("GPU 1")) as runner:
        assert [refusal.subject for refusal in runner.refusals] == ["GPU 0"]
        np.testing.assert_array_equal(runner.read(draw(9)), average(draw(9)))


def test_without_any_device_that_opens_there_is_no_runner() -> None:
    with pytest.raises(EngineError, match="no such GPU"):
        run(AveragingDevice(opens=False), AveragingDevice(opens=False))


@pytest.mark.parametrize("options", [{"batch": 0}, {"slots": 0}, {"latency_s": -1.0}])
def test_senseless_settings_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(EngineError):
        run(AveragingDevice(), **options)


def test_whoever_has_least_to_do_gets_the_next_batch() -> None:
    held, free = AveragingDevice(), AveragingDevice()
    held.gate.clear()
    with run(held, free) as runner, ThreadPoolExecutor(1) as pool:
        first = pool.submit(runner.read, draw(8))  # one batch each
        wait_for(lambda: held.batches and free.batches, "both devices get a batch")
        wait_for(lambda: runner.lanes[1].depth() == 0, "the free device is done")
        for _ in range(5):
            runner.read(draw(4))
        held.gate.set()
        first.result(30)
    assert (held.batches, free.batches) == ([4], [4] * 6)


def test_equal_queues_are_served_in_turn() -> None:
    devices = [AveragingDevice() for _ in range(3)]
    with run(*devices) as runner:
        for _ in range(6):
            runner.read(draw(4))
    assert [len(device.batches) for device in devices] == [2, 2, 2]


def test_threads_that_read_at_once_get_their_own_maps() -> None:
    with run(AveragingDevice(), AveragingDevice()) as runner, ThreadPoolExecutor(8) as pool:
        for seed, maps in enumerate(pool.map(lambda seed: runner.read(draw(seed % 7, seed)), range(60))):
            np.testing.assert_array_equal(maps, average(draw(seed % 7, seed)))


def test_a_closed_runner_says_so() -> None:
    runner = run(AveragingDevice())
    runner.close()
    runner.close()
    with pytest.raises(EngineError, match="was closed"):
        runner.read(draw(1))


def test_a_forgotten_runner_closes_its_devices() -> None:
    device = AveragingDevice()
    runner = run(device)
    runner.read(draw(3))
    del runner
    gc.collect()
    wait_for(lambda: device.closed == 1, "the device was left open")


def test_thousands_of_batches_leave_nothing_behind() -> None:
    device = AveragingDevice()
    with run(device, batch=1) as runner:
        pictures = draw(1000)
        runner.read(pictures)
        gc.collect()
        objects, threads = len(gc.get_objects()), threading.active_count()
        for _ in range(4):
            runner.read(pictures)
        gc.collect()
        assert len(gc.get_objects()) - objects < 100
        assert threading.active_count() == threads
        assert device.slots_opened == 2
    assert len(device.batches) == 5000


def test_every_device_reads_the_same_pictures() -> None:
    devices = [AveragingDevice(f"GPU {at}") for at in range(3)]
    with run(*devices) as runner:
        each = runner.read_each(draw(2))
    assert [name for name, _ in each] == ["GPU 0", "GPU 1", "GPU 2"]
    for _, maps in each:
        np.testing.assert_array_equal(maps, average(draw(2)))
    assert [device.batches for device in devices] == [[2], [2], [2]]


def test_a_device_that_breaks_has_read_nothing() -> None:
    closed, breaks, whole = (
        AveragingDevice("GPU 0", opens=False),
        AveragingDevice("GPU 1", breaks_after=0),
        AveragingDevice("GPU 2"),
    )
    with run(closed, breaks, whole) as runner:
        assert [name for name, _ in runner.read_each(draw(2))] == ["GPU 2"]
    with pytest.raises(EngineError, match="was closed"):
        runner.read_each(draw(2))
    with run(AveragingDevice(breaks_after=0)) as runner, pytest.raises(EngineError, match="illegal memory access"):
        runner.read_each(draw(2))


def test_what_went_wrong_on_the_way_can_be_told() -> None:
    devices = [
        AveragingDevice("GPU 0", opens=False),
        AveragingDevice("GPU 1", breaks_after=1),
        AveragingDevice("GPU 2", room=3),
        AveragingDevice("GPU 3"),
    ]
    with run(*devices) as runner:
        assert len(runner.troubles()) == 1
        runner.read(draw(60))
        refused, broken, small = runner.troubles()
    assert refused.startswith("GPU 0 is done without: the device failed (OSError: no such GPU")
    assert broken.startswith("GPU 1 is done without: the device failed (RuntimeError: an illegal memory access")
    assert small == "GPU 2 is short of memory: batches of 1, not 4"
