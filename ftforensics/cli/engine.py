"""``ftf engine``: build engine plans for GPUs, and show, check and remove them."""

from __future__ import annotations

import importlib
import importlib.util
import platform
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ftforensics import __version__
from ftforensics.cli.commands import command, new_app
from ftforensics.cli.engine_trust import pinned_plan_signers
from ftforensics.cli.errors import COMPLETE, INTEGRITY, combine_codes, exit_code
from ftforensics.cli.opening import DEFAULT_MODEL
from ftforensics.cli.options import (
    EnginesOption,
    FormatOption,
    KeyOption,
    PassphraseFileOption,
    PublicKeyOption,
    SignerCommandOption,
)
from ftforensics.cli.output import Format, Output
from ftforensics.cli.settings import Settings
from ftforensics.cli.signing import NamedSigner, resolve_signer
from ftforensics.cli.trust import parse_fingerprint
from ftforensics.engine.models import find_model, load_card, load_graph
from ftforensics.engine.plans.builder import BuildOrigin, build_plan, check_builds_here
from ftforensics.engine.plans.flavours import FLAVOURS, Flavour, Installed, find_installed, name_target, parse_targets
from ftforensics.engine.plans.folder import PlanFolder
from ftforensics.engine.plans.manifest import PlanManifest, parse_payload
from ftforensics.engine.plans.precision import prepare_graph
from ftforensics.engine.plans.request import PlanRequest, check_model_id, hash_graph, reader_shapes
from ftforensics.engine.plans.verified import VerifiedPlan, load_verified_plan
from ftforensics.errors import EngineError, FtfError, PlanRefused, TrustError

_COLUMNS = (
    "name",
    "flavour",
    "version",
    "targets",
    "precision",
    "batches",
    "size_bytes",
    "built_at",
    "signed_by",
    "holds",
    "reason",
)
_CHECKED = ("name", "holds", "signed_by", "reason")
_NOT_ESTABLISHED = (
    "that the plan was built from the model it names: that is the signer's word",
    "that this machine's GPU and driver can run it: see 'ftf doctor'",
)

app = new_app("Show, build and check the models that read tags.")


class FlavourName(StrEnum):
    """Which TensorRT."""

    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


class Precision(StrEnum):
    """Of weights and arithmetic."""

    FP16 = "fp16"
    INT8 = "int8"
    FP32 = "fp32"


SignerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--signer", metavar="FINGERPRINT", help="Accept plans signed with this key, and no other.", show_default=False
    ),
]
PlanName = Annotated[
    str, typer.Argument(metavar="PLAN", help="A plan's name, the start of it, or of the digits at its end.")
]


