"""A tag that the index knows and no record goes with: the registry's fault, never that of an exhibit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ftforensics.domain.tag import Geometry, MatchedTag
from ftforensics.errors import ChainBroken
from ftforensics.flows.known import LazyFeatures
from ftforensics.flows.linking import Linker
from ftforensics.flows.parts import Part
from ftforensics.flows.sources import RecordChecks, Sources
from ftforensics.trust.trustlist import TrustList

NOW = "2026-06-01T09:00:00Z"
TAG = MatchedTag(
    tag_id="00112233445566aa",
    carrier_key_id="carrier:" + "a1" * 16,
    z=9.4,
    runner_up_z=3.1,
    e_value=1e-12,
    e_case=1e-9,
    records=1000,
    hypotheses=2,
    bit_agreement=0.98,
    symbols_corrected=None,
    erasures=None,
    geometry=Geometry(mode="direct"),
)


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
