"""Attack: names with newlines, terminal escapes, markup, direction marks, bytes that are no text, or options."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.media.escape import escape_text
from ftforensics.media.intake import acquire_many
from ftforensics.media.walk import load_file_list, walk_evidence

NAMES = [
    b"line\nbreak.png",
    b"\x1b[31mred\x1b[0m\x07.png",
    b"<img src=x onerror=alert(1)>.png",
    b"--output=x.png",
    b"-rf",
    b" ",
    b"...",
    b"a\\b.png",
    b"%s%n{0}.png",
    "gnp.\u202ephoto.png".encode(),
    "e\u0301.png".encode(),
    "\u00e9.png".encode(),
    b"x" * 255,
]
NOT_UTF8 = [b"latin-\xe9.png", b"\xff\xfe\xfd", b"half-\xed\xa0\x80.png"]


def write_all(folder: Path, names: list[bytes]) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "source.png")
    data = (folder / "source.png").read_bytes()
    (folder / "source.png").unlink()
    for name in names:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:  # noqa: PTH118, PTH123
            file.write(data)


def test_every_name_is_read_ordered_by_bytes_and_kept_exactly(tmp_path: Path) -> None:
    names = list(NAMES)
    try:
        write_all(tmp_path, NAMES + NOT_UTF8)
        names += NOT_UTF8
    except OSError:  # this file system takes UTF-8 names only
        write_all(tmp_path, NAMES)
    results = list(acquire_many(walk_evidence([tmp_path])))
    assert [base64.b64decode(result.item.path_b64) for result in results] == sorted(names)
    for result in results:
        assert result.failure is None, result.item.path
        result.item.path.encode("utf-8")
        shown = escape_text(result.item.path, 400)
        assert shown.isprintable()
    assert len({result.item.path for result in results}) == len(names)


@pytest.mark.parametrize("name", [b"line\nbreak.png", b" ", "gnp.\u202ephoto.png".encode()])
def test_listed_names_are_found_whatever_is_in_them(tmp_path: Path, name: bytes) -> None:
    write_all(tmp_path, [name])
    listing = tmp_path / "list"
    listing.write_bytes(os.path.join(os.fsencode(tmp_path), name) + b"\0")  # noqa: PTH118
    assert load_file_list(listing) == [os.path.join(os.fsencode(tmp_path), name)]  # noqa: PTH118
    (entry,) = walk_evidence([], file_list=listing)
    assert (entry.raw, entry.failure) == (name, None)
