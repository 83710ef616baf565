"""Facts about the machine that only the end of a scan can tell stand in its run."""

from __future__ import annotations

import json
from pathlib import Path

from newsroom import CASE, SCANNED_AT, open_reader

from ftforensics.engine.reading import SearchBudget, TagReader
from ftforensics.flows.examine import Examiner
from ftforensics.flows.scan import IntakeLimits, RunFacts, Scanner
from ftforensics.flows.sources import Sources
from ftforensics.store.cases import Case
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.trustlist import TrustList


def test_what_went_wrong_during_a_scan_stands_in_run_json(tmp_path: Path) -> None:
    signer = SigningKey.from_seed("me", "examiner", b"e" * 32)
    reader = TagReader(open_reader(), [], budget=SearchBudget(mode="direct"))
    facts = RunFacts(
        run_id="0" * 16,
        tool_version="1",
        argv=("ftf",),
        machine={"gpus": "two", "troubles": "GPU 0 is short of memory"},
        model={},
        examiner="me",
        trust_list_sha256="0" * 64,
        registry_checkpoint=None,
        machine_at_end=lambda: {"troubles": "GPU 0 is short of memory; GPU 1 is done without"},
    )
    with Case.create(tmp_path, CASE, title="A case", examiner="me", signer=signer, at=SCANNED_AT) as case:
        Scanner(
            case=case,
            tag_reader=reader,
            examiner=Examiner(
                tag_reader=reader,
                keys=[],
                sources=Sources([], TrustList(), SCANNED_AT),
                trust=TrustList(),
                checked_at=SCANNED_AT,
                localiser=None,
            ),
            facts=facts,
            now=lambda: SCANNED_AT,
            limits=IntakeLimits(jobs=1),
            acquired_at=None,
            tell=lambda finding, resumed: None,
        ).run([])
        case.verify()
        run = json.loads((case.folder / "run.json").read_text(encoding="ascii"))
    assert run["machine"] == {"gpus": "two", "troubles": "GPU 0 is short of memory; GPU 1 is done without"}
