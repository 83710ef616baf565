"""Whose word a log time is: of several logs that have one record, the one whose time counts.

In: the entries of a record, and the trust list. Out: one entry. Anybody can write a record that was published into a
log of his own, with any time that he likes, so neither the order in which logs came to hand nor the time itself may
decide: only the trust list does. See docs/threat-model.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ftforensics.domain.record import RecordCore, RegisteredRecord
from ftforensics.errors import KeyRevoked, SignatureInvalid
from ftforensics.trust.envelope import envelope_to_json
from ftforensics.trust.record import parse_record_core, verify_row_parts
from ftforensics.trust.trustlist import TrustList
from ftforensics.trust.utc import parse_utc

# Of an entry, from the best-founded to none: its log is signed by a key that is pinned for the record's own issuer; by
# a key that is pinned for somebody else; by a key that nobody pinned; or the log time lies before the time at which the
# issuer says, under his signature, that he made the record, which cannot be.
LogStanding = Literal["issuer", "pinned", "unpinned", "impossible"]
_ORDER: tuple[LogStanding, ...] = ("issuer", "pinned", "unpinned", "impossible")


def log_standing(row: RegisteredRecord, core: RecordCore, trust: TrustList, checked_at: str) -> LogStanding:
    """How well-founded the log time of an entry is; nothing is verified here.

    Args:
        row: The entry; that its log's signed checkpoint covers it is the store's business.
        core: Its record's core.
        trust: The keys that the investigator pinned. A pin counts within its window, and not once it is revoked;
            one for engine plans says nothing about logs.
        checked_at: When the check is made, UTC.

    Raises:
        TrustError: A time is malformed.
    """
    if parse_utc(row.logged_at) < parse_utc(core.created):
        return "impossible"
    pins = [pin for pin in trust.issuer_pins if pin.fingerprint == row.log_key_id and pin.covers(row.logged_at)]
    try:
        trust.check_revocation(row.log_key_id, checked_at=checked_at, trusted_time=None)
    except KeyRevoked:
        return "unpinned"
    if any(pin.issuer == core.issuer for pin in pins):
        return "issuer"
    return "pinned" if pins else "unpinned"


def choose_entry(entries: Sequence[RegisteredRecord], trust: TrustList, checked_at: str) -> RegisteredRecord:
    """Of the entries of one record in several logs, the one to go by.

    The best standing wins. Of several with the same standing it is the latest: a record that is younger than an exhibit
    attributes nothing, so no second log, not even one of the issuer's own, can make a record older than another one of
    equal standing says. Binding and preview are signed by the issuer, whichever log kept them: where the chosen entry
    lacks one, that of the best entry that has it is put in. Entries whose parts do not belong together count only where
    no other is left.

    Args:
        entries: At least one, all of the same record, in any order.
        trust: The keys that the investigator pinned.
        checked_at: When the check is made, UTC.
    """
    distinct = list(dict.fromkeys(entries))
    if len(distinct) == 1:
        return distinct[0]
    whole = [row for row in distinct if _is_whole(row)]
    ranked = sorted(whole, key=lambda row: _rank(row, trust, checked_at))
    if not ranked:
        return min(distinct, key=_name)
    return replace(
        ranked[0],
        binding=next((row.binding for row in ranked if row.binding is not None), None),
        preview=next((row.preview for row in ranked if row.preview is not None), None),
    )


def _is_whole(row: RegisteredRecord) -> bool:
    try:
        verify_row_parts(row)
    except SignatureInvalid:
        return False
    return True


def _rank(row: RegisteredRecord, trust: TrustList, checked_at: str) -> tuple[int, float, tuple[object, ...]]:
    standing = log_standing(row, parse_record_core(row.record.payload), trust, checked_at)
    return _ORDER.index(standing), -parse_utc(row.logged_at).timestamp(), _name(row)


def _name(row: RegisteredRecord) -> tuple[object, ...]:
    """What tells entries apart, so that their order never depends on how they came to hand."""
    binding = b"" if row.binding is None else envelope_to_json(row.binding)
    preview = row.preview or b""
    return (
        *(row.log_key_id, row.log_name, row.log_index, row.logged_at),
        *(row.tag_id, row.public_key, envelope_to_json(row.record), binding, preview, row.descriptors),
    )
