"""A full finding, a run and a small case for the tests of the store."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftforensics.domain.case import RunInfo
from ftforensics.domain.evidence import DecodeInfo, EvidenceItem
from ftforensics.domain.link import (
    Artifact,
    Box,
    Finding,
    ReadingInfo,
    Registration,
    SignatureCheck,
    SourceRef,
    Survival,
    Verdict,
)
from ftforensics.domain.tag import Geometry, MatchedTag
from ftforensics.store.cases import Case
from ftforensics.trust.keys import SigningKey

AT = "2026-03-01T12:00:00Z"
LATER = "2026-03-02T12:00:00Z"
EXAMINER = SigningKey.from_seed("ada", "examiner", b"e" * 32)
SECOND = SigningKey.from_seed("grace", "examiner", b"g" * 32)


def make_run(run_id: str = "run-1", **changes: Any) -> RunInfo:
    run = RunInfo(
        run_id=run_id,
        started_at=AT,
        ended_at=None,
        tool_version="0.1.0",
        argv=("ftf", "scan", "evidence"),
        machine={"os": "test"},
        model={"model": "m"},
        examiner="Ada",
        counts={"seen": 2},
        trust_list_sha256="0" * 64,
        registry_checkpoint=None,
        config={"search": "blind", "e_max": 1e-6},
    )
    return replace(run, **changes)


def make_case(cases_folder: Path, findings: int = 3, name: str = "case-1") -> Case:
    """A case with a run, its findings (each with the same picture) and its exports, open for writing."""
    case = Case.create(cases_folder, name, title="Three pictures", examiner="Ada", signer=EXAMINER, at=AT)
    case.start_run(make_run(), at=AT)
    picture = case.save_artifact(b"not really PNG", role="changed", media_type="image/png", width_px=4, height_px=4)
    for number in range(findings):
        case.append_finding(make_finding(number, case_id=case.case_id, artifacts=(picture,)), actor="Ada", at=AT)
    case.finish_run(make_run(ended_at=LATER), at=LATER)
    case.export(actor="Ada", at=LATER)
    return case


def make_finding(number: int = 3, *, case_id: str = "c", **changes: Any) -> Finding:
    """A finding that uses every field."""

    geometry = Geometry(mode="blind", matrix=(1.0, 0.25, 0.0, 0.0, 1.0, 0.123456789), sync_peak=12.5)
    source = SourceRef(
        tag_id="00ff00ff00ff00ff",
        issuer="Press Agency",
        key_id="ed25519:" + "1" * 64,
        record_sha256="2" * 64,
        source_sha256="3" * 64,
        tagged_sha256=None,
        log_index=7,
        logged_at="2026-01-01T00:00:00Z",
        created="2026-01-01T00:00:00Z",
    )
    finding = Finding(
        seq=number,
        case_id=case_id,
        exhibit_id=f"E-{number:04d}",
        evidence=EvidenceItem(
            path=f"a/{number}.jpg",
            path_b64=base64.b64encode(f"a/{number}.jpg".encode()).decode("ascii"),
            size_bytes=10,
            mtime="2026-02-01T00:00:00Z",
            sha256="4" * 64,
            media_type="image/jpeg",
            ext_mismatch=False,
            decode=DecodeInfo(codec="JPEG", mode="RGB", width_px=640, height_px=480),
            exif={"b": "2", "a": "1"},
        ),
        verdict=Verdict.VERIFIED_DERIVATIVE,
        reasons=("r",),
        limitations=("l",),
        reading=ReadingInfo(
            model="m",
            weights_sha256="5" * 64,
            backend="onnxruntime",
            precision="fp32",
            presence=0.987654321,
            sync_peak=12.5,
            search="blind",
        ),
        tag=MatchedTag(
            tag_id="00ff00ff00ff00ff",
            carrier_key_id="carrier:" + "6" * 32,
            z=9.87654321,
            runner_up_z=3.0,
            e_value=1.23456789e-15,
            e_case=1.23456789e-12,
            records=10,
            hypotheses=4,
            bit_agreement=0.99,
            symbols_corrected=0,
            erasures=0,
            geometry=geometry,
        ),
        signature=SignatureCheck(
            status="verified",
            issuer="Press Agency",
            key_id=source.key_id,
            record_sha256=source.record_sha256,
            log_index=7,
            time=None,
        ),
        source=source,
        registration=Registration(
            inliers=40,
            matches=50,
            inlier_ratio=0.8,
            homography=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
            against="preview",
            overlap_fraction=1.0,
            changed_fraction=0.1,
            changed_regions=(Box(left=0.1, top=0.1, right=0.5, bottom=0.5),),
        ),
        survival=Survival(surviving_fraction=0.9, inside=None, outside=0.7),
        artifacts=(Artifact(role="changed", sha256="7" * 64, media_type="image/png", width_px=4, height_px=4),),
        extra={"md5": "8" * 32, "c2pa": {"present": False}, "ring": [1, 2.5]},
    )
    return replace(finding, **changes)
