"""The backends: which of them works here, and a reader on the best. In: a model folder and what is wanted. Out: Reader.

| name | runs on | chosen by ``auto`` |
| --- | --- | --- |
| ``tensorrt`` | NVIDIA GPUs, with a built plan | first |
| ``tensorrt-rtx`` | NVIDIA RTX GPUs, with a built plan | second |
| ``torch`` | NVIDIA GPUs; the processor, if asked for | third, on a GPU only |
| ``openvino`` | the processor, if asked for | never: see docs/adr/0014 |
| ``onnx`` | the processor | where nothing else works |

Nothing heavy is imported before a backend is opened: without a driver, ``auto`` asks one library and is done. With one,
``auto`` first tries a backend in a process of its own, because some of these libraries end the process they fail in.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ftforensics.engine.cuda.driver import DriverReport, Gpu, check_driver
from ftforensics.engine.libraries import package_version
from ftforensics.engine.models import load_card
from ftforensics.engine.processor import NO_BF16, NO_BF16_REMEDY, has_bf16
from ftforensics.errors import BackendUnavailable, EngineError, FtfError

if TYPE_CHECKING:
    from ftforensics.engine.plans.verified import VerifiedManifest
    from ftforensics.engine.reader import Reader

AUTO = "auto"
BACKENDS = ("tensorrt", "tensorrt-rtx", "torch", "openvino", "onnx")
# What auto tries before it takes onnx.
TRIED_FIRST = ("tensorrt", "tensorrt-rtx", "torch")
CHOICES = (AUTO, *BACKENDS)
ON_GPU = frozenset({"tensorrt", "tensorrt-rtx"})
PRECISIONS = ("fp32", "fp16", "bf16", "int8")

_ONNX_REMEDY = "choose --engine onnx, or see 'ftf doctor'"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendStatus:
    """Whether a backend works here, as one reason; ``remedy`` is what to do where it does not.

    ``version`` is that of its library, None where that is not installed or was not looked for. ``precision`` is what it
    would read with. ``device`` is what it would run on. ``plan`` is the built plan it would load.
    """

    name: str
    works: bool
    reason: str
    remedy: str | None = None
    version: str | None = None
    precision: str | None = None
    device: str | None = None
    plan: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a reader is wanted for.

    Args:
        folder: The model folder.
        precision: None for the backend's own choice: fp32, bf16 for OpenVINO, for TensorRT that of the newest plan.
        threads: Processor threads; 0 leaves the runtime's choice.
        engines: The folder of built plans; None where there is none.
        fingerprints: Gives the keys whose plans may run; asked only where a plan could run.
        unasked: Nobody named the backend, so a plan is taken only if its own figures say that it agrees.
        plan: This plan and no other; None for the newest that fits.
    """

    folder: Path
    precision: str | None = None
    threads: int = 0
    engines: Path | None = None
    fingerprints: Callable[[], Collection[str]] = field(default=tuple)
    unasked: bool = False
    plan: str | None = None


def probe(name: str, wanted: Wanted) -> BackendStatus:
    """Whether a backend can be expected to work: driver, packages, plans. Imports none of its libraries; never raises.

    Does not establish that it does: for that, open it and ``self_test`` it.
    """
    try:
        probes = {"onnx": _probe_onnx, "openvino": _probe_openvino, "torch": _probe_torch}
        return probes.get(name, _probe_tensorrt)(name, wanted)
    except FtfError as exc:
        return _refused(name, exc)


def require_working(name: str, wanted: Wanted) -> None:
    """As ``probe``; raises BackendUnavailable with its reason where it does not."""
    status = probe(name, wanted)
    if not status.works:
        raise BackendUnavailable(f"the engine {name} does not work here: {status.reason}", remedy=status.remedy)


def open_backend(name: str, wanted: Wanted) -> Reader:
    """A reader on one backend.

    Raises:
        BackendUnavailable: It does not work here; the sentence says why and what to do.
        EngineError: Model or plan are not usable.
    """
    if name not in BACKENDS:
        raise BackendUnavailable(f"no such engine: {name[:40]!a}", remedy=f"choose one of {', '.join(CHOICES)}")
    require_working(name, wanted)
    if name == "onnx":
        from ftforensics.engine.onnx import OnnxReader

        return OnnxReader(
            wanted.folder, threads=wanted.threads, precision="int8" if wanted.precision == "int8" else "fp32"
        )
    if name == "openvino":
        from ftforensics.engine.openvino import OpenVinoReader

        return OpenVinoReader(wanted.folder, threads=wanted.threads, precision=wanted.precision or "bf16")
    if name == "torch":
        from ftforensics.engine.cuda.torch_reader import TorchReader

        device = "cuda" if check_driver().works and has_torch_cuda() else "cpu"
        return TorchReader(wanted.folder, device=device, precision=wanted.precision or "fp32", threads=wanted.threads)
    return _open_tensorrt(name, wanted)


