"""Checkpoint to a shipped model: reader and gradient graphs, simulator graph, ``model.json`` with every hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
import torch

from ftforensics.codec.carriers import GRID, MESSAGE_BITS, SYNC_ENERGY, VALUES
from ftforensics.engine.models import load_card
from ftforensics.errors import UsageError
from ftforensics.nets.folded import FoldedReader, ReaderGradient
from ftforensics.nets.localiser import KIND, MAPS, Localiser
from ftforensics.nets.reader import INPUT_PX, PAIR_CHANNELS, build_reader, count_parameters
from ftforensics.train.simulator import load_simulator
from ftforensics.train.starting import simulator_graph

FORMAT_VERSION = 1
PAIR_READER_FILE, LOCALISER_FILE = "pair_reader.onnx", "localiser.onnx"


def save_graph(module: torch.nn.Module, arguments: tuple[Any, ...], names: dict[str, Any], path: Path) -> str:
    """Export one graph, without anything of the machine it was made on, and give its SHA-256."""
    program = torch.onnx.export(module.eval(), arguments, dynamo=True, verbose=False, **names)
    if program is None:
        raise RuntimeError("the exporter returned no program")
    proto = program.model_proto
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]
    onnx.checker.check_model(proto)
    data = proto.SerializeToString(deterministic=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _reader_graphs(checkpoint: Path, out: Path) -> tuple[dict[str, str], int, str]:
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    net = build_reader(state.get("size", "cpu"))
    net.load_state_dict(state["average"])
    folded = FoldedReader(net.eval()).eval()
    picture = torch.rand(2, 3, INPUT_PX, INPUT_PX)
    batch = {0: torch.export.Dim.AUTO}
    reader_hash = save_graph(
        folded,
        (picture,),
        {"input_names": ["picture"], "output_names": ["planes"], "dynamic_shapes": {"picture": batch}},
        out / "reader.onnx",
    )
    inputs = (
        picture,
        torch.randn(MESSAGE_BITS + 1, VALUES),
        torch.ones(MESSAGE_BITS + 1),
        torch.tensor(1.0),
        torch.tensor(3.0),
    )
    names = ["picture", "carriers", "weights", "margin", "sharpness"]
    shapes = {"picture": batch, "carriers": batch, "weights": batch, "margin": None, "sharpness": None}
    gradient_hash = save_graph(
        ReaderGradient(folded),
        inputs,
        {"input_names": names, "output_names": ["soft", "gradient"], "dynamic_shapes": shapes},
        out / "gradient.onnx",
    )
    return {"reader": reader_hash, "gradient": gradient_hash}, count_parameters(net), str(state["model_id"])


def _simulator_graph(simulator: Path, path: Path) -> str:
    """Export a checkpoint's graph, or take over that of a model folder, byte for byte."""
    if simulator.is_dir():
        graph, sha256 = simulator_graph(simulator)
        path.write_bytes(graph)
        return sha256
    sides = {2: 8 * torch.export.Dim("eighth_height", min=4), 3: 8 * torch.export.Dim("eighth_width", min=4)}
    return save_graph(
        load_simulator(simulator),
        (torch.rand(1, 3, 256, 320),),
        {"input_names": ["picture"], "output_names": ["regenerated"], "dynamic_shapes": {"picture": sides}},
        path,
    )


