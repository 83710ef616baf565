from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_pictures import make_exif, make_pixels
from PIL import Image

import ftforensics
from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.frames import PREFIX, Frame, FrameInvalid, encode_frame_head, read_frame
from ftforensics.media.limits import WorkerLimits
from ftforensics.media.replies import parse_exif_reply, parse_picture_reply
from ftforensics.media.workers import PoolClosed, WorkerPool

PICTURE = {
    "width_px": 2,
    "height_px": 1,
    "decode": {
        "codec": "png",
        "mode": "RGB",
        "width_px": 2,
        "height_px": 1,
        "orientation": 1,
        "icc": None,
        "frames": 1,
    },
}


def png(width_px: int = 40, height_px: int = 30) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(make_pixels(width_px, height_px)).save(buffer, "PNG", exif=make_exif())
    return buffer.getvalue()


def pid_of(pool: WorkerPool) -> int:
    process = pool._workers[0]._process
    assert process is not None
    return process.pid


def test_a_killed_worker_costs_its_file_and_no_other() -> None:
    with WorkerPool(1, WorkerLimits()) as pool:
        assert pool.parse(png(), "image/png").failure is None
        os.kill(pid_of(pool), signal.SIGKILL)
        time.sleep(0.1)
        first = pid_of(pool)
        assert pool.parse(png(), "image/png").pixels is not None
        assert pid_of(pool) != first


def test_a_worker_that_is_stopped_in_mid_work_is_timed_out_and_replaced() -> None:
    with WorkerPool(1, WorkerLimits(timeout_s=4.0)) as pool:
        assert pool.parse(png(), "image/png").failure is None
        stopped = pid_of(pool)
        os.kill(stopped, signal.SIGSTOP)
        failure = pool.parse(png(), "image/png").failure
        assert failure is not None
        assert (failure.stage, failure.type) == ("decode", "Timeout")
        assert not Path(f"/proc/{stopped}").exists()
        assert pool.parse(png(), "image/png").failure is None


def test_closing_stops_work_that_is_going_on() -> None:
    pool = WorkerPool(1, WorkerLimits(timeout_s=600.0))
    pool.parse(png(), "image/png")
    os.kill(pid_of(pool), signal.SIGSTOP)
    caught: list[BaseException] = []

    def work() -> None:
        try:
            pool.parse(png(), "image/png")
        except PoolClosed as exc:
            caught.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    pool.close()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert len(caught) == 1
    with pytest.raises(PoolClosed):
        pool.parse(png(), "image/png")


def wait_until(true: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_can_be_started_before_they_are_needed() -> None:
    with WorkerPool(3, WorkerLimits()) as pool:
        assert not any(worker._process for worker in pool._workers)
        pool.start(2)
        wait_until(lambda: sum(worker._process is not None for worker in pool._workers) >= 1)
        wait_until(lambda: pool._idle.qsize() == 3)
        started = {worker._process.pid for worker in pool._workers if worker._process}
        assert len(started) <= 2
        assert pool.parse(png(), "image/png").failure is None
        # It was one of those that ran already, and no other was started.
        assert {worker._process.pid for worker in pool._workers if worker._process} == started


def test_a_start_that_fails_is_told_when_the_worker_is_needed() -> None:
    with WorkerPool(1, WorkerLimits(memory_bytes=1 << 20)) as pool:
        pool.start(1)
        with pytest.raises(EvidenceUnreadable):
            pool.parse(png(), "image/png")


def test_closing_ends_workers_that_are_being_started() -> None:
    pool = WorkerPool(2, WorkerLimits())
    pool.start(5)
    pool.close()
    assert not any(worker._process for worker in pool._workers)
    with pytest.raises(PoolClosed):
        pool.parse(png(), "image/png")


def test_workers_that_cannot_start_are_one_clear_error() -> None:
    with WorkerPool(1, WorkerLimits(memory_bytes=1 << 20)) as pool, pytest.raises(EvidenceUnreadable, match="memory"):
        pool.parse(png(), "image/png")


def test_a_worker_is_light_confined_and_starts_fast() -> None:
    with WorkerPool(1, WorkerLimits(memory_bytes=1 << 30)) as pool:
        pool.parse(png(), "image/png")
        pid = pid_of(pool)
        maps = Path(f"/proc/{pid}/maps").read_text()
        limits = Path(f"/proc/{pid}/limits").read_text()
    for heavy in ("numpy", "onnxruntime", "cv2", "torch"):
        assert heavy not in maps
    rows = {line[:25].strip(): line[25:].split() for line in limits.splitlines()}
    assert rows["Max address space"][:2] == [str(1 << 30)] * 2
    assert rows["Max file size"][:2] == ["0", "0"]
    assert rows["Max core file size"][:2] == ["0", "0"]


def test_the_worker_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.process_time()\n"
        "import ftforensics.media.worker, ftforensics.media.decode, ftforensics.media.exif\n"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'torch', 'typer', 'rich'} & set(sys.modules)\n"
        "print(time.process_time() - start, *heavy)"
    )
    root = str(Path(ftforensics.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    seconds, *heavy = done.stdout.split()
    assert heavy == []
    assert float(seconds) < 0.3


def test_a_worker_without_a_parent_ends_itself() -> None:
    with WorkerPool(1, WorkerLimits()) as pool:
        pool.parse(png(), "image/png")
        process = pool._workers[0]._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def feed(data: bytes) -> object:
    stream = io.BytesIO(data)

    def read_exactly(count: int) -> bytes:
        got = stream.read(count)
        if len(got) != count:
            raise FrameInvalid("cut")
        return got

    return read_exactly


@settings(deadline=None)
@given(header=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)), data=st.binary(max_size=99))
def test_frames_round_trip(header: dict[str, object], data: bytes) -> None:
    frame = read_frame(feed(encode_frame_head(header, len(data)) + data), max_data_bytes=99)  # type: ignore[arg-type]
    assert (frame.header, frame.data) == (header, data)


