"""The custody chain of a case. In: what happened, or events and a head. Out: chained events, or where the chain breaks.

Each event carries the hash of the one before it, so nothing in the middle can be changed or removed unnoticed. A chain
alone cannot tell that its end was cut off: that needs a head, kept or signed outside it. Sequence numbers start at 0.
Source: hash chaining as in RFC 5848 and Schneier and Kelsey 1999; RFC 8785 for the hashed form.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ftforensics.domain.case import GENESIS_HASH, HEAD_PAYLOAD_TYPE, CaseEvent, CaseHead
from ftforensics.domain.record import SignedEnvelope
from ftforensics.errors import ChainBroken, SignatureInvalid, TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.envelope import sign_envelope, verify_envelope
from ftforensics.trust.fields import SHA256_HEX, Fields
from ftforensics.trust.keys import Signer
from ftforensics.trust.utc import parse_utc

MAX_EVENTS = 2**53 - 1
_KIND = re.compile(r"[a-z][a-z_]{0,63}")
_EVENT_NAMES = frozenset(field.name for field in dataclasses.fields(CaseEvent))
_HEAD_NAMES = frozenset(field.name for field in dataclasses.fields(CaseHead))
_RESTORE = "restore the case from a copy made before it was changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedChain:
    """What walking a chain gave.

    ``head_hash`` is GENESIS_HASH for no events. ``beyond_head`` counts the events after the expected head: they hang
    together with it, but no head vouches that none was removed after them. It is None where no head was expected, and
    then a cut-off end is not excluded.
    """

    count: int
    head_hash: str
    beyond_head: int | None


def append_event(previous: CaseEvent | None, kind: str, body: dict[str, Any], actor: str, at: str) -> CaseEvent:
    """Build the next event of a chain.

    Args:
        previous: The last event so far; None for the first.
        kind: Lower-case letters and underscores, at most 64.
        body: Plain JSON.
        actor: Who did it.
        at: When, UTC.

    Returns:
        The event with its number, the hash of the one before and its own.

    Raises:
        TrustError: A field is malformed, or the body cannot be written as canonical JSON.
    """
    fields = {
        "actor": actor,
        "at": at,
        "body": body,
        "kind": kind,
        "previous_hash": GENESIS_HASH if previous is None else previous.hash,
        "seq": 0 if previous is None else previous.seq + 1,
    }
    return _read_event({**fields, "hash": hashlib.sha256(canonical_json(fields)).hexdigest()})


def event_hash(event: CaseEvent) -> str:
    """Hex SHA-256 over the canonical JSON of every field but ``hash``.

    Raises:
        TrustError: The body cannot be written as canonical JSON.
    """
    return hashlib.sha256(
        canonical_json(
            {
                "actor": event.actor,
                "at": event.at,
                "body": event.body,
                "kind": event.kind,
                "previous_hash": event.previous_hash,
                "seq": event.seq,
            }
        )
    ).hexdigest()


def event_to_json(event: CaseEvent) -> bytes:
    """Write an event as one line of canonical JSON, without the line end."""
    return canonical_json(dataclasses.asdict(event))


def parse_event(data: bytes) -> CaseEvent:
    """Read an event from its canonical JSON. Nothing is verified.

    Raises:
        TrustError: Not canonical, or a field is missing, unknown or malformed.
    """
    return _read_event(parse_canonical(data, subject="event"))


def verify_chain(events: Iterable[CaseEvent], expected_head: CaseHead | None = None) -> CheckedChain:
    """Walk a chain from its first event.

    Args:
        events: In order; read once, so they may come from a cursor.
        expected_head: A head kept outside the chain. The chain may have grown since.

    Returns:
        How many events there are and how the last one hangs together with the head.

    Raises:
        ChainBroken: At ``position`` the first event that does not fit: changed, moved, missing, or cut off before the
            expected head.

    Does not establish who wrote the events, that they are true, nor, without a head, that none is missing at the end.
    """
    count, last_hash = 0, GENESIS_HASH
    for event in events:
        _check_event(event, count, last_hash)
        if count == 0 and expected_head is not None:
            _check_case_id(event, expected_head)
        count, last_hash = count + 1, event.hash
        if expected_head is not None and count == expected_head.count and last_hash != expected_head.head_hash:
            raise ChainBroken(
                f"event {count - 1} is not the one that the expected head names", position=count - 1, remedy=_RESTORE
            )
    if expected_head is None:
        return CheckedChain(count=count, head_hash=last_hash, beyond_head=None)
    if expected_head.count == 0 and expected_head.head_hash != GENESIS_HASH:
        raise ChainBroken("expected head of an empty chain names an event", position=0)
    if count < expected_head.count:
        raise ChainBroken(
            f"chain ends after {count} events, but the expected head counts {expected_head.count}",
            position=count,
            remedy=_RESTORE,
        )
    return CheckedChain(count=count, head_hash=last_hash, beyond_head=count - expected_head.count)


def sign_head(head: CaseHead, signer: Signer) -> SignedEnvelope:
    """Sign the end of a chain.

    Raises:
        TrustError: A field is malformed, or the signer failed.
    """
    payload = canonical_json(dataclasses.asdict(head))
    parse_head(payload)
    return sign_envelope(HEAD_PAYLOAD_TYPE, payload, signer)


def parse_head(payload: bytes) -> CaseHead:
    """Read a head from its payload bytes. Nothing is verified.

    Raises:
        TrustError: Not canonical, or a field is missing, unknown or malformed.
    """
    fields = Fields(parse_canonical(payload, subject="case head"), _HEAD_NAMES, subject="case head")
    return CaseHead(
        case_id=fields.text("case_id", max_chars=200),
        count=fields.integer("count", 0, MAX_EVENTS),
        head_hash=fields.match("head_hash", SHA256_HEX),
        at=fields.utc("at"),
    )


def verify_head(envelope: SignedEnvelope, public_key: bytes) -> CaseHead:
    """Check a signed head.

    Raises:
        SignatureInvalid: The signature does not fit, or the payload is malformed.

    Does not establish that the head is the newest one: an older case with its older head verifies too.
    """
    payload = verify_envelope(envelope, public_key, HEAD_PAYLOAD_TYPE)
    try:
        return parse_head(payload)
    except TrustError as exc:
        raise SignatureInvalid(exc.what, subject=exc.subject, remedy=exc.remedy) from exc


def _read_event(value: Any) -> CaseEvent:
    fields = Fields(value, _EVENT_NAMES, subject="event")
    return CaseEvent(
        seq=fields.integer("seq", 0, MAX_EVENTS),
        previous_hash=fields.match("previous_hash", SHA256_HEX),
        kind=fields.match("kind", _KIND),
        body=fields.object("body"),
        actor=fields.text("actor", max_chars=200),
        at=fields.utc("at"),
        hash=fields.match("hash", SHA256_HEX),
    )


def _check_event(event: CaseEvent, position: int, previous_hash: str) -> None:
    if event.seq != position:
        raise ChainBroken(
            f"event {position} is missing or moved, found {event.seq}", position=position, remedy=_RESTORE
        )
    if event.previous_hash != previous_hash:
        raise ChainBroken(f"event {position} does not follow the one before it", position=position, remedy=_RESTORE)
    try:
        fits = event_hash(event) == event.hash
        parse_utc(event.at, subject=f"event {position}")
    except TrustError as exc:
        raise ChainBroken(f"event {position} is malformed", position=position, remedy=_RESTORE) from exc
    if not fits:
        raise ChainBroken(f"event {position} was changed after it was written", position=position, remedy=_RESTORE)


def _check_case_id(first: CaseEvent, expected_head: CaseHead) -> None:
    case_id = first.body.get("case_id")
    if case_id is not None and case_id != expected_head.case_id:
        raise ChainBroken(
            f"chain is of the case {str(case_id)[:80]!a}, but the head is of {expected_head.case_id[:80]!a}", position=0
        )
