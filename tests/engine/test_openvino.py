"""OpenVINO on the processor: what ONNX Runtime reads, the same bytes however pictures fell, and nothing is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ftforensics.domain.tag import MatchedTag
from ftforensics.engine.agreement import LIMITS, build_test_pictures, check_agreement
from ftforensics.engine.backends import Wanted, open_backend, open_reader, probe
from ftforensics.engine.libraries import package_version
from ftforensics.engine.onnx import OnnxReader
from ftforensics.engine.openvino import OpenVinoReader, compile_graph
from ftforensics.engine.processor import has_bf16
from ftforensics.engine.reader import Reader
from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.engine.ring import RingKey, build_book
from ftforensics.errors import BackendUnavailable, EngineError, ModelMissing

needs_openvino = pytest.mark.skipif(
    package_version("openvino") is None, reason="openvino is not installed: pip install '.[openvino]'"
)
# A processor without bf16 refuses it, which is tested; everything else is then tested in fp32 alone.
PRECISIONS = ("fp32",) if has_bf16() is False else ("fp32", "bf16")


@pytest.fixture(scope="module", params=PRECISIONS)
def reader(request: pytest.FixtureRequest, model_folder: Path) -> OpenVinoReader:
    return OpenVinoReader(model_folder, threads=2, precision=request.param)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Seven views (7, 128, 128, 3), none like another."""
    drawn = build_test_pictures(128)
    return np.concatenate([drawn, drawn[:, ::-1], drawn[:, :, ::-1], drawn[:1, ::-1, ::-1]])


@needs_openvino
def test_it_reads_what_onnx_runtime_reads(reader: OpenVinoReader, onnx_reader: OnnxReader) -> None:
    assert (reader.backend, reader.engine_sha256) == ("openvino-cpu", None)
    assert reader.card == onnx_reader.card
    assert check_agreement(reader, onnx_reader) < LIMITS[reader.precision] / 5


@needs_openvino
def test_maps_have_their_shape(reader: OpenVinoReader, pictures: np.ndarray) -> None:
    maps = reader.read(pictures)
    assert (maps.shape, maps.dtype) == ((7, 3, 64, 64), np.float32)
    assert np.isfinite(maps).all()
    assert reader.read(pictures[:0]).shape == (0, 3, 64, 64)


AT_ONCE = """
import sys
from pathlib import Path
import numpy as np
from ftforensics.engine.openvino import OpenVinoReader
reader = OpenVinoReader(Path(sys.argv[1]), threads=4, precision="fp32")
# Threads that take turns as often as can be meet in whatever is done only once.
sys.setswitchinterval(1e-6)
print(reader.read(np.zeros((8, 128, 128, 3), np.uint8)).shape)
"""


