"""How a picture is lined up with its source where content was moved, by what the tag says of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from ftforensics.attacks import handling
from ftforensics.attacks.warps import reenact
from ftforensics.domain.link import TAG_FRAME
from ftforensics.engine.onnx import OnnxReader
from ftforensics.engine.reading import TagReader
from ftforensics.flows import comparing, lining_up
from ftforensics.flows.comparing import Comparer, Held
from ftforensics.imaging.resample import Pixels, resize
from ftforensics.link import fingerprint, register


@pytest.fixture(scope="module")
def comparer(model_folder: Path) -> Comparer:
    return Comparer(tag_reader=TagReader(OnnxReader(model_folder), []), keys=[], localiser=None)


def bend(pixels: Pixels, shift: float, within: np.ndarray | None = None) -> Pixels:
    return reenact(pixels, shift, np.random.default_rng(3), within)


def held(
    comparer: Comparer,
    suspect: Pixels,
    following: float | None,
    monkeypatch: pytest.MonkeyPatch,
    least: float = 0.0,
    source: Pixels | None = None,
) -> Held:
    """As a scan holds a picture of the astronaut, the tag saying so much, and agreement ``least`` where given."""
    monkeypatch.setattr(lining_up, "measure_following", lambda *_: following)
    if least:
        real = lining_up.measure_movement

        def doubtful(*given, **named):
            found = real(*given, **named)
            return None if found is None else replace(found, agreement=replace(found.agreement, share=least))

        monkeypatch.setattr(lining_up, "measure_movement", doubtful)
    made = fingerprint.build(data.astronaut() if source is None else source)
    preview = fingerprint.decode_preview(made.preview)
    known = comparing.SourcePicture(preview=preview, planes=np.ones((3, 64, 64), np.float32), shown=lambda: None)
    attempt = partial(register.attempt, suspect, preview, made.descriptors)
    with ThreadPoolExecutor(1) as beside:
        return comparer.hold(suspect, None, np.zeros((3, 64, 64), np.float32), known, attempt, beside)[1]


def test_a_bent_picture_registers_where_the_tag_went_along(comparer: Comparer, monkeypatch: pytest.MonkeyPatch):
    found = held(comparer, bend(data.astronaut(), 0.03), 5.0, monkeypatch).lined_up
    assert found.registration is not None
    assert found.movement is not None
    assert found.movement.undone
    assert found.undone is found.moved
    assert found.registration.changed_fraction < 0.05


@pytest.mark.parametrize("following", [None, 0.0, 2.9, -2.9, -8.0])
def test_it_does_not_register_by_content_alone(
    following: float | None, comparer: Comparer, monkeypatch: pytest.MonkeyPatch
):
    found = held(comparer, bend(data.astronaut(), 0.03), following, monkeypatch).lined_up
    assert found.registration is None
    assert found.movement is not None
    assert not found.movement.undone
    assert found.undone is None


def test_nor_where_little_agrees_after_all(comparer: Comparer, monkeypatch: pytest.MonkeyPatch):
    found = held(comparer, bend(data.astronaut(), 0.03), 9.0, monkeypatch, least=0.45).lined_up
    assert found.registration is None
    assert found.movement is not None
    assert not found.movement.undone


def test_what_agrees_nearly_everywhere_registers_though_its_features_fit_loosely(
    comparer: Comparer, monkeypatch: pytest.MonkeyPatch
):
    made, suspect = fingerprint.build(data.astronaut()), bend(data.astronaut(), 0.006)
    preview = fingerprint.decode_preview(made.preview)
    assert register.attempt(suspect, preview, made.descriptors).registration is None
    found = held(comparer, suspect, None, monkeypatch).lined_up
    assert found.registration is not None
    assert found.movement is None or not found.movement.undone


@pytest.mark.parametrize(
    ("following", "counts"), [(None, False), (2.0, False), (-0.5, False), (-2.0, True), (-9.0, True)]
)
def test_a_moved_face_counts_as_replaced_only_if_the_tag_rather_stayed(
    following: float | None, counts: bool, comparer: Comparer, monkeypatch: pytest.MonkeyPatch
):
    rows, columns = np.mgrid[0:512, 0:512].astype(np.float32)
    disc = np.clip(4.0 * (1.0 - np.hypot(columns - 230, rows - 200) / 150), 0.0, 1.0)
    found = held(comparer, bend(data.astronaut(), 0.04, disc), following, monkeypatch).lined_up
    assert found.measured is not None
    assert found.moved is not None
    assert found.measured.replaced.sum() > 100
    replaced = lining_up.find_replaced_content(found)
    assert replaced is not None
    share = replaced.sum() / found.measured.replaced.sum()
    assert share == 1.0 if counts else share < 0.5


def test_what_differs_and_what_was_moved_are_in_one_frame(comparer: Comparer, monkeypatch: pytest.MonkeyPatch):
    """Of pictures as small as the common frame, its size hangs on the plane map, and there are two to choose from."""
    small, both = resize(data.astronaut(), 256, 256), 0
    for seed in range(8):
        bent = reenact(small, 0.009, np.random.default_rng(seed))
        bent[150:170, 20:40] = resize(data.chelsea(), 20, 20)
        found = held(comparer, bent, 0.5, monkeypatch, source=small).lined_up
        if found.moved is not None and found.measured is not None:
            both += 1
            assert found.moved.moved.shape == found.measured.changed.shape
        assert (found.registration is None) == (lining_up.find_replaced_content(found) is None)
    assert both > 0


@pytest.mark.parametrize(("following", "registers"), [(0.5, True), (-0.5, True), (-1.5, False), (-2.9, False)])
def test_a_loose_fit_does_not_do_for_a_tag_that_rather_stayed(
    following: float, registers: bool, comparer: Comparer, monkeypatch: pytest.MonkeyPatch
):
    bent = bend(data.astronaut(), 0.007)
    found = held(comparer, bent, following, monkeypatch).lined_up
    assert found.movement is not None
    assert (found.registration is not None) == registers
    assert (found.measured is not None) == registers


@pytest.mark.parametrize(("following", "registers"), [(0.5, True), (-1.5, False)])
def test_nor_does_what_is_laid_by_the_tag(
    following: float, registers: bool, comparer: Comparer, monkeypatch: pytest.MonkeyPatch
):
    """No feature fits, nearly all agrees where the tag lies, and the tag rather stayed where content was moved."""
    rows, columns = np.mgrid[0:512, 0:512].astype(np.float32)
    disc = np.clip(4.0 * (1.0 - np.hypot(columns - 230, rows - 200) / 90), 0.0, 1.0)
    bent = bend(data.astronaut(), 0.03, disc)
    failed = register.Attempt(registration=None, reason="no_common_geometry", suspect_features=400, source_features=400)
    monkeypatch.setattr(register, "attempt", lambda *_: failed)
    found = held(comparer, bent, following, monkeypatch).lined_up
    assert found.movement is not None
    assert (found.registration is not None) == registers
    assert (found.measured is not None) == registers


def test_a_blurred_picture_registers_where_its_tag_lies(comparer: Comparer, monkeypatch: pytest.MonkeyPatch):
    blurred = handling.blur(data.rocket(), 8.0)
    found = held(comparer, blurred, None, monkeypatch, source=data.rocket()).lined_up
    assert found.registration is not None
    assert found.registration.against == TAG_FRAME
    assert found.registration.changed_fraction == 0.0
    elsewhere = held(comparer, blurred, None, monkeypatch, source=data.coffee()).lined_up
    assert elsewhere.registration is None
    assert elsewhere.measured is None
