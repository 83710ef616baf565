"""A case as a table, one row per exhibit (RFC 4180: CRLF, UTF-8, double quotes), safe to open in a spreadsheet.

A cell that a spreadsheet would take for a formula gets an apostrophe before it, and what cannot be seen is spelt out,
so texts here are for reading; ``path_b64`` and ``sha256`` identify a file exactly. Source: RFC 4180; OWASP, CSV
Injection.
"""

from __future__ import annotations

import csv
import io
import math

from ftforensics.domain.case import AlteredExhibit, CaseView
from ftforensics.domain.link import Finding
from ftforensics.domain.tag import DecodedTag, MatchedTag, TagAbsence
from ftforensics.report.custody import Integrity, altered_exhibit, altered_exhibits, build_integrity
from ftforensics.report.spreadsheet import guard_cell
from ftforensics.report.wording import ATTRIBUTED, finding_sentence

Cell = str | int | float | bool | None


def render_csv(view: CaseView) -> bytes:
    """Render one row per exhibit, in the order of the findings, under a row of column names.

    Returns:
        RFC 4180 bytes in UTF-8 without a byte order mark. A cell has no line break in it; empty cells mean "does not
        apply".
    """
    out = io.StringIO(newline="")
    integrity, altered = build_integrity(view), altered_exhibits(view)
    rows = [
        _row(view, finding) | _integrity_cells(integrity, altered_exhibit(altered, finding))
        for finding in view.findings
    ]
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_text(row[name]) for name in COLUMNS] for row in rows)
    return out.getvalue().encode("utf-8")


COLUMNS = (
    "case_id",
    "exhibit_id",
    "path",
    "path_b64",
    "sha256",
    "size_bytes",
    "media_type",
    "ext_mismatch",
    "width_px",
    "height_px",
    "acquired_at",
    "verdict",
    "sentence",
    "attributed",
    "issuer",
    "tag_id",
    "key_id",
    "record_sha256",
    "signature_status",
    "log_index",
    "logged_at",
    "log_name",
    "log_key_id",
    "log_standing",
    "other_records",
    "further_tags",
    "search",
    "presence",
    "z",
    "runner_up_z",
    "e_value",
    "e_case",
    "symbols_corrected",
    "erasures",
    "inliers",
    "registered_against",
    "agreement",
    "overlap_fraction",
    "changed_fraction",
    "surviving_fraction",
    "moved_fraction",
    "tag_following",
    "reasons",
    "limitations",
    "error_stage",
    "error_type",
    "error_message",
    "head_hash",
    "integrity",
    "evidence_changed",
    "sha256_after",
)


def _row(view: CaseView, finding: Finding) -> dict[str, Cell]:
    evidence, decode, error = finding.evidence, finding.evidence.decode, finding.error
    return {
        "case_id": finding.case_id,
        "exhibit_id": finding.exhibit_id,
        "path": evidence.path,
        "path_b64": evidence.path_b64,
        "sha256": evidence.sha256,
        "size_bytes": evidence.size_bytes,
        "media_type": evidence.media_type,
        "ext_mismatch": evidence.ext_mismatch,
        "width_px": decode.width_px if decode else None,
        "height_px": decode.height_px if decode else None,
        "acquired_at": evidence.acquired_at,
        "verdict": str(finding.verdict),
        "sentence": finding_sentence(finding),
        "reasons": "; ".join(finding.reasons),
        "limitations": "; ".join(finding.limitations),
        "error_stage": error.stage if error else None,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
        "head_hash": view.head.head_hash,
        **_source_cells(finding),
        **_tag_cells(finding),
        **_link_cells(finding),
    }


def _integrity_cells(integrity: Integrity, altered: AlteredExhibit | None) -> dict[str, Cell]:
    """Whether the case holds, and whether the evidence was still the same at the end of the scan."""
    return {
        "integrity": integrity.state,
        "evidence_changed": altered is not None,
        "sha256_after": altered.sha256_after if altered else None,
    }


def _source_cells(finding: Finding) -> dict[str, Cell]:
    source, signature = finding.source, finding.signature
    return {
        "attributed": source is not None and finding.verdict in ATTRIBUTED,
        "issuer": source.issuer if source else None,
        "tag_id": source.tag_id if source else getattr(finding.tag, "tag_id", None),
        "key_id": source.key_id if source else None,
        "record_sha256": source.record_sha256 if source else None,
        "signature_status": signature.status if signature else None,
        "log_index": source.log_index if source else None,
        "logged_at": source.logged_at if source else None,
        "log_name": source.log_name or None if source else None,
        "log_key_id": source.log_key_id or None if source else None,
        "log_standing": source.log_standing or None if source else None,
        "other_records": len(finding.other_sources),
        "further_tags": "; ".join(f"{one.tag.tag_id} {one.verdict}" for one in finding.further_tags),
    }


def _tag_cells(finding: Finding) -> dict[str, Cell]:
    tag, reading = finding.tag, finding.reading
    matched = tag if isinstance(tag, MatchedTag) else None
    read = tag if isinstance(tag, MatchedTag | DecodedTag) else None
    best_z = tag.best_z if isinstance(tag, TagAbsence) else None
    return {
        "search": read.geometry.mode if read else reading.search if reading else None,
        "presence": reading.presence if reading else None,
        "z": read.z if read else best_z,
        "runner_up_z": read.runner_up_z if read else None,
        "e_value": matched.e_value if matched else None,
        "e_case": matched.e_case if matched else None,
        "symbols_corrected": read.symbols_corrected if read else None,
        "erasures": read.erasures if read else None,
    }


def _link_cells(finding: Finding) -> dict[str, Cell]:
    registration, survival, movement = finding.registration, finding.survival, finding.movement
    return {
        "inliers": registration.inliers if registration else None,
        "registered_against": registration.against if registration else None,
        "agreement": registration.agreement if registration else None,
        "overlap_fraction": registration.overlap_fraction if registration else None,
        "changed_fraction": registration.changed_fraction if registration else None,
        "surviving_fraction": survival.surviving_fraction if survival else None,
        "moved_fraction": movement.moved_fraction if movement else None,
        "tag_following": movement.following if movement else None,
    }


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float):
        return f"{cell:.6g}" if math.isfinite(cell) else ""
    return guard_cell(cell)
