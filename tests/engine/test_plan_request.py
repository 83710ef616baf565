"""Requests and keys: the same inputs name the same plan everywhere, other inputs another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plan_samples import REQUEST

from ftforensics.engine.models import load_card
from ftforensics.engine.plans.flavours import FLAVOURS, find_flavour, find_installed, name_target, parse_targets
from ftforensics.engine.plans.request import InputShape, check_model_id, reader_shapes
from ftforensics.errors import EngineError, UsageError

SHAPE = REQUEST.shapes[0]


def test_the_key_never_changes() -> None:
    assert REQUEST.key == "8dc6ca71e5c9e86118ccbab910cbc0d2e316b55382ff46c4aa937c4d4c3399c9"
    assert REQUEST.name == f"ftf-1-tensorrt-rtx-fp16-{REQUEST.key[:16]}"


@pytest.mark.parametrize(
    "change",
    [
        {"model_id": "ftf-2"},
        {"model_sha256": "b2" * 32},
        {"graph_sha256": "b2" * 32},
        {"flavour": "tensorrt"},
        {"flavour_version": "1.7.1.117"},
        {"targets": ("sm_89",)},
        {"precision": "fp32"},
        {"recipe": 2},
        {"shapes": (replace(SHAPE, name="image"),)},
        {"shapes": (replace(SHAPE, least=(2, 3, 128, 128)),)},
        {"shapes": (replace(SHAPE, best=(8, 3, 128, 128)),)},
        {"shapes": (replace(SHAPE, most=(65, 3, 128, 128)),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_input_is_in_the_key(change: dict[str, Any]) -> None:
    changed = replace(REQUEST, **change)
    assert changed.key != REQUEST.key
    assert changed.name != REQUEST.name


def test_targets_are_sorted_so_that_their_order_does_not_matter() -> None:
    rtx = find_flavour("tensorrt-rtx")
    assert parse_targets(("sm_120", "sm_89", "sm_89"), rtx) == ("sm_89", "sm_120")
    assert parse_targets(rtx.targets[::-1], rtx) == rtx.targets


@pytest.mark.parametrize("targets", [(), ("sm_90",), ("sm_89", "H100"), ("sm_89\n",), ("SM89",), ("../sm_89",)])
def test_targets_that_rtx_does_not_build_for(targets: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="sm_75, sm_80, sm_86, sm_89, sm_120, sm_121"):
        parse_targets(targets, FLAVOURS["tensorrt-rtx"])


def test_tensorrt_builds_for_one_gpu_at_a_time() -> None:
    assert parse_targets(("sm_90",), FLAVOURS["tensorrt"]) == ("sm_90",)
    with pytest.raises(UsageError, match="one kind of GPU at a time"):
        parse_targets(("sm_80", "sm_90"), FLAVOURS["tensorrt"])


def test_capabilities_have_the_names_of_targets() -> None:
    assert [name_target(one) for one in ((7, 5), (9, 0), (12, 1))] == ["sm_75", "sm_90", "sm_121"]


def test_an_unknown_flavour_names_the_known_ones() -> None:
    with pytest.raises(EngineError, match="use tensorrt or tensorrt-rtx"):
        find_flavour("openvino")


def test_the_installed_release_is_known_without_importing_it() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is there for Linux on x86-64 only")
    found = find_installed(FLAVOURS["tensorrt-rtx"])
    assert (found.package, found.cuda_major) == ("tensorrt-rtx-cu13", 13)
    with pytest.raises(EngineError, match=r"missing is not installed; run: pip"):
        find_installed(replace(FLAVOURS["tensorrt"], name="missing", packages=("no-such-package",), install="run: pip"))


def test_shapes_follow_the_card(model_folder: Path) -> None:
    (shape,) = reader_shapes(load_card(model_folder), batch=8, max_batch=32)
    assert shape == InputShape(name="picture", least=(1, 3, 128, 128), best=(8, 3, 128, 128), most=(32, 3, 128, 128))


@pytest.mark.parametrize(("batch", "max_batch"), [(0, 8), (9, 8), (1, 1025), (-1, 1)])
def test_batches_that_do_not_go_together(model_folder: Path, batch: int, max_batch: int) -> None:
    with pytest.raises(UsageError, match="do not go together"):
        reader_shapes(load_card(model_folder), batch=batch, max_batch=max_batch)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "FTF", "a b", ".hidden", "a" * 65, "a\n"])
def test_models_that_cannot_be_part_of_a_files_name(name: str) -> None:
    with pytest.raises(EngineError, match="cannot have plans"):
        check_model_id(name)
