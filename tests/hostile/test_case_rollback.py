"""Attack: put back an older copy of a whole case, signed heads and all, so that later findings never happened."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from stored_case import EXAMINER, LATER, append_verdicts, make_stored_case, tampering

from ftforensics.domain.case import CaseHead
from ftforensics.errors import ChainBroken
from ftforensics.store.cases import Case


@pytest.fixture
def rolled_back(tmp_path: Path) -> tuple[Path, CaseHead]:
    """The case set back to its first two findings, and the head that the last scan printed."""
    with make_stored_case(tmp_path, count=2) as case:
        folder = case.folder
    shutil.copytree(folder, tmp_path / "older")
    with Case.open(folder, signer=EXAMINER, read_only=False) as case:
        append_verdicts(case, range(2, 4), at=LATER)
        head = case.head()
        assert case.verify(head).events == 6
    shutil.rmtree(folder)
    shutil.move(tmp_path / "older", folder)
    return folder, head


def test_without_a_head_rollback_is_not_excluded_and_said_so(rolled_back: tuple[Path, CaseHead]) -> None:
    with Case.open(rolled_back[0]) as case:
        assert "Rollback not excluded: no earlier head was given to compare with." in case.verify().notes
        assert "Rollback not excluded: no earlier head was given to compare with." in case.view().integrity_notes


def test_with_the_printed_head_it_is_found(rolled_back: tuple[Path, CaseHead]) -> None:
    folder, head = rolled_back
    with Case.open(folder) as case:
        with pytest.raises(ChainBroken, match="ends after 4 events") as caught:
            case.verify(head)
        assert not case.view(head).head_verified
    assert caught.value.position == 4


def test_a_different_story_after_the_rollback_is_found(rolled_back: tuple[Path, CaseHead]) -> None:
    folder, head = rolled_back
    with Case.open(folder, signer=EXAMINER, read_only=False) as case:
        append_verdicts(case, range(5, 9), at=LATER)
        case.verify()
        with pytest.raises(ChainBroken, match="not the one that the expected head names"):
            case.verify(head)


def test_cutting_heads_and_events_together_is_found_with_the_head(tmp_path: Path) -> None:
    with make_stored_case(tmp_path, count=4) as case:
        folder, head = case.folder, case.head()
    with tampering(folder / "case.sqlite") as connection:
        connection.execute("DELETE FROM events WHERE seq >= 3")
        connection.execute("DELETE FROM findings WHERE seq >= 3")
        connection.execute("DELETE FROM heads WHERE event_count > 3")
    with Case.open(folder) as case:
        assert case.verify().events == 3
        with pytest.raises(ChainBroken):
            case.verify(head)


def test_the_head_of_another_case_does_not_fit(tmp_path: Path) -> None:
    with make_stored_case(tmp_path) as case:
        other = CaseHead(case_id="other", count=1, head_hash=case.head().head_hash, at=LATER)
        with pytest.raises(ChainBroken, match="'other'"):
            case.verify(other)
