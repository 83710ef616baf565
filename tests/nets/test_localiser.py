"""The localiser: what it sees of its maps, and what it must not."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the networks need the train extra")

import torch

from ftforensics.nets.localiser import MAPS, Localiser, multiply


@pytest.fixture
def maps() -> torch.Tensor:
    drawn = torch.randn(2, MAPS, 64, 64, generator=torch.Generator().manual_seed(1))
    drawn[:, 9] = 1.0
    drawn[:, 9, :, :20] = 0.0
    return drawn


@pytest.fixture
def net() -> Localiser:
    torch.manual_seed(2)
    return Localiser((8, 8, 8)).eval()


@torch.no_grad()
def test_every_place_gets_its_odds(net: Localiser, maps: torch.Tensor) -> None:
    odds = net(maps)
    assert odds.shape == (2, 64, 64)
    assert odds.std() > 0


@torch.no_grad()
def test_the_opposite_tag_in_opposite_maps_is_the_same_question(net: Localiser, maps: torch.Tensor) -> None:
    opposite = maps.clone()
    opposite[:, :9] *= -1.0
    assert torch.allclose(net(maps), net(opposite), atol=1e-5)
    # The opposite tag alone is another one.
    opposite[:, 3:6] *= -1.0
    assert not torch.allclose(net(maps), net(opposite), atol=1e-3)


@torch.no_grad()
def test_what_was_read_out_of_view_changes_nothing(net: Localiser, maps: torch.Tensor) -> None:
    other = maps.clone()
    other[:, :3, :, :20] = 9.0
    assert torch.equal(multiply(maps), multiply(other))
    other[:, :3, :, 20:] = 9.0
    assert not torch.allclose(net(maps), net(other), atol=1e-3)
