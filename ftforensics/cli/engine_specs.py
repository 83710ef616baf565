"""Engines as ``ftf engine bench`` and ``parity`` name them: ``onnx:int8``. In: such a name. Out: an open reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftforensics.cli.engine_trust import pinned_plan_signers
from ftforensics.cli.opening import check_engine
from ftforensics.cli.settings import Settings

if TYPE_CHECKING:
    from ftforensics.engine.backends import Wanted
    from ftforensics.engine.reader import Reader


def _parse_spec(
    settings: Settings, spec: str, folder: Path, engines: Path | None, *, threads: int = 0
) -> tuple[str, Wanted]:
    from ftforensics.engine.backends import Wanted

    name, _, precision = spec.partition(":")
    wanted = Wanted(
        folder=folder,
        precision=precision or None,
        threads=threads,
        engines=engines or settings.engines_folder,
        fingerprints=lambda: pinned_plan_signers(settings),
    )
    return name, wanted


def check_named(settings: Settings, specs: Sequence[str], folder: Path, engines: Path | None) -> None:
    """Refuse engines that do not exist, or cannot work here, before the work of minutes begins."""
    from ftforensics.engine.backends import require_working

    for spec in specs:
        name, wanted = _parse_spec(settings, spec, folder, engines)
        check_engine(name, wanted.precision, measured=True)
        require_working(name, wanted)


def open_named(
    settings: Settings, spec: str, folder: Path, engines: Path | None, *, required: bool, threads: int = 0
) -> Reader | str:
    """A reader, or why there is none; for one that the user named, the reason is an error."""
    from ftforensics.engine.backends import open_backend
    from ftforensics.errors import FtfError

    name, wanted = _parse_spec(settings, spec, folder, engines, threads=threads)
    try:
        reader = open_backend(name, wanted)
    except FtfError as exc:
        if required:
            raise
        return exc.what
    if reader.backend == "torch-cpu" and reader.precision != "fp32" and not required:
        reader.close()
        return "half precision is for GPUs"
    return reader
