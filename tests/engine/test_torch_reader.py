"""The torch backend on the processor: the same weights, the same maps, whatever batch a picture is in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnx
from onnx import numpy_helper

from ftforensics.engine.agreement import LIMITS, build_test_pictures, check_agreement
from ftforensics.engine.cuda.torch_reader import TorchReader
from ftforensics.engine.cuda.torch_weights import load_folded_reader
from ftforensics.engine.onnx import OnnxReader
from ftforensics.errors import BackendUnavailable, EngineError, ModelMissing


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    drawn = build_test_pictures(128)
    return np.concatenate([drawn, drawn[:, ::-1], drawn[:1, :, ::-1]])


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_torch_reads_what_onnx_runtime_reads(precision: str, model_folder: Path, onnx_reader: OnnxReader) -> None:
    with TorchReader(model_folder, precision=precision, threads=1) as reader:
        assert (reader.backend, reader.precision, reader.engine_sha256) == ("torch-cpu", precision, None)
        # A fifth of what is let through: the limits leave room for GPUs, not for mistakes.
        assert check_agreement(reader, onnx_reader) < LIMITS[precision] / 5


def test_maps_do_not_depend_on_batch_or_neighbours(model_folder: Path, pictures: np.ndarray) -> None:
    with TorchReader(model_folder, batch=4, threads=1) as reader:
        together = reader.read(pictures)
        np.testing.assert_array_equal(reader.read(pictures[::-1])[::-1], together)
        np.testing.assert_array_equal(reader.read(pictures[3:4])[0], together[3])
        np.testing.assert_array_equal(reader.submit(pictures[1]).result(60)[0], together[1])


def test_weights_come_from_the_graph_and_nowhere_else(graph: bytes) -> None:
    net = load_folded_reader(graph, subject="reader.onnx")
    weights = {one.name: numpy_helper.to_array(one) for one in onnx.load_model_from_string(graph).graph.initializer}
    state = net.state_dict()
    for name, value in state.items():
        if not name.endswith(".reverse"):
            np.testing.assert_array_equal(value.numpy(), weights[name])
    assert sum(name.endswith(".weight") for name in state) == sum(name.endswith(".weight") for name in weights)


def test_another_network_is_refused_in_a_sentence(graph: bytes) -> None:
    model = onnx.load_model_from_string(graph)
    for tensor in model.graph.initializer:
        if tensor.name == "head.weight":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros((3, 7, 3, 3), np.float32), tensor.name))
    with pytest.raises(EngineError, match=r"does not know the network.*other\.onnx.*--engine onnx"):
        load_folded_reader(model.SerializeToString(), subject="other.onnx")


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"not a graph"])
def test_bytes_that_are_no_graph_are_refused(data: bytes) -> None:
    with pytest.raises(EngineError):
        load_folded_reader(data, subject="reader.onnx")


def test_a_changed_graph_is_never_run(model_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(model_folder, tmp_path / "model")
    with (tmp_path / "model" / "reader.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelMissing, match="was changed"):
        TorchReader(tmp_path / "model")


@pytest.mark.parametrize("device", ["cuda:x", "tpu", "", "cpu,cuda:0"])
def test_devices_that_torch_does_not_know_are_refused(device: str, model_folder: Path) -> None:
    with pytest.raises(BackendUnavailable, match="no such device"):
        TorchReader(model_folder, device=device)


def test_precisions_that_torch_does_not_read_with_are_refused(model_folder: Path) -> None:
    with pytest.raises(BackendUnavailable, match="fp32, fp16, bf16"):
        TorchReader(model_folder, precision="int8")


_SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from ftforensics.engine.cuda.torch_reader import TorchReader
folder = Path(sys.argv[1])
with TorchReader(folder, threads=1) as reader:
    wanted = reader.read(np.zeros((1, 128, 128, 3), np.uint8))[0]
size_kib = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
limit = size_kib * 1024 + 96 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
with TorchReader(folder, threads=1, batch=128, slots=1) as reader:
    maps = reader.read(np.zeros((3, 128, 128, 3), np.uint8))
    print(reader.runner.lanes[0].batch, np.allclose(maps, wanted, atol=1e-4))
"""


def test_when_memory_runs_out_for_real_the_batch_is_halved_until_it_fits(model_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SHORT_OF_MEMORY, str(model_folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    batch, right = done.stdout.split()
    assert 1 <= int(batch) < 128
    assert right == "True"