@needs_openvino
def test_the_first_pictures_of_a_process_can_be_read_at_once(model_folder: Path) -> None:
    for _ in range(4):
        done = subprocess.run(
            [sys.executable, "-c", AT_ONCE, str(model_folder)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout.strip()) == (0, "(8, 3, 64, 64)"), done.stderr


@needs_openvino
def test_a_closed_reader_reads_no_more(model_folder: Path, pictures: np.ndarray) -> None:
    reader = OpenVinoReader(model_folder, threads=1, precision="fp32")
    reader.close()
    reader.close()
    with pytest.raises(EngineError, match="failed to read"):
        reader.read(pictures)


@needs_openvino
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_batches_and_neighbours_change_no_byte(size: int, reader: OpenVinoReader, pictures: np.ndarray) -> None:
    together = reader.read(pictures)
    parts = np.concatenate([reader.read(pictures[at : at + size]) for at in range(0, len(pictures), size)])
    assert parts.tobytes() == together.tobytes()
    assert np.ascontiguousarray(reader.read(pictures[::-1])[::-1]).tobytes() == together.tobytes()


@needs_openvino
def test_threads_and_another_reader_change_no_byte(
    reader: OpenVinoReader, pictures: np.ndarray, model_folder: Path
) -> None:
    wanted = reader.read(pictures).tobytes()
    for threads in (1, 3):
        other = OpenVinoReader(model_folder, threads=threads, precision=reader.precision)
        assert other.read(pictures).tobytes() == wanted
        other.close()


_ANOTHER_RUN = """
import hashlib, json, sys
from pathlib import Path
done = []
watched = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "subprocess.Popen", "os.posix_spawn", "os.fork")
watched += ("os.mkdir", "os.rename")
def watch(event, arguments):
    if event in watched or (event == "open" and set(str(arguments[1] or "r")) & set("wax+")):
        done.append([event, str(arguments[0])])
sys.addaudithook(watch)
from ftforensics.engine.agreement import build_test_pictures
from ftforensics.engine.openvino import OpenVinoReader
maps = OpenVinoReader(Path(sys.argv[1]), threads=2, precision=sys.argv[2]).read(build_test_pictures(128))
told = sorted(name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module)
print(json.dumps({"maps": hashlib.sha256(maps.tobytes()).hexdigest(), "done": done, "told": told}))
"""


@needs_openvino
def test_another_run_reads_the_same_bytes_tells_nobody_and_writes_nothing(
    reader: OpenVinoReader, model_folder: Path, tmp_path: Path
) -> None:
    import hashlib

    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    # Without CI in the environment, under which the package keeps quiet by itself.
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    root = str(Path(__file__).resolve().parents[2])
    program = [sys.executable, "-c", _ANOTHER_RUN, str(model_folder), reader.precision]
    ran = subprocess.run(
        program, capture_output=True, text=True, check=True, cwd=work, env=environment | {"PYTHONPATH": root}
    )
    found = json.loads(ran.stdout)
    assert found["maps"] == hashlib.sha256(reader.read(build_test_pictures(128)).tobytes()).hexdigest()
    assert found["done"] == []
    assert found["told"] == []
    assert [*home.rglob("*"), *work.rglob("*")] == []


@needs_openvino
def test_a_tag_is_identified_as_by_the_reference(
    reader: OpenVinoReader,
    onnx_reader: OnnxReader,
    photographs: dict[str, np.ndarray],
    tag: Callable[..., np.ndarray],
    ring_key: RingKey,
) -> None:
    tag_id = "0000002a01234567"
    tagged = tag(photographs["astronaut"], tag_id)
    book = build_book(ring_key, np.array([int(tag_id, 16), 99, 100], dtype=np.uint64))

    def identify(backend: Reader) -> object:
        judge = TagReader(backend, [book], budget=SearchBudget(mode="direct"))
        return judge.identify(tagged, judge.residuals([tagged])[0]).outcome

    ours, theirs = identify(reader), identify(onnx_reader)
    assert isinstance(ours, MatchedTag)
    assert isinstance(theirs, MatchedTag)
    assert ours.tag_id == theirs.tag_id == tag_id
    assert ours.z == pytest.approx(theirs.z, abs=0.1)


@needs_openvino
def test_left_to_itself_it_reads_in_bf16_or_says_that_the_processor_cannot(model_folder: Path) -> None:
    wanted = Wanted(folder=model_folder, threads=1)
    if "bf16" in PRECISIONS:
        assert open_backend("openvino", wanted).precision == "bf16"
        return
    with pytest.raises(BackendUnavailable, match=r"does not compute in bf16; choose --precision fp32"):
        open_backend("openvino", wanted)


@pytest.mark.parametrize(
    ("cpuinfo", "found"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\nmodel name\t: bf16\n", None),
    ],
)
def test_what_the_system_says_of_the_processor(cpuinfo: str, found: bool | None, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo, encoding="ascii")
    assert has_bf16(tmp_path / "cpuinfo") is found
    assert has_bf16(tmp_path / "nowhere") is None


@needs_openvino
def test_a_processor_without_bf16_is_told_of_before_anything_is_imported(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftforensics.engine.backends.has_bf16", lambda: False)
    with pytest.raises(BackendUnavailable) as caught:
        open_reader("openvino", model_folder)
    assert caught.value.sentence == (
        "the engine openvino does not work here: this processor does not compute in bf16; choose --precision fp32."
    )
    assert probe("openvino", Wanted(folder=model_folder, precision="fp32")).works


def test_without_the_package_it_says_what_to_install(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftforensics.engine.backends.package_version", lambda package: None)
    with pytest.raises(BackendUnavailable) as caught:
        open_reader("openvino", model_folder)
    assert caught.value.sentence == (
        "the engine openvino does not work here: openvino is not installed; "
        "python -m pip install 'ftforensics[openvino]'."
    )


def test_a_package_that_cannot_be_imported_is_one_sentence_too(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendUnavailable, match=r"openvino cannot be imported"):
        OpenVinoReader(model_folder)


def test_precisions_that_it_does_not_read_with_are_refused(model_folder: Path) -> None:
    for precision in ("fp16", "int8"):
        with pytest.raises(BackendUnavailable):
            open_reader("openvino", model_folder, precision=precision)


@needs_openvino
def test_a_changed_graph_is_never_compiled(model_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(model_folder, tmp_path / "model")
    with (tmp_path / "model" / "reader.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelMissing, match="was changed"):
        OpenVinoReader(tmp_path / "model", precision="fp32")


@needs_openvino
def test_bf16_keeps_the_beginning_in_fp32(model_folder: Path, onnx_reader: OnnxReader) -> None:
    graph = (model_folder / "reader.onnx").read_bytes()
    if "bf16" not in PRECISIONS:
        with pytest.raises(BackendUnavailable, match="does not compute in bf16"):
            compile_graph(graph, "reader.onnx", precision="bf16", streams=1, threads=1)
        return
    front, back = compile_graph(graph, "reader.onnx", precision="bf16", streams=1, threads=1)
    kinds = [
        {
            node.get_rt_info()["runtimePrecision"].astype(str)
            for node in piece.get_runtime_model().get_ops()
            if node.get_rt_info()["layerType"].astype(str) == "Convolution"
        }
        for piece in (front, back)
    ]
    assert kinds == [{"f32"}, {"bf16"}]
    # Without it the drawn pictures are 6 % off.
    assert check_agreement(OpenVinoReader(model_folder, threads=1), onnx_reader) < 0.03


@needs_openvino
@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"not a graph"])
def test_bytes_that_are_no_graph_are_refused(data: bytes) -> None:
    with pytest.raises(EngineError, match=r"cannot load this graph.*reader\.onnx"):
        compile_graph(data, "reader.onnx", precision="fp32", streams=1, threads=1)


@needs_openvino
def test_views_of_another_size_are_an_error_and_the_reader_goes_on(
    reader: OpenVinoReader, pictures: np.ndarray
) -> None:
    wanted = reader.read(pictures)
    with pytest.raises(EngineError, match="failed to read"):
        reader.read(np.zeros((3, 64, 64, 3), dtype=np.uint8))
    np.testing.assert_array_equal(reader.read(pictures), wanted)
