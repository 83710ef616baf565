"""Peers are the published architectures: their weights and multiplications against the published figures."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ftforensics.nets.peers import ConvNeXtTiny, ResNet50, build_peer  # noqa: E402


def count_macs(net, side_px: int) -> int:
    """Multiply-accumulates of one picture, by watching every convolution and matrix product on the meta device."""
    total = 0

    def watch(module, _inputs, output) -> None:
        nonlocal total
        if isinstance(module, torch.nn.Conv2d):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, torch.nn.Linear):
            total += output.numel() * module.in_features

    for module in net.modules():
        module.register_forward_hook(watch)
    net(torch.empty(1, 3, side_px, side_px, device="meta"))
    return total


# He et al. (2015), as counted with the stride in the 3x3 convolution: 4.1 billion, 25.6 million weights, of which
# normalisation has 53 thousand that fold away. Liu et al. (2022), table 1: 4.5 billion, 28.6 million.
@pytest.mark.parametrize(
    ("peer", "billions", "millions"), [(ResNet50, 4.1, 25.5), (ConvNeXtTiny, 4.5, 28.6)], ids=["resnet", "convnext"]
)
def test_cost_is_the_published_one(peer, billions: float, millions: float) -> None:
    with torch.device("meta"):
        net = peer().eval()
    assert count_macs(net, 224) / 1e9 == pytest.approx(billions, rel=0.015)
    assert sum(weight.numel() for weight in net.parameters()) / 1e6 == pytest.approx(millions, rel=0.005)


@pytest.mark.parametrize("peer", [ResNet50, ConvNeXtTiny])
@pytest.mark.parametrize("side_px", [64, 256])
def test_a_hundred_values_come_of_any_picture(peer, side_px: int) -> None:
    with torch.device("meta"):
        values = peer(100).eval()(torch.empty(2, 3, side_px, side_px))
    assert values.shape == (2, 100)


def test_an_unknown_peer_is_refused() -> None:
    with pytest.raises(KeyError):
        build_peer("vgg", 1)
