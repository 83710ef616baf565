"""What the tests of engine plans share: a key, a request, plans that only look like plans, and a tiny model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ftforensics.engine.plans.folder import PlanFolder
from ftforensics.engine.plans.manifest import PlanManifest, sign_manifest
from ftforensics.engine.plans.request import InputShape, PlanRequest
from ftforensics.trust.keys import Signer, SigningKey

EXAMINER = SigningKey.from_seed("ada", "examiner", hashlib.sha256(b"plans ada").digest())
MALLORY = SigningKey.from_seed("mallory", "examiner", hashlib.sha256(b"plans mallory").digest())
PINNED = frozenset({EXAMINER.key_id})
NOW = "2026-03-01T12:00:00Z"
RTX = "1.7.1.116"

REQUEST = PlanRequest(
    model_id="ftf-1",
    model_sha256="a1" * 32,
    graph_sha256="a1" * 32,
    flavour="tensorrt-rtx",
    flavour_version=RTX,
    targets=("sm_89", "sm_120"),
    precision="fp16",
    shapes=(InputShape(name="picture", least=(1, 3, 128, 128), best=(16, 3, 128, 128), most=(64, 3, 128, 128)),),
)


def make_manifest(plan: bytes, **changes: Any) -> PlanManifest:
    """The manifest of any bytes; ``changes`` are fields of the request, or of the manifest where it has none such."""
    fields = {name: changes.pop(name) for name in list(changes) if name in PlanRequest.__slots__}
    found = PlanManifest(
        request=replace(REQUEST, **fields),
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        plan_bytes=len(plan),
        cuda_major=13,
        built_at=NOW,
        platform="Linux",
        tool_version="0.1.0",
    )
    return replace(found, **changes)


def save_plan(engines: Path, plan: bytes = b"plan", signer: Signer = EXAMINER, **changes: Any) -> PlanManifest:
    """Put bytes into the folder as if they had been built."""
    manifest = make_manifest(plan, **changes)
    folder = PlanFolder(engines)
    with folder.building() as place:
        (place / "plan").write_bytes(plan)
        folder.save(manifest, sign_manifest(manifest, signer), place / "plan")
    return manifest


def tiny_graph() -> bytes:
    """A reader in shape only: one convolution from (B, 3, 128, 128) to (B, 3, 64, 64)."""
    weights = np.random.default_rng(7).normal(0, 0.1, (3, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["picture", "w"], ["planes"], strides=[2, 2], pads=[1, 1, 1, 1], name="conv")],
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["batch", 3, 128, 128])],
        [helper.make_tensor_value_info("planes", TensorProto.FLOAT, ["batch", 3, 64, 64])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def quantised_graph(folder: Path, *, signed: bool) -> bytes:
    """The tiny reader with Q/DQ nodes: signed and symmetric as TensorRT wants it, or unsigned as processors like it."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [np.random.default_rng(1).random((1, 3, 128, 128), dtype=np.float32)]

        def get_next(self) -> dict[str, Any] | None:
            return {"picture": self.left.pop()} if self.left else None

    quantize_static(
        onnx.load_model_from_string(tiny_graph()),
        str(folder / "int8.onnx"),
        Pictures(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": signed},
    )
    return (folder / "int8.onnx").read_bytes()


def make_tiny_model(engines: Path, name: str = "tiny-1") -> Path:
    """A model folder that ``find_model`` finds, with a reader that builds in a moment."""
    folder = engines / name
    folder.mkdir(parents=True)
    graph = tiny_graph()
    (folder / "reader.onnx").write_bytes(graph)
    card = {
        "model_id": name,
        "format_version": 1,
        "input_px": 128,
        "grid": 64,
        "message_bits": 128,
        "sync_energy": 0.2,
        "reader_file": "reader.onnx",
        "reader_sha256": hashlib.sha256(graph).hexdigest(),
        "gradient_file": "gradient.onnx",
        "gradient_sha256": "0" * 64,
        "simulator_file": None,
        "simulator_sha256": None,
        "presence_threshold": 8.0,
        "sync_threshold": 12.0,
        "parameters": 81,
    }
    (folder / "model.json").write_text(json.dumps(card))
    return folder
