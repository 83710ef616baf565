"""Verifying and importing bundles of other registries. In: a bundle file from anywhere. Out: what it holds, or rows.

Verifying comes first and goes through the whole file; only then is anything written, all in one transaction. Imported
records keep the index and time that their own log gave them. Source: RFC 6962 section 2.1; ``trust.ledger``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ftforensics.domain.record import RecordCore, RegisteredRecord
from ftforensics.errors import AlreadyExists, ChainBroken, SignatureInvalid, StoreError
from ftforensics.store.bundle_lines import (
    BundleHeader,
    BundleLog,
    BundleRecord,
    open_bundle,
    parse_header,
    parse_record,
    read_lines,
)
from ftforensics.store.registry_log import StoredFrontier, keep_checkpoint, load_checkpoints, load_log, pack_hashes
from ftforensics.store.registry_rows import OWN_LOG, insert_row, kept_records, to_column, verify_parts
from ftforensics.store.sqlite import Database
from ftforensics.trust.envelope import envelope_to_json
from ftforensics.trust.keys import fingerprint
from ftforensics.trust.ledger import Checkpoint, leaf_hash, verify_checkpoint, verify_growth, verify_inclusion
from ftforensics.trust.record import log_entry, record_sha256
from ftforensics.trust.utc import parse_utc

Progress = Callable[[int, int], None]
_CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle:
    """What a bundle holds, every signature and proof in it verified. ``sha256`` is the file's.

    ``entries`` counts a record once for each log that has it; a line that is there twice counts once.
    """

    checkpoints: tuple[Checkpoint, ...]
    log_key_ids: tuple[str, ...]
    records: int
    entries: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did, and what is to be known about it.

    ``added`` and ``already_present`` count records, each once: those that the registry did not have before, and those
    that it had. ``further_entries`` counts what was added besides the first entry of each record: the same record as
    another log has it.
    """

    added: int
    already_present: int
    further_entries: int
    bundle: VerifiedBundle
    notes: tuple[str, ...]


def verify_bundle(
    path: Path, *, check_tag_ids: bool = True, jobs: int = 1, on_progress: Progress | None = None
) -> VerifiedBundle:
    """Verifies a bundle by itself, offline.

    Steps: 1. form of every line; 2. every checkpoint's signature under the log key that came with it; 3. every record's
    and binding's signature under the issuer key that came with it, blobs, tag id; 4. every inclusion proof; 5. no log
    is shown in two states that exclude each other; 6. as many records as announced.

    Args:
        path: The bundle.
        check_tag_ids: Whether tag ids are derived from the records, about 0.1 s each.
        jobs: Threads for that; each takes 32 MiB.
        on_progress: Called with records verified and records announced.

    Raises:
        NotFound: No such file.
        StoreError: Not a bundle, malformed or cut off.
        SignatureInvalid: A signature, blob or tag id does not fit; the line is named.
        ChainBroken: A record is not in its log, the line is named; or a log has signed two histories.

    Does not establish whose keys they are: that takes the trust list. Nor that the log showed everybody the same.
    """
    digest = hashlib.sha256()
    with open_bundle(path) as file, ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        lines = read_lines(file, path, digest.update)
        header = _read_header(lines, path)
        checkpoints = tuple(_verify_log(log) for log in header.logs)
        log_key_ids = tuple(fingerprint(log.public_key) for log in header.logs)
        logs = _Logs(checkpoints, log_key_ids, path)
        seen = 0
        entries = (parse_record(line, number) for number, line in enumerate(lines, start=2))
        while chunk := list(islice(entries, _CHUNK)):
            verified = pool.map(lambda entry: _verify_entry(entry, header, checkpoints, check_tag_ids), chunk)
            for entry, _ in zip(chunk, _naming_lines(verified, seen + 2), strict=True):
                logs.note(entry)
                seen += 1
            if on_progress is not None:
                on_progress(seen, header.records)
    if seen != header.records:
        raise StoreError(
            f"The bundle announces {header.records} entries and holds {seen}", subject=str(path), remedy="get it again"
        )
    return VerifiedBundle(
        checkpoints=checkpoints,
        log_key_ids=log_key_ids,
        records=len(logs.records),
        entries=sum(len(places) for places in logs.places.values()),
        sha256=digest.hexdigest(),
    )