@command(
    app,
    "build",
    examples=(
        "ftf engine build",
        "ftf engine build ftf-1 --target sm_89,sm_120 --precision fp16",
        "ftf engine build ftf-1 --flavour tensorrt --batch 64 --max-batch 256",
        "ftf engine build ftf-1 --precision int8 --key me",
    ),
)
def build(
    settings: Settings,
    output: Output,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")] = DEFAULT_MODEL,
    flavour: Annotated[
        FlavourName, typer.Option("--flavour", help="tensorrt-rtx builds anywhere; tensorrt on the GPU it is for.")
    ] = FlavourName.TENSORRT_RTX,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="SM,...",
            help="GPUs, such as sm_89,sm_120; all that can be built for here.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[Precision, typer.Option("--precision", help="Of weights and arithmetic.")] = Precision.FP16,
    batch: Annotated[int, typer.Option("--batch", min=1, metavar="N", help="Pictures at a time to tune for.")] = 16,
    max_batch: Annotated[int, typer.Option("--max-batch", min=1, metavar="N", help="Pictures at a time at most.")] = 64,
    out: Annotated[
        Path | None,
        typer.Option("--out", "--engines", metavar="DIR", help="The folder of built engines to put it into."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build it anew even if it is there.")] = False,
    key: KeyOption = None,
    passphrase_file: PassphraseFileOption = None,
    signer_command: SignerCommandOption = None,
    public_key: PublicKeyOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Build a plan that runs a model on GPUs, and sign it with your examiner key.

    A plan is code, so it is loaded only if its manifest is signed with one of your own examiner keys, or with a key
    that you pinned with 'ftf trust add engine-plans FINGERPRINT'. It goes into the folder of built engines, never into
    the program. The same build is not made twice.
    """
    kind = FLAVOURS[flavour.value]
    installed = find_installed(kind)
    targets = _choose_targets(kind, target)
    request, graph = _plan_request(
        settings, model, kind, installed, targets, precision, batch=batch, max_batch=max_batch
    )
    engines = out or settings.engines_folder
    folder = PlanFolder(engines)
    trusted = pinned_plan_signers(settings)
    if not force and folder.manifest_path(request.name).exists():
        there = _load_earlier(engines, request, trusted)
        output.note(f"This plan was built already, at {there.manifest.built_at}; --force builds it anew.")
        output.facts(_describe(engines, there.manifest, there.signed_by), form)
        return
    signer = resolve_signer(
        settings,
        output,
        key=key,
        role="examiner",
        signer_command=signer_command,
        public_key=public_key,
        passphrase_file=passphrase_file,
    )
    manifest = _build(output, request, graph, installed, folder, signer, settings.now_utc())
    if signer.key_id not in trusted:
        output.warn(
            f"the plan is signed with {signer.key_id}, which is not pinned here, so it will not be loaded; "
            f"run 'ftf trust add engine-plans {signer.key_id}' if it may run on this machine"
        )
    output.facts(_describe(engines, manifest, signer.key_id), form)


@command(app, "list", examples=("ftf engine list", "ftf engine list --format jsonl"))
def list_all(
    settings: Settings, output: Output, engines: EnginesOption = None, form: FormatOption = Format.TABLE
) -> None:
    """List built plans, and whether each would be loaded."""
    place = engines or settings.engines_folder
    trusted = pinned_plan_signers(settings)
    rows = [_list_row(place, name, trusted) for name in PlanFolder(place).names()]
    if not output.rows(_COLUMNS, rows, form):
        output.note(f"No plans in {PlanFolder(place).path}; the model runs on the processor. See 'ftf engine build'.")


@command(app, "show", examples=("ftf engine show ftf-1-tensorrt-rtx-fp16-5f8e0c5d1b7a4f3e",), no_args_is_help=True)
def show(
    settings: Settings,
    output: Output,
    plan: PlanName,
    engines: EnginesOption = None,
    signer: SignerOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show a plan after checking it: model, GPUs, precision, parity, and who signed it."""
    place = engines or settings.engines_folder
    trusted = pinned_plan_signers(settings, _parse_signers(signer))
    found = load_verified_plan(place, PlanFolder(place).find(plan), trusted)
    output.facts(_describe(place, found.manifest, found.signed_by), form)


@command(
    app,
    "verify",
    examples=(
        "ftf engine verify",
        "ftf engine verify ftf-1-tensorrt-rtx-fp16-5f8e0c5d1b7a4f3e",
        "ftf engine verify --signer ed25519:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ),
)
def verify(
    settings: Settings,
    output: Output,
    plans: Annotated[
        list[str] | None, typer.Argument(metavar="PLAN...", help="Plans; all where none is named.", show_default=False)
    ] = None,
    engines: EnginesOption = None,
    signer: SignerOption = None,
    form: FormatOption = Format.TABLE,
) -> int:
    """Check signature, signer and SHA-256 of plans; exit code 4 if one does not hold. No plan is loaded."""
    place = engines or settings.engines_folder
    trusted = pinned_plan_signers(settings, _parse_signers(signer))
    folder = PlanFolder(place)
    names = [folder.find(plan) for plan in plans] if plans else list(folder.names())
    rows = []
    codes = [COMPLETE]
    for name in names:
        try:
            found = load_verified_plan(place, name, trusted)
        except FtfError as exc:
            output.error(exc.sentence)
            # A plan that was asked to be checked and does not hold is a failed check, not a missing backend.
            codes.append(INTEGRITY if isinstance(exc, EngineError) else exit_code(exc))
            rows.append({"name": name, "holds": False, "reason": exc.sentence})
        else:
            rows.append({"name": name, "holds": True, "signed_by": found.signed_by})
    output.rows(_CHECKED, rows, form)
    if not names:
        output.note(f"No plans in {folder.path}, so nothing was checked.")
    else:
        output.note(f"Not established: {'; '.join(_NOT_ESTABLISHED)}.")
    return combine_codes(codes)


@command(app, "remove", examples=("ftf engine remove ftf-1-tensorrt-rtx-fp16-5f8e0c5d1b7a4f3e",), no_args_is_help=True)
def remove(settings: Settings, output: Output, plan: PlanName, engines: EnginesOption = None) -> None:
    """Remove a plan and its manifest, sound or not; it can be built again."""
    folder = PlanFolder(engines or settings.engines_folder)
    name = folder.find(plan)
    folder.remove(name)
    output.say(f"Removed {name}.")


def _add_measurements() -> None:
    """``bench`` and ``parity`` stand in a module of their own, which imports nothing of this one."""
    module = "ftforensics.cli.engine_bench"
    if importlib.util.find_spec(module) is not None:
        importlib.import_module(module).add_commands(app)


def _choose_targets(flavour: Flavour, text: str | None) -> tuple[str, ...]:
    """The targets of ``--target``; those that the flavour can build for here where it was left out."""
    here = _capability_here() if flavour.needs_gpu else None
    if text is not None:
        given = tuple(part.strip() for part in text.split(",") if part.strip())
    else:
        given = flavour.targets if not flavour.needs_gpu else (name_target(here),) if here else flavour.targets[:1]
    targets = parse_targets(given, flavour)
    check_builds_here(flavour, targets, here)
    return targets


def _capability_here() -> tuple[int, int] | None:
    from ftforensics.engine.cuda.driver import check_driver

    gpus = check_driver().gpus
    return gpus[0].compute_capability if gpus else None


def _plan_request(
    settings: Settings,
    model: str,
    flavour: Flavour,
    installed: Installed,
    targets: tuple[str, ...],
    precision: Precision,
    *,
    batch: int,
    max_batch: int,
) -> tuple[PlanRequest, bytes]:
    """The request of a build and the graph that it starts from."""
    source = find_model(model, settings.engines)
    card = load_card(source)
    if precision is Precision.INT8:
        from ftforensics.engine.quantised import load_quantised

        graph = load_quantised(source)
    else:
        graph = load_graph(source, card.reader_file, card.reader_sha256)
    request = PlanRequest(
        model_id=check_model_id(card.model_id),
        model_sha256=card.reader_sha256,
        graph_sha256=hash_graph(graph),
        flavour=flavour.name,
        flavour_version=installed.version,
        targets=targets,
        precision=precision.value,
        shapes=reader_shapes(card, batch=batch, max_batch=max_batch),
    )
    return request, graph


def _load_earlier(engines: Path, request: PlanRequest, trusted: Collection[str]) -> VerifiedPlan:
    try:
        return load_verified_plan(engines, request.name, trusted)
    except EngineError as exc:
        kind = PlanRefused if isinstance(exc, PlanRefused) else EngineError
        raise kind(exc.what, subject=exc.subject, remedy="--force replaces it by a new build") from exc


def _build(
    output: Output,
    request: PlanRequest,
    graph: bytes,
    installed: Installed,
    folder: PlanFolder,
    signer: NamedSigner,
    now_utc: str,
) -> PlanManifest:
    origin = BuildOrigin(
        built_at=now_utc,
        platform=f"{platform.platform()}, Python {platform.python_version()}",
        tool_version=__version__,
    )
    with output.progress(f"building {request.name}") as ticker:
        ready = prepare_graph(graph, request.precision, subject=request.model_id)
        return build_plan(request, ready, installed, folder, signer, origin=origin, on_progress=ticker.update)


def _parse_signers(signer: list[str] | None) -> list[str] | None:
    return [parse_fingerprint(one) for one in signer] if signer else None


def _list_row(engines: Path, name: str, trusted: Collection[str]) -> dict[str, Any]:
    """A plan for the list. Of one that does not hold, what its manifest says is shown too: it is marked as such."""
    row: dict[str, Any] = {"name": name, "holds": True}
    try:
        found = load_verified_plan(engines, name, trusted)
        manifest, row["signed_by"] = found.manifest, found.signed_by
    except EngineError as exc:
        row.update(holds=False, reason=exc.sentence)
        try:
            manifest = parse_payload(PlanFolder(engines).load_manifest(name).envelope.payload)
        except (EngineError, TrustError):
            return row
    request = manifest.request
    return row | {
        "flavour": request.flavour,
        "version": request.flavour_version,
        "targets": list(request.targets),
        "precision": request.precision,
        "batches": _describe_batches(request),
        "size_bytes": manifest.plan_bytes,
        "built_at": manifest.built_at,
    }


def _describe(engines: Path, manifest: PlanManifest, signed_by: str) -> dict[str, Any]:
    request = manifest.request
    parity = manifest.parity
    return {
        "plan": request.name,
        "file": str(PlanFolder(engines).plan_path(manifest.plan_sha256)),
        "sha256": manifest.plan_sha256,
        "size_bytes": manifest.plan_bytes,
        "model": request.model_id,
        "model_sha256": request.model_sha256,
        "graph_sha256": request.graph_sha256,
        "flavour": request.flavour,
        "version": request.flavour_version,
        "targets": list(request.targets),
        "precision": request.precision,
        "batches": _describe_batches(request),
        "parity": "not measured" if parity is None else [f"{name}: {figure}" for name, figure in parity.items()],
        "key": request.key,
        "built_at": manifest.built_at,
        "built_on": manifest.platform,
        "built_by": f"ftforensics {manifest.tool_version}",
        "signed_by": signed_by,
    }


def _describe_batches(request: PlanRequest) -> str:
    return ", ".join(f"{one.least[0]} to {one.most[0]}, best {one.best[0]}" for one in request.shapes)


_add_measurements()
