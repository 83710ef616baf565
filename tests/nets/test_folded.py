"""The folded reader is the reader, and its written-out gradient is the gradient."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the networks need the train extra")

import torch
from torch.nn import functional

from ftforensics.engine.models import find_model, load_card
from ftforensics.nets.folded import FoldedReader, Layer, ReaderGradient, fold
from ftforensics.nets.reader import INPUT_PX, Reader, count_parameters, update_average

VALUES = 3 * 64 * 64


def trained_like(widths: tuple[int, ...] = (6, 8, 10), blocks: tuple[int, ...] = (2, 1, 2)) -> Reader:
    """A small reader in double precision whose normalisations have seen something."""
    torch.manual_seed(3)
    net = Reader(widths, blocks).double()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.4, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return net.eval()


@pytest.fixture(scope="module")
def reader() -> Reader:
    return trained_like()


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    return torch.rand(2, 3, INPUT_PX, INPUT_PX, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_folded_reader_equals_the_reader(reader: Reader, picture: torch.Tensor) -> None:
    with torch.no_grad():
        wanted, made = reader(picture), FoldedReader(reader)(picture)
    assert wanted.shape == (2, 3, 64, 64)
    torch.testing.assert_close(made, wanted, rtol=1e-10, atol=1e-10)
    assert wanted.std() > 1e-3


def test_folding_copies_so_that_later_training_does_not_reach_the_folded(picture: torch.Tensor) -> None:
    net = trained_like()
    folded = FoldedReader(net)
    with torch.no_grad():
        before = folded(picture)
        for parameter in net.parameters():
            parameter.mul_(2.0)
        torch.testing.assert_close(folded(picture), before, rtol=0, atol=0)


def test_a_normalisation_without_statistics_does_not_fold() -> None:
    with pytest.raises(ValueError, match="running statistics"):
        fold(torch.nn.Conv2d(2, 2, 3), torch.nn.BatchNorm2d(2, track_running_stats=False))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_layers_adjoint_is_its_adjoint(stride: int) -> None:
    torch.manual_seed(0)
    layer = Layer(torch.randn(5, 4, 3, 3).double(), torch.zeros(5).double(), stride)
    features = torch.randn(2, 4, 16, 16).double()
    out = layer(features)
    cotangent = torch.randn_like(out)
    assert float((out * cotangent).sum()) == pytest.approx(float((features * layer.adjoint(cotangent)).sum()), rel=1e-9)


def autograd(
    net: FoldedReader,
    picture: torch.Tensor,
    carriers: torch.Tensor,
    weights: torch.Tensor,
    margin: torch.Tensor,
    sharpness: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft bits and the gradient of the documented loss, by automatic differentiation."""
    leaf = picture.clone().requires_grad_()
    soft = net(leaf).flatten(1) @ carriers.T
    level = soft.abs().mean(dim=1, keepdim=True).detach() + 1e-3
    loss = (weights * level * functional.softplus(sharpness * (margin - soft / level)) / sharpness).sum()
    return soft.detach(), torch.autograd.grad(loss, leaf)[0]


@pytest.mark.parametrize(("margin", "sharpness"), [(1.0, 4.0), (0.2, 0.7), (1.5, 20.0)])
def test_the_written_gradient_equals_autograd(
    margin: float, sharpness: float, reader: Reader, picture: torch.Tensor
) -> None:
    torch.manual_seed(5)
    folded = FoldedReader(reader)
    carriers = torch.randn(9, VALUES).double() / 10
    weights = torch.rand(9).double() + 0.1
    knobs = torch.tensor(margin).double(), torch.tensor(sharpness).double()
    wanted_soft, wanted = autograd(folded, picture, carriers, weights, *knobs)
    with torch.no_grad():
        soft, gradient = ReaderGradient(folded)(picture, carriers, weights, *knobs)
    torch.testing.assert_close(soft, wanted_soft, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradient, wanted, rtol=1e-8, atol=1e-12)
    assert wanted.abs().max() > 0


def test_pictures_of_a_batch_do_not_see_each_other(reader: Reader, picture: torch.Tensor) -> None:
    torch.manual_seed(6)
    graph = ReaderGradient(FoldedReader(reader))
    knobs = (torch.randn(4, VALUES).double(), torch.ones(4).double(), torch.tensor(1.0), torch.tensor(3.0))
    with torch.no_grad():
        _, together = graph(picture, *knobs)
        for index in range(2):
            _, alone = graph(picture[index : index + 1], *knobs)
            torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-9, atol=1e-14)


def test_the_default_reader_is_the_one_that_ships() -> None:
    assert count_parameters(Reader()) == load_card(find_model()).parameters


def test_the_default_reader_folds_in_single_precision() -> None:
    torch.manual_seed(0)
    net = Reader().eval()
    picture = torch.rand(1, 3, INPUT_PX, INPUT_PX)
    with torch.no_grad():
        torch.testing.assert_close(FoldedReader(net)(picture), net(picture), rtol=1e-3, atol=1e-4)


def test_the_average_moves_towards_the_weights() -> None:
    torch.manual_seed(0)
    average, net = Reader((4, 4), (1, 1)), Reader((4, 4), (1, 1))
    before = average.stem.weight.clone()
    net.encoders[0][0].first_norm.num_batches_tracked.fill_(7)
    update_average(average, net, 0.75)
    torch.testing.assert_close(average.stem.weight, 0.75 * before + 0.25 * net.stem.weight)
    assert int(average.encoders[0][0].first_norm.num_batches_tracked) == 7