def export_pair_reader(checkpoint: Path, model: Path, training: dict[str, Any]) -> None:
    """Add a pair reader to the model folder whose tags it was trained on.

    Args:
        checkpoint: Of ``train beside``.
        model: Its card gains the file, its hash, and ``training`` under the name of "pair_reader".
        training: Data, seed, steps, command.

    Raises:
        FtfError: The folder is no model's, or the checkpoint is of another model or of no pair reader.
    """
    card = load_card(model)
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    if state["model_id"] != card.model_id or state["net"]["stem.weight"].shape[1] != 4 * PAIR_CHANNELS:
        raise UsageError(f"this is no checkpoint of a pair reader of {card.model_id}", subject=str(checkpoint))
    net = build_reader(state["size"], PAIR_CHANNELS)
    net.load_state_dict(state["average"])
    digest = save_graph(
        FoldedReader(net.eval()).eval(),
        (torch.rand(2, PAIR_CHANNELS, INPUT_PX, INPUT_PX),),
        {
            "input_names": ["pair"],
            "output_names": ["planes"],
            "dynamic_shapes": {"picture": {0: torch.export.Dim.AUTO}},
        },
        model / PAIR_READER_FILE,
    )
    _note_graph(model, "pair_reader", PAIR_READER_FILE, digest, training)


def export_localiser(checkpoint: Path, model: Path, training: dict[str, Any]) -> None:
    """Add a localiser to the model folder for whose reader it was trained.

    Args:
        checkpoint: Of ``train localiser``.
        model: Its card gains the file, its hash, and ``training`` under the name of "localiser".
        training: Data, seed, steps, command.

    Raises:
        FtfError: The folder is no model's, or the checkpoint is of another reader or of no localiser.
    """
    card = load_card(model)
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    if state.get("kind") != KIND or state["reader_sha256"] != card.reader_sha256:
        raise UsageError(
            f"this is no checkpoint of a localiser for the reader of {card.model_id}",
            subject=str(checkpoint),
            remedy="train one with --model and this folder",
        )
    net = Localiser()
    net.load_state_dict(state["average"])
    digest = save_graph(
        net.eval(),
        (torch.rand(2, MAPS, GRID, GRID),),
        {
            "input_names": ["maps"],
            "output_names": ["evidence"],
            "dynamic_shapes": {"maps": {0: torch.export.Dim.AUTO}},
        },
        model / LOCALISER_FILE,
    )
    _note_graph(model, "localiser", LOCALISER_FILE, digest, training)


def _note_graph(model: Path, name: str, file: str, digest: str, training: dict[str, Any]) -> None:
    """Name one more graph in a model's card."""
    path = model / "model.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    known |= {f"{name}_file": file, f"{name}_sha256": digest}
    known["training"] = known["training"] | {name: training}
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def export_model(checkpoint: Path, simulator: Path, out: Path, training: dict[str, Any]) -> None:
    """Write the model folder ``out``.

    Args:
        checkpoint: Of the reader.
        simulator: A checkpoint, or the folder of a model whose simulator is kept.
        out: Is made if it is not there; presence thresholds in it are kept until the new reader is calibrated.
        training: Kept in the card as given: data, seed, steps, command.
    """
    out.mkdir(parents=True, exist_ok=True)
    # First, so that a folder without one leaves the reader and its card as they were.
    simulator_hash = _simulator_graph(simulator, out / "simulator.onnx")
    hashes, parameters, model_id = _reader_graphs(checkpoint, out)
    for file in (PAIR_READER_FILE, LOCALISER_FILE):  # they belong to the tags of the reader that was here
        (out / file).unlink(missing_ok=True)
    card = {
        "model_id": model_id,
        "format_version": FORMAT_VERSION,
        "input_px": INPUT_PX,
        "grid": GRID,
        "message_bits": MESSAGE_BITS,
        "sync_energy": SYNC_ENERGY,
        "reader_file": "reader.onnx",
        "reader_sha256": hashes["reader"],
        "gradient_file": "gradient.onnx",
        "gradient_sha256": hashes["gradient"],
        "simulator_file": "simulator.onnx",
        "simulator_sha256": simulator_hash,
        "parameters": parameters,
        "training": training,
    }
    existing = out / "model.json"
    kept = json.loads(existing.read_text(encoding="utf-8")) if existing.exists() else {}
    card = (
        {"presence_threshold": 0.0, "sync_threshold": 0.0}
        | {k: kept[k] for k in ("presence_threshold", "sync_threshold") if k in kept}
        | card
    )
    existing.write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")
