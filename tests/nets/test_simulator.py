"""The GAN simulator and its critic: shapes, determinism, gradients."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the networks need the train extra")

import torch

from ftforensics.nets.simulator import PatchCritic, Simulator, gradient_difference


def picture(height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("size", [(64, 96), (32, 32), (8, 16)])
def test_a_picture_of_the_same_size_comes_out(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        assert Simulator(4, 2)(picture(*size)).shape == (2, 3, *size)


def test_everything_passes_through_the_narrow_latent() -> None:
    net = Simulator(4, 5)
    with torch.no_grad():
        assert net.encoder(picture()).shape == (2, 5, 8, 12)


def test_latent_noise_is_a_function_of_its_generator() -> None:
    torch.manual_seed(0)
    net = Simulator(4, 2).eval()
    with torch.no_grad():
        clean = net(picture())
        once = net(picture(), 0.2, torch.Generator().manual_seed(1))
        again = net(picture(), 0.2, torch.Generator().manual_seed(1))
        other = net(picture(), 0.2, torch.Generator().manual_seed(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.equal(once, clean)
    assert torch.equal(net(picture()), clean)


def test_the_critic_scores_patches() -> None:
    with torch.no_grad():
        assert PatchCritic(8)(picture()).shape == (2, 1, 8, 12)


def test_gradient_difference_sees_edges_and_not_levels() -> None:
    image = picture()
    assert float(gradient_difference(image, image + 0.3)) == pytest.approx(0.0, abs=1e-6)
    ramp = torch.arange(96).float().expand(2, 3, 64, 96)
    assert float(gradient_difference(image, image + 0.01 * ramp)) == pytest.approx(0.01, rel=1e-3)
