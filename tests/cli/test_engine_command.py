"""``ftf engine``: plans built for real from a tiny model, found again, shown, checked and removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import NOW, Ftf
from plan_samples import EXAMINER, MALLORY, make_tiny_model, save_plan

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is there for Linux on x86-64 only")

from ftforensics.engine.plans.flavours import FLAVOURS, find_installed

BUILD = ("engine", "build", "tiny-1", "--precision", "fp32", "--batch", "4", "--max-batch", "8", "--format", "jsonl")
VERSION = find_installed(FLAVOURS["tensorrt-rtx"]).version


@pytest.fixture
def engines(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FTF_ENGINES with a model that builds in a moment."""
    folder = home / "models"
    make_tiny_model(folder)
    monkeypatch.setenv("FTF_ENGINES", str(folder))
    return folder


def files(engines: Path) -> list[str]:
    return sorted(path.name for path in (engines / "plans").iterdir())


def test_build_list_show_verify_remove(ftf: Ftf, engines: Path, examiner: str) -> None:
    built = ftf(*BUILD, "--target", "sm_120,sm_89").facts()
    assert (built["targets"], built["version"], built["precision"]) == (["sm_89", "sm_120"], VERSION, "fp32")
    assert (built["signed_by"], built["built_at"], built["parity"]) == (examiner, NOW, "not measured")
    assert files(engines) == sorted([f"{built['plan']}.json", f"{built['sha256']}.plan"])
    (listed,) = ftf("engine", "list", "--format", "jsonl").lines()
    assert (listed["name"], listed["holds"], listed["batches"]) == (built["plan"], True, "1 to 8, best 4")
    assert ftf("engine", "show", built["key"][:10], "--format", "jsonl").facts() == built
    (checked,) = ftf("engine", "verify", built["plan"], "--format", "jsonl").lines()
    assert (checked["holds"], checked["signed_by"]) == (True, examiner)
    assert built["plan"] in ftf("engine", "remove", built["plan"]).out
    assert files(engines) == []
    assert "No plans" in ftf("engine", "list").err


