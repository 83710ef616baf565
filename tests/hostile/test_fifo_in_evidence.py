"""Attack: pipes, sockets and devices among the evidence, on which a careless reader waits for ever."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.container import load_photo
from ftforensics.media.intake import acquire_many, hash_file
from ftforensics.media.walk import EvidencePath, walk_evidence


def test_pipes_and_sockets_are_reported_and_the_scan_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "c.png")
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("b.jpg")
        pipe, sock, good = acquire_many(walk_evidence([tmp_path]))
    assert good.failure is None
    for result, word in ((pipe, "named pipe"), (sock, "socket")):
        assert result.failure is not None
        assert (result.failure.stage, result.failure.type) == ("walk", "NotAFile")
        assert word in result.failure.message


def test_a_device_is_not_opened(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "zero.jpg", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only the superuser makes devices")
    (result,) = acquire_many(walk_evidence([tmp_path]))
    assert result.failure is not None
    assert "character device" in result.failure.message


def test_a_pipe_handed_in_as_a_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (result,) = acquire_many([EvidencePath(root=os.fsencode(tmp_path), raw=b"a.jpg")])
    assert result.failure is not None
    assert (result.failure.stage, result.failure.type) == ("open", "NotAFile")
    with pytest.raises(EvidenceUnreadable):
        hash_file(tmp_path / "a.jpg")
    with pytest.raises(EvidenceUnreadable):
        load_photo(tmp_path / "a.jpg")
