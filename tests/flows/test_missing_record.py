"""A tag that the index knows and no record goes with: the registry's fault, never that of an exhibit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from tag_samples import matched_tag

from ftforensics.errors import ChainBroken
from ftforensics.flows.known import LazyFeatures
from ftforensics.flows.linking import Linker
from ftforensics.flows.parts import Part
from ftforensics.flows.sources import RecordChecks, Sources
from ftforensics.trust.trustlist import TrustList

NOW = "2026-06-01T09:00:00Z"
TAG = matched_tag(carrier_key_id="carrier:" + "a1" * 16)


def test_it_is_told_as_such():
    pixels = np.zeros((64, 64, 3), np.uint8)
    linker = Linker(
        tag_reader=cast(Any, SimpleNamespace(reader=SimpleNamespace(card=SimpleNamespace(model_id="ftf-1")))),
        keys=[],
        sources=Sources([], TrustList(), NOW),
        checks=RecordChecks(TrustList(), NOW),
        localiser=None,
    )
    part = cast(Part, None)
    with pytest.raises(ChainBroken, match=f"tag id {TAG.tag_id}.*'ftf registry verify'"):
        linker.matched(part, LazyFeatures(pixels), cast(Any, None), TAG, NOW)
