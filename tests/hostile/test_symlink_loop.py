"""Attack: links that lead in circles, out of the evidence, or nowhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ftforensics.media.intake import acquire_many
from ftforensics.media.walk import walk_evidence


def test_no_link_is_followed_and_each_is_reported(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    (evidence / "sub").mkdir(parents=True)
    secret = tmp_path / "secret.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(secret)
    Image.fromarray(np.ones((8, 8, 3), np.uint8)).save(evidence / "sub" / "real.png")
    (evidence / "sub" / "up").symlink_to("..")
    (evidence / "self").symlink_to("self")
    (evidence / "ping").symlink_to("pong")
    (evidence / "pong").symlink_to("ping")
    (evidence / "outside.png").symlink_to(secret)
    (evidence / "nowhere.png").symlink_to("gone")
    (evidence / "whole-disk").symlink_to("/")
    results = {result.item.path: result for result in acquire_many(walk_evidence([evidence]))}
    read = results.pop("sub/real.png")
    assert read.failure is None
    assert set(results) == {"nowhere.png", "outside.png", "ping", "pong", "self", "sub/up", "whole-disk"}
    for result in results.values():
        assert result.failure is not None
        assert result.failure.type == "SymlinkNotFollowed"
        assert result.source.is_skipped
        assert result.item.sha256 == ""
        assert result.pixels is None


def test_a_root_that_is_a_loop_is_reported_too(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (entry,) = walk_evidence([tmp_path / "loop"])
    assert entry.failure is not None
    assert entry.failure.type == "SymlinkNotFollowed"


def test_a_root_that_is_a_link_to_the_evidence_is_what_the_examiner_meant(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.jpg").touch()
    (tmp_path / "case").symlink_to("disk")
    assert [entry.path for entry in walk_evidence([tmp_path / "case"])] == ["a.jpg"]
