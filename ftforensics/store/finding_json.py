"""Findings as JSON: the lines of ``scan.jsonl`` and the bodies of finding events.

In: a ``Finding``. Out: a dict with the fields in their fixed order, and back. Floats are rounded to six significant
decimal digits, so that two runs over the same evidence give the same bytes; a whole number is written without a
fraction, so that a trip through canonical JSON changes nothing.

The line format says some things twice (``reading`` and ``match`` repeat parts of ``tag``); reading a line back insists
that both copies agree.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from ftforensics.domain.evidence import EvidenceItem
from ftforensics.domain.link import Finding, FurtherTag, ReadingInfo
from ftforensics.domain.tag import DecodedTag, MatchedTag, TagAbsence, TagOutcome
from ftforensics.errors import StoreError
from ftforensics.store.plain_json import (
    fields_of,
    hints_of,
    order_fields,
    parse_plain,
    render_json_line,
    sort_keys,
    to_plain_json,
)

FINDING_SCHEMA = "ftforensics.finding.v1"

_OPTIONAL_HASHES = ("md5", "sha1")
_DECODE_ORDER = ("codec", "width_px", "height_px", "orientation", "icc")
_READING_ORDER = (
    "model",
    "weights_sha256",
    "engine_sha256",
    "backend",
    "precision",
    "geometry",
    "presence",
    "symbols_corrected",
    "erasures",
    "tag_id",
)
_SIGNATURE_ORDER = ("status", "issuer", "key_id", "record_sha256", "log_index", "time")
_REGISTRATION_ORDER = ("inliers", "inlier_ratio", "homography", "changed_fraction")
_MATCH_ORDER = ("e_value", "e_case", "z", "runner_up_z", "runner_up_e_case")
_TAG_KINDS: dict[str, type[TagOutcome]] = {"matched": MatchedTag, "decoded": DecodedTag, "absent": TagAbsence}
_EVIDENCE_NAMES = tuple(field.name for field in fields(EvidenceItem))
_READING_NAMES = tuple(field.name for field in fields(ReadingInfo))


def render_finding(finding: Finding) -> dict[str, Any]:
    """Builds the JSON object of one finding, its fields in the order of ``scan.jsonl``.

    Returns:
        Plain JSON values only; ``parse_finding`` gives back a finding that renders to the same object. Texts are passed
        on as they are, except that lone surrogates become backslash escapes. ``extra`` entries named ``md5``, ``sha1``
        and ``c2pa`` are moved to the places the line format has for them.

    Raises:
        StoreError: A number is infinite, not a number or beyond 53 bits, or ``extra`` holds what JSON cannot carry.
    """
    item, extra = finding.evidence, dict(finding.extra)
    row: dict[str, Any] = {
        "schema": FINDING_SCHEMA,
        "seq": finding.seq,
        "case_id": finding.case_id,
        "exhibit_id": finding.exhibit_id,
        "path": item.path,
        "path_b64": item.path_b64,
        "size_bytes": item.size_bytes,
        "mtime": item.mtime,
        "sha256": item.sha256,
    }
    row |= {name: extra.pop(name) for name in _OPTIONAL_HASHES if isinstance(extra.get(name), str)}
    row |= {
        "media_type": item.media_type,
        "ext_mismatch": item.ext_mismatch,
        "decode": order_fields(item.decode, _DECODE_ORDER),
        "exif": item.exif,
        "reading": _render_reading(finding.reading, finding.tag),
        "match": _render_match(finding.tag),
        "signature": order_fields(finding.signature, _SIGNATURE_ORDER),
        "registration": order_fields(finding.registration, _REGISTRATION_ORDER),
        "c2pa": extra.pop("c2pa", None),
        "verdict": finding.verdict.value,
        "reasons": finding.reasons,
        "limitations": finding.limitations,
        "error": finding.error,
    }
    further = [fields_of(one) | {"tag": _render_tag(one.tag)} for one in finding.further_tags]
    rest = fields_of(item) | fields_of(finding)
    rest |= {"tag": _render_tag(finding.tag), "further_tags": further, "extra": extra}
    row |= {name: value for name, value in rest.items() if name not in row and name != "evidence"}
    plain: dict[str, Any] = to_plain_json(row, where=f"finding {finding.exhibit_id!a}")
    return plain | {name: sort_keys(plain[name]) for name in ("exif", "c2pa", "extra")}


def render_finding_line(finding: Finding) -> bytes:
    """One line of ``scan.jsonl``: ASCII JSON without spaces, ending in a line feed. Raises as ``render_finding`` does.

    Everything outside ASCII is escaped, so that no hostile file name can move the cursor or reverse the text of whoever
    looks at the file in a terminal.
    """
    return render_json_line(render_finding(finding))


def parse_finding(row: Any) -> Finding:
    """Reads a finding back from its JSON object.

    Args:
        row: What ``render_finding`` gave, after any trip through JSON; or anything else.

    Returns:
        The finding; rendering it again gives ``row``, plus fields that ``row`` was written without.

    Raises:
        StoreError: A field is missing, unknown, of the wrong type, or the copies of a value disagree.
    """
    if not isinstance(row, dict) or row.get("schema") != FINDING_SCHEMA:
        schema = ascii(str(row.get("schema"))[:80]) if isinstance(row, dict) else "missing"
        raise StoreError("This is not a finding that this program knows", subject=f"schema {schema}")
    where = f"finding {str(row.get('exhibit_id'))[:80]!a}"
    try:
        finding = _parse_known(row, where)
        again = render_finding(finding)
    except KeyError as exc:
        raise StoreError(f"The finding lacks the field {exc.args[0]!a}", subject=where) from exc
    except RecursionError as exc:
        raise StoreError("The finding is nested too deeply", subject=where) from exc
    if not _agree(row, again):
        raise StoreError("The finding has unknown fields or contradicts itself", subject=where)
    return finding


def _parse_known(row: dict[str, Any], where: str) -> Finding:
    extra = dict(parse_plain(dict[str, Any], row["extra"], where))
    extra |= {name: row[name] for name in (*_OPTIONAL_HASHES, "c2pa") if row.get(name) is not None}
    values = dict(row) | {"tag": _parse_tag(row["tag"], where), "extra": extra}
    values["further_tags"] = _parse_further(row.get("further_tags", []), where)
    values["evidence"] = {name: row[name] for name in _EVIDENCE_NAMES if name in row}
    if isinstance(row["reading"], dict):
        values["reading"] = {name: value for name, value in row["reading"].items() if name in _READING_NAMES}
    hints = hints_of(Finding)
    known = {field.name: values[field.name] for field in fields(Finding) if field.name in values}
    missing = [
        name for name in ("seq", "case_id", "exhibit_id", "verdict", "reasons", "limitations") if name not in known
    ]
    if missing:
        raise KeyError(missing[0])
    parsed = {
        name: value if name in ("tag", "further_tags") else parse_plain(hints[name], value, where)
        for name, value in known.items()
    }
    return Finding(**parsed)


def _parse_further(rows: Any, where: str) -> tuple[FurtherTag, ...]:
    hints = hints_of(FurtherTag)
    further: list[FurtherTag] = []
    for row in parse_plain(tuple[dict[str, Any], ...], rows, where):
        tag = _parse_tag(row["tag"], where)
        if row.keys() - hints.keys() or not isinstance(tag, MatchedTag | DecodedTag):
            raise StoreError("A further tag of the finding has unknown fields or nothing that was read", subject=where)
        named = {name: parse_plain(hints[name], value, where) for name, value in row.items() if name != "tag"}
        missing = [field.name for field in fields(FurtherTag) if field.name not in row and field.default is MISSING]
        if missing:
            raise KeyError(missing[0])
        further.append(FurtherTag(tag=tag, **named))
    return tuple(further)


def _parse_tag(row: Any, where: str) -> TagOutcome | None:
    if row is None:
        return None
    rest = dict(parse_plain(dict[str, Any], row, where))
    kind = _TAG_KINDS.get(str(rest.pop("kind")))
    if kind is None:
        raise StoreError("The finding has a tag of unknown kind", subject=where)
    tag: TagOutcome = parse_plain(kind, rest, where)
    return tag


def _agree(row: Any, again: Any) -> bool:
    """Whether everything that ``row`` says is said by ``again`` too; an object that says nothing does not agree."""
    if isinstance(row, dict) and isinstance(again, dict):
        return bool(row) == bool(again) and all(
            name in again and _agree(value, again[name]) for name, value in row.items()
        )
    if isinstance(row, list) and isinstance(again, list):
        return len(row) == len(again) and all(_agree(one, two) for one, two in zip(row, again, strict=True))
    return bool(row == again) and isinstance(row, bool) == isinstance(again, bool)


def _render_reading(reading: ReadingInfo | None, tag: TagOutcome | None) -> dict[str, Any] | None:
    if reading is None:
        return None
    read = tag if isinstance(tag, MatchedTag | DecodedTag) else None
    from_tag = {
        "engine_sha256": None,
        "geometry": None if read is None else read.geometry,
        "symbols_corrected": None if read is None else read.symbols_corrected,
        "erasures": None if read is None else read.erasures,
        "tag_id": None if read is None else read.tag_id,
    }
    return order_fields(from_tag | fields_of(reading), _READING_ORDER)


def _render_match(tag: TagOutcome | None) -> dict[str, Any] | None:
    return {name: getattr(tag, name) for name in _MATCH_ORDER} if isinstance(tag, MatchedTag) else None


def _render_tag(tag: TagOutcome | None) -> dict[str, Any] | None:
    if tag is None:
        return None
    kinds = {kind: name for name, kind in _TAG_KINDS.items()}
    return {"kind": kinds[type(tag)]} | fields_of(tag)
