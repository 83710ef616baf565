"""The trust list: which keys speak for which issuers, when, and which were revoked. In: pins. Out: answers.

A list is a value: pinning or revoking gives a new list with the next version number. Its file is canonical JSON, or a
signed envelope of it, replaced whole. Trust starts out of band: nothing in a registry changes this list.
Source: the roles and version numbers of TUF (The Update Framework), reduced to one list.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ftforensics.errors import KeyRevoked, KeyUnknown, SignatureInvalid, TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.envelope import envelope_to_json, parse_envelope, sign_envelope, verify_envelope
from ftforensics.trust.fields import KEY_ID, Fields
from ftforensics.trust.keys import Signer
from ftforensics.trust.private_file import load_bounded, replace_file
from ftforensics.trust.utc import parse_utc

TRUST_LIST_PAYLOAD_TYPE = "application/vnd.ftforensics.trust-list.v1+json"
MAX_ENTRIES = 100_000
# Pins of this name are for keys whose engine plans may run, and vouch for nothing else.
PLAN_SIGNERS = "engine-plans"
ALWAYS = "1970-01-01T00:00:00Z"

RevocationReason = Literal["compromise", "superseded"]

_FORMAT = "ftf-trust-list-v1"
_LIST_NAMES = frozenset({"format", "pins", "revocations", "version"})
_PIN_NAMES = frozenset({"fingerprint", "issuer", "valid_from", "valid_until"})
_REVOCATION_NAMES = frozenset({"at", "fingerprint", "reason"})
_MAX_VERSION = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pin:
    """A key that speaks for an issuer from ``valid_from`` on, up to but not at ``valid_until`` (None: open)."""

    issuer: str
    fingerprint: str
    valid_from: str
    valid_until: str | None = None

    def covers(self, at: str) -> bool:
        """Whether a UTC time lies in the window.

        Raises:
            TrustError: ``at`` is not a UTC time.
        """
        moment = parse_utc(at)
        return parse_utc(self.valid_from) <= moment and (
            self.valid_until is None or moment < parse_utc(self.valid_until)
        )


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Revocation:
    """The end of a key: when it was compromised, as far as known, or when another took its place."""

    fingerprint: str
    reason: RevocationReason
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """Pins and revocations, sorted. ``signed_by`` is the key under which the file's signature was verified, or None."""

    version: int = 0
    pins: tuple[Pin, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    signed_by: str | None = field(default=None, compare=False)

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the list's canonical bytes, whoever signed them."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def issuer_pins(self) -> tuple[Pin, ...]:
        """The pins that vouch for records and logs; those of engine plans' signers vouch for plans alone."""
        return tuple(pin for pin in self.pins if pin.issuer != PLAN_SIGNERS)

    def to_bytes(self) -> bytes:
        """Canonical JSON of version, pins and revocations."""
        return canonical_json(
            {
                "format": _FORMAT,
                "pins": [dataclasses.asdict(pin) for pin in self.pins],
                "revocations": [dataclasses.asdict(revocation) for revocation in self.revocations],
                "version": self.version,
            }
        )

    def pin(self, issuer: str, fingerprint: str, valid_from: str = ALWAYS, valid_until: str | None = None) -> TrustList:
        """Pin a key for an issuer; pinning the same pair again replaces its window.

        Raises:
            TrustError: A malformed name, fingerprint or time, or a window that ends before it starts.
        """
        pin = _parse_pin(
            {"issuer": issuer, "fingerprint": fingerprint, "valid_from": valid_from, "valid_until": valid_until}
        )
        others = [old for old in self.pins if (old.issuer, old.fingerprint) != (issuer, fingerprint)]
        return self._next(pins=[*others, pin], revocations=self.revocations)

    def remove(self, issuer: str, fingerprint: str) -> TrustList:
        """Take a pin away; records under the key are then untrusted, which says less than revoked.

        Raises:
            KeyUnknown: There is no such pin.
        """
        others = [old for old in self.pins if (old.issuer, old.fingerprint) != (issuer, fingerprint)]
        if len(others) == len(self.pins):
            raise KeyUnknown(
                f"no such pin: {issuer[:80]!r}", subject=fingerprint[:80], remedy="see 'ftf trust list' for the pins"
            )
        return self._next(pins=others, revocations=self.revocations)

    def revoke(self, fingerprint: str, reason: RevocationReason, at: str) -> TrustList:
        """Revoke a key, pinned or not.

        A key can be revoked again only to make it stricter: an earlier time, or compromise after supersession.

        Raises:
            TrustError: A malformed fingerprint, reason or time, or a revocation that would soften the one there is.
        """
        new = _parse_revocation({"at": at, "fingerprint": fingerprint, "reason": reason})
        old = self.find_revocation(fingerprint)
        if old is not None:
            softer = old.reason == "compromise" and new.reason == "superseded"
            later = old.reason == new.reason and parse_utc(old.at) < parse_utc(new.at)
            if softer or later:
                raise TrustError(
                    f"key is already revoked ({old.reason} at {old.at}), and a revocation cannot be softened",
                    subject=fingerprint,
                )
        others = [kept for kept in self.revocations if kept.fingerprint != fingerprint]
        return self._next(pins=self.pins, revocations=[*others, new])

    def find_revocation(self, fingerprint: str) -> Revocation | None:
        """The revocation of a key, or None."""
        return next((found for found in self.revocations if found.fingerprint == fingerprint), None)

    def check_revocation(self, fingerprint: str, *, checked_at: str, trusted_time: str | None) -> None:
        """Refuse a revoked key, unless a trusted time shows that the signature is older than the revocation.

        Args:
            fingerprint: The key.
            checked_at: When the check is made; a supersession announced for later is not yet in force.
            trusted_time: When the signature is known to have existed, None where nothing proves it.

        Raises:
            KeyRevoked: The signature could have been made after the key's end.
            TrustError: A time is malformed.
        """
        now = parse_utc(checked_at, subject="checked_at")
        proven = None if trusted_time is None else parse_utc(trusted_time, subject="trusted_time")
        revocation = self.find_revocation(fingerprint)
        if revocation is None:
            return
        end = parse_utc(revocation.at)
        if revocation.reason == "superseded" and now < end:
            return
        if proven is not None and proven < end:
            return
        raise KeyRevoked(_revocation_text(revocation, proven), subject=fingerprint, remedy="ask the issuer for proof")

    def _next(self, *, pins: Iterable[Pin], revocations: Iterable[Revocation]) -> TrustList:
        return TrustList(version=self.version + 1, pins=_sort_pins(pins), revocations=_sort_revocations(revocations))


def parse_trust_list(data: bytes, *, subject: str = "trust list") -> TrustList:
    """Read a trust list from its canonical bytes. Nothing is verified.

    Raises:
        TrustError: Not canonical, malformed fields, entries out of order, or an entry twice.
    """
    fields = Fields(parse_canonical(data, subject=subject), _LIST_NAMES, subject=subject)
    if fields.text("format", max_chars=40) != _FORMAT:
        raise TrustError("trust list has another format than this program knows", subject=subject)
    pins = tuple(_parse_pin(item) for item in fields.list_of("pins", max_items=MAX_ENTRIES))
    revocations = tuple(_parse_revocation(item) for item in fields.list_of("revocations", max_items=MAX_ENTRIES))
    if len({(pin.issuer, pin.fingerprint) for pin in pins}) != len(pins):
        raise TrustError("trust list pins the same key twice for one issuer", subject=subject)
    if len({revocation.fingerprint for revocation in revocations}) != len(revocations):
        raise TrustError("trust list revokes the same key twice", subject=subject)
    found = TrustList(version=fields.integer("version", 0, _MAX_VERSION), pins=pins, revocations=revocations)
    if (pins, revocations) != (_sort_pins(pins), _sort_revocations(revocations)):
        raise TrustError("trust list is not in its sorted order", subject=subject)
    return found


def save_trust_list(path: Path, trust: TrustList, signer: Signer | None = None) -> None:
    """Write a trust list, replacing the file whole.

    Args:
        path: The file.
        trust: The list.
        signer: Whose signature the file carries; None writes it unsigned.

    Raises:
        TrustError: The signer failed.
        WriteFailed: Disk full, or not permitted; the old list is untouched.
    """
    data = trust.to_bytes()
    parse_trust_list(data)
    if signer is not None:
        data = envelope_to_json(sign_envelope(TRUST_LIST_PAYLOAD_TYPE, data, signer))
    replace_file(path, data)


def load_trust_list(path: Path, *, public_key: bytes | None = None, minimum_version: int = 0) -> TrustList:
    """Read a trust list's file.

    Args:
        path: The file.
        public_key: The key that must have signed it; None accepts it as the user's own file, signed or not.
        minimum_version: The newest version seen so far, kept by the caller: an older list is refused.

    Raises:
        SignatureInvalid: A signature was asked for and is missing or wrong.
        TrustError: Missing, malformed, or older than ``minimum_version``.

    Without ``public_key`` and ``minimum_version`` it does not establish who wrote the list, nor that it is the newest.
    """
    subject = str(path)
    data = load_bounded(path, what="trust list")
    signed_by: str | None = None
    if data.startswith(b'{"payload":'):
        envelope = parse_envelope(data, subject=subject)
        if public_key is not None:
            verify_envelope(envelope, public_key, TRUST_LIST_PAYLOAD_TYPE)
            signed_by = envelope.key_id
        elif envelope.payload_type != TRUST_LIST_PAYLOAD_TYPE:
            raise SignatureInvalid("signed file is not a trust list", subject=subject)
        data = envelope.payload
    elif public_key is not None:
        raise SignatureInvalid("trust list is not signed", subject=subject, remedy="get the signed list")
    trust = parse_trust_list(data, subject=subject)
    if trust.version < minimum_version:
        raise TrustError(
            f"trust list has version {trust.version}, older than version {minimum_version} seen before",
            subject=subject,
            remedy="find out who put the old list back",
        )
    return dataclasses.replace(trust, signed_by=signed_by)


def _parse_pin(value: Any) -> Pin:
    fields = Fields(value, _PIN_NAMES, subject="pin")
    pin = Pin(
        issuer=fields.text("issuer", max_chars=200),
        fingerprint=fields.match("fingerprint", KEY_ID),
        valid_from=fields.utc("valid_from"),
        valid_until=fields.utc_or_none("valid_until"),
    )
    if pin.valid_until is not None and parse_utc(pin.valid_until) <= parse_utc(pin.valid_from):
        raise TrustError("pin is valid until a time that is not after its start", subject=pin.issuer)
    return pin


def _parse_revocation(value: Any) -> Revocation:
    fields = Fields(value, _REVOCATION_NAMES, subject="revocation")
    reason = fields.text("reason", max_chars=40)
    if reason not in get_args(RevocationReason):
        raise TrustError(f"not a reason for a revocation: {reason!a}", remedy="use compromise or superseded")
    return Revocation(
        fingerprint=fields.match("fingerprint", KEY_ID),
        reason="compromise" if reason == "compromise" else "superseded",
        at=fields.utc("at"),
    )


def _revocation_text(revocation: Revocation, proven: datetime | None) -> str:
    why = "was compromised" if revocation.reason == "compromise" else "was superseded"
    if proven is None:
        return f"key {why} at {revocation.at}, and no trusted time shows that the signature is older"
    return f"key {why} at {revocation.at}, before the trusted time {proven.isoformat()} of the signature"


def _sort_pins(pins: Iterable[Pin]) -> tuple[Pin, ...]:
    return tuple(sorted(pins, key=lambda pin: (pin.issuer, pin.fingerprint)))


def _sort_revocations(revocations: Iterable[Revocation]) -> tuple[Revocation, ...]:
    return tuple(sorted(revocations, key=lambda revocation: revocation.fingerprint))
