"""Content and tag weighed together: neither can hide what the other is sure of."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.link.difference import Difference
from ftforensics.link.placement import Placement
from ftforensics.link.replaced import find_replaced
from ftforensics.link.survival import ODDS_WEIGHT, Holes

WHOLE = Placement(matrix=np.eye(3))

SIDE = 64


def paste() -> np.ndarray:
    region = np.zeros((SIDE, SIDE), bool)
    region[20:44, 16:48] = True
    return region


def difference_of(changed: np.ndarray) -> Difference:
    differs = np.where(changed, 3.0, 0.2).astype(np.float32)
    return Difference(
        difference=differs,
        changed=changed,
        seen=np.ones_like(changed),
        changed_fraction=float(changed.mean()),
        replaced=changed,
        regions=(),
    )


def holes_of(odds: np.ndarray, *, gone: np.ndarray | None = None, by_network: bool = True) -> Holes:
    nothing = np.zeros_like(odds, bool)
    return Holes(
        visible=~nothing,
        gone=nothing if gone is None else gone,
        region=odds > 0,
        evidence=(ODDS_WEIGHT * odds).astype(np.float32),
        by_network=by_network,
    )


def outlined(difference: Difference, holes: Holes) -> np.ndarray:
    replaced = find_replaced(difference, holes, WHOLE)
    step = replaced.shape[0] // SIDE
    return replaced[::step, ::step]


@pytest.mark.parametrize("odds", [-6.0, -2.0])
def test_a_paste_that_was_tagged_anew_in_part_is_outlined_whole(odds: float) -> None:
    changed = paste()
    evidence = np.where(changed, 6.0, -6.0)
    evidence[20:44, 32:48] = odds
    assert (outlined(difference_of(changed), holes_of(evidence)) & changed).sum() > 0.95 * changed.sum()


def test_a_missing_tag_is_outlined_where_no_content_tells() -> None:
    nothing = np.zeros((SIDE, SIDE), bool)
    quiet = difference_of(nothing)
    quiet = Difference(**{name: getattr(quiet, name) for name in quiet.__slots__} | {"seen": nothing})
    found = outlined(quiet, holes_of(np.where(paste(), 6.0, -6.0)))
    assert (found & paste()).sum() > 0.95 * paste().sum()
    assert (found & ~paste()).sum() < 0.05 * paste().sum()


def test_without_a_localiser_a_region_needs_what_was_measured() -> None:
    nothing = np.zeros((SIDE, SIDE), bool)
    odds = np.where(paste(), 6.0, -6.0)
    quiet = difference_of(nothing)
    quiet = Difference(**{name: getattr(quiet, name) for name in quiet.__slots__} | {"seen": nothing})
    assert not outlined(quiet, holes_of(odds, by_network=False)).any()
    assert outlined(quiet, holes_of(odds, gone=paste(), by_network=False)).any()
