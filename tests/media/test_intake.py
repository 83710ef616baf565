from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from media_pictures import make_exif, make_pixels

from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.intake import IntakeResult, acquire_many, format_mtime, hash_file
from ftforensics.media.walk import walk_evidence

Write = Callable[..., Path]


def intake(folder: Path, **options: object) -> dict[str, IntakeResult]:
    return {result.item.path: result for result in acquire_many(walk_evidence([folder]), **options)}  # type: ignore[arg-type]


def test_a_picture_becomes_an_item_and_its_pixels(write_picture: Write, tmp_path: Path) -> None:
    path = write_picture("in/a.jpg", exif=make_exif(6))
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    (result,) = acquire_many(walk_evidence([tmp_path / "in"]), acquired_at="2024-01-01T00:00:00Z")
    item = result.item
    assert result.failure is None
    assert item.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() == hash_file(path)
    assert (item.path, base64.b64decode(item.path_b64)) == ("a.jpg", b"a.jpg")
    assert (item.size_bytes, item.media_type, item.ext_mismatch) == (path.stat().st_size, "image/jpeg", False)
    assert item.mtime == "2023-11-14T22:13:20.123456Z"
    assert item.acquired_at == "2024-01-01T00:00:00Z"
    assert item.decode is not None
    assert item.decode.orientation == 6
    assert item.exif["Image Make"] == "Kamera"
    assert result.pixels is not None
    assert result.pixels.shape == (120, 88, 3)
    assert np.abs(result.pixels - np.rot90(make_pixels(), -1).astype(int)).mean() < 4


def test_evidence_is_left_as_it_was(write_picture: Write, tmp_path: Path) -> None:
    path = write_picture("in/a.jpg")
    os.utime(path, ns=(1_000_000_000_000_000_000, 1_100_000_000_000_000_000))
    path.chmod(0o400)
    before = (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
    os.utime(path, ns=(1_000_000_000_000_000_000, 1_100_000_000_000_000_000))
    list(acquire_many(walk_evidence([tmp_path / "in"])))
    after = path.stat()
    assert (after.st_mode, after.st_mtime_ns) == before[1:]
    if hasattr(os, "O_NOATIME"):
        assert after.st_atime_ns == 1_000_000_000_000_000_000
    assert path.read_bytes() == before[0]
    assert [entry.name for entry in (tmp_path / "in").iterdir()] == ["a.jpg"]


def test_results_come_in_input_order_whatever_the_number_of_jobs(write_picture: Write, tmp_path: Path) -> None:
    for number in range(17):
        write_picture(f"in/{number:02}.png", make_pixels(400 if number % 5 == 0 else 20, 30, number))
    runs = []
    for jobs in (1, 3):
        results = list(acquire_many(walk_evidence([tmp_path / "in"]), jobs=jobs, max_px=64))
        assert [result.item.path for result in results] == [f"{number:02}.png" for number in range(17)]
        runs.append(
            [(result.item, result.failure, result.pixels.tobytes()) for result in results if result.pixels is not None]
        )
    assert runs[0] == runs[1]
    assert len(runs[0]) == 17


def test_look_ahead_is_bounded(write_picture: Write, tmp_path: Path) -> None:
    write_picture("in/a.png", make_pixels(8, 8))
    (path,) = walk_evidence([tmp_path / "in"])
    taken = 0

    def many() -> object:
        nonlocal taken
        for _ in range(200):
            taken += 1
            yield path

    results = acquire_many(many(), jobs=2)  # type: ignore[arg-type]
    next(results)
    assert taken <= 8
    results.close()  # type: ignore[attr-defined]


def test_every_kind_of_input_gives_one_result(write_picture: Write, tmp_path: Path) -> None:
    good = write_picture("in/good.jpg")
    folder = good.parent
    (folder / "cut.jpg").write_bytes(good.read_bytes()[:1500])
    (folder / "empty.jpg").touch()
    (folder / "link.jpg").symlink_to("good.jpg")
    (folder / "notes.txt").write_text("nothing to see")
    (folder / "wrong.png").write_bytes(good.read_bytes())
    os.mkfifo(folder / "pipe.jpg")
    results = intake(folder)
    failures = {
        name: result.failure and (result.failure.stage, result.failure.type) for name, result in results.items()
    }
    assert failures == {
        "cut.jpg": ("decode", "EvidenceUnreadable"),
        "empty.jpg": ("sniff", "EmptyFile"),
        "good.jpg": None,
        "link.jpg": ("walk", "SymlinkNotFollowed"),
        "notes.txt": ("sniff", "NotAPicture"),
        "pipe.jpg": ("walk", "NotAFile"),
        "wrong.png": None,
    }
    assert results["wrong.png"].item.ext_mismatch
    assert results["cut.jpg"].item.sha256 == hash_file(folder / "cut.jpg")
    assert results["empty.jpg"].item.sha256 == hashlib.sha256(b"").hexdigest()
    assert results["pipe.jpg"].item.sha256 == ""


def test_a_file_too_large_to_decode_is_hashed_all_the_same(write_picture: Write) -> None:
    path = write_picture("in/a.bmp")
    result = intake(path.parent, max_file_bytes=1000)["a.bmp"]
    assert result.failure is not None
    assert (result.failure.stage, result.failure.type) == ("decode", "EvidenceTooLarge")
    assert result.item.sha256 == hash_file(path)


def test_a_file_that_is_swapped_for_a_link_or_a_pipe_after_the_walk_is_not_opened(
    write_picture: Write, tmp_path: Path
) -> None:
    write_picture("in/a.jpg")
    write_picture("in/b.jpg")
    paths = list(walk_evidence([tmp_path / "in"]))
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "in" / name).unlink()
    (tmp_path / "in" / "a.jpg").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "in" / "b.jpg")
    results = list(acquire_many(paths))
    assert [result.failure and result.failure.type for result in results] == ["NotAFile", "NotAFile"]


