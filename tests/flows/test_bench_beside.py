"""The previews that a measurement reads beside: the same sources that a scan would give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ftforensics.engine.tries import Nominee
from ftforensics.flows.bench.beside import KeptSource, Previews
from ftforensics.imaging import geometry
from ftforensics.link import register

TAG, KEY = "00000000000000aa", "carrier:ours"
NOMINEE = Nominee(tag_id=TAG, carrier_key_id=KEY, z=4.0, frame=geometry.IDENTITY)


@pytest.fixture
def previews(photographs: dict[str, np.ndarray], tmp_path: Path) -> Previews:
    paths = {TAG: tmp_path / "astronaut.png", "00000000000000bb": tmp_path / "coffee.png"}
    for path in paths.values():
        Image.fromarray(photographs[path.stem]).save(path)
    return Previews(KEY, paths)


def test_a_source_is_given_once_though_its_content_and_its_tag_suggest_it(
    previews: Previews, photographs: dict[str, np.ndarray]
):
    given = list(previews.recall(photographs["astronaut"])([NOMINEE], []))
    assert [(source.tag_id, source.carrier_key_id) for source in given] == [(TAG, KEY)]
    assert np.abs(given[0].frame - geometry.IDENTITY).max() < 0.01


def test_a_source_that_shares_features_but_fits_nowhere_may_still_be_nominated(
    previews: Previews, photographs: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    nothing = register.Attempt(registration=None, reason="no_common_geometry", suspect_features=99, source_features=99)
    monkeypatch.setattr(KeptSource, "attempt", lambda *_: nothing)
    assert list(previews.recall(photographs["astronaut"])([], [])) == []
    (given,) = previews.recall(photographs["astronaut"])([NOMINEE], [])
    assert given.tag_id == TAG
    assert np.array_equal(given.frame, geometry.IDENTITY)


def test_records_of_other_pictures_and_keys_are_not_given(previews: Previews, photographs: dict[str, np.ndarray]):
    for other in (
        Nominee(tag_id="00000000000000cc", carrier_key_id=KEY, z=4.0, frame=geometry.IDENTITY),
        Nominee(tag_id=TAG, carrier_key_id="carrier:theirs", z=4.0, frame=geometry.IDENTITY),
    ):
        assert list(previews.recall(np.full((300, 400, 3), 128, np.uint8))([other], [])) == []


def test_sources_of_panels_are_given_in_their_panels(previews: Previews, photographs: dict[str, np.ndarray]):
    sheet = np.concatenate([photographs["astronaut"][60:310, 120:370], photographs["coffee"][100:350, 200:450]], axis=1)
    panels = [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)]
    for nominees in (None, []):
        given = {source.tag_id: source for source in previews.recall(sheet)(nominees, panels)}
        assert {tag_id: source.within for tag_id, source in given.items()} == dict(zip(given, panels, strict=True))
        assert list(given) == [TAG, "00000000000000bb"]
    assert list(previews.recall(sheet)(None, [])) == []
