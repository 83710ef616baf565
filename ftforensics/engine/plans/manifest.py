"""The signed manifest of a plan. In: request, hash of the plan, signer. Out: signed bytes, and back, strictly.

A manifest is canonical JSON in a DSSE envelope, kept with the public key that signed it. The key in the file proves
nothing by itself: it counts where its fingerprint is pinned, which ``verified`` checks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ftforensics.domain.record import SignedEnvelope
from ftforensics.engine.plans.flavours import FLAVOURS, TARGET
from ftforensics.engine.plans.request import MAX_BATCH, MODEL_ID, PRECISIONS, InputShape, PlanRequest, request_fields
from ftforensics.errors import TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.envelope import envelope_to_json, parse_envelope, sign_envelope
from ftforensics.trust.fields import SHA256_HEX, Fields
from ftforensics.trust.keys import Signer

PLAN_PAYLOAD_TYPE = "application/vnd.ftforensics.engine-plan.v1+json"
FORMAT_VERSION = 1
MAX_MANIFEST_BYTES = 64 * 1024
MAX_PLAN_BYTES = 4 * 1024**3

Parity = Mapping[str, float | int | str]

_MANIFEST = frozenset({"envelope", "public_key"})
_PAYLOAD = frozenset(
    {"format_version", "request", "plan_sha256", "plan_bytes", "cuda_major", "parity", "built_at", "builder"}
)
_BUILDER = frozenset({"platform", "tool_version"})
_REQUEST = frozenset(
    {
        "model_id",
        "model_sha256",
        "graph_sha256",
        "flavour",
        "flavour_version",
        "targets",
        "precision",
        "recipe",
        "shapes",
    }
)
_SHAPE = frozenset({"name", "least", "best", "most"})
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,63}")
_INPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,63}")
_FIGURE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MAX_FIGURES = 64
_MAX_SIDE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanManifest:
    """What is signed about a plan.

    ``parity`` holds the figures of a comparison with the float32 reader on the processor, None where none was made.
    ``cuda_major`` is the CUDA that the flavour's package is made for, None where it is not known. ``platform`` and
    ``tool_version`` tell of the machine and program that built it.
    """

    request: PlanRequest
    plan_sha256: str
    plan_bytes: int
    cuda_major: int | None
    built_at: str
    platform: str
    tool_version: str
    parity: Parity | None = field(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """A manifest as it lies on disk, unverified."""

    envelope: SignedEnvelope
    public_key: bytes


def sign_manifest(manifest: PlanManifest, signer: Signer) -> SignedManifest:
    """Sign a manifest.

    Raises:
        TrustError: A field is malformed, or the signer failed.
    """
    payload = canonical_json(_payload_fields(manifest))
    parse_payload(payload)
    return SignedManifest(envelope=sign_envelope(PLAN_PAYLOAD_TYPE, payload, signer), public_key=signer.public_key)


def manifest_to_json(signed: SignedManifest) -> bytes:
    """The bytes of a manifest's file."""
    envelope = json.loads(envelope_to_json(signed.envelope))
    return canonical_json({"envelope": envelope, "public_key": signed.public_key.hex()})


