"""Building a plan. In: request, graph, signer, folder. Out: a signed plan in the folder, or an error and no trace.

Each build runs in a process of its own, which is killed if this one is interrupted. The plan is hashed and its manifest
signed here, in the process that holds the key; the builder never sees a key.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ftforensics.engine.plans.builder_process import BuildJob
from ftforensics.engine.plans.files import hash_file, write_failed
from ftforensics.engine.plans.flavours import FLAVOURS, Capability, Flavour, Installed, name_target
from ftforensics.engine.plans.folder import PlanFolder
from ftforensics.engine.plans.manifest import MAX_PLAN_BYTES, Parity, PlanManifest, sign_manifest
from ftforensics.engine.plans.request import PlanRequest
from ftforensics.engine.plans.verified import load_verified_manifest
from ftforensics.errors import EngineError
from ftforensics.trust.keys import Signer

Progress = Callable[[int, int], None]

_MODULE = "ftforensics.engine.plans.builder_process"
_MAX_LINE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrigin:
    """Where and when a build is made, for its manifest."""

    built_at: str
    platform: str
    tool_version: str


def check_builds_here(flavour: Flavour, targets: tuple[str, ...], capability: Capability | None) -> None:
    """Make sure that a flavour that builds only for the GPU at hand is asked for that GPU.

    Args:
        flavour: Which.
        targets: Of ``parse_targets``.
        capability: Of the first GPU; None where there is no GPU or no driver.

    Raises:
        EngineError: It cannot build for these targets here.
    """
    if not flavour.needs_gpu:
        return
    if capability is None:
        raise EngineError(
            f"{flavour.name} builds only on the GPU that the plan is for, and no NVIDIA GPU with its driver was found",
            remedy="build there, or use --flavour tensorrt-rtx",
        )
    here = name_target(capability)
    if targets != (here,):
        raise EngineError(
            f"{flavour.name} builds only for the GPU in this machine, which is {here}", remedy=f"use --target {here}"
        )


def build_plan(
    request: PlanRequest,
    graph: bytes,
    installed: Installed,
    folder: PlanFolder,
    signer: Signer,
    *,
    origin: BuildOrigin,
    on_progress: Progress,
) -> PlanManifest:
    """Build, sign and save a plan; an older one of the same request is replaced once the new one is whole.

    Args:
        request: What to build.
        graph: Of ``precision.prepare_graph``.
        installed: The flavour's installed release, the request's.
        folder: Where the plan goes.
        signer: Whose word it will be that the plan may run.
        origin: For the manifest.
        on_progress: Called with steps done and steps in all.

    Returns:
        The manifest that was signed.

    Raises:
        EngineError: The build failed or crashed.
        TrustError: The signer failed.
        WriteFailed: Disk full, or not permitted. In all these cases nothing is left behind.
    """
    with folder.building() as place:
        plan = place / "plan"
        try:
            (place / "graph.onnx").write_bytes(graph)
        except OSError as exc:
            raise write_failed(place, exc) from exc
        job = BuildJob(
            module=FLAVOURS[request.flavour].module,
            version=request.flavour_version,
            graph=str(place / "graph.onnx"),
            plan=str(plan),
            targets=request.targets,
            shapes=tuple((one.name, one.least, one.best, one.most) for one in request.shapes),
        )
        run_job(job, on_progress)
        sha256, size = hash_file(plan)
        if not 0 < size <= MAX_PLAN_BYTES:
            raise EngineError(f"the plan has {size} bytes, which is no plan", remedy="try another precision")
        manifest = PlanManifest(
            request=request,
            plan_sha256=sha256,
            plan_bytes=size,
            cuda_major=installed.cuda_major,
            built_at=origin.built_at,
            platform=origin.platform,
            tool_version=origin.tool_version,
        )
        folder.save(manifest, sign_manifest(manifest, signer), plan)
    return manifest


def add_parity(
    engines: Path, name: str, figures: Parity, signer: Signer, fingerprints: Collection[str]
) -> PlanManifest:
    """Put parity figures into a plan's manifest and sign it anew.

    Args:
        engines: The folder of models and built engines.
        name: The plan's name.
        figures: Numbers and short texts by name.
        signer: Who measured.
        fingerprints: The keys whose plans count; a plan of any other gets no figures.

    Returns:
        The manifest that was signed.

    Raises:
        EngineError: There is no such plan, or its manifest does not hold.
        TrustError: The figures are malformed, or the signer failed.
        WriteFailed: Disk full, or not permitted; the older manifest is untouched then.
    """
    found = load_verified_manifest(engines, name, fingerprints)
    manifest = dataclasses.replace(found.manifest, parity=dict(figures))
    PlanFolder(engines).replace_manifest(manifest, sign_manifest(manifest, signer))
    return manifest


def run_job(job: BuildJob, on_progress: Progress) -> None:
    """Run one build in a process of its own and wait for it; kill it if anything happens here meanwhile.

    Raises:
        EngineError: It failed or crashed.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as errors:
        # -P: the working folder may hold evidence, and nothing is imported from there. A session of its own: Ctrl-C
        # reaches this process alone, which then kills the other.
        process = subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            outcome = _follow(process, job, on_progress)
        finally:
            _end(process)
        if outcome.get("kind") == "done" and process.returncode == 0:
            return
        raise _failure(job, outcome, process.returncode, errors)


def _follow(process: subprocess.Popen[str], job: BuildJob, on_progress: Progress) -> dict[str, Any]:
    """The last message of a build; empty if it ended without one."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(job.to_json() + "\n")
        process.stdin.flush()
    outcome: dict[str, Any] = {}
    while line := process.stdout.readline(_MAX_LINE):
        message = json.loads(line)
        if message["kind"] == "progress":
            on_progress(message["done"], message["total"])
        else:
            outcome = message
    process.wait()
    return outcome


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a build that still runs, and wait until it is gone."""
    if process.poll() is None:
        process.kill()
    with suppress(BrokenPipeError):
        process.communicate()


def _failure(job: BuildJob, outcome: dict[str, Any], code: int | None, errors: IO[str]) -> EngineError:
    what = f"{job.module} {job.version} could not build the plan"
    if outcome.get("kind") == "failed":
        return EngineError(f"{what}: {outcome['reason']}", remedy="see 'ftf doctor'")
    errors.seek(0)
    said = [line.strip() for line in errors.read(100_000).splitlines() if line.strip()]
    last = f", last words: {said[-1][:300]}" if said else ""
    if code is not None and code < 0:
        with suppress(ValueError):
            return EngineError(f"{what}: it was ended by {signal.Signals(-code).name}{last}", remedy="see 'ftf doctor'")
    return EngineError(f"{what}: it ended with code {code}{last}", remedy="see 'ftf doctor'")
