"""A small case on disk for attacks on its files, and the tools of an attacker who can write to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signed_rows import EXAMINER, MALLORY

from ftforensics.domain.evidence import EvidenceItem
from ftforensics.domain.link import Artifact, Finding, Verdict
from ftforensics.store.cases import Case

__all__ = ["AT", "EXAMINER", "LATER", "MALLORY", "append_verdicts", "make_stored_case", "tampering"]

AT = "2026-03-01T10:00:00Z"
LATER = "2026-03-02T10:00:00Z"


def make_verdict(case: Case, number: int, artifacts: tuple[Artifact, ...] = ()) -> Finding:
    """A finding that names no tag."""
    item = EvidenceItem(
        path=f"picture {number}.png",
        path_b64="cGljdHVyZQ==",
        size_bytes=1000 + number,
        mtime=AT,
        sha256=f"{number:064x}",
        media_type="image/png",
        ext_mismatch=False,
    )
    return Finding(
        seq=number,
        case_id=case.case_id,
        exhibit_id=f"E{number}",
        evidence=item,
        verdict=Verdict.NO_TAG_READ,
        reasons=("no tag was read",),
        limitations=("not read is not untagged",),
        artifacts=artifacts,
    )


def append_verdicts(case: Case, numbers: range, at: str = AT) -> None:
    """Adds findings, the first of them with a picture."""
    for number in numbers:
        picture = case.save_artifact(
            b"picture %d" % numbers.start, role="preview", media_type="image/png", width_px=8, height_px=8
        )
        artifacts = (picture,) if number == numbers.start else ()
        case.append_finding(make_verdict(case, number, artifacts), actor="Ada", at=at)


def make_stored_case(folder: Path, count: int = 4) -> Case:
    """A case of one opening event, ``count`` findings and one export, open for writing."""
    case = Case.create(folder, "case", title="Attacked", examiner="Ada", signer=EXAMINER, at=AT)
    append_verdicts(case, range(count))
    case.export(actor="Ada", at=AT)
    return case


@contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """Lets an attacker change rows: takes the append-only triggers off, and puts them back so that nothing shows."""
    connection = sqlite3.connect(path)
    triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA foreign_keys = OFF")
    yield connection
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()