def open_reader(
    name: str,
    folder: Path,
    *,
    precision: str | None = None,
    threads: int = 0,
    engines: Path | None = None,
    fingerprints: Callable[[], Collection[str]] = tuple,
) -> tuple[Reader, tuple[BackendStatus, ...]]:
    """A reader on the backend of a name, or with ``auto`` on the best that reads here, and why others were passed over.

    Args:
        name: One of ``CHOICES``.
        folder: The model folder.
        precision: None for the backend's own choice.
        threads: Processor threads; 0 leaves the runtime's choice.
        engines: The folder of built plans.
        fingerprints: Gives the keys whose plans may run.

    What is given has read what ONNX Runtime reads, on every device that it uses. With ``auto`` it is the very plan that
    was tried, and one whose recorded parity holds.

    Raises:
        BackendUnavailable: The backend that was named does not work here, or reads something else than ONNX Runtime.
        EngineError: The model cannot be used by any.
    """
    wanted = Wanted(
        folder=folder,
        precision=precision,
        threads=threads,
        engines=engines,
        fingerprints=fingerprints,
        unasked=name == AUTO,
    )
    if name != AUTO:
        return _open_agreeing(name, wanted), ()
    passed_over: list[BackendStatus] = []
    for candidate in TRIED_FIRST:
        status = try_backend(candidate, wanted)
        if status.works:
            try:
                return _open_agreeing(candidate, replace(wanted, plan=status.plan)), tuple(passed_over)
            except FtfError as exc:
                status = _refused(candidate, exc)
        passed_over.append(status)
    return _open_agreeing("onnx", wanted), tuple(passed_over)


def try_backend(name: str, wanted: Wanted, *, driver: DriverReport | None = None) -> BackendStatus:
    """As ``probe``; what passes that must also read a picture, in a process of its own. For ``auto``: GPUs only."""
    found = check_driver() if driver is None else driver
    if name in TRIED_FIRST and not found.works:
        return BackendStatus(name=name, works=False, reason=found.reason, remedy=found.remedy)
    status = probe(name, wanted)
    if not status.works or name == "onnx":
        return status
    if name == "torch" and not has_torch_cuda():
        return BackendStatus(
            name=name,
            works=False,
            reason="the torch that is installed is built without CUDA",
            version=status.version,
            remedy="install a build of torch with CUDA",
        )
    from ftforensics.engine.trial import try_apart

    return try_apart(status, wanted)


def has_torch_cuda() -> bool:
    """Whether the installed torch is built with CUDA, judged by its files: importing it takes seconds."""
    folder = _package_folder("torch")
    return folder is not None and any((folder / "lib").glob("*torch_cuda*"))


def _probe_onnx(name: str, wanted: Wanted) -> BackendStatus:
    version = package_version("onnxruntime")
    if wanted.precision not in (None, "fp32", "int8"):
        return _no_precision(name, wanted.precision, version)
    if wanted.precision == "int8":
        from ftforensics.engine.quantised import load_quantised

        load_quantised(wanted.folder)
    if version is None:
        return BackendStatus(name=name, works=False, reason="onnxruntime is not installed", remedy="reinstall it")
    return BackendStatus(
        name=name,
        works=True,
        reason="reads on the processor",
        version=version,
        precision=wanted.precision or "fp32",
        device="processor",
    )


def _probe_openvino(name: str, wanted: Wanted) -> BackendStatus:
    version = package_version("openvino")
    if version is None:
        remedy = "python -m pip install 'ftforensics[openvino]'"
        return BackendStatus(name=name, works=False, reason="openvino is not installed", remedy=remedy)
    precision = wanted.precision or "bf16"
    if precision not in ("bf16", "fp32"):
        return _no_precision(name, precision, version)
    if precision == "bf16" and has_bf16() is False:
        return BackendStatus(name=name, works=False, reason=NO_BF16, version=version, remedy=NO_BF16_REMEDY)
    return BackendStatus(
        name=name,
        works=True,
        reason=f"reads on the processor with {precision}, if it is asked for",
        version=version,
        precision=precision,
        device="processor",
    )


def _probe_torch(name: str, wanted: Wanted) -> BackendStatus:
    version = package_version("torch")
    install = "python -m pip install 'ftforensics[torch]'"
    if version is None:
        return BackendStatus(name=name, works=False, reason="torch is not installed", remedy=install)
    if _package_folder("onnx") is None:
        return BackendStatus(
            name=name,
            works=False,
            reason="the package onnx, which reads the weights, is not installed",
            version=version,
            remedy=install,
        )
    if wanted.precision == "int8":
        return _no_precision(name, wanted.precision, version)
    driver = check_driver()
    on_gpu = driver.works and has_torch_cuda()
    return BackendStatus(
        name=name,
        works=True,
        reason=f"reads on {driver.reason}" if on_gpu else "reads on the processor, more slowly than onnx",
        version=version,
        precision=wanted.precision or "fp32",
        device=driver.reason if on_gpu else "processor",
    )


