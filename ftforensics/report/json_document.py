"""A case as one canonical JSON document (RFC 8785), for programs: everything a report shows but its pictures.

Pictures are named by hash and size. Floats are held to six significant digits, as in ``scan.jsonl``, so
that the same case gives the same bytes on every machine. Unlike in the HTML and CSV forms, texts stand as they were
found; only lone surrogates, which JSON cannot carry, become backslash escapes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from ftforensics.domain.case import AlteredExhibit, CaseView
from ftforensics.domain.link import Finding
from ftforensics.domain.tag import DecodedTag, MatchedTag, TagAbsence
from ftforensics.errors import ReportError, TrustError
from ftforensics.report.custody import altered_exhibit, altered_exhibits, build_integrity
from ftforensics.report.wording import finding_sentence, verdict_text
from ftforensics.trust.canonical import canonical_json

REPORT_SCHEMA = "ftforensics.report.v1"
_TAG_KINDS: dict[type, str] = {MatchedTag: "matched", DecodedTag: "decoded", TagAbsence: "absent"}


def render_json(view: CaseView, *, generated_at: str, tool_version: str) -> bytes:
    """Render everything in a case but its pictures.

    Args:
        view: A case as the store read and verified it.
        generated_at: UTC ISO 8601 time of the export.
        tool_version: Version of this program.

    Returns:
        RFC 8785 bytes; the same arguments give the same bytes.

    Raises:
        ReportError: A value is not JSON: a number that is infinite or beyond 53 bits, or an object of another kind.
    """
    integrity, altered = build_integrity(view), altered_exhibits(view)
    document = {
        "schema": REPORT_SCHEMA,
        "generated_at": generated_at,
        "tool_version": tool_version,
        "case": {
            "case_id": view.case_id,
            "name": view.name,
            "title": view.title,
            "examiner": view.examiner,
            "created_at": view.created_at,
        },
        "integrity": {
            "state": integrity.state,
            "headline": integrity.headline,
            "notes": integrity.notes,
            "head": view.head,
            "head_key_id": view.head_key_id,
            "head_verified": view.head_verified,
            "altered_exhibits": tuple(altered.values()),
        },
        "findings": [_finding(finding, altered_exhibit(altered, finding)) for finding in view.findings],
        "pictures": _pictures(view),
        "runs": view.runs,
        "events": view.events,
    }
    try:
        return canonical_json(_plain(document))
    except (TrustError, RecursionError) as exc:
        raise ReportError(f"the case cannot be written as JSON ({exc})", subject=view.name) from exc


def _finding(finding: Finding, altered: AlteredExhibit | None) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(finding)
    plain["evidence_changed"] = altered is not None
    plain["sha256_after"] = altered.sha256_after if altered else None
    plain["verdict_label"] = verdict_text(finding.verdict).label
    plain["sentence"] = finding_sentence(finding)
    if finding.tag is not None:
        plain["tag"]["kind"] = _TAG_KINDS[type(finding.tag)]
    for further, shown in zip(finding.further_tags, plain["further_tags"], strict=True):
        shown["verdict_label"] = verdict_text(further.verdict).label
        shown["tag"]["kind"] = _TAG_KINDS[type(further.tag)]
    return plain


def _pictures(view: CaseView) -> dict[str, Any]:
    named = {artifact.sha256 for finding in view.findings for artifact in finding.artifacts}
    return {
        sha256: {
            "held": sha256 in view.artifacts,
            "size_bytes": len(view.artifacts.get(sha256, b"")),
            "hash_holds": hashlib.sha256(view.artifacts.get(sha256, b"")).hexdigest() == sha256,
        }
        for sha256 in named
    }


def _plain(value: Any) -> Any:
    """Turn dataclasses, tuples and enumerations into plain JSON; anything unknown is left for the encoder to refuse."""
    if isinstance(value, str):
        return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        rounded = float(f"{value:.6g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 1e6 else rounded
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