def import_bundle(
    database: Database,
    path: Path,
    *,
    check_tag_ids: bool = True,
    jobs: int = 1,
    on_progress: Progress | None = None,
) -> ImportReport:
    """Verifies a bundle and adds its records to a registry, each in the read-only log it came from: all, or none.

    A record that is there under another log is added under this one too, for each log has its own word about the time.
    Whose word counts is decided where it is used, by the trust list, never by what came first.

    Arguments as for ``verify_bundle``.

    Raises:
        AlreadyExists: A tag id is taken by another record.
        ChainBroken: The bundle contradicts what the registry already holds of the same log: history was rewritten.
        StoreError: The file changed while it was read; and as ``verify_bundle``.
        WriteFailed: Disk full or read-only; nothing was added.
    """
    bundle = verify_bundle(path, check_tag_ids=check_tag_ids, jobs=jobs, on_progress=on_progress)
    digest = hashlib.sha256()
    with open_bundle(path) as file, database.transaction():
        lines = read_lines(file, path, digest.update)
        header = _read_header(lines, path)
        keeper = _Keeper(database, header, bundle.checkpoints)
        for number, line in enumerate(lines, start=2):
            keeper.keep(parse_record(line, number))
        keeper.check_history()
        keeper.tell_shared_names()
        if digest.hexdigest() != bundle.sha256:
            raise StoreError("The bundle changed while it was read", subject=str(path), remedy="try again")
    return ImportReport(
        added=keeper.added,
        already_present=keeper.already_present,
        further_entries=keeper.further_entries,
        bundle=bundle,
        notes=(*keeper.notes, *keeper.time_notes()),
    )


def _read_header(lines: Iterator[bytes], path: Path) -> BundleHeader:
    first = next(lines, None)
    if first is None:
        raise StoreError("This is not a record bundle: it is empty", subject=str(path))
    return parse_header(first)


def _verify_log(log: BundleLog) -> Checkpoint:
    try:
        return verify_checkpoint(log.checkpoint, log.public_key)
    except SignatureInvalid as exc:
        raise SignatureInvalid(f"A checkpoint of the bundle does not verify: {exc.what}", remedy=exc.remedy) from exc


def _verify_entry(
    entry: BundleRecord, header: BundleHeader, checkpoints: tuple[Checkpoint, ...], check_tag_ids: bool
) -> RecordCore:
    if entry.log >= len(header.logs):
        raise StoreError("It names a log that the bundle does not have")
    core = verify_parts(entry.record, check_tag_id=check_tag_ids)
    checkpoint = checkpoints[entry.log]
    leaf = leaf_hash(log_entry(entry.record))
    index = entry.record.log_index
    verify_inclusion(leaf, index, checkpoint.size, entry.inclusion, bytes.fromhex(checkpoint.root))
    return core


def _naming_lines(verified: Iterator[RecordCore], first_line: int) -> Iterator[RecordCore]:
    """Passes results on, and errors with the number of the line they are about."""
    number = first_line
    try:
        for core in verified:
            yield core
            number += 1
    except SignatureInvalid as exc:
        what = f"Line {number} of the bundle does not verify: {exc.what}"
        raise SignatureInvalid(what, subject=exc.subject, remedy=exc.remedy) from exc
    except ChainBroken as exc:
        what = f"Line {number} of the bundle is not in its log: {exc.what}"
        raise ChainBroken(what, position=exc.position, subject=exc.subject, remedy=exc.remedy) from exc
    except StoreError as exc:
        raise StoreError(f"Line {number} of the bundle is malformed: {exc.what}", remedy=exc.remedy) from exc


class _Logs:
    """What the lines of one bundle say about its logs, and whether that can be true together."""

    def __init__(self, checkpoints: tuple[Checkpoint, ...], key_ids: tuple[str, ...], path: Path) -> None:
        self._path = path
        self._named = [(one.origin, key_id) for one, key_id in zip(checkpoints, key_ids, strict=True)]
        self.places: dict[tuple[str, str], dict[int, bytes]] = {named: {} for named in self._named}
        self.records: set[str] = set()
        roots: dict[tuple[str, str, int], str] = {}
        for named, one in zip(self._named, checkpoints, strict=True):
            if roots.setdefault((*named, one.size), one.root) != one.root:
                raise _two_states(one, path)

    def note(self, entry: BundleRecord) -> None:
        """Notes a verified line; the same line again changes nothing.

        Raises:
            ChainBroken: The log has another entry in this place.
        """
        named, leaf = self._named[entry.log], leaf_hash(log_entry(entry.record))
        index = entry.record.log_index
        if self.places[named].setdefault(index, leaf) != leaf:
            raise ChainBroken(
                f"The log {named[0]!a} has signed two different entries {index}",
                position=index,
                subject=str(self._path),
                remedy="keep the bundle: it proves that history was rewritten",
            )
        self.records.add(record_sha256(entry.record.record.payload))