@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    try:
        frame = read_frame(feed(data), max_data_bytes=50)  # type: ignore[arg-type]
    except FrameInvalid:
        return
    assert len(frame.data) <= 50


def test_lengths_are_checked_before_anything_is_read() -> None:
    for lengths in ((1 << 30, 0), (2, 51), (2, 1 << 60)):
        with pytest.raises(FrameInvalid, match="limit"):
            read_frame(feed(PREFIX.pack(*lengths)), max_data_bytes=50)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "data"),
    [
        ({}, b"12345"),
        ({"width_px": 3}, b"123456"),
        ({"width_px": True}, b"123456"),
        ({"width_px": -2, "height_px": -1}, b"123456"),
        ({"width_px": 0, "height_px": 0}, b""),
        ({"width_px": "2"}, b"123456"),
        ({"width_px": 6, "height_px": 1, "max": 1}, b"x" * 18),
        ({"decode": []}, b"123456"),
        ({"decode": PICTURE["decode"] | {"frames": 1.5}}, b"123456"),  # type: ignore[operator]
        ({"decode": PICTURE["decode"] | {"icc": 7}}, b"123456"),  # type: ignore[operator]
        ({"decode": {}}, b"123456"),
    ],
)
def test_a_lying_worker_is_not_believed(change: dict[str, object], data: bytes) -> None:
    with pytest.raises(FrameInvalid):
        parse_picture_reply(Frame({**PICTURE, **change}, data), max_px=4)


def test_an_honest_picture_reply_is_taken_and_its_texts_made_printable() -> None:
    decode = {**PICTURE["decode"], "codec": "p\x1b[31m\n" + "x" * 99}  # type: ignore[dict-item]
    parsed = parse_picture_reply(Frame({**PICTURE, "decode": decode}, bytearray(b"abcdef")), max_px=4)
    assert parsed.pixels is not None
    np.testing.assert_array_equal(parsed.pixels, np.frombuffer(b"abcdef", np.uint8).reshape(1, 2, 3))
    assert parsed.decode is not None
    assert parsed.decode.codec.startswith("p\\x1b[31m\\nx")
    assert len(parsed.decode.codec) <= 40


def test_exif_replies_are_bounded() -> None:
    fields, failure = parse_exif_reply(Frame({"exif": {"a\n": "b" * 9999, "c": 7}}))
    assert failure is None
    assert fields["a\\n"].endswith("…")
    assert fields["c"] == "7"
    for bad in ({}, {"exif": []}, {"exif": {str(number): "" for number in range(999)}}):
        with pytest.raises(FrameInvalid):
            parse_exif_reply(Frame(json.loads(json.dumps(bad))))