def _probe_tensorrt(name: str, wanted: Wanted) -> BackendStatus:
    driver = check_driver()
    if not driver.works:
        return BackendStatus(name=name, works=False, reason=driver.reason, remedy=driver.remedy)
    from ftforensics.engine.cuda.pycuda_context import INSTALL
    from ftforensics.engine.plans.flavours import FLAVOURS, find_installed

    version = find_installed(FLAVOURS[name]).version
    if _package_folder("pycuda") is None:
        return BackendStatus(name=name, works=False, reason="PyCUDA is not installed", version=version, remedy=INSTALL)
    if wanted.precision == "bf16":
        return _no_precision(name, wanted.precision, version)
    found, gpus = _find_plan(name, wanted)
    return BackendStatus(
        name=name,
        works=True,
        reason=f"has the plan {found.name}",
        version=version,
        precision=found.manifest.request.precision,
        device="1 GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs",
        plan=found.name,
    )


def _find_plan(name: str, wanted: Wanted) -> tuple[VerifiedManifest, tuple[Gpu, ...]]:
    """The newest plan that is trusted, wanted, and fits a GPU that is here, and the GPUs it fits.

    Raises EngineError where there is none; the sentence says what stands in the way.
    """
    from ftforensics.engine.plans.agreeing import check_usable_unasked
    from ftforensics.engine.plans.fitness import check_runs_here
    from ftforensics.engine.plans.flavours import FLAVOURS, find_installed, name_target
    from ftforensics.engine.plans.verified import find_plans

    driver, card = check_driver(), load_card(wanted.folder)
    if not any(name_target(gpu.compute_capability) in FLAVOURS[name].targets for gpu in driver.gpus):
        here = ", ".join(f"{gpu.name} ({name_target(gpu.compute_capability)})" for gpu in driver.gpus)
        others = " or ".join(other for other in TRIED_FIRST if other != name)
        raise EngineError(f"{name} supports none of the GPUs here: {here}", remedy=f"use another engine: {others}")
    version = find_installed(FLAVOURS[name]).version
    build = f"build one with 'ftf engine build {card.model_id} --flavour {name}'"
    if wanted.engines is None:
        raise EngineError("there is no folder of built plans", remedy=build)
    plans, refused = find_plans(
        wanted.engines,
        wanted.fingerprints(),
        model_sha256=card.reader_sha256,
        flavour=name,
        flavour_version=version,
        precision=wanted.precision,
    )
    misfits: list[EngineError] = list(refused)
    for plan in plans:
        if wanted.plan not in (None, plan.name):
            continue
        fitting = []
        for gpu in driver.gpus:
            try:
                check_runs_here(
                    plan.manifest,
                    flavour_version=version,
                    capability=gpu.compute_capability,
                    device_name=gpu.name,
                    driver_cuda=driver.cuda_version,
                )
                fitting.append(gpu)
            except EngineError as exc:
                misfits.append(exc)
        if not fitting:
            continue
        try:
            if wanted.unasked:
                check_usable_unasked(plan.manifest)
        except EngineError as exc:
            misfits.append(exc)
            continue
        return plan, tuple(fitting)
    if misfits:
        raise EngineError(misfits[0].what, subject=misfits[0].subject, remedy=misfits[0].remedy)
    precision = f" in {wanted.precision}" if wanted.precision else ""
    raise EngineError(f"no plan was built for this model{precision}", remedy=build)


def _open_tensorrt(name: str, wanted: Wanted) -> Reader:
    from ftforensics.engine.cuda.tensorrt_reader import TensorRTReader
    from ftforensics.engine.plans.verified import load_verified_plan

    found, gpus = _find_plan(name, wanted)
    request = found.manifest.request
    if wanted.engines is None:  # _find_plan has refused that; for the type checker
        raise BackendUnavailable("there is no folder of built plans")
    plan = load_verified_plan(
        wanted.engines,
        found.name,
        wanted.fingerprints(),
        model_sha256=request.model_sha256,
        flavour_version=request.flavour_version,
    )
    return TensorRTReader(wanted.folder, plan, gpus)


def _open_agreeing(name: str, wanted: Wanted) -> Reader:
    """As ``open_backend``; the very reader that is given has read what ONNX Runtime reads in fp32."""
    reader = open_backend(name, wanted)
    if name == "onnx" and reader.precision == "fp32":  # its own reference
        return reader
    from ftforensics.engine.agreement import check_agreement
    from ftforensics.engine.onnx import OnnxReader

    try:
        check_agreement(reader, OnnxReader(wanted.folder, threads=wanted.threads))
    except BaseException as exc:
        reader.close()
        if not isinstance(exc, EngineError):
            raise
        remedy = "choose --precision fp32" if name == "onnx" else _ONNX_REMEDY
        raise BackendUnavailable(f"the engine {name} does not work here: {exc.what}", remedy=remedy) from exc
    return reader


def _refused(name: str, error: FtfError) -> BackendStatus:
    reason = error.what if error.subject is None else f"{error.what} ({error.subject})"
    return BackendStatus(name=name, works=False, reason=reason, remedy=error.remedy)


def _no_precision(name: str, precision: str | None, version: str | None) -> BackendStatus:
    return BackendStatus(
        name=name,
        works=False,
        reason=f"it does not read with {precision}",
        version=version,
        remedy="choose another --precision",
    )


def _package_folder(package: str) -> Path | None:
    """Where a package lies, None where it is not installed; it is not imported."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    return None if found is None or found.origin is None else Path(found.origin).parent
