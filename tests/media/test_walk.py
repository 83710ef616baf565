from __future__ import annotations

import base64
import os
import random
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.errors import UsageError
from ftforensics.media.walk import parse_file_list, walk_evidence


def plant(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def paths(*roots: Path, **options: object) -> list[str]:
    return [entry.path for entry in walk_evidence(roots, **options)]  # type: ignore[arg-type]


def test_files_come_in_the_order_of_their_names_bytes_folder_by_folder(tmp_path: Path) -> None:
    names = ["b/2.jpg", "b.jpg", "b/10.jpg", "Z.jpg", "a.jpg", "é.jpg", "b/c/d.jpg", "b-/x"]
    random.Random(1).shuffle(names)
    plant(tmp_path, *names)
    expected = ["Z.jpg", "a.jpg", "b/10.jpg", "b/2.jpg", "b/c/d.jpg", "b-/x", "b.jpg", "é.jpg"]
    assert paths(tmp_path) == expected


def test_several_roots_share_one_base_and_nothing_comes_twice(tmp_path: Path) -> None:
    plant(tmp_path, "one/a.jpg", "two/a.jpg", "two/in/b.jpg", "three/c.jpg")
    found = paths(tmp_path / "two", tmp_path / "one", tmp_path / "two" / "in", tmp_path / "two" / "a.jpg")
    assert found == ["one/a.jpg", "two/a.jpg", "two/in/b.jpg"]


def test_a_single_file_is_named_by_itself(tmp_path: Path) -> None:
    plant(tmp_path, "deep/er/a.jpg")
    (entry,) = walk_evidence([tmp_path / "deep" / "er" / "a.jpg"])
    assert (entry.path, entry.failure) == ("a.jpg", None)
    assert entry.size_bytes == len("deep/er/a.jpg")
    assert Path(os.fsdecode(entry.full)).read_text() == "deep/er/a.jpg"


def test_paths_do_not_depend_on_how_the_root_was_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "in/a.jpg", "in/b/c.jpg")
    monkeypatch.chdir(tmp_path / "in")
    assert paths(Path()) == paths(tmp_path / "in" / "b" / "..") == ["a.jpg", "b/c.jpg"]


def test_depth_is_limited_and_the_cut_is_reported(tmp_path: Path) -> None:
    plant(tmp_path, "a.jpg", "in/b.jpg", "in/deep/c.jpg")
    entries = list(walk_evidence([tmp_path], max_depth=1))
    assert [(entry.path, entry.is_skipped) for entry in entries] == [("a.jpg", False), ("in", True)]
    assert entries[1].failure is not None
    assert entries[1].failure.type == "DeeperThanLimit"
    assert paths(tmp_path, max_depth=2) == ["a.jpg", "in/b.jpg", "in/deep"]


def test_large_files_are_reported_as_skipped(tmp_path: Path) -> None:
    plant(tmp_path, "a")
    (tmp_path / "big").write_bytes(bytes(101))
    small, big = reversed(list(walk_evidence([tmp_path], skip_larger_bytes=100))), None
    entries = {entry.path: entry for entry in small}
    assert big is None
    assert entries["a"].failure is None
    assert entries["big"].is_skipped
    assert entries["big"].size_bytes == 101


def test_sockets_and_pipes_are_reported_and_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        entries = list(walk_evidence([tmp_path]))
    assert [(entry.path, entry.failure.type) for entry in entries if entry.failure] == [
        ("pipe", "NotAFile"),
        ("sock", "NotAFile"),
    ]
    assert not any(entry.is_skipped for entry in entries)


def test_a_folder_that_cannot_be_listed_is_reported_and_the_rest_is_found(tmp_path: Path) -> None:
    plant(tmp_path, "a.jpg", "z.jpg")
    deep = tmp_path / "n"
    deep.mkdir()
    here = os.getcwd()  # noqa: PTH109
    try:  # a folder chain longer than any path may be
        os.chdir(deep)
        for _ in range(30):
            os.mkdir("x" * 200)  # noqa: PTH102
            os.chdir("x" * 200)
    finally:
        os.chdir(here)
    entries = list(walk_evidence([tmp_path]))
    assert [entry.path for entry in entries if entry.failure is None] == ["a.jpg", "z.jpg"]
    (failure,) = (entry.failure for entry in entries if entry.failure)
    assert (failure.stage, failure.type) == ("walk", "OSError")


def test_a_root_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to scan"):
        walk_evidence([tmp_path / "none"])


def test_cases_that_a_walk_comes_upon_are_left_out_and_told(tmp_path: Path) -> None:
    plant(
        tmp_path, "a.jpg", "cases/one/case.sqlite", "cases/one/artifacts/b.png", "cases/two/c.jpg", "cases/onerous.jpg"
    )
    entries = list(walk_evidence([tmp_path], case_folders=[tmp_path / "cases" / "one"]))
    assert [entry.path for entry in entries] == ["a.jpg", "cases/one", "cases/onerous.jpg", "cases/two/c.jpg"]
    (left_out,) = [entry for entry in entries if entry.failure is not None]
    assert left_out.path == "cases/one"
    assert left_out.is_skipped
    named = tmp_path / "cases" / "one" / "artifacts"
    assert [entry.path for entry in walk_evidence([named], case_folders=[tmp_path / "cases" / "one"])] == ["b.png"]


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert paths(tmp_path) == []
    assert list(walk_evidence([])) == []


def test_a_file_list_adds_roots_and_its_missing_files_are_reported(tmp_path: Path) -> None:
    plant(tmp_path, "a.jpg", "b\n.jpg", "c.jpg")
    listing = tmp_path / "list"
    listing.write_bytes(b"\0".join(os.fsencode(tmp_path / name) for name in ("c.jpg", "b\n.jpg", "gone.jpg")) + b"\0")
    entries = list(walk_evidence([], file_list=listing))
    assert [(entry.path, entry.failure and entry.failure.type) for entry in entries] == [
        ("b\n.jpg", None),
        ("c.jpg", None),
        ("gone.jpg", "FileNotFoundError"),
    ]
    with pytest.raises(UsageError, match="file list"):
        walk_evidence([], file_list=tmp_path / "none")


@settings(deadline=None)
@given(names=st.lists(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name), min_size=2))
def test_a_list_separated_by_nul_bytes_gives_every_name_back(names: list[bytes]) -> None:
    assert parse_file_list(b"\0".join(names)) == names


def test_a_list_of_lines_may_have_either_line_end() -> None:
    assert parse_file_list(b"a b\r\nc\n\nd") == [b"a b", b"c", b"d"]


def test_names_that_are_not_utf8_are_shown_escaped_and_kept_exactly(tmp_path: Path) -> None:
    raw = b"caf\xe9.jpg"
    try:
        with open(os.path.join(os.fsencode(tmp_path), raw), "wb"):  # noqa: PTH118, PTH123
            pass
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (entry,) = walk_evidence([tmp_path])
    assert entry.path == "caf\\xe9.jpg"
    assert base64.b64decode(entry.path_b64) == entry.raw == raw