def test_the_same_build_is_not_made_twice(
    ftf: Ftf, engines: Path, examiner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ftf(*BUILD, "--target", "sm_89,sm_120")
    monkeypatch.setenv("FTF_NOW", "2026-04-01T00:00:00Z")
    again = ftf(*BUILD, "--target", "sm_120,sm_89")
    assert again.facts() == first.facts()
    assert f"built already, at {NOW}" in again.err
    forced = ftf(*BUILD, "--target", "sm_120,sm_89", "--force").facts()
    assert (forced["key"], forced["built_at"]) == (first.facts()["key"], "2026-04-01T00:00:00Z")
    assert len(files(engines)) == 2
    other = ftf(*BUILD, "--target", "sm_89").facts()
    assert other["key"] != forced["key"]
    assert len(files(engines)) == 4


def test_plans_go_where_out_says_and_never_into_the_package(ftf: Ftf, engines: Path, examiner: str, home: Path) -> None:
    built = ftf(*BUILD, "--target", "sm_89", "--out", home / "elsewhere").facts()
    assert Path(built["file"]).parent == home / "elsewhere" / "plans"
    assert not (engines / "plans").exists()
    assert ftf("engine", "show", built["plan"], "--engines", home / "elsewhere", "--format", "jsonl").facts() == built
    ftf("engine", "show", built["plan"], expect=2)


def test_a_changed_plan_is_5_when_used_and_4_when_checked(ftf: Ftf, engines: Path, examiner: str) -> None:
    built = ftf(*BUILD, "--target", "sm_89").facts()
    path = Path(built["file"])
    path.write_bytes(bytes(255 - value for value in path.read_bytes()))
    assert "ftf engine remove" in ftf("engine", "show", built["plan"], expect=5).err
    result = ftf("engine", "verify", "--format", "jsonl", expect=4)
    assert result.facts()["holds"] is False
    assert ftf("engine", "list", "--format", "jsonl").facts()["holds"] is False
    assert "--force replaces it" in ftf(*BUILD, "--target", "sm_89", expect=5).err
    ftf(*BUILD, "--target", "sm_89", "--force")
    ftf("engine", "verify")


def test_whose_plans_count(ftf: Ftf, engines: Path, examiner: str, home: Path) -> None:
    name = save_plan(engines, b"a colleague's", MALLORY).request.name
    assert "not pinned for engine plans" in ftf("engine", "show", name, expect=5).err
    listed = ftf("engine", "list", "--format", "jsonl").facts()
    assert (listed["holds"], listed["signed_by"], listed["precision"]) == (False, None, "fp16")
    ftf("engine", "verify", "--signer", MALLORY.key_id)
    ftf("engine", "verify", "--signer", EXAMINER.key_id, expect=4)
    ftf("trust", "add", "engine-plans", MALLORY.key_id, "--valid-until", "2026-02-01T00:00:00Z")
    ftf("engine", "verify", expect=4)
    ftf("trust", "add", "engine-plans", MALLORY.key_id)
    ftf("engine", "verify")
    ftf("trust", "revoke", MALLORY.key_id, "--reason", "superseded", "--at", NOW)
    ftf("engine", "verify", expect=4)
    ftf("engine", "verify", "--signer", MALLORY.key_id, expect=6)


def test_a_plan_signed_outside_is_built_with_a_warning(ftf: Ftf, engines: Path, home: Path, tmp_path: Path) -> None:
    made = ftf("key", "new", "old", "--role", "examiner", "--no-passphrase", "--format", "jsonl").facts()
    key = (home / "keys" / "old.pem").rename(tmp_path / "gone.pem")
    built = ftf(*BUILD, "--target", "sm_89", "--key", key)
    assert built.facts()["signed_by"] == made["fingerprint"]
    assert f"ftf trust add engine-plans {made['fingerprint']}" in built.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("no-such-model",), 5, "no such model"),
        (("tiny-1", "--target", "sm_90"), 2, "builds no plans for the target 'sm_90'"),
        (("tiny-1", "--target", ","), 2, "no target was given"),
        (("tiny-1", "--batch", "5000"), 2, "1 <= batch <= largest batch <= 1024"),
        (("tiny-1", "--batch", "16", "--max-batch", "8"), 2, "do not go together"),
        (("tiny-1", "--precision", "int8"), 5, "int8"),
        (("tiny-1", "--precision", "fp4"), 2, "fp4"),
        (("tiny-1", "--flavour", "openvino"), 2, "openvino"),
        (("tiny-1", "--key", "nobody"), 6, "nobody"),
        (("tiny-1",), 6, "there is no examiner key yet"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(
    ftf: Ftf, engines: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = ftf("engine", "build", *arguments, expect=code)
    assert words in result.err
    assert result.out == ""
    assert len(result.err.strip().splitlines()) == 1
    assert not (engines / "plans").exists()


def test_an_unknown_plan_is_2_as_an_unknown_case_is(ftf: Ftf, engines: Path) -> None:
    for part in ("show", "verify", "remove"):
        assert "no such plan" in ftf("engine", part, "ftf-1", expect=2).err
    ftf("case", "show", "ftf-1", expect=2)


def test_a_folder_that_cannot_be_written_is_7(ftf: Ftf, engines: Path, examiner: str, home: Path) -> None:
    (home / "file").write_text("")
    ftf(*BUILD, "--target", "sm_89", "--out", home / "file", expect=7)


def test_the_graph_of_a_changed_model_is_not_built(ftf: Ftf, engines: Path, examiner: str) -> None:
    with (engines / "tiny-1" / "reader.onnx").open("ab") as file:
        file.write(b"\0")
    assert "SHA-256" in ftf(*BUILD, expect=5).err
    assert not (engines / "plans").exists()
