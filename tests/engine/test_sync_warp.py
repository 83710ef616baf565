"""Straightening undoes a smooth warp and leaves other maps alone."""

from __future__ import annotations

import cv2
import numpy as np

from ftforensics.codec.carriers import (
    VALUES,
    build_carriers,
    build_sync_carrier,
    build_tag_planes,
    planes_from_rows,
    sync_row,
)
from ftforensics.engine.sync_warp import straighten

MODEL = "ftf-1"
SYNC = build_sync_carrier(MODEL)
CARRIERS = build_carriers(b"s" * 32, MODEL)
SIGNS = np.random.default_rng(0).choice(np.array([-1.0, 1.0], dtype=np.float32), 128)


def noise(seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((1, sync_row(MODEL).shape[1]))
    return planes_from_rows(rows * np.sqrt(VALUES) / np.linalg.norm(rows))[0]


def warped(cells: float) -> np.ndarray:
    """A read tag, moved by up to about ``cells`` along a smooth bend, with as much noise as tag."""
    image = np.ascontiguousarray(build_tag_planes(SIGNS, CARRIERS, SYNC).transpose(1, 2, 0))
    rows, columns = np.mgrid[0:64, 0:64].astype(np.float32)
    bend = np.float32(cells) * np.sin(2 * np.pi * rows / 64).astype(np.float32)
    seen = cv2.remap(image, columns + bend, rows - bend, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    return (0.5 * seen.transpose(2, 0, 1) + 0.5 * noise(3)).astype(np.float32)


def z(residual: np.ndarray) -> float:
    soft = CARRIERS.reshape(128, -1) @ residual.ravel()
    return float(soft @ SIGNS / np.linalg.norm(soft))


def test_a_bend_is_undone() -> None:
    bent = warped(1.3)
    assert z(straighten(bent, SYNC)) > z(bent) + 0.5


def test_a_straight_map_reads_about_as_well_as_before() -> None:
    straight = warped(0.0)
    assert z(straighten(straight, SYNC)) > z(straight) - 0.1


def test_a_map_without_the_carrier_comes_back_as_it_is() -> None:
    silent = np.zeros((3, 64, 64), dtype=np.float32)
    np.testing.assert_array_equal(straighten(silent, SYNC), silent)
    against = (noise(4) - 20.0 * np.sqrt(VALUES) * SYNC).astype(np.float32)
    np.testing.assert_array_equal(straighten(against, SYNC), against)


def test_straightening_is_deterministic() -> None:
    np.testing.assert_array_equal(straighten(warped(1.0), SYNC), straighten(warped(1.0), SYNC))
