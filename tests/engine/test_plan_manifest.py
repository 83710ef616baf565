"""Manifests: what is written is read back, and anything else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import EXAMINER, PINNED, REQUEST, make_manifest

from ftforensics.engine.plans.manifest import (
    MAX_MANIFEST_BYTES,
    PLAN_PAYLOAD_TYPE,
    manifest_to_json,
    parse_manifest,
    parse_payload,
    sign_manifest,
)
from ftforensics.engine.plans.verified import verify_manifest
from ftforensics.errors import TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical

MANIFEST = make_manifest(b"plan")
PAYLOAD = sign_manifest(MANIFEST, EXAMINER).envelope.payload

figures = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53) + 1, 2**53 - 1), st.just("text 1")
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=30)
@given(st.one_of(st.none(), figures), st.sampled_from([None, 12, 13]))
def test_signed_written_read_and_verified_is_the_same(parity: Any, cuda_major: int | None) -> None:
    manifest = make_manifest(b"plan", parity=parity, cuda_major=cuda_major)
    data = manifest_to_json(sign_manifest(manifest, EXAMINER))
    found = verify_manifest(parse_manifest(data), PINNED, name=REQUEST.name)
    assert found.manifest == manifest
    assert found.signed_by == EXAMINER.key_id
    assert len(data) < MAX_MANIFEST_BYTES


def test_it_has_a_payload_type_of_its_own() -> None:
    outer = json.loads(manifest_to_json(sign_manifest(MANIFEST, EXAMINER)))
    assert outer["envelope"]["payloadType"] == PLAN_PAYLOAD_TYPE == "application/vnd.ftforensics.engine-plan.v1+json"
    assert outer["public_key"] == EXAMINER.public_key.hex()


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_cleanly(data: bytes) -> None:
    for parse in (parse_manifest, parse_payload):
        with pytest.raises(TrustError):
            parse(data)


@given(st.integers(0, len(PAYLOAD) - 1), st.integers(0, 255))
def test_a_payload_with_one_other_byte_is_another_manifest_or_none(at: int, byte: int) -> None:
    data = PAYLOAD[:at] + bytes([byte]) + PAYLOAD[at + 1 :]
    try:
        found = parse_payload(data)
    except TrustError:
        return
    assert (found == MANIFEST) == (data == PAYLOAD)


def changed(path: str, value: Any) -> bytes:
    fields = parse_canonical(PAYLOAD)
    *folders, last = path.split(".")
    place = fields
    for folder in folders:
        place = place[int(folder)] if isinstance(place, list) else place[folder]
    place[int(last) if isinstance(place, list) else last] = value
    return canonical_json(fields)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format_version", 2),
        ("format_version", True),
        ("unknown", 1),
        ("plan_sha256", "../../../etc/passwd"),
        ("plan_sha256", "A1" * 32),
        ("plan_bytes", 0),
        ("plan_bytes", -1),
        ("plan_bytes", 2**52),
        ("plan_bytes", "4"),
        ("cuda_major", "13"),
        ("cuda_major", 0),
        ("built_at", "yesterday"),
        ("parity", {}),
        ("parity", []),
        ("parity", {"Bits": 1}),
        ("parity", {"bits": True}),
        ("parity", {"bits": None}),
        ("parity", {"bits": "a\x1b[0m"}),
        ("parity", {f"f{at}": 1 for at in range(65)}),
        ("builder.platform", "a\u202eb"),
        ("builder.tool_version", "latest"),
        ("request.model_id", "../other"),
        ("request.model_sha256", ""),
        ("request.flavour", "onnx"),
        ("request.flavour_version", "1.7; rm"),
        ("request.precision", "fp4"),
        ("request.targets", []),
        ("request.targets", ["sm_89", 7]),
        ("request.targets", ["cpu"]),
        ("request.targets", ["sm_89"] * 33),
        ("request.recipe", 0),
        ("request.shapes", [{}]),
        ("request.shapes.0.name", "../x y"),
        ("request.shapes.0.least", []),
        ("request.shapes.0.least", [65, 3, 128, 128]),
        ("request.shapes.0.most", [64, 3, 128]),
        ("request.shapes.0.most", [1025, 3, 128, 128]),
        ("request.shapes.0.most", [64, 3, 128, 1e9]),
        ("request.shapes.0.most", [64, 3, 128, True]),
    ],
)
def test_malformed_fields_are_refused(path: str, value: Any) -> None:
    with pytest.raises(TrustError):
        parse_payload(changed(path, value))


def test_nothing_malformed_is_signed() -> None:
    with pytest.raises(TrustError):
        sign_manifest(make_manifest(b"plan", targets=("cpu",)), EXAMINER)
    with pytest.raises(TrustError):
        sign_manifest(make_manifest(b"plan", parity={"bits": float("nan")}), EXAMINER)


def test_an_oversized_manifest_is_not_parsed() -> None:
    with pytest.raises(TrustError, match="64 KiB"):
        parse_manifest(b" " * (MAX_MANIFEST_BYTES + 1))
