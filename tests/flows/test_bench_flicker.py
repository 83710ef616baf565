"""The flicker comparison: the right window of the right pictures, two frames that alternate."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.cli.main import run_command
from ftforensics.flows.bench.flicker import FRAME_MS, SIDE_PX, Window, find_window, pick_worst, render_flicker
from ftforensics.flows.bench.quality import STAGES, PictureQuality
from ftforensics.imaging.quality import Quality


def measured(name: str, p99: float) -> PictureQuality:
    quality = Quality(psnr_db=45.0, ssim=0.99, ciede2000_mean=1.0, ciede2000_p99=p99)
    return PictureQuality(name=name, stronger_db=0.0, stages={stage: quality for stage, _ in STAGES})


def test_the_most_visible_come_first_and_refused_pictures_not_at_all():
    refused = PictureQuality(name="refused", stronger_db=0.0, stages={})
    results = [measured("b", 2.0), refused, measured("c", 3.0), measured("a", 2.0)]
    assert pick_worst(results) == ["c", "a", "b"]
    assert pick_worst(results, 1) == ["c"]


@pytest.mark.parametrize("size", [(300, 500), (100, 500), (300, 90), (SIDE_PX, SIDE_PX)])
def test_the_window_holds_what_differs(size: tuple[int, int]):
    source = np.full((*size, 3), 120, dtype=np.uint8)
    tagged = source.copy()
    tagged[-40:-20, -60:-30] += 30
    window = find_window(source, tagged)
    assert window.source.shape == window.tagged.shape == (min(SIDE_PX, size[0]), min(SIDE_PX, size[1]), 3)
    assert np.count_nonzero((window.tagged != window.source).all(axis=2)) == 20 * 30


def test_two_frames_that_alternate_for_ever():
    parts = [
        Window(source=np.full((50, 60, 3), at, np.uint8), tagged=np.full((50, 60, 3), at + 9, np.uint8))
        for at in range(6)
    ]
    picture = Image.open(io.BytesIO(render_flicker(parts)))
    assert (picture.format, picture.n_frames, picture.info["loop"]) == ("PNG", 2, 0)
    frames = []
    for at in range(2):
        picture.seek(at)
        assert picture.info["duration"] == FRAME_MS
        frames.append(np.asarray(picture.convert("RGB")).astype(int))
    changed = (frames[1] - frames[0]).max(axis=2)
    assert set(np.unique(changed)) == {0, 9}
    assert np.count_nonzero(changed) == 6 * 50 * 60
    with pytest.raises(ValueError, match="nothing to show"):
        render_flicker([])


def test_the_command_shows_real_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from skimage import data

    monkeypatch.setenv("FTF_HOME", str(tmp_path / "home"))
    (tmp_path / "photos").mkdir()
    for name in ("astronaut", "coffee"):
        Image.fromarray(getattr(data, name)()[:400, :400]).save(tmp_path / "photos" / f"{name}.png")
    shown = tmp_path / "worst.png"
    arguments = ["--images", str(tmp_path / "photos"), "--fast", "--jobs", "1", "--out", str(tmp_path / "bench.json")]
    assert run_command(["bench", "quality", *arguments, "--flicker", str(shown)]) == 0
    assert "astronaut.png" in capsys.readouterr().err
    picture = Image.open(shown)
    source = np.asarray(picture.convert("RGB")).astype(int)
    picture.seek(1)
    difference = np.asarray(picture.convert("RGB")).astype(int) - source
    assert 0 < np.sqrt(np.mean(difference**2)) < 255 * 10 ** (-40 / 20)
