"""Carriers: orthonormal, band-limited, keyed, and the same on every machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftforensics.codec import carriers, channel

GOLDEN = Path(__file__).parent.parent / "golden" / "carriers.json"
MODEL = "ftf-1"


@pytest.fixture(scope="module")
def ours() -> np.ndarray:
    return carriers.build_carriers(b"s" * 32, MODEL)


@pytest.fixture(scope="module")
def sync() -> np.ndarray:
    return carriers.build_sync_carrier(MODEL)


def flat(patterns: np.ndarray) -> np.ndarray:
    return patterns.reshape(-1, carriers.VALUES).astype(np.float64)


def test_carriers_and_sync_are_orthonormal(ours: np.ndarray, sync: np.ndarray) -> None:
    every = np.concatenate([flat(ours), flat(sync)])
    np.testing.assert_allclose(every @ every.T, np.eye(129), atol=2e-6)


def test_shapes_and_types(ours: np.ndarray, sync: np.ndarray) -> None:
    assert ours.shape == (128, 3, 64, 64)
    assert sync.shape == (3, 64, 64)
    assert ours.dtype == sync.dtype == np.float32


def test_different_keys_are_nearly_uncorrelated(ours: np.ndarray) -> None:
    theirs = carriers.build_carriers(b"t" * 32, MODEL)
    cross = np.abs(flat(ours) @ flat(theirs).T)
    # 16,384 products of unit vectors with about 2,700 free values each: a standard deviation of 0.02.
    assert cross.max() < 0.12
    assert cross.std() < 0.03


def test_one_bit_of_the_secret_or_another_model_changes_everything(ours: np.ndarray, sync: np.ndarray) -> None:
    near = carriers.build_carriers(b"s" * 31 + b"r", MODEL)
    assert np.abs(np.sum(flat(ours) * flat(near), axis=1)).max() < 0.12
    assert abs(float(np.vdot(sync, carriers.build_sync_carrier("ftf-2")))) < 0.1


def test_the_same_secret_gives_the_same_bytes(ours: np.ndarray) -> None:
    assert carriers.build_carriers(b"s" * 32, MODEL).tobytes() == ours.tobytes()


def test_nothing_lies_outside_the_band(ours: np.ndarray, sync: np.ndarray) -> None:
    dct = carriers.dct_matrix()
    np.testing.assert_allclose(dct @ dct.T, np.eye(64), atol=1e-12)
    opponent = np.einsum("ac,ncyx->nayx", carriers.OPPONENT_AXES, np.concatenate([ours, sync[None]]))
    spectrum = np.abs(dct @ opponent @ dct.T)
    cycles = np.hypot(np.arange(64)[:, None], np.arange(64)[None, :]) / 2
    for axis, highest in enumerate((22.0, 16.0, 12.0)):
        outside = (cycles < 3.0) | (cycles > highest)
        assert spectrum[:, axis, outside].max() < 1e-6
        assert spectrum[:, axis, ~outside].max() > 0.01
    assert np.abs(ours.mean(axis=(2, 3))).max() < 1e-6


def test_rows_and_planes_are_one_isometry(rng: np.random.Generator) -> None:
    size = carriers.sync_row(MODEL).shape[1]
    rows = rng.standard_normal((3, size))
    planes = carriers.planes_from_rows(rows)
    np.testing.assert_allclose(carriers.rows_from_planes(planes), rows, atol=1e-5)
    np.testing.assert_allclose(flat(planes) @ flat(planes).T, rows @ rows.T, rtol=1e-5, atol=1e-2)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_rows_from_planes_is_the_adjoint_of_planes_from_rows(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((1, carriers.sync_row(MODEL).shape[1]))
    planes = random.standard_normal((1, 3, 64, 64))
    left = float(np.vdot(carriers.planes_from_rows(rows).astype(np.float64), planes))
    right = float(np.vdot(rows, carriers.rows_from_planes(planes)))
    assert left == pytest.approx(right, abs=1e-3)


def test_rows_from_planes_drops_what_is_outside_the_band(rng: np.random.Generator) -> None:
    planes = rng.standard_normal((2, 3, 64, 64))
    inside = carriers.planes_from_rows(carriers.rows_from_planes(planes))
    np.testing.assert_allclose(carriers.rows_from_planes(inside), carriers.rows_from_planes(planes), atol=1e-5)
    assert (np.linalg.norm(flat(inside), axis=1) < np.linalg.norm(planes.reshape(2, -1), axis=1)).all()


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_perfect_map_projects_to_its_signs(seed: int) -> None:
    ours, sync = carriers.build_carriers(b"s" * 32, MODEL), carriers.build_sync_carrier(MODEL)
    signs = np.random.default_rng(seed).choice(np.array([-1.0, 1.0], dtype=np.float32), 128)
    planes = carriers.build_tag_planes(signs, ours, sync)
    assert float(np.mean(planes**2)) == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(carriers.project(planes[None], ours)[0], signs, atol=1e-4)
    assert float(np.vdot(planes, sync)) ** 2 == pytest.approx(carriers.SYNC_ENERGY * carriers.VALUES, rel=1e-4)


def test_signs_may_be_integers(ours: np.ndarray, sync: np.ndarray) -> None:
    signs = channel.encode_many(np.array([7], dtype=np.uint64), channel.build_channel_key(b"k"))[0]
    np.testing.assert_array_equal(
        carriers.build_tag_planes(signs, ours, sync), carriers.build_tag_planes(signs.astype(np.float32), ours, sync)
    )


def test_golden_values_that_must_not_change_on_any_machine(ours: np.ndarray, sync: np.ndarray) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    key = channel.build_channel_key(b"s" * 32)
    # Integers are compared bit by bit.
    signs = carriers._random_signs(b"ftf-carriers-v1\0" + b"s" * 32, 128, 2773).astype(np.int8)
    assert hashlib.sha256(signs.tobytes()).hexdigest() == golden["signs_sha256"]
    assert bytes(np.packbits(key.mask)).hex() == golden["mask"]
    assert hashlib.sha256(key.order.astype(">u2").tobytes()).hexdigest() == golden["order_sha256"]
    word = channel.encode("0123456789abcdef", key) > 0
    assert bytes(np.packbits(word)).hex() == golden["word"]
    # Floating point is compared as rounded values: every value of a pattern counts in its projection.
    probe = np.cos(np.arange(carriers.VALUES, dtype=np.float64) * 0.7)
    np.testing.assert_allclose(flat(ours) @ probe, golden["carrier_projections"], atol=2e-5)
    np.testing.assert_allclose(flat(sync) @ probe, golden["sync_projection"], atol=2e-5)
    np.testing.assert_allclose(flat(ours)[:, ::997].ravel()[:64], golden["carrier_values"], atol=2e-7)
