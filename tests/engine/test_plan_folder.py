"""The folder of plans: what is saved is whole, replaced whole, found by name, and removed with nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from plan_samples import EXAMINER, PINNED, REQUEST, make_manifest, save_plan

from ftforensics.engine.plans.builder import add_parity
from ftforensics.engine.plans.folder import PlanFolder
from ftforensics.engine.plans.manifest import sign_manifest
from ftforensics.engine.plans.verified import find_plans, load_verified_manifest, load_verified_plan
from ftforensics.errors import EngineError, NotFound, UsageError, WriteFailed


def files(engines: Path) -> list[str]:
    return sorted(path.name for path in (engines / "plans").iterdir())


def test_saved_and_loaded(tmp_path: Path) -> None:
    manifest = save_plan(tmp_path, b"first")
    found = load_verified_plan(
        tmp_path, REQUEST.name, PINNED, model_sha256=REQUEST.model_sha256, flavour_version=REQUEST.flavour_version
    )
    assert (found.plan, found.manifest, found.signed_by) == (b"first", manifest, EXAMINER.key_id)
    assert files(tmp_path) == sorted([f"{manifest.plan_sha256}.plan", f"{REQUEST.name}.json"])


def test_a_second_build_replaces_the_first_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    save_plan(tmp_path, b"first")
    second = save_plan(tmp_path, b"second")
    assert load_verified_plan(tmp_path, REQUEST.name, PINNED).plan == b"second"
    assert files(tmp_path) == sorted([f"{second.plan_sha256}.plan", f"{REQUEST.name}.json"])


def test_where_the_manifest_cannot_be_written_the_older_plan_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_plan(tmp_path, b"first")
    before = files(tmp_path)

    def no_room(*_: object) -> None:
        raise WriteFailed("no space left")

    monkeypatch.setattr("ftforensics.engine.plans.folder.replace_file", no_room)
    with pytest.raises(WriteFailed):
        save_plan(tmp_path, b"second")
    assert files(tmp_path) == before
    assert load_verified_plan(tmp_path, REQUEST.name, PINNED).plan == b"first"


def test_a_plan_that_two_manifests_need_stays_until_both_are_gone(tmp_path: Path) -> None:
    one = save_plan(tmp_path, b"same")
    other = save_plan(tmp_path, b"same", precision="fp32")
    PlanFolder(tmp_path).remove(one.request.name)
    assert load_verified_plan(tmp_path, other.request.name, PINNED).plan == b"same"
    PlanFolder(tmp_path).remove(other.request.name)
    assert files(tmp_path) == []


def test_a_damaged_manifest_can_be_removed(tmp_path: Path) -> None:
    save_plan(tmp_path)
    (tmp_path / "plans" / f"{REQUEST.name}.json").write_bytes(b"{}")
    PlanFolder(tmp_path).remove(REQUEST.name)
    assert PlanFolder(tmp_path).names() == ()
    with pytest.raises(EngineError, match="no such plan"):
        PlanFolder(tmp_path).remove(REQUEST.name)


def test_plans_are_found_by_name_start_and_key(tmp_path: Path) -> None:
    fp16 = save_plan(tmp_path, b"a").request
    fp32 = save_plan(tmp_path, b"b", precision="fp32").request
    folder = PlanFolder(tmp_path)
    assert folder.names() == tuple(sorted([fp16.name, fp32.name]))
    assert folder.find(fp16.name) == folder.find("ftf-1-tensorrt-rtx-fp16") == folder.find(fp16.key[:8]) == fp16.name
    with pytest.raises(UsageError, match="several plans"):
        folder.find("ftf-1")
    for nothing in ("", "ftf-2", "../plans", "*"):
        with pytest.raises(NotFound, match="no such plan"):
            folder.find(nothing)


def test_an_empty_or_missing_folder_has_no_plans(tmp_path: Path) -> None:
    assert PlanFolder(tmp_path / "nowhere").names() == ()
    (tmp_path / "plans").write_text("")
    with pytest.raises(EngineError, match="cannot be read"):
        PlanFolder(tmp_path).names()


def test_a_build_folder_goes_whatever_happens(tmp_path: Path) -> None:
    def interrupted() -> None:
        with PlanFolder(tmp_path).building() as place:
            (place / "half").write_bytes(b"written")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files(tmp_path) == []


def test_what_a_killed_build_left_is_swept_by_the_next(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / "plans" / f".build-{dead.pid}-abc"
    running = tmp_path / "plans" / f".build-{os.getppid()}-abc"
    for place in (left, running):
        place.mkdir(parents=True)
    with PlanFolder(tmp_path).building():
        pass
    assert files(tmp_path) == [running.name]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteFailed), PlanFolder(tmp_path / "file").building():
        pass


def test_only_fitting_plans_are_offered_newest_first(tmp_path: Path) -> None:
    old = save_plan(tmp_path, b"old", precision="fp32", built_at="2026-01-01T00:00:00Z")
    new = save_plan(tmp_path, b"new", built_at="2026-02-01T00:00:00Z")
    save_plan(tmp_path, b"release", flavour_version="1.6")
    save_plan(tmp_path, b"model", model_sha256="b2" * 32)
    asked = {
        "model_sha256": REQUEST.model_sha256,
        "flavour": "tensorrt-rtx",
        "flavour_version": REQUEST.flavour_version,
    }
    found, refused = find_plans(tmp_path, PINNED, **asked)
    assert [one.manifest for one in found] == [new, old]
    assert refused == ()
    assert [one.manifest for one in find_plans(tmp_path, PINNED, **asked, precision="fp32")[0]] == [old]
    assert find_plans(tmp_path, PINNED, **asked, target="sm_86")[0] == ()
    found, refused = find_plans(tmp_path, frozenset({"ed25519:" + "0" * 64}), **asked)
    assert found == ()
    assert len(refused) == 4


def test_parity_is_added_under_a_signature(tmp_path: Path) -> None:
    before = save_plan(tmp_path)
    assert before.parity is None
    add_parity(tmp_path, REQUEST.name, {"bits": 1280, "agreeing": 1279}, EXAMINER, PINNED)
    found = load_verified_plan(tmp_path, REQUEST.name, PINNED)
    assert found.manifest.parity == {"bits": 1280, "agreeing": 1279}
    assert found.plan == b"plan"


def test_the_plan_of_another_model_or_release_is_told_from_a_forged_one(tmp_path: Path) -> None:
    save_plan(tmp_path)
    with pytest.raises(EngineError, match="other weights"):
        load_verified_plan(tmp_path, REQUEST.name, PINNED, model_sha256="b2" * 32)
    with pytest.raises(EngineError, match=r"built by tensorrt-rtx 1\.7\.1\.116, and 1\.8 is installed"):
        load_verified_plan(tmp_path, REQUEST.name, PINNED, flavour_version="1.8")


def test_a_manifest_is_checked_without_its_plan(tmp_path: Path) -> None:
    manifest = save_plan(tmp_path)
    PlanFolder(tmp_path).plan_path(manifest.plan_sha256).unlink()
    assert load_verified_manifest(tmp_path, REQUEST.name, PINNED).manifest == manifest
    with pytest.raises(EngineError, match="is not there"):
        load_verified_plan(tmp_path, REQUEST.name, PINNED)


def test_a_statement_is_replaced_whole(tmp_path: Path) -> None:
    save_plan(tmp_path)
    changed = make_manifest(b"plan", platform="another")
    PlanFolder(tmp_path).replace_manifest(changed, sign_manifest(changed, EXAMINER))
    assert load_verified_plan(tmp_path, REQUEST.name, PINNED).manifest == changed
