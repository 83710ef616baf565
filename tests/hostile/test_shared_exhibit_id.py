"""Attack: choose names and bytes so that two files of one case get the same exhibit id, and one hides the other.

An id of an old case is 48 bits of SHA-256 over path and content, both of which the sender of the files chooses; this
pair was found in minutes on one core.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from stored_case import AT, LATER, make_stored_case, make_verdict

from ftforensics.domain.evidence import EvidenceItem
from ftforensics.domain.link import Finding, Verdict
from ftforensics.errors import StoreError
from ftforensics.flows.scan import exhibit_id
from ftforensics.media.intake import IntakeResult
from ftforensics.media.walk import EvidencePath
from ftforensics.store import case_rows
from ftforensics.store.cases import Case

FAKE = "b836791ccff556eac5c64b902992dbae02014b6f39142fa1d745fd628b096086"
DECOY = "841f8d209e7c3c865a2430a3d22b4a5bb0d7851e08725741af661dc0b6a6132c"
SHARED = "X-001fbd3d3a70"


def old_id(finding: Finding) -> str:
    named = f"{finding.evidence.path_b64}\0{finding.evidence.sha256}".encode()
    return f"X-{hashlib.sha256(named).hexdigest()[:12]}"


def make_pair(case: Case) -> tuple[Finding, Finding]:
    """Two exhibits, the second a decoy for the first, both under one id as an old case may hold them."""
    pair = []
    for number, (name, sha256, verdict) in enumerate(
        [("A-01847012.jpg", FAKE, Verdict.NO_TAG_READ), ("B-21279968.jpg", DECOY, Verdict.UNREADABLE)]
    ):
        made = make_verdict(case, number)
        path_b64 = base64.b64encode(name.encode()).decode("ascii")
        item = replace(made.evidence, path=name, path_b64=path_b64, sha256=sha256)
        pair.append(replace(made, exhibit_id=SHARED, evidence=item, verdict=verdict))
        assert old_id(pair[-1]) == SHARED
    return pair[0], pair[1]


@pytest.fixture
def old_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A case as the older program wrote it, which did not look whether an id was taken."""
    with make_stored_case(tmp_path, count=0) as case, monkeypatch.context() as older:
        older.setattr(case_rows, "ID_OF_ANOTHER", "SELECT 1 WHERE ? = 0 AND ? = 0 AND ? = 0")
        case.append_findings(make_pair(case), actor="Ada", at=AT)
        case.export(actor="Ada", at=AT)
        return case.folder


def test_an_old_case_shows_both_exhibits_everywhere(old_case: Path) -> None:
    paths = ["A-01847012.jpg", "B-21279968.jpg"]
    with Case.open(old_case) as case:
        assert [finding.evidence.path for finding in case.findings()] == paths
        assert [finding.evidence.path for finding in case.view().findings] == paths
        assert sorted(one.verdict for one in case.done().values()) == ["NO_TAG_READ", "UNREADABLE"]
    assert (old_case / "scan.jsonl").read_bytes().count(b"\n") == 2


def test_the_check_of_a_case_names_an_id_that_two_exhibits_share(old_case: Path) -> None:
    with Case.open(old_case) as case:
        (told,) = [note for note in case.verify().notes if "exhibit id" in note]
    assert f"'{SHARED}' names 2 different exhibits" in told


def test_a_second_exhibit_under_a_taken_id_is_refused(tmp_path: Path) -> None:
    with make_stored_case(tmp_path, count=0) as case:
        fake, decoy = make_pair(case)
        case.append_finding(fake, actor="Ada", at=AT)
        before = case.head()
        with pytest.raises(StoreError, match=f"{SHARED}' names another exhibit of the case already"):
            case.append_finding(decoy, actor="Ada", at=LATER)
        both = [replace(decoy, exhibit_id="X-1"), replace(fake, exhibit_id="X-1")]
        with pytest.raises(StoreError, match="names another exhibit"):
            case.append_findings(both, actor="Ada", at=AT)
        assert case.head() == before
        case.append_finding(fake, actor="Ada", at=LATER)


def test_a_new_id_is_too_long_to_be_met_twice() -> None:
    item = EvidenceItem(
        path="a.jpg",
        path_b64="YS5qcGc=",
        size_bytes=1,
        mtime=AT,
        sha256=FAKE,
        media_type="image/jpeg",
        ext_mismatch=False,
    )
    named = exhibit_id(IntakeResult(source=EvidencePath(root=b"/", raw=b"a.jpg"), item=item))
    assert named == "X-" + hashlib.sha256(f"YS5qcGc=\0{FAKE}".encode()).hexdigest()[:40]
