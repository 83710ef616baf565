"""A tag that matched, as tests of what follows from one need it: beyond doubt, unless they say otherwise."""

from __future__ import annotations

from typing import Any

from ftforensics.domain.tag import Geometry, MatchedTag


def matched_tag(**changes: Any) -> MatchedTag:
    values: dict[str, Any] = {
        "tag_id": "00112233445566aa",
        "carrier_key_id": "carrier:01",
        "z": 10.9,
        "runner_up_z": 3.0,
        "e_value": 1e-20,
        "e_case": 1e-18,
        "records": 100,
        "hypotheses": 1,
        "bit_agreement": 1.0,
        "symbols_corrected": None,
        "erasures": None,
        "geometry": Geometry(mode="direct"),
    }
    return MatchedTag(**(values | changes))
