"""Record bundles: records of a log with all that is needed to verify them without it, as JSON Lines.

The first line names the logs with their public keys and signed checkpoints, and, for each, proofs that it continues
earlier ones; every further line is one record with its signed statements, public key, blobs and inclusion proof. Every
line is RFC 8785 canonical JSON. In: bundle values. Out: lines, and back, strictly. Nothing is verified here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ftforensics.domain.record import RegisteredRecord, SignedEnvelope
from ftforensics.errors import NotFound, StoreError, TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.envelope import envelope_to_json, parse_envelope
from ftforensics.trust.fields import CARRIER_KEY_ID, SHA256_HEX, TAG_ID, Fields
from ftforensics.trust.ledger import MAX_LEAVES

BUNDLE_SCHEMA = "ftforensics.bundle.v1"
MAX_LINE_BYTES = 16 << 20
MAX_LOGS = 1000
MAX_PROOFS = 1000
_HEADER = frozenset({"logs", "records", "schema"})
_LOG = frozenset({"checkpoint", "consistency", "public_key"})
_PROOF = frozenset({"proof", "size"})
_RECORD = frozenset(
    {
        "binding",
        "carrier_key_id",
        "descriptors",
        "inclusion",
        "log",
        "log_index",
        "logged_at",
        "preview",
        "public_key",
        "record",
        "tag_id",
    }
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLog:
    """A log's key and signed checkpoint. ``consistency`` maps earlier sizes to proofs that this one continues them."""

    public_key: bytes
    checkpoint: SignedEnvelope
    consistency: dict[int, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRecord:
    """A record and its inclusion proof; ``log`` is the place of its log in the header."""

    log: int
    record: RegisteredRecord
    inclusion: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleHeader:
    """What a bundle announces."""

    logs: tuple[BundleLog, ...]
    records: int


def render_header(header: BundleHeader) -> bytes:
    """The bundle's first line."""
    logs = [
        {
            "public_key": log.public_key.hex(),
            "checkpoint": _as_json(log.checkpoint),
            "consistency": [
                {"size": size, "proof": [step.hex() for step in proof]} for size, proof in log.consistency.items()
            ],
        }
        for log in header.logs
    ]
    return canonical_json({"schema": BUNDLE_SCHEMA, "records": header.records, "logs": logs}) + b"\n"


def render_record(entry: BundleRecord) -> bytes:
    """One further line."""
    row = entry.record
    return (
        canonical_json(
            {
                "log": entry.log,
                "log_index": row.log_index,
                "logged_at": row.logged_at,
                "tag_id": row.tag_id,
                "carrier_key_id": row.carrier_key_id,
                "record": _as_json(row.record),
                "binding": None if row.binding is None else _as_json(row.binding),
                "public_key": row.public_key.hex(),
                "descriptors": base64.b64encode(row.descriptors).decode("ascii"),
                "preview": None if row.preview is None else base64.b64encode(row.preview).decode("ascii"),
                "inclusion": [step.hex() for step in entry.inclusion],
            }
        )
        + b"\n"
    )


def parse_header(line: bytes) -> BundleHeader:
    """Reads the first line.

    Raises:
        StoreError: Not the first line of a bundle.
    """
    where = "first line of the bundle"
    try:
        value = parse_canonical(line, subject=where)
        if not isinstance(value, dict) or value.get("schema") != BUNDLE_SCHEMA:
            raise StoreError("This is not a record bundle that this program knows")
        fields = Fields(value, _HEADER, subject=where)
        logs = tuple(_parse_log(one) for one in fields.list_of("logs", max_items=MAX_LOGS))
        return BundleHeader(logs=logs, records=fields.integer("records", 0, MAX_LEAVES))
    except TrustError as exc:
        raise StoreError(f"This is not a record bundle ({exc.what})", remedy=exc.remedy) from exc


def parse_record(line: bytes, number: int) -> BundleRecord:
    """Reads one further line; ``number`` is its line number, from 1, for the error.

    Raises:
        StoreError: The line is malformed.
    """
    where = f"line {number} of the bundle"
    try:
        value = parse_canonical(line, subject=where)
        fields = Fields(value, _RECORD, subject=where)
        row = RegisteredRecord(
            tag_id=fields.match("tag_id", TAG_ID),
            carrier_key_id=fields.match("carrier_key_id", CARRIER_KEY_ID),
            record=_parse_envelope(fields.object("record"), where),
            binding=None if value["binding"] is None else _parse_envelope(fields.object("binding"), where),
            public_key=bytes.fromhex(fields.match("public_key", SHA256_HEX)),
            descriptors=_decode(fields.match("descriptors", _BASE64), where),
            preview=_decode_or_none(fields.match_or_none("preview", _BASE64), where),
            log_index=fields.integer("log_index", 0, MAX_LEAVES),
            logged_at=fields.utc("logged_at"),
        )
        return BundleRecord(
            log=fields.integer("log", 0, MAX_LOGS),
            record=row,
            inclusion=_parse_hashes(fields.list_of("inclusion", max_items=64), where),
        )
    except TrustError as exc:
        raise StoreError(f"Line {number} of the bundle is malformed ({exc.what})", remedy=exc.remedy) from exc


def read_lines(file: BinaryIO, path: Path, on_bytes: Callable[[bytes], None]) -> Iterator[bytes]:
    """Yields the lines without their line feeds; ``on_bytes`` is given every byte of the file, for hashing.

    Raises:
        StoreError: A line is too long, or the last one is cut off.
    """
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        on_bytes(line)
        if not line.endswith(b"\n"):
            fault = "is too long" if len(line) > MAX_LINE_BYTES else "is cut off"
            raise StoreError(f"Line {number} of the bundle {fault}", subject=str(path), remedy="get it again")
        yield line[:-1]


def open_bundle(path: Path) -> BinaryIO:
    """Opens a bundle's file.

    Raises:
        NotFound: No such file.
        StoreError: It cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise StoreError("This is not a record bundle: it is no ordinary file", subject=str(path))
        return path.open("rb")
    except FileNotFoundError as exc:
        raise NotFound("There is no such bundle", subject=str(path)) from exc
    except OSError as exc:
        raise StoreError(f"The bundle cannot be read ({exc.strerror})", subject=str(path)) from exc


def _parse_log(value: Any) -> BundleLog:
    where = "log of the bundle"
    fields = Fields(value, _LOG, subject=where)
    consistency: dict[int, tuple[bytes, ...]] = {}
    for one in fields.list_of("consistency", max_items=MAX_PROOFS):
        proof = Fields(one, _PROOF, subject=where)
        consistency[proof.integer("size", 0, MAX_LEAVES)] = _parse_hashes(proof.list_of("proof", max_items=64), where)
    return BundleLog(
        public_key=bytes.fromhex(fields.match("public_key", SHA256_HEX)),
        checkpoint=_parse_envelope(fields.object("checkpoint"), where),
        consistency=consistency,
    )


def _as_json(envelope: SignedEnvelope) -> Any:
    return json.loads(envelope_to_json(envelope))


def _parse_envelope(value: dict[str, Any], where: str) -> SignedEnvelope:
    return parse_envelope(canonical_json(value), subject=f"signed statement in {where}")


def _parse_hashes(values: list[Any], where: str) -> tuple[bytes, ...]:
    if not all(isinstance(value, str) and SHA256_HEX.fullmatch(value) for value in values):
        raise TrustError(f"{where} has a proof that holds something else than hashes")
    return tuple(bytes.fromhex(value) for value in values)


def _decode_or_none(text: str | None, where: str) -> bytes | None:
    return None if text is None else _decode(text, where)


def _decode(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise TrustError(f"{where} holds malformed base64") from exc
