"""``ftf doctor``: what is here, what works, what is missing. In: the machine. Out: facts, and what to do next."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftforensics import __version__
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.errors import COMPLETE, ENGINE
from ftforensics.cli.opening import DEFAULT_MODEL
from ftforensics.cli.options import EnginesOption
from ftforensics.cli.output import Output, render_json_line
from ftforensics.cli.settings import Settings
from ftforensics.errors import FtfError
from ftforensics.report.visible import visible

if TYPE_CHECKING:
    from ftforensics.engine.backends import BackendStatus, Wanted

app = new_app()

_PACKAGES = {
    "onnxruntime": "runs the model on the processor",
    "openvino": "runs the model on the processor in half the time, where that computes in bf16",
    "torch": "runs the model on any NVIDIA GPU",
    "onnx": "reads the model's weights for torch, and prepares graphs for TensorRT",
    "tensorrt": "runs built engines on NVIDIA GPUs",
    "tensorrt-rtx": "builds engines anywhere, runs them on NVIDIA RTX GPUs",
    "pycuda": "gives memory and streams to both kinds of TensorRT",
    "cuda-bindings": "would give tensorrt CUDA graphs; it works without",
}
_GIB = 1 << 30
_LINE_CHARS = 2000


@command(app, "doctor", examples=("ftf doctor", "ftf doctor --json"))
def doctor(
    settings: Settings,
    output: Output,
    engines: EnginesOption = None,
    json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> int:
    """Show what reads tags on this machine, what would read them faster, and what to install for that.

    Every engine that could work is tried: it reads two pictures, in a process of its own, and is compared with ONNX
    Runtime. Ends with 0 if an engine works and with 5 if none does.
    """
    found = examine_machine(settings, engines)
    if json:
        output.raw(render_json_line(found) + "\n")
    else:
        for line in render_lines(found):
            text = line.lstrip()
            output.raw(line[: len(line) - len(text)] + visible(text, limit=_LINE_CHARS) + "\n")
    return COMPLETE if found["choice"] is not None else ENGINE


def examine_machine(settings: Settings, engines: Path | None = None) -> dict[str, Any]:
    """Everything that ``ftf doctor`` shows, as JSON values; ``choice`` is what auto takes, None where nothing works."""
    from ftforensics.engine.backends import BACKENDS, ON_GPU
    from ftforensics.engine.cuda.driver import check_driver
    from ftforensics.engine.libraries import library_version, package_version

    driver = check_driver()
    place = engines or settings.engines_folder
    models = [_check_model(folder) for folder in _model_folders(settings)]
    statuses = _try_backends(settings, place) if any(model["holds"] for model in models) else []
    choice = next((status.name for status in statuses if status.works and _is_automatic(status)), None)
    versions = {name: library_version(name) if name in ON_GPU else package_version(name) for name in _PACKAGES}
    return {
        "program": {"version": __version__, "python": platform.python_version(), "os": platform.platform()},
        "driver": {
            "works": driver.works,
            "reason": driver.reason,
            "remedy": driver.remedy,
            "version": driver.driver_version,
            "cuda": driver.cuda_version,
        },
        "gpus": [
            asdict(gpu) | {"compute_capability": ".".join(map(str, gpu.compute_capability))} for gpu in driver.gpus
        ],
        "packages": versions,
        "models": models,
        "engines_folder": str(place),
        "plans": list(_check_plans(settings, place)),
        "engines": [asdict(one) for one in statuses if one.name in BACKENDS],
        "choice": choice,
        "next": list(_advise(statuses, models, choice, has_gpu=driver.works)),
    }


def render_lines(found: dict[str, Any]) -> Iterator[str]:
    """The report for people, a line at a time."""
    program, driver = found["program"], found["driver"]
    yield f"ftf {program['version']}, Python {program['python']}, {program['os']}"
    yield ""
    yield "GPUs"
    if driver["works"]:
        yield f"  driver {driver['version'] or 'of unknown version'}, for CUDA up to {driver['cuda']}"
    else:
        yield f"  none: {driver['reason']}"
    for gpu in found["gpus"]:
        memory = gpu["memory_bytes"] / _GIB
        yield f"  {gpu['ordinal']}: {gpu['name']}, compute capability {gpu['compute_capability']}, {memory:.0f} GiB"
    yield ""
    yield "Packages"
    width = max(map(len, found["packages"]))
    for name, version in found["packages"].items():
        yield f"  {name:<{width}}  {version or f'not installed: it {_PACKAGES[name]}'}"
    yield ""
    yield "Models"
    for model in found["models"]:
        state = f"every hash holds, weights {model['reader_sha256'][:16]}" if model["holds"] else model["reason"]
        yield f"  {model['name']}: {state}"
    if not found["models"]:
        yield "  none was found"
    yield ""
    yield f"Built engines in {found['engines_folder']}"
    for plan in found["plans"]:
        yield f"  {plan['name']}: {'verifies' if plan['holds'] else plan['reason']}"
    if not found["plans"]:
        yield "  none"
    yield ""
    yield "Engines"
    width = max((len(engine["name"]) for engine in found["engines"]), default=0)
    for engine in found["engines"]:
        state = "works" if engine["works"] else "does not work"
        yield f"  {engine['name']:<{width}}  {state}: {engine['reason']}"
    yield f"  auto takes {found['choice']}" if found["choice"] else "  nothing reads tags here"
    yield ""
    yield "Next"
    for advice in found["next"]:
        yield f"  {advice}"


def _is_automatic(status: BackendStatus) -> bool:
    """Whether auto would take it: torch only on a GPU, OpenVINO never."""
    return status.name == "onnx" or status.device != "processor"


def _model_folders(settings: Settings) -> list[Path]:
    """The folder of every model, once a name, as ``find_model`` would find it."""
    from ftforensics.engine.models import model_folders

    found: dict[str, Path] = {}
    for place in model_folders(settings.engines):
        for card in sorted(place.glob("*/model.json")):
            found.setdefault(card.parent.name, card.parent)
    return list(found.values())


def _check_model(folder: Path) -> dict[str, Any]:
    """Name, hashes, and whether every file is the one that the card vouches for."""
    from ftforensics.engine.models import load_card, load_graph

    facts: dict[str, Any] = {"name": folder.name, "folder": str(folder), "holds": False, "reason": None}
    try:
        card = load_card(folder)
        for file, sha256 in card.graphs:
            load_graph(folder, file, sha256)
    except FtfError as exc:
        return facts | {"reason": exc.sentence}
    return facts | {"holds": True, "reader_sha256": card.reader_sha256, "files": dict(card.graphs)}


def _check_plans(settings: Settings, engines: Path) -> Iterator[dict[str, Any]]:
    """Every built plan: whether its signature, key and bytes hold; what it is for."""
    from ftforensics.cli.engine_trust import pinned_plan_signers
    from ftforensics.engine.plans.folder import PlanFolder
    from ftforensics.engine.plans.verified import load_verified_plan

    try:
        names = PlanFolder(engines).names()
        trusted = pinned_plan_signers(settings)
    except FtfError as exc:
        yield {"name": str(engines), "holds": False, "reason": exc.sentence}
        return
    for name in names:
        try:
            plan = load_verified_plan(engines, name, trusted)
        except FtfError as exc:
            yield {"name": name, "holds": False, "reason": exc.sentence}
            continue
        request = plan.manifest.request
        yield {
            "name": name,
            "holds": True,
            "reason": None,
            "sha256": plan.manifest.plan_sha256,
            "flavour": request.flavour,
            "flavour_version": request.flavour_version,
            "targets": list(request.targets),
            "precision": request.precision,
            "signed_by": plan.signed_by,
        }


def _try_backends(settings: Settings, engines: Path) -> list[BackendStatus]:
    """Every backend: what it lacks, or that it read two pictures as ONNX Runtime does."""
    from ftforensics.cli.engine_trust import pinned_plan_signers
    from ftforensics.engine.backends import BACKENDS, Wanted, probe
    from ftforensics.engine.models import find_model

    try:
        folder = find_model(DEFAULT_MODEL, settings.engines)
    except FtfError:
        return []
    wanted = Wanted(folder=folder, engines=engines, fingerprints=lambda: pinned_plan_signers(settings), unasked=True)
    return [_try(probe(name, wanted), wanted) for name in BACKENDS]


def _try(status: BackendStatus, wanted: Wanted) -> BackendStatus:
    from ftforensics.engine.trial import try_apart

    return try_apart(status, wanted) if status.works else status


def _advise(
    statuses: Sequence[BackendStatus], models: Sequence[dict[str, Any]], choice: str | None, *, has_gpu: bool
) -> Iterator[str]:
    """What to do next, most needed first."""
    if not any(model["holds"] for model in models):
        yield "reinstall ftforensics: no model is whole."
        return
    if choice is None:
        for status in statuses:
            if status.name == "onnx" and status.remedy:
                yield f"{status.remedy}: {status.reason}."
        return
    if not has_gpu:
        openvino = any(status.name == "openvino" and status.works for status in statuses)
        yield (
            "nothing is needed: the processor reads tags. With an NVIDIA GPU and its driver it would go faster"
            f"{', and for large folders it does with --engine openvino' if openvino else ''}."
        )
        return
    wishes = [status for status in statuses if not status.works and status.remedy and status.name != "openvino"]
    if choice == "onnx" and wishes:
        yield "to use the GPU, do one of these:"
    for status in wishes if choice == "onnx" else ():
        yield f"{status.name}: {status.remedy}"
    if choice != "onnx" or not wishes:
        yield f"nothing is needed: {choice} reads tags."