@dataclass(slots=True)
class _Told:
    """How many records something is to be said about, and one of them."""

    instance: str
    records: int = 0

    @property
    def count(self) -> str:
        return "1 record is" if self.records == 1 else f"{self.records} records are"


class _Keeper:
    """Puts verified records into the database, inside one transaction."""

    def __init__(self, database: Database, header: BundleHeader, checkpoints: tuple[Checkpoint, ...]) -> None:
        self.database = database
        self.header = header
        self.checkpoints = checkpoints
        self.added = 0
        self.already_present = 0
        self.further_entries = 0
        self.notes: list[str] = []
        self._met: set[str] = set()
        self._redated: dict[int, _Told] = {}
        self._impossible: dict[int, _Told] = {}
        self._own = load_log(database, OWN_LOG)
        self._log_ids = [self._find_log(at) for at in range(len(header.logs))]
        self._checkpoint_ids = [self._keep_checkpoint(at) for at in range(len(header.logs))]

    def keep(self, entry: BundleRecord) -> None:
        """Adds an entry, unless the same one is there."""
        row, log_id = entry.record, self._log_ids[entry.log]
        leaf = leaf_hash(log_entry(row))
        is_first = self._is_first_of_its_record(row)
        same_place = self.database.row(
            "SELECT leaf_hash FROM entries WHERE log_id = ? AND log_index = ?", (log_id, row.log_index)
        )
        if same_place is not None or log_id == OWN_LOG:
            if same_place != (leaf,):
                origin = self.checkpoints[entry.log].origin
                raise ChainBroken(
                    f"The bundle has another entry {row.log_index} of the log {origin!a} than this registry:"
                    " history was rewritten, or one of the two was set back",
                    position=row.log_index,
                    subject=str(self.database.path),
                    remedy="ask the log's owner for both signed checkpoints",
                )
            self.already_present += is_first
        else:
            had = self._insert(entry, log_id, leaf)
            self.added += not had
            self.further_entries += had
            self.already_present += had and is_first

    def _is_first_of_its_record(self, row: RegisteredRecord) -> bool:
        """Whether no line of the bundle was about this record yet: if it is here, it was before the import."""
        name = record_sha256(row.record.payload)
        is_first = name not in self._met
        self._met.add(name)
        return is_first

    def check_history(self) -> None:
        """Compares the bundle's checkpoints with those that the registry already held of the same logs."""
        for at, checkpoint in enumerate(self.checkpoints):
            log_id = self._log_ids[at]
            if log_id == OWN_LOG:
                continue
            known = [stored.checkpoint for stored in load_checkpoints(self.database, load_log(self.database, log_id))]
            whole = self._check_whole_log(log_id, {one.size: one.root for one in known})
            for old in known:
                if not whole or old.size == checkpoint.size:
                    self._compare(old, checkpoint, self.header.logs[at])

    def _check_whole_log(self, log_id: int, roots: dict[int, str]) -> bool:
        """Where every entry of a log is here, compares its tree with all checkpoints; else False."""
        count = self.database.row("SELECT count(*) FROM entries WHERE log_id = ?", (log_id,))
        if count != (max(roots),):
            return False
        edge = StoredFrontier()
        leaves = self.database.rows("SELECT leaf_hash FROM entries WHERE log_id = ? ORDER BY log_index", (log_id,))
        for (leaf,) in leaves:
            edge.append(leaf)
            if edge.size in roots and roots[edge.size] != edge.root().hex():
                raise ChainBroken(
                    f"The log's state at {edge.size} entries is not the beginning of what the bundle shows",
                    position=edge.size - 1,
                    subject=str(self.database.path),
                    remedy="keep both bundles: they prove that history was rewritten",
                )
        return True

    def _find_log(self, at: int) -> int:
        origin, public_key = self.checkpoints[at].origin, self.header.logs[at].public_key
        key_id = fingerprint(public_key)
        if (origin, key_id) == (self._own.origin, self._own.key_id):
            return OWN_LOG
        known = self.database.row("SELECT log_id FROM logs WHERE origin = ? AND key_id = ?", (origin, key_id))
        if known is not None:
            return int(known[0])
        return self.database.insert(
            "INSERT INTO logs (origin, key_id, public_key) VALUES (?, ?, ?)", (origin, key_id, public_key)
        )

    def tell_shared_names(self) -> None:
        """Notes where logs of the bundle share their name with others: anybody may call his log what he likes."""
        for origin in dict.fromkeys(one.origin for one in self.checkpoints):
            rows = self.database.all_rows("SELECT key_id FROM logs WHERE origin = ? ORDER BY key_id", (origin,))
            if len(rows) > 1:
                keys = ", ".join(str(row[0]) for row in rows)
                self.notes.append(
                    f"{len(rows)} different logs call themselves {origin!a}: they are told apart by their keys ({keys})"
                    ", and a name alone says nothing about whose log it is; compare the keys with the log's owner."
                )

    def time_notes(self) -> Iterator[str]:
        """Sentences about log times that contradict each other, or the records themselves."""
        for log_id, told in self._redated.items():
            yield (
                f"{told.count} here already under other logs with another time than {self._name(log_id)} gives (for"
                f" instance {told.instance}). All entries are kept; the time of a log whose key you pinned goes before"
                " any other."
            )
        for log_id, told in self._impossible.items():
            yield (
                f"{told.count} dated by {self._name(log_id)} before the time at which the record itself says that it"
                f" was made (for instance {told.instance}), which is impossible: these log times are not used."
            )

    def _name(self, log_id: int) -> str:
        log = load_log(self.database, log_id)
        return f"the log {log.origin!a} (key {log.key_id})"

    def _insert(self, entry: BundleRecord, log_id: int, leaf: bytes) -> bool:
        """Adds an entry; says whether its record was here under another log."""
        row = entry.record
        core = verify_parts(row, check_tag_id=False)
        kept = kept_records(self.database, row.tag_id, row.carrier_key_id)
        if kept - {row.record.payload}:
            raise AlreadyExists(
                f"The tag id {row.tag_id} is taken by another record for this carrier key",
                subject=str(self.database.path),
                remedy="one of the two is forged: check both registries with 'ftf registry verify --deep'",
            )
        self._compare_times(row, core, log_id)
        entry_id = insert_row(self.database, log_id, row, core, leaf)
        self.database.insert(
            "INSERT INTO proofs (entry_id, checkpoint_id, path) VALUES (?, ?, ?)",
            (entry_id, self._checkpoint_ids[entry.log], pack_hashes(entry.inclusion)),
        )
        return bool(kept)

    def _compare_times(self, row: RegisteredRecord, core: RecordCore, log_id: int) -> None:
        logged = parse_utc(row.logged_at)
        if logged < parse_utc(core.created):
            instance = f"{row.tag_id}: logged {row.logged_at}, made {core.created}"
            self._impossible.setdefault(log_id, _Told(instance)).records += 1
        others = self.database.all_rows(
            "SELECT e.log_id, e.logged_at FROM entries AS e JOIN carriers AS c USING (carrier_id)"
            " WHERE e.tag_id = ? AND c.key_id = ? ORDER BY e.entry_id",
            (to_column(row.tag_id), row.carrier_key_id),
        )
        for other_id, known in others:
            if parse_utc(known) != logged:
                instance = f"{row.tag_id}: {known} in {self._name(other_id)}, {row.logged_at} now"
                self._redated.setdefault(log_id, _Told(instance)).records += 1
                break

    def _keep_checkpoint(self, at: int) -> int:
        checkpoint, log_id = self.checkpoints[at], self._log_ids[at]
        same_size = self.database.row(
            "SELECT checkpoint_id FROM checkpoints WHERE log_id = ? AND tree_size = ?", (log_id, checkpoint.size)
        )
        if log_id == OWN_LOG or same_size is not None:
            return int(same_size[0]) if same_size is not None else 0
        envelope = envelope_to_json(self.header.logs[at].checkpoint)
        return keep_checkpoint(self.database, log_id, checkpoint, envelope, b"")

    def _compare(self, old: Checkpoint, new: Checkpoint, log: BundleLog) -> None:
        if old.size == new.size:
            if old.root != new.root:
                raise _two_states(new, None)
        elif old.size < new.size and old.size in log.consistency:
            verify_growth(old, new, log.consistency[old.size])
        else:
            self.notes.append(
                f"Not shown that the log {new.origin!a} at {max(old.size, new.size)} entries continues its state at"
                f" {min(old.size, new.size)}: ask for a bundle with that proof."
            )


def _two_states(checkpoint: Checkpoint, path: Path | None) -> ChainBroken:
    return ChainBroken(
        f"The log {checkpoint.origin!a} has signed two different states of {checkpoint.size} entries",
        position=checkpoint.size,
        subject=None if path is None else str(path),
        remedy="keep both bundles: they prove that the log shows different people different histories",
    )
