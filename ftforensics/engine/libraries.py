"""Which release of a library is installed, without importing it. In: a backend or package. Out: its version."""

from __future__ import annotations

from ftforensics.errors import EngineError


def library_version(name: str) -> str | None:
    """The installed release of a backend's library, None where it is not installed; it is not imported."""
    from ftforensics.engine.plans.flavours import FLAVOURS, find_installed  # slow to import

    if name in FLAVOURS:
        try:
            return find_installed(FLAVOURS[name]).version
        except EngineError:
            return None
    return package_version("onnxruntime" if name == "onnx" else name)


def package_version(package: str) -> str | None:
    """The installed release of a package, None where it is not installed; it is not imported."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import

    try:
        return version(package)
    except PackageNotFoundError:
        return None
