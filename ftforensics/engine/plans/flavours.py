"""The two kinds of TensorRT, where they differ. In: a name. Out: module, targets, installed version, what to install.

Both serve nearly the same Python API. ``tensorrt`` builds for the GPU that is there; ``tensorrt-rtx`` builds for any
list of supported GPUs on any machine, without a GPU or driver. Plans load only in the very release that built them.
"""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass

from ftforensics.errors import EngineError, UsageError

Capability = tuple[int, int]

TARGET = re.compile(r"sm_[0-9]{2,3}")
GUIDE = "docs/guide.md, 'Engines for GPUs'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One kind of TensorRT.

    ``targets`` are the GPUs it builds for. ``packages`` are the names of its Python packages, the most telling first.
    ``needs_gpu`` is whether it builds only for the GPU it runs on.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    targets: tuple[str, ...]
    needs_gpu: bool
    install: str


FLAVOURS: dict[str, Flavour] = {
    "tensorrt": Flavour(
        name="tensorrt",
        module="tensorrt",
        packages=("tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu13-bindings", "tensorrt-cu12-bindings", "tensorrt"),
        targets=(
            "sm_75",
            "sm_80",
            "sm_86",
            "sm_87",
            "sm_89",
            "sm_90",
            "sm_100",
            "sm_103",
            "sm_110",
            "sm_120",
            "sm_121",
        ),
        needs_gpu=True,
        install=f"install it as {GUIDE}, says",
    ),
    "tensorrt-rtx": Flavour(
        name="tensorrt-rtx",
        module="tensorrt_rtx",
        packages=("tensorrt-rtx-cu13", "tensorrt-rtx-cu12", "tensorrt-rtx"),
        targets=("sm_75", "sm_80", "sm_86", "sm_89", "sm_120", "sm_121"),
        needs_gpu=False,
        install="run: python -m pip install 'ftforensics[rtx]'",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The installed package of a flavour. ``cuda_major`` is the CUDA it is for, None where its name does not say."""

    package: str
    version: str
    cuda_major: int | None


def find_flavour(name: str) -> Flavour:
    """The flavour of a name.

    Raises:
        EngineError: There is none of that name.
    """
    if name not in FLAVOURS:
        raise EngineError(f"no such kind of engine: {name[:80]!a}", remedy=f"use {' or '.join(FLAVOURS)}")
    return FLAVOURS[name]


def find_installed(flavour: Flavour) -> Installed:
    """Which release of a flavour is installed; its module is not imported.

    Raises:
        EngineError: None is.
    """
    for package in flavour.packages:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        major = re.search(r"-cu([0-9]{2})(-|$)", package)
        return Installed(package=package, version=version, cuda_major=int(major[1]) if major else None)
    raise EngineError(f"{flavour.name} is not installed", remedy=flavour.install)


def parse_targets(texts: tuple[str, ...], flavour: Flavour) -> tuple[str, ...]:
    """Targets such as ``sm_89``, sorted by capability and each once.

    Raises:
        UsageError: A target that the flavour does not build for, none, or several where it builds for one GPU only.
    """
    known = {target: at for at, target in enumerate(flavour.targets)}
    for text in texts:
        if text not in known:
            raise UsageError(
                f"{flavour.name} builds no plans for the target {text[:40]!a}",
                remedy=f"use {', '.join(flavour.targets)}",
            )
    if not texts:
        raise UsageError("no target was given", remedy=f"use {', '.join(flavour.targets)}")
    found = tuple(sorted(set(texts), key=known.__getitem__))
    if flavour.needs_gpu and len(found) > 1:
        raise UsageError(
            f"{flavour.name} builds for one kind of GPU at a time, the one that is in this machine",
            remedy="give that one target",
        )
    return found


def name_target(capability: Capability) -> str:
    """The target of a compute capability: (8, 9) is ``sm_89``."""
    return f"sm_{capability[0]}{capability[1]}"