def parse_manifest(data: bytes, *, subject: str = "manifest") -> SignedManifest:
    """Read a manifest's file. Nothing is verified.

    Raises:
        TrustError: Too large, not canonical, or malformed.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise TrustError("manifest is larger than 64 KiB", subject=subject, remedy="build the plan again")
    fields = Fields(parse_canonical(data, subject=subject), _MANIFEST, subject=subject)
    envelope = parse_envelope(canonical_json(fields.object("envelope")), subject=subject)
    public_key = bytes.fromhex(fields.match("public_key", _PUBLIC_KEY))
    return SignedManifest(envelope=envelope, public_key=public_key)


def parse_payload(payload: bytes, *, subject: str = "manifest") -> PlanManifest:
    """Read what an envelope carries.

    Raises:
        TrustError: Not canonical, of another format, or malformed.
    """
    value = parse_canonical(payload, subject=subject)
    fields = Fields(value, _PAYLOAD, subject=subject)
    fields.integer("format_version", FORMAT_VERSION, FORMAT_VERSION)
    builder = Fields(fields.object("builder"), _BUILDER, subject=f"builder of {subject}")
    return PlanManifest(
        request=_parse_request(fields.object("request"), subject),
        plan_sha256=fields.match("plan_sha256", SHA256_HEX),
        plan_bytes=fields.integer("plan_bytes", 1, MAX_PLAN_BYTES),
        cuda_major=None if value["cuda_major"] is None else fields.integer("cuda_major", 1, 99),
        built_at=fields.utc("built_at"),
        platform=builder.text("platform", max_chars=300),
        tool_version=builder.match("tool_version", _VERSION),
        parity=None if value["parity"] is None else _check_parity(fields.object("parity"), subject),
    )


def _payload_fields(manifest: PlanManifest) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "request": request_fields(manifest.request),
        "plan_sha256": manifest.plan_sha256,
        "plan_bytes": manifest.plan_bytes,
        "cuda_major": manifest.cuda_major,
        "parity": None if manifest.parity is None else dict(manifest.parity),
        "built_at": manifest.built_at,
        "builder": {"platform": manifest.platform, "tool_version": manifest.tool_version},
    }


def _parse_request(value: dict[str, Any], subject: str) -> PlanRequest:
    fields = Fields(value, _REQUEST, subject=f"request of {subject}")
    return PlanRequest(
        model_id=fields.match("model_id", MODEL_ID),
        model_sha256=fields.match("model_sha256", SHA256_HEX),
        graph_sha256=fields.match("graph_sha256", SHA256_HEX),
        flavour=_one_of(fields, "flavour", tuple(FLAVOURS), subject),
        flavour_version=fields.match("flavour_version", _VERSION),
        targets=_parse_targets(fields.list_of("targets", max_items=32), subject),
        precision=_one_of(fields, "precision", PRECISIONS, subject),
        recipe=fields.integer("recipe", 1, 1_000_000),
        shapes=tuple(_parse_shape(item, subject) for item in fields.list_of("shapes", max_items=8)),
    )


def _one_of(fields: Fields, name: str, known: tuple[str, ...], subject: str) -> str:
    found = fields.text(name, max_chars=40)
    if found not in known:
        raise TrustError(f"{subject} has an unknown {name}: {found!a}", remedy="update this program, or build it again")
    return found


def _parse_targets(items: list[Any], subject: str) -> tuple[str, ...]:
    if not items or any(not isinstance(item, str) or TARGET.fullmatch(item) is None for item in items):
        raise TrustError(f"{subject} has malformed targets", remedy="build the plan again")
    return tuple(items)


def _parse_shape(value: Any, subject: str) -> InputShape:
    fields = Fields(value, _SHAPE, subject=f"shape in {subject}")
    sizes = {name: fields.list_of(name, max_items=8) for name in ("least", "best", "most")}
    for dims in sizes.values():
        limits = [MAX_BATCH, *[_MAX_SIDE] * (len(dims) - 1)]
        if not dims or any(
            type(dim) is not int or not 1 <= dim <= limit for dim, limit in zip(dims, limits, strict=True)
        ):
            raise TrustError(f"{subject} has a malformed shape", remedy="build the plan again")
    least, best, most = (tuple(dims) for dims in sizes.values())
    if not len(least) == len(best) == len(most) or any(
        not a <= b <= c for a, b, c in zip(least, best, most, strict=True)
    ):
        raise TrustError(f"{subject} has shapes that do not go together", remedy="build the plan again")
    return InputShape(name=fields.match("name", _INPUT_NAME), least=least, best=best, most=most)


def _check_parity(value: dict[str, Any], subject: str) -> Parity:
    if not 1 <= len(value) <= _MAX_FIGURES:
        raise TrustError(f"{subject} has {len(value)} parity figures, not 1 to {_MAX_FIGURES}")
    for name, figure in value.items():
        number = isinstance(figure, int | float) and not isinstance(figure, bool) and math.isfinite(figure)
        text = isinstance(figure, str) and len(figure) <= 300 and figure.isprintable()
        if _FIGURE.fullmatch(name) is None or not (number or text):
            raise TrustError(f"{subject} has a malformed parity figure: {name[:80]!a}", remedy="measure parity again")
    return value
