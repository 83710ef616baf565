"""Features of a picture are detected once, whoever asks for them, and a failure is not lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ftforensics.errors import LinkError
from ftforensics.flows import known
from ftforensics.flows.known import LazyFeatures

PIXELS = np.zeros((64, 64, 3), np.uint8)


def test_several_threads_detect_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = known.detect_features

    def counted(pixels: np.ndarray) -> object:
        calls.append(1)
        return real(pixels)

    monkeypatch.setattr(known, "detect_features", counted)
    features = LazyFeatures(PIXELS)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: features.get(), range(8)))
    assert len(calls) == 1
    assert all(one is found[0] for one in found)


def test_what_fails_beside_fails_again_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: np.ndarray) -> object:
        raise LinkError("no features here")

    monkeypatch.setattr(known, "detect_features", fail)
    features = LazyFeatures(PIXELS)
    with ThreadPoolExecutor(1) as beside:
        beside.submit(features.get)
    with pytest.raises(LinkError):
        features.get()
