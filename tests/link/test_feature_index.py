"""Finding the source of a part of a picture among many, by its local features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.link import feature_index
from ftforensics.link.feature_index import FeatureIndex
from ftforensics.link.features import Features, build_descriptors, detect_features

NAMES = ["astronaut", "chelsea", "coffee", "rocket"]


def random_features(seed: int, count: int = 400) -> Features:
    random = np.random.default_rng(seed)
    return Features(
        points=random.random((count, 2), dtype=np.float32),
        bits=random.integers(0, 256, (count, 16), dtype=np.uint8),
        width_px=640,
        height_px=480,
    )


@pytest.fixture(scope="module")
def blobs(photographs: dict[str, np.ndarray]) -> list[bytes]:
    """Four photographs among sixty records of others."""
    others = [build_descriptors(random_features(seed)) for seed in range(60)]
    ours = [build_descriptors(detect_features(photographs[name])) for name in NAMES]
    return [*others[:30], *ours, *others[30:]]


def part(picture: np.ndarray, left: float, top: float, share: float) -> np.ndarray:
    height, width = picture.shape[:2]
    y, x = int(top * height), int(left * width)
    return np.ascontiguousarray(picture[y : y + int(share * height), x : x + int(share * width)])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_source_of_a_crop_is_among_the_first(
    name: str, mirrored: bool, blobs: list[bytes], photographs: dict[str, np.ndarray]
) -> None:
    crop = part(photographs[name], 0.3, 0.25, 0.45)
    suspect = detect_features(np.ascontiguousarray(crop[:, ::-1]) if mirrored else crop)
    found = FeatureIndex(blobs).nearest(suspect)
    assert found[0] == 30 + NAMES.index(name)
    assert FeatureIndex(blobs).nearest(suspect) == found


@pytest.mark.parametrize(("most", "tables"), [(64, 16), (63, 8), (32, 8), (31, 4), (16, 4), (2, 4)])
def test_large_registries_are_indexed_more_coarsely(
    most: int, tables: int, blobs: list[bytes], photographs: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_index, "FULLY_INDEXED", most)
    index = FeatureIndex(blobs)
    assert len(index._tables) == tables
    suspect = detect_features(part(photographs["coffee"], 0.1, 0.2, 0.5))
    assert index.nearest(suspect)[0] == 30 + NAMES.index("coffee")


def test_in_a_small_registry_the_source_is_found_too(blobs: list[bytes], photographs: dict[str, np.ndarray]) -> None:
    few = blobs[28:36]
    suspect = detect_features(part(photographs["coffee"], 0.1, 0.2, 0.5))
    assert FeatureIndex(few).nearest(suspect)[0] == 2 + NAMES.index("coffee")
    assert FeatureIndex(few).nearest(suspect, limit=0) == ()


@pytest.mark.parametrize("copies", [1, 20, 700])
def test_one_photograph_registered_many_times_does_not_hide_itself(
    copies: int, blobs: list[bytes], photographs: dict[str, np.ndarray]
) -> None:
    coffee = blobs[30 + NAMES.index("coffee")]
    index = FeatureIndex([*blobs[:10], *[coffee] * copies])
    assert len(index) == 10 + copies
    suspect = detect_features(part(photographs["coffee"], 0.1, 0.2, 0.5))
    first = min(copies, 4)
    assert index.nearest(suspect)[:first] == tuple(range(10, 10 + first))


@pytest.mark.parametrize("others", [0, 5, 20])
def test_nor_does_a_burst_of_one_scene(
    others: int, blobs: list[bytes], photographs: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    """Twenty frames whose features differ a little, as from a tripod, with a few other photographs or none."""
    scene = detect_features(photographs["coffee"])
    burst = []
    for _ in range(20):
        flips = np.packbits(rng.random((len(scene.bits), 128)) < 0.03, axis=1)
        burst.append(build_descriptors(replace(scene, bits=scene.bits ^ flips)))
    index = FeatureIndex([*blobs[:others], *burst])
    found = index.nearest(detect_features(part(photographs["coffee"], 0.1, 0.2, 0.5)))
    assert found
    assert all(at >= others for at in found)


def test_what_does_not_parse_is_no_candidate(blobs: list[bytes], photographs: dict[str, np.ndarray]) -> None:
    suspect = detect_features(photographs["rocket"])
    broken = [b"FTFD", b"", *blobs[:20], blobs[33][:-1]]
    index = FeatureIndex(broken)
    assert len(index) == 23
    assert not {0, 1, 22} & set(index.nearest(suspect, limit=23))


def test_nothing_is_found_in_nothing() -> None:
    assert FeatureIndex([]).nearest(random_features(1)) == ()
    nothing = random_features(1, 0)
    assert FeatureIndex([build_descriptors(random_features(2))]).nearest(nothing) == ()
    assert FeatureIndex([build_descriptors(nothing)] * 3).nearest(random_features(1)) == ()


@settings(max_examples=30)
@given(blobs=st.lists(st.binary(max_size=200), max_size=20), seed=st.integers(0, 99), limit=st.integers(0, 9))
def test_any_blobs_give_some_of_their_places(blobs: list[bytes], seed: int, limit: int) -> None:
    found = FeatureIndex(blobs).nearest(random_features(seed, 50), limit=limit)
    assert len(found) <= limit
    assert len(set(found)) == len(found)
    assert all(0 <= at < len(blobs) for at in found)
