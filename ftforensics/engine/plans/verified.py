"""The one door to a plan's bytes. In: the plans' folder, a name, pinned fingerprints. Out: a plan that may be loaded.

A TensorRT plan runs code in the process that deserialises it. Nothing but ``load_verified_plan`` gives a plan's bytes
away, and it does so after every check below, in this order, over the very bytes that it then returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ftforensics.engine.plans.files import read_regular_file
from ftforensics.engine.plans.folder import PlanFolder
from ftforensics.engine.plans.manifest import PLAN_PAYLOAD_TYPE, PlanManifest, SignedManifest, parse_payload
from ftforensics.errors import EngineError, PlanRefused, TrustError
from ftforensics.trust.envelope import verify_envelope
from ftforensics.trust.keys import fingerprint

_REBUILD = "remove it with 'ftf engine remove' and build it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedManifest:
    """A manifest that a pinned key signed. ``signed_by`` is that key's fingerprint. Made only by this module."""

    name: str
    manifest: PlanManifest
    signed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPlan:
    """A plan that may be deserialised: ``plan`` holds the bytes that were hashed. Made only by this module."""

    name: str
    manifest: PlanManifest
    signed_by: str
    plan: bytes


def verify_manifest(signed: SignedManifest, fingerprints: Collection[str], *, name: str) -> VerifiedManifest:
    """Check a manifest.

    1. The key that came with it has a pinned fingerprint.
    2. The signature over type and payload is that key's.
    3. The payload is well formed and of this format.
    4. The name that it lies under follows from what is signed.

    Args:
        signed: From disk.
        fingerprints: The keys whose plans may run here.
        name: The plan's name, as its file is called.

    Raises:
        PlanRefused: A check failed.

    Does not establish that the plan was built from the model it names, only that the signer says so, nor that it is the
    newest statement about the plan.
    """
    try:
        key_id = fingerprint(signed.public_key)
        if key_id not in fingerprints:
            raise PlanRefused(
                f"the plan is signed with {key_id}, a key that is not pinned for engine plans",
                subject=name,
                remedy="build it here with your own examiner key, or pin that key with 'ftf trust add engine-plans'",
            )
        payload = verify_envelope(signed.envelope, signed.public_key, PLAN_PAYLOAD_TYPE)
        manifest = parse_payload(payload)
    except TrustError as exc:
        raise PlanRefused(f"the plan's manifest does not hold ({exc.what})", subject=name, remedy=_REBUILD) from exc
    if manifest.request.name != name:
        raise PlanRefused(
            f"the plan's manifest is that of another plan, {manifest.request.name}", subject=name, remedy=_REBUILD
        )
    return VerifiedManifest(name=name, manifest=manifest, signed_by=key_id)


def load_verified_manifest(engines: Path, name: str, fingerprints: Collection[str]) -> VerifiedManifest:
    """Load and check a manifest, as ``verify_manifest`` does; the plan itself is not looked at.

    Raises:
        PlanRefused: A check failed.
        EngineError: There is no such plan.
    """
    return verify_manifest(PlanFolder(engines).load_manifest(name), fingerprints, name=name)


def load_verified_plan(
    engines: Path,
    name: str,
    fingerprints: Collection[str],
    *,
    model_sha256: str | None = None,
    flavour_version: str | None = None,
) -> VerifiedPlan:
    """Load a plan that may be deserialised.

    1. to 4. as ``verify_manifest``.
    5. It is of the model at hand.
    6. It was built by the release that is to load it.
    7. Its file has the size and the SHA-256 that are signed.

    Args:
        engines: The folder of models and built engines.
        name: The plan's name.
        fingerprints: The keys whose plans may run here.
        model_sha256: ``reader_sha256`` of the card of the model at hand; None leaves check 5 to the caller.
        flavour_version: The exact version of the TensorRT that is to load it; None leaves check 6 to the caller.

    Raises:
        PlanRefused: A check of signature, name or bytes failed: the plan must not be loaded.
        EngineError: There is no such plan, or it is of another model or release.

    Does not establish that this machine's GPU and driver can run it (``fitness.check_runs_here``), nor that its answers
    agree with those of the model: only parity figures say that.
    """
    found = load_verified_manifest(engines, name, fingerprints)
    manifest = found.manifest
    _check_inputs(found, model_sha256, flavour_version)
    path = PlanFolder(engines).plan_path(manifest.plan_sha256)
    data = read_regular_file(path, what="the plan", max_bytes=manifest.plan_bytes)
    if len(data) != manifest.plan_bytes or hashlib.sha256(data).hexdigest() != manifest.plan_sha256:
        raise PlanRefused(
            "the plan was changed: it is not the one that its manifest was signed for",
            subject=str(path),
            remedy=_REBUILD,
        )
    return VerifiedPlan(name=name, manifest=manifest, signed_by=found.signed_by, plan=data)


def find_plans(
    engines: Path,
    fingerprints: Collection[str],
    *,
    model_sha256: str,
    flavour: str,
    flavour_version: str,
    target: str | None = None,
    precision: str | None = None,
) -> tuple[tuple[VerifiedManifest, ...], tuple[EngineError, ...]]:
    """The plans of a model that a pinned key signed and that fit, newest first, and why others were refused.

    Args:
        engines: The folder of models and built engines.
        fingerprints: The keys whose plans may run here.
        model_sha256: ``reader_sha256`` of the model's card.
        flavour: ``tensorrt`` or ``tensorrt-rtx``.
        flavour_version: Its exact version.
        target: The GPU, such as ``sm_89``; None for any.
        precision: None for any.

    Returns:
        Manifests to give to ``load_verified_plan``, and an error for each that is not to be trusted; plans that are
        merely for something else are passed over.

    Raises:
        EngineError: The folder cannot be listed.
    """
    fitting: list[VerifiedManifest] = []
    refused: list[EngineError] = []
    folder = PlanFolder(engines)
    for name in folder.names():
        try:
            found = verify_manifest(folder.load_manifest(name), fingerprints, name=name)
        except EngineError as exc:
            refused.append(exc)
            continue
        request = found.manifest.request
        if (
            (request.model_sha256, request.flavour, request.flavour_version) == (model_sha256, flavour, flavour_version)
            and (target is None or target in request.targets)
            and precision in (None, request.precision)
        ):
            fitting.append(found)
    fitting.sort(key=lambda one: (one.manifest.built_at, one.name), reverse=True)
    return tuple(fitting), tuple(refused)


def _check_inputs(found: VerifiedManifest, model_sha256: str | None, flavour_version: str | None) -> None:
    request = found.manifest.request
    if model_sha256 not in (None, request.model_sha256):
        raise EngineError(
            f"the plan was built from other weights of {request.model_id} than those at hand",
            subject=found.name,
            remedy="build it again with 'ftf engine build'",
        )
    if flavour_version not in (None, request.flavour_version):
        raise EngineError(
            f"the plan was built by {request.flavour} {request.flavour_version}, and {flavour_version} is installed",
            subject=found.name,
            remedy="build it again with 'ftf engine build'",
        )
