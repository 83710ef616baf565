"""The graph that a builder gets: a model's reader in the wanted precision. In: ONNX bytes. Out: ONNX bytes.

Networks are strongly typed, so the precision lies in the graph: fp32 is the graph as it is, fp16 has half-precision
weights and arithmetic between casts, int8 comes quantised (Q/DQ nodes). Input and output stay float32 in all of them,
so that whoever runs a plan need not know its precision. The conversion to fp16 is that of ONNX Runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftforensics.errors import EngineError

if TYPE_CHECKING:
    from types import ModuleType

_INSTALL = "run: python -m pip install 'ftforensics[rtx]'"


def prepare_graph(graph: bytes, precision: str, *, subject: str = "graph") -> bytes:
    """The graph to build from.

    Args:
        graph: The reader in float32; for ``int8`` the quantised reader.
        precision: ``fp32``, ``fp16`` or ``int8``.
        subject: Where the graph came from, for errors.

    Raises:
        EngineError: No such precision, a graph that is not ONNX or not fit for it, or a package is missing.
    """
    if precision == "fp32":
        return graph
    if precision == "fp16":
        return _to_half(_parse_graph(graph, subject), subject)
    if precision == "int8":
        _check_quantised(_parse_graph(graph, subject), subject)
        return graph
    raise EngineError(f"no such precision: {precision[:40]!a}", remedy="use fp32, fp16 or int8")


def _import_onnx() -> ModuleType:
    try:
        import onnx
    except ImportError as exc:
        raise EngineError("changing a graph's precision needs the package onnx", remedy=_INSTALL) from exc
    return onnx


def _parse_graph(graph: bytes, subject: str) -> Any:
    onnx = _import_onnx()
    try:
        model = onnx.load_model_from_string(graph)
    except Exception as exc:  # protobuf raises its own unrelated classes
        raise EngineError("the graph is not ONNX", subject=subject, remedy="check the file") from exc
    if any(one.data_location == onnx.TensorProto.EXTERNAL for one in model.graph.initializer):
        raise EngineError("the graph keeps weights in other files", subject=subject, remedy="save it as one file")
    return model


def _to_half(model: Any, subject: str) -> bytes:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    try:
        half = convert_float_to_float16(model, keep_io_types=True)
        # The converter puts the cast of an input behind the nodes that need it.
        OnnxModel(half).topological_sort(is_deterministic=True)
        _import_onnx().checker.check_model(half)
    except Exception as exc:  # the converter and the checker raise classes of their own
        raise EngineError("the graph cannot be converted to fp16", subject=subject, remedy="use fp32") from exc
    return bytes(half.SerializeToString(deterministic=True))


def _check_quantised(model: Any, subject: str) -> None:
    onnx = _import_onnx()
    kinds = {node.op_type for node in model.graph.node}
    if not {"QuantizeLinear", "DequantizeLinear"} <= kinds:
        raise EngineError(
            "the graph is not quantised: it has no Q/DQ nodes",
            subject=subject,
            remedy="quantise the model first",
        )
    constants = {one.name: one for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) == 3:
            zero = constants.get(node.input[2])
            if zero is None or zero.data_type != onnx.TensorProto.INT8 or onnx.numpy_helper.to_array(zero).any():
                raise EngineError(
                    "the graph's eight bits are not signed and symmetric, and TensorRT takes no others",
                    subject=subject,
                    remedy="use fp16, or quantise the model for TensorRT",
                )
