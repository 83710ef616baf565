"""What the tests of the commands share: results of runs, records put straight into a registry, edited databases."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftforensics.domain.record import RecordCore
from ftforensics.store.registry import Registry
from ftforensics.store.registry_rows import RecordSubmission
from ftforensics.trust.keys import SigningKey
from ftforensics.trust.record import sign_record, tag_id

CARRIER = "carrier:" + "a1" * 16
NOW = "2026-03-01T12:00:00Z"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def facts(self) -> dict[str, Any]:
        (only,) = self.lines()
        return only


Ftf = Callable[..., Result]


def console_script() -> str:
    return str(Path(sys.executable).with_name("ftf"))


def sqlite_do(path: Path, statements: Sequence[str]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def add_record(path: Path, key: SigningKey, number: int = 1, *, issuer: str = "Press Agency", rights: str = "") -> str:
    """Log one record under its real tag id, which is returned."""
    descriptors = b"descriptors %d" % number
    core = RecordCore(
        issuer=issuer,
        key_id=key.key_id,
        nonce=f"{number:032x}",
        source_sha256=hashlib.sha256(b"source %d" % number).hexdigest(),
        phash=f"{number:016x}",
        descriptors_sha256=hashlib.sha256(descriptors).hexdigest(),
        preview_sha256=None,
        width_px=640,
        height_px=480,
        model_id="test-1",
        carrier_key_id=CARRIER,
        created=NOW,
        rights=rights,
    )
    record = sign_record(core, key)
    submission = RecordSubmission(
        tag_id=tag_id(record.payload),
        carrier_key_id=CARRIER,
        record=record,
        binding=None,
        public_key=key.public_key,
        descriptors=descriptors,
        preview=None,
    )
    with Registry.open(path, read_only=False) as registry:
        registry.append([submission], signer=key, at=NOW, check_tag_ids=False)
    return submission.tag_id
