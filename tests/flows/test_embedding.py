"""Which tags are tried until one reads back from the written file."""

from __future__ import annotations

import numpy as np
import pytest

from ftforensics.domain.tag import STRONGEST_PSNR_DB
from ftforensics.engine.informed import ShapedTag
from ftforensics.flows.embedding import attempt_tags


def attempts(needed_db: float, asked_db: float | None) -> list[tuple[float | None, float, float]]:
    """What was asked for, what was made, and by how much it is stronger than meant."""
    asked: list[float | None] = []

    def shape(psnr_db: float | None) -> ShapedTag:
        asked.append(psnr_db)
        return ShapedTag(planes=np.zeros((3, 64, 64), np.float32), psnr_db=needed_db if psnr_db is None else psnr_db)

    made = [(tag.psnr_db, more_db) for tag, more_db in attempt_tags(shape, asked_db)]
    return [(wanted, psnr_db, more_db) for wanted, (psnr_db, more_db) in zip(asked, made, strict=True)]


def test_what_a_picture_needs_is_found_once_and_then_made_stronger() -> None:
    assert attempts(46.0, None) == [(None, 46.0, 0.0), (44.5, 44.5, 1.5), (43.0, 43.0, 3.0)]


def test_no_chosen_strength_goes_beyond_the_strongest() -> None:
    assert attempts(43.0, None) == [(None, 43.0, 0.0), (STRONGEST_PSNR_DB, STRONGEST_PSNR_DB, 0.75)]
    assert attempts(STRONGEST_PSNR_DB, None) == [(None, STRONGEST_PSNR_DB, 0.0)]


@pytest.mark.parametrize("asked_db", [45.25, 38.0])
def test_a_strength_that_was_asked_for_may_be_exceeded_by_three_decibels(asked_db: float) -> None:
    assert [psnr_db for _, psnr_db, _ in attempts(0.0, asked_db)] == [asked_db, asked_db - 1.5, asked_db - 3.0]
