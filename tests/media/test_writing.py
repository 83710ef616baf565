from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ftforensics.errors import AlreadyExists, WriteFailed
from ftforensics.media.writing import atomic_write


def test_a_file_is_written_with_its_folders_and_nothing_else(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a" / "b" / "c.bin", b"content")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.bin"]
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"content"


def test_overwriting_needs_to_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a"
    atomic_write(path, b"one")
    with pytest.raises(AlreadyExists):
        atomic_write(path, b"two")
    assert path.read_bytes() == b"one"
    atomic_write(path, b"two", clobber=True)
    assert path.read_bytes() == b"two"


def test_a_link_is_replaced_and_its_target_spared(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"evidence")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("link", "dangling"):
        with pytest.raises(AlreadyExists):
            atomic_write(tmp_path / name, b"new")
    atomic_write(tmp_path / "link", b"new", clobber=True)
    assert (tmp_path / "target").read_bytes() == b"evidence"
    assert not (tmp_path / "link").is_symlink()


def test_a_name_that_is_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteFailed):
        atomic_write(tmp_path / "folder", b"new", clobber=True)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_write_that_breaks_off_leaves_the_old_file_and_no_scraps(tmp_path: Path) -> None:
    """A size limit of the process stands in for a full disk: the write fails half-way."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    code = (
        "import sys, resource, signal; from pathlib import Path\n"
        "from ftforensics.media.writing import atomic_write; from ftforensics.errors import WriteFailed\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: atomic_write(Path(sys.argv[1]), bytes(100_000), clobber=True)\n"
        "except WriteFailed as exc: print(exc.sentence)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.startswith("The file cannot be written (File too large)")
    assert str(path) in done.stdout
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE) != (1000, 1000)


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
