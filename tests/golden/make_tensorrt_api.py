"""Add a release to ``tensorrt_api.json``: ``python tests/golden/make_tensorrt_api.py MODULE``, where it is installed.

The builder part of ``tensorrt`` needs libraries and a GPU that tests do not have, so what its bindings say of the calls
that are made here is written down once for each release: parameters of methods, members of enumerations, which
properties there are. Bindings can be imported without their libraries if stand-ins export the names they link to.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType

GOLDEN = Path(__file__).with_name("tensorrt_api.json")
METHODS = (
    "Builder.__init__",
    "Builder.create_network",
    "Builder.create_builder_config",
    "Builder.create_optimization_profile",
    "Builder.build_serialized_network",
    "OnnxParser.__init__",
    "OnnxParser.parse",
    "OnnxParser.get_error",
    "ParserError.desc",
    "INetworkDefinition.get_input",
    "INetworkDefinition.get_output",
    "IBuilderConfig.add_optimization_profile",
    "IBuilderConfig.clear_flag",
    "IOptimizationProfile.set_shape",
    "ILogger.log",
)
RTX_METHODS = ("IBuilderConfig.set_compute_capability",)
PROPERTIES = (
    "OnnxParser.num_errors",
    "INetworkDefinition.num_inputs",
    "INetworkDefinition.num_outputs",
    "ITensor.name",
    "ITensor.dtype",
    "IBuilderConfig.progress_monitor",
    "IBuilderConfig.hardware_compatibility_level",
)
RTX_PROPERTIES = ("IBuilderConfig.num_compute_capabilities",)
ENUMERATIONS = ("NetworkDefinitionCreationFlag", "BuilderFlag", "HardwareCompatibilityLevel", "ILogger.Severity")
RTX_ENUMERATIONS = ("ComputeCapability",)
CLASSES = ("IProgressMonitor", "ILogger", "float32")


def describe(module: ModuleType) -> dict[str, object]:
    """What the bindings say of the calls that the builder makes."""
    rtx = hasattr(module, "ComputeCapability")
    methods = METHODS + RTX_METHODS if rtx else METHODS
    enumerations = ENUMERATIONS + RTX_ENUMERATIONS if rtx else ENUMERATIONS
    properties = PROPERTIES + RTX_PROPERTIES if rtx else PROPERTIES
    return {
        "methods": {name: parameters(find(module, name).__doc__ or "") for name in methods},
        "enumerations": {name: sorted(find(module, name).__members__) for name in enumerations},
        "properties": sorted(name for name in properties if isinstance(find(module, name), property)),
        "classes": sorted(name for name in CLASSES if hasattr(module, name)),
        "capabilities": rtx,
    }


def find(module: ModuleType, name: str) -> object:
    """A dotted name in a module."""
    found: object = module
    for part in name.split("."):
        found = getattr(found, part)
    return found


def parameters(signatures: str) -> list[list[str]]:
    """The parameter names of each overload that a docstring of the bindings names; a default is marked by ``?``."""
    overloads = re.findall(r"^(?:\d+\. )?\w+\((self[^\n]*)\) ->", signatures, flags=re.MULTILINE)
    names = [re.findall(r"(\w+): [^,=]*(=?)", overload) for overload in overloads]
    return [[name + ("?" if default else "") for name, default in found] for found in names]


def main() -> None:
    """Describe the module that the command line names, beside those that are described already."""
    module = importlib.import_module(sys.argv[1])
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    golden[f"{'tensorrt-rtx' if hasattr(module, 'ComputeCapability') else 'tensorrt'} {module.__version__}"] = describe(
        module
    )
    lines = (f"{json.dumps(name)}: {json.dumps(golden[name], sort_keys=True)}" for name in sorted(golden))
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
