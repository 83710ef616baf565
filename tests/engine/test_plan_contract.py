"""Every call that the builder makes exists, with these parameters, in the real bindings of both kinds of TensorRT.

``tests/golden/tensorrt_api.json`` holds what the bindings of several releases say of themselves; the release of
TensorRT for RTX that is installed is asked itself.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ftforensics.engine.plans import builder_process
from ftforensics.engine.plans.flavours import FLAVOURS

tensorrt_rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is there for Linux on x86-64 only")

GOLDEN_FOLDER = Path(__file__).resolve().parents[1] / "golden"
GOLDEN: dict[str, Any] = json.loads((GOLDEN_FOLDER / "tensorrt_api.json").read_text())
FUNCTIONS = ("build", "_set_targets", "_check_ends", "_new_logger", "_new_monitor")
# What these functions use besides: their own objects, and Python's.
OWN = {
    "module", "version", "graph", "shapes", "targets", "errors", "phase", "total", "read_bytes", "append", "write",
    "stderr", "rstrip", "replace", "upper", "get", "__members__", "load_module",
}  # fmt: skip


def tree() -> list[ast.AST]:
    source = ast.parse(inspect.getsource(builder_process))
    found = [node for node in source.body if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS]
    assert len(found) == len(FUNCTIONS)
    return [node for function in found for node in ast.walk(function)]


def known_names(api: dict[str, Any]) -> set[str]:
    dotted = [*api["methods"], *api["properties"], *api["enumerations"], *api["classes"]]
    members = [member for members in api["enumerations"].values() for member in members]
    return {part for name in dotted for part in name.split(".")} | set(members)


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tensorrt_api", GOLDEN_FOLDER / "make_tensorrt_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_is_used_that_no_release_has() -> None:
    used = {node.attr for node in tree() if isinstance(node, ast.Attribute)}
    known = set().union(*(known_names(api) for api in GOLDEN.values()))
    assert used - OWN <= known, used - OWN - known
    assert len(used & known) > 20


@pytest.mark.parametrize("release", sorted(GOLDEN))
def test_calls_have_as_many_arguments_as_the_bindings_take(release: str) -> None:
    overloads: dict[str, list[list[str]]] = {}
    for name, found in GOLDEN[release]["methods"].items():
        owner, _, method = name.partition(".")
        overloads[owner if method == "__init__" else method] = found
    checked = set()
    for node in tree():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in overloads:
            assert not node.keywords, "keywords differ between releases"
            given = len(node.args) + 1
            assert any(
                sum(not name.endswith("?") for name in one) <= given <= len(one) for one in overloads[node.func.attr]
            ), f"{node.func.attr} with {len(node.args)} arguments"
            checked.add(node.func.attr)
    assert checked >= {
        "Builder", "create_network", "OnnxParser", "parse", "get_error", "desc", "get_input", "get_output", "set_shape",
        "create_builder_config", "create_optimization_profile", "add_optimization_profile", "clear_flag",
        "build_serialized_network",
    }  # fmt: skip


@pytest.mark.parametrize("release", sorted(GOLDEN))
def test_enumerations_have_the_members_that_are_used(release: str) -> None:
    api = GOLDEN[release]
    assert "STRONGLY_TYPED" in api["enumerations"]["NetworkDefinitionCreationFlag"]
    assert "TF32" in api["enumerations"]["BuilderFlag"]
    assert "SAME_COMPUTE_CAPABILITY" in api["enumerations"]["HardwareCompatibilityLevel"]
    assert {"ERROR", "WARNING"} <= set(api["enumerations"]["ILogger.Severity"])
    assert set(api["classes"]) == {"IProgressMonitor", "ILogger", "float32"}


def test_targets_are_those_that_the_bindings_name() -> None:
    for release, api in GOLDEN.items():
        assert api["capabilities"] == release.startswith("tensorrt-rtx")
        if api["capabilities"]:
            names = {f"sm_{one.removeprefix('SM')}" for one in api["enumerations"]["ComputeCapability"] if "SM" in one}
            assert names == set(FLAVOURS["tensorrt-rtx"].targets)


def test_releases_on_both_sides_of_a_major_version_are_covered() -> None:
    assert {release.split(".")[0] for release in GOLDEN} == {"tensorrt 10", "tensorrt 11", "tensorrt-rtx 1"}


def test_the_installed_bindings_say_what_is_written_down() -> None:
    assert generator().describe(tensorrt_rtx) == GOLDEN[f"tensorrt-rtx {tensorrt_rtx.__version__}"]
