"""A case as plain files: ``scan.jsonl``, ``run.json`` and ``custody.jsonl``.

In: findings, runs and events. Out: bytes. ``scan.jsonl`` holds no clock and no run id, so two runs over the same
evidence write the same bytes; ``custody.jsonl`` holds every event with its body, so the chain can be recomputed from
that file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftforensics.domain.case import CaseEvent, RunInfo
from ftforensics.domain.link import Finding
from ftforensics.store.case_names import CUSTODY_FILE, RUN_FILE, SCAN_FILE
from ftforensics.store.finding_json import render_finding_line
from ftforensics.store.plain_json import fields_of, parse_plain, render_json_line, sort_keys, to_plain_json
from ftforensics.trust.canonical import canonical_json

RUN_SCHEMA = "ftforensics.run.v1"


def build_exports(
    findings: Iterable[Finding], runs: Sequence[RunInfo], events: Iterable[CaseEvent]
) -> dict[str, Iterable[bytes]]:
    """The contents of the files by name, chunk by chunk, to be read in this order.

    ``run.json`` is of the newest run and missing where there was none.
    """
    files: dict[str, Iterable[bytes]] = {
        SCAN_FILE: (render_finding_line(finding) for finding in findings),
        CUSTODY_FILE: (render_json_line(render_custody(event)) for event in events),
    }
    if runs:
        files[RUN_FILE] = [json.dumps(render_run(runs[-1]), ensure_ascii=True, indent=2).encode("ascii") + b"\n"]
    return files


def render_custody(event: CaseEvent) -> dict[str, Any]:
    """One line of ``custody.jsonl``: the chain's fields, what the body says about an exhibit, and the body itself.

    ``hash`` is SHA-256 over the RFC 8785 form of actor, at, body, kind (here ``event``), previous_hash (``prev_hash``)
    and seq.
    """
    body = event.body
    return {
        "seq": event.seq,
        "event": event.kind,
        "exhibit_id": body.get("exhibit_id"),
        "sha256_before": body.get("sha256_before", body.get("sha256")),
        "sha256_after": body.get("sha256_after"),
        "actor": event.actor,
        "host": body.get("host"),
        "authority": body.get("authority"),
        "purpose": body.get("purpose"),
        "at": event.at,
        "prev_hash": event.previous_hash,
        "hash": event.hash,
        "body": body,
    }


def render_run(run: RunInfo) -> dict[str, Any]:
    """The JSON object of a run: ``run.json`` and the body of run events.

    Raises:
        StoreError: ``config`` holds what JSON cannot carry.
    """
    where = f"run {run.run_id!a}"
    config = sort_keys(to_plain_json(run.config, where=where))
    row = {"schema": RUN_SCHEMA} | fields_of(run) | {"config": config}
    row["config_sha256"] = hashlib.sha256(canonical_json(config)).hexdigest()
    plain: dict[str, Any] = to_plain_json(row, where=where)
    return plain | {name: sort_keys(plain[name]) for name in ("machine", "model", "counts")}


def parse_run(row: Mapping[str, Any]) -> RunInfo:
    """Reads a run back from its JSON object.

    Raises:
        StoreError: A field is missing, unknown or of the wrong type.
    """
    rest = {name: value for name, value in row.items() if name not in {"schema", "config_sha256"}}
    run: RunInfo = parse_plain(RunInfo, rest, f"run {str(row.get('run_id'))[:80]!a}")
    return run


def collect_runs(events: Iterable[CaseEvent]) -> tuple[RunInfo, ...]:
    """The runs that events tell of, in the order they began.

    Raises:
        StoreError: A run's body is malformed.
    """
    runs: dict[str, RunInfo] = {}
    for event in events:
        if event.kind in {"run_started", "run_finished"}:
            run = parse_run(event.body)
            runs[run.run_id] = run
    return tuple(runs.values())


def describe_export(path: Path, sha256: str, size_bytes: int, case_folder: Path) -> dict[str, Any]:
    """What an export event says of a file: its path within the case's folder, or only its name outside it."""
    # Of the file itself: a link in its place would be replaced, not followed.
    home, place = case_folder.resolve(), path.parent.resolve() / path.name
    inside = place.is_relative_to(home)
    row = {
        "path": place.relative_to(home).as_posix() if inside else place.name,
        "inside": inside,
        "sha256": sha256,
        "size_bytes": size_bytes,
    }
    plain: dict[str, Any] = to_plain_json(row, where=str(case_folder))
    return plain