def test_a_file_that_vanished_is_reported(write_picture: Write, tmp_path: Path) -> None:
    path = write_picture("in/a.jpg")
    paths = list(walk_evidence([path]))
    path.unlink()
    (result,) = acquire_many(paths)
    assert result.failure is not None
    assert (result.failure.stage, result.failure.type) == ("open", "FileNotFoundError")


def test_a_file_without_permission_is_reported(write_picture: Write) -> None:
    path = write_picture("in/a.jpg")
    path.chmod(0)
    paths = list(walk_evidence([path]))
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # the superuser may read everything
    try:
        (result,) = acquire_many(paths)
    finally:
        os.seteuid(user)
    assert result.failure is not None
    assert (result.failure.stage, result.failure.type) == ("open", "PermissionError")


def test_a_file_that_grows_while_it_is_read_is_not_taken_for_evidence(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(64 << 20))
    done = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not done.is_set():
                file.write(b"more")
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(EvidenceUnreadable, match="changed while"):
            hash_file(path)
    finally:
        done.set()
        writer.join()


def test_hashing_refuses_what_is_no_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none", tmp_path / "nul\0byte"):
        with pytest.raises(EvidenceUnreadable) as caught:
            hash_file(path)
        assert str(path)[:10] in caught.value.sentence


def test_file_times_out_of_the_calendar_are_left_empty() -> None:
    assert format_mtime(0) == "1970-01-01T00:00:00.000000Z"
    assert format_mtime(-1) == "1969-12-31T23:59:59.999999Z"
    assert format_mtime(-62_000_000_000 * 10**9).startswith("0005-")
    assert format_mtime(10**30) == ""


def test_an_interrupt_ends_the_workers_and_says_nothing_of_them(write_picture: Write, tmp_path: Path) -> None:
    write_picture("in/a.png", make_pixels(8, 8))
    script = tmp_path / "loop.py"
    script.write_text(
        "import sys, itertools, ftforensics.media.intake as intake, ftforensics.media.walk as walk\n"
        "path, = walk.walk_evidence([sys.argv[1]])\n"
        "try:\n"
        "    for number, _ in enumerate(intake.acquire_many(itertools.repeat(path), jobs=2)):\n"
        "        if number == 0: print('going', flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "in")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "going\n"
    children = _children(process.pid)
    assert len(children) >= 1
    process.send_signal(2)
    out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def _children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if re.search(rf"^PPid:\s+{pid}$", status.read_text(), re.M):
                found.append(int(status.parent.name))
        except OSError:
            continue
    return found
