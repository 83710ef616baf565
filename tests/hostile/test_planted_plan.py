"""Attack: an engine plan, which is code, is changed, swapped, or brought along by somebody else. It is never loaded."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import EXAMINER, MALLORY, PINNED, REQUEST, make_manifest, save_plan

from ftforensics.cli.main import run_command
from ftforensics.engine.plans.folder import PlanFolder
from ftforensics.engine.plans.manifest import (
    PLAN_PAYLOAD_TYPE,
    SignedManifest,
    manifest_to_json,
    parse_manifest,
    sign_manifest,
)
from ftforensics.engine.plans.verified import find_plans, load_verified_plan, verify_manifest
from ftforensics.errors import EngineError, NotFound, PlanRefused, TrustError
from ftforensics.trust.envelope import sign_envelope
from ftforensics.trust.trustlist import TRUST_LIST_PAYLOAD_TYPE, TrustList

PLAN = bytes(range(256)) * 8


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """The folder that holds one sound plan."""
    save_plan(tmp_path, PLAN)
    return tmp_path / "plans"


def load(plans: Path, name: str = REQUEST.name) -> bytes:
    return load_verified_plan(plans.parent, name, PINNED, model_sha256=REQUEST.model_sha256).plan


def plan_file(plans: Path) -> Path:
    (found,) = plans.glob("*.plan")
    return found


def manifest_file(plans: Path) -> Path:
    return plans / f"{REQUEST.name}.json"


def test_the_sound_plan_is_loaded(plans: Path) -> None:
    assert load(plans) == PLAN


@pytest.mark.parametrize(
    "changed", [PLAN[:-1], PLAN + b"\0", b"", bytes([PLAN[0] ^ 1]) + PLAN[1:], PLAN[:-1] + b"\0"], ids=range(5)
)
def test_a_changed_plan(plans: Path, changed: bytes) -> None:
    plan_file(plans).write_bytes(changed)
    with pytest.raises(PlanRefused, match=r"the plan was changed|larger than 2048 bytes"):
        load(plans)


@settings(max_examples=60)
@given(st.data())
def test_a_manifest_with_any_other_byte(data: st.DataObject) -> None:
    sound = manifest_to_json(sign_manifest(make_manifest(PLAN), EXAMINER))
    at = data.draw(st.integers(0, len(sound) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != sound[at]))
    changed = sound[:at] + bytes([byte]) + sound[at + 1 :]
    with pytest.raises(EngineError):
        load_manifest_bytes(changed)


def load_manifest_bytes(data: bytes) -> None:
    try:
        signed = parse_manifest(data)
    except TrustError as exc:
        raise PlanRefused(exc.what) from exc
    verify_manifest(signed, PINNED, name=REQUEST.name)


def test_a_plan_and_manifest_of_somebody_else(plans: Path) -> None:
    save_plan(plans.parent, b"code of mallory's", MALLORY)
    with pytest.raises(PlanRefused, match="not pinned for engine plans"):
        load(plans)
    with pytest.raises(PlanRefused, match="not pinned"):
        load_verified_plan(plans.parent, REQUEST.name, frozenset())


def test_mallorys_signature_beside_the_examiners_key(plans: Path) -> None:
    manifest = make_manifest(b"code of mallory's")
    signed = sign_manifest(manifest, MALLORY)
    for forged in (
        SignedManifest(envelope=signed.envelope, public_key=EXAMINER.public_key),
        SignedManifest(envelope=replace(signed.envelope, key_id=EXAMINER.key_id), public_key=EXAMINER.public_key),
        SignedManifest(envelope=replace(signed.envelope, key_id=EXAMINER.key_id), public_key=MALLORY.public_key),
    ):
        manifest_file(plans).write_bytes(manifest_to_json(forged))
        with pytest.raises(PlanRefused):
            load(plans)


def test_another_statement_of_the_examiner_in_the_manifests_place(plans: Path) -> None:
    statement = TrustList().pin("News Agency", MALLORY.key_id).to_bytes()
    payload = sign_manifest(make_manifest(PLAN), EXAMINER).envelope.payload
    for kind, body in ((TRUST_LIST_PAYLOAD_TYPE, statement), (TRUST_LIST_PAYLOAD_TYPE, payload)):
        envelope = sign_envelope(kind, body, EXAMINER)
        manifest_file(plans).write_bytes(
            manifest_to_json(SignedManifest(envelope=envelope, public_key=EXAMINER.public_key))
        )
        with pytest.raises(PlanRefused, match="payload type"):
            load(plans)
    envelope = sign_envelope(PLAN_PAYLOAD_TYPE, statement, EXAMINER)
    manifest_file(plans).write_bytes(
        manifest_to_json(SignedManifest(envelope=envelope, public_key=EXAMINER.public_key))
    )
    with pytest.raises(PlanRefused, match="does not hold"):
        load(plans)


def test_the_sound_plan_of_another_model_under_this_ones_name(plans: Path) -> None:
    other = save_plan(plans.parent, b"other", model_id="ftf-2", model_sha256="b2" * 32)
    shutil.copyfile(plans / f"{other.request.name}.json", manifest_file(plans))
    with pytest.raises(PlanRefused, match="that of another plan, ftf-2-tensorrt-rtx"):
        load(plans)
    with pytest.raises(EngineError, match="other weights"):
        load(plans, other.request.name)


def test_an_older_plan_file_under_the_newer_ones_hash(plans: Path) -> None:
    shutil.copyfile(plan_file(plans), plans.parent / "older")
    newer = save_plan(plans.parent, b"newer")
    shutil.copyfile(plans.parent / "older", PlanFolder(plans.parent).plan_path(newer.plan_sha256))
    with pytest.raises(PlanRefused):
        load(plans)


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "", "/etc/passwd", "a/b", "a\0b", "a\nb", ".hidden", "x" * 300, "é", "A"]
)
def test_names_that_lead_elsewhere(plans: Path, name: str) -> None:
    folder = PlanFolder(plans.parent)
    for use in (folder.manifest_path, folder.load_manifest, folder.remove, folder.find):
        with pytest.raises((EngineError, NotFound)):
            use(name)
    with pytest.raises((EngineError, NotFound)):
        load(plans, name)


@pytest.mark.parametrize("sha256", ["../../etc/passwd", "/etc/passwd", "", "A1" * 32, "a1" * 31, "a1" * 32 + "\n"])
def test_hashes_that_lead_elsewhere(plans: Path, sha256: str) -> None:
    with pytest.raises(PlanRefused):
        PlanFolder(plans.parent).plan_path(sha256)


GARBAGE = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "object": b"{}",
    "text": b"plan",
    "deep": b"[" * 60_000,
    "deep objects": b'{"a":' * 10_000,
    "number": b"1" * 60_000,
    "not a number": b'{"envelope":NaN,"public_key":""}',
    "not UTF-8": b"\xff\xfe{}",
    "nul": b"\0" * 100,
    "large": b" " * 70_000,
    "twice": b'{"envelope":{},"envelope":{},"public_key":""}',
    "envelope is text": b'{"envelope":"x","public_key":"' + b"0" * 64 + b'"}',
    "surrogate": b'{"envelope":"\\ud800","public_key":""}',
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_in_the_manifests_place(plans: Path, data: bytes) -> None:
    manifest_file(plans).write_bytes(data)
    with pytest.raises(PlanRefused):
        load(plans)
    asked: dict[str, Any] = {"model_sha256": "", "flavour": "tensorrt-rtx", "flavour_version": ""}
    assert len(find_plans(plans.parent, PINNED, **asked)[1]) == 1
    PlanFolder(plans.parent).remove(REQUEST.name)


@pytest.mark.parametrize("which", [manifest_file, plan_file])
def test_links_pipes_and_folders_are_not_read(plans: Path, which: Any) -> None:
    path = which(plans)
    kept = plans.parent / "kept"
    path.rename(kept)
    path.symlink_to(kept)
    with pytest.raises(PlanRefused):
        load(plans)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PlanRefused, match="not a regular file"):
        load(plans)
    path.unlink()
    path.mkdir()
    with pytest.raises(PlanRefused, match="not a regular file"):
        load(plans)


def test_a_manifest_that_announces_more_than_there_can_be(plans: Path) -> None:
    outer = json.loads(manifest_file(plans).read_bytes())
    assert set(outer) == {"envelope", "public_key"}
    announced = replace(make_manifest(PLAN), plan_bytes=len(PLAN) + 1)
    manifest_file(plans).write_bytes(manifest_to_json(sign_manifest(announced, EXAMINER)))
    with pytest.raises(PlanRefused, match="changed"):
        load(plans)


def test_an_issuer_trusted_for_photographs_may_run_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("FTF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FTF_HOME", str(tmp_path))
    save_plan(tmp_path / "engines", PLAN, MALLORY)
    assert run_command(["trust", "add", "News Agency", MALLORY.key_id]) == 0
    assert run_command(["engine", "verify"]) == 4
    assert "not pinned for engine plans" in capsys.readouterr().err
    assert run_command(["trust", "add", "engine-plans", MALLORY.key_id]) == 0
    assert run_command(["engine", "verify"]) == 0
    assert run_command(["trust", "revoke", MALLORY.key_id, "--reason", "compromise"]) == 0
    assert run_command(["engine", "verify"]) == 4
    capsys.readouterr()
