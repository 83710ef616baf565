"""A tiny checkpoint exported: the graphs run in ONNX Runtime and equal torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="export needs the train extra")
pytest.importorskip("onnx", reason="export needs the train extra")
pytest.importorskip("onnxscript", reason="export needs the train extra")

import torch

from ftforensics.engine.models import load_card
from ftforensics.engine.onnx import OnnxEmbedder, OnnxReader, OnnxSimulator
from ftforensics.nets.folded import FoldedReader, ReaderGradient
from ftforensics.nets.reader import Reader
from ftforensics.nets.simulator import Simulator
from ftforensics.train import export

WIDTHS, BLOCKS = (4, 6), (1, 1)


def tiny_reader() -> Reader:
    torch.manual_seed(4)
    net = Reader(WIDTHS, BLOCKS)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.4, 2.0)
    return net.eval()


def tiny_simulator() -> Simulator:
    torch.manual_seed(5)
    return Simulator(4, 2).eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, exported over an older card with calibrated thresholds."""
    folder = tmp_path_factory.mktemp("export")
    torch.save({"average": tiny_reader().state_dict(), "model_id": "ftf-tiny"}, folder / "reader.pt")
    net = tiny_simulator()
    torch.save({"net": net.state_dict(), "width": 4, "latent": 2}, folder / "simulator.pt")
    out = folder / "engines" / "ftf-tiny"
    out.mkdir(parents=True)
    old = {"presence_threshold": 6.5, "sync_threshold": 11.0, "reader_sha256": "old"}
    (out / "model.json").write_text(json.dumps(old), encoding="utf-8")
    for graph in ("pair_reader.onnx", "localiser.onnx"):
        (out / graph).write_bytes(b"of the reader that was here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "build_reader", lambda _: Reader(WIDTHS, BLOCKS))
        export.export_model(folder / "reader.pt", folder / "simulator.pt", out, {"steps": 3})
    return out


def test_the_card_is_readable_and_keeps_calibrated_thresholds(model: Path) -> None:
    card = load_card(model)
    assert (card.model_id, card.input_px, card.grid, card.message_bits) == ("ftf-tiny", 128, 64, 128)
    assert (card.presence_threshold, card.sync_threshold) == (6.5, 11.0)
    assert card.parameters == sum(parameter.numel() for parameter in tiny_reader().parameters())
    assert hashlib.sha256((model / card.reader_file).read_bytes()).hexdigest() == card.reader_sha256
    assert json.loads((model / "model.json").read_text(encoding="utf-8"))["training"] == {"steps": 3}


def test_graphs_that_belong_to_the_old_reader_are_gone(model: Path) -> None:
    assert {path.name for path in model.iterdir()} == {"model.json", *(name for name, _ in load_card(model).graphs)}
    assert load_card(model).localiser_file is None


def test_nothing_of_the_machine_is_in_the_graphs(model: Path) -> None:
    package = str(Path(export.__file__).parent.parent.parent).encode()
    for graph in model.glob("*.onnx"):
        data = graph.read_bytes()
        assert package not in data
        assert b".py" not in data


@pytest.mark.parametrize("count", [1, 3])
def test_the_reader_graph_equals_torch(count: int, model: Path) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (count, 128, 128, 3), dtype=np.uint8)
    with torch.no_grad():
        wanted = tiny_reader()(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255.0).numpy()
    np.testing.assert_allclose(OnnxReader(model, threads=1).read(pictures), wanted, atol=1e-4)


@pytest.mark.parametrize(("count", "rows"), [(1, 129), (2, 5)])
def test_the_gradient_graph_equals_torch(count: int, rows: int, model: Path) -> None:
    random = np.random.default_rng(2)
    pictures = random.random((count, 3, 128, 128), dtype=np.float32)
    carriers = random.standard_normal((rows, 12288), dtype=np.float32) / 100
    weights = random.random(rows, dtype=np.float32)
    soft, gradient = OnnxEmbedder(model, threads=1).gradient(pictures, carriers, weights, 0.8, 3.0)
    inputs = (torch.from_numpy(value) for value in (pictures, carriers, weights))
    with torch.no_grad():
        graph = ReaderGradient(FoldedReader(tiny_reader()))
        wanted_soft, wanted = graph(*inputs, torch.tensor(0.8), torch.tensor(3.0))
    np.testing.assert_allclose(soft, wanted_soft.numpy(), atol=1e-4)
    np.testing.assert_allclose(gradient, wanted.numpy(), atol=1e-4 * float(wanted.abs().max()), rtol=1e-3)


@pytest.mark.parametrize("size", [(64, 96), (61, 50)])
def test_the_simulator_graph_equals_torch_at_any_size(size: tuple[int, int], model: Path) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    made = OnnxSimulator(model, threads=1).regenerate(picture)
    assert made.shape == picture.shape
    if size == (64, 96):
        with torch.no_grad():
            wanted = tiny_simulator()(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255.0)
        levels = np.clip(np.rint(wanted[0].permute(1, 2, 0).numpy() * 255.0), 0, 255)
        assert np.abs(made - levels).max() <= 1
