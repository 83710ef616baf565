"""The signed record of a photograph. In: a core and a signer, or a registry row. Out: envelopes, or a verified record.

Two statements are signed: the record core before embedding, from whose hash the tag id follows, and the binding after
it, which says in which file the tag is. Verifying is a list of numbered steps in a fixed order, cheap ones first, each
with its own error. Source: DSSE, RFC 8785, RFC 7914 (scrypt).
"""

from __future__ import annotations

import dataclasses
import hashlib
import re

from ftforensics.domain.record import (
    BINDING_PAYLOAD_TYPE,
    RECORD_PAYLOAD_TYPE,
    BindingStatement,
    RecordCore,
    RegisteredRecord,
    SignedEnvelope,
    VerifiedRecord,
)
from ftforensics.errors import IssuerUntrusted, SignatureInvalid, TrustError
from ftforensics.trust.canonical import canonical_json, parse_canonical
from ftforensics.trust.envelope import envelope_to_json, sign_envelope, verify_envelope
from ftforensics.trust.fields import CARRIER_KEY_ID, KEY_ID, SHA256_HEX, TAG_ID, Fields
from ftforensics.trust.keys import Signer
from ftforensics.trust.trustlist import TrustList
from ftforensics.trust.utc import parse_utc

MAX_ISSUER_CHARS = 200
MAX_TEXT_CHARS = 2000
MAX_SIDE_PX = 1_000_000
MAX_PAYLOAD_BYTES = 64 * 1024

_TAG_SALT = b"ftf-tag-v1"
_TAG_N, _TAG_R, _TAG_P, _TAG_BYTES = 2**15, 8, 1, 8
_NONCE = re.compile(r"[0-9a-f]{32}")
_PHASH = re.compile(r"[0-9a-f]{16}")
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MEDIA_TYPE = re.compile(r"image/[a-z0-9.+-]{1,60}")
_CORE_NAMES = frozenset(field.name for field in dataclasses.fields(RecordCore))
_BINDING_NAMES = frozenset(field.name for field in dataclasses.fields(BindingStatement))


def sign_record(core: RecordCore, signer: Signer) -> SignedEnvelope:
    """Sign a record core.

    Args:
        core: Its ``key_id`` must be the signer's.
        signer: The issuer's key, or a command that holds it.

    Raises:
        TrustError: A field is malformed (no record is signed that would later be refused), or the signer failed.
    """
    _check_signer(core.key_id, signer)
    payload = canonical_json(dataclasses.asdict(core))
    parse_record_core(payload)
    return sign_envelope(RECORD_PAYLOAD_TYPE, payload, signer)


def sign_binding(statement: BindingStatement, signer: Signer) -> SignedEnvelope:
    """Sign the statement that a tag id is in a file.

    Raises:
        TrustError: A field is malformed, or the signer failed.
    """
    payload = canonical_json(dataclasses.asdict(statement))
    parse_binding(payload)
    return sign_envelope(BINDING_PAYLOAD_TYPE, payload, signer)


def record_sha256(payload: bytes) -> str:
    """Name of a record: hex SHA-256 of its exact payload bytes."""
    return hashlib.sha256(payload).hexdigest()


def tag_id(payload: bytes) -> str:
    """The 64-bit index that goes into the pixels: 16 hex characters, from about 0.1 s and 32 MiB of scrypt.

    Slow on purpose, or an issuer could try nonces until his id happens to match somebody's untagged picture.
    """
    return hashlib.scrypt(
        hashlib.sha256(payload).digest(),
        salt=_TAG_SALT,
        n=_TAG_N,
        r=_TAG_R,
        p=_TAG_P,
        maxmem=128 * _TAG_N * _TAG_R * 2,
        dklen=_TAG_BYTES,
    ).hex()


def parse_record_core(payload: bytes) -> RecordCore:
    """Read a record core from its payload bytes. Nothing is verified.

    Raises:
        TrustError: Not canonical, a field is missing, unknown, of the wrong type or malformed, or another version.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise TrustError(f"record core has {len(payload)} bytes, more than {MAX_PAYLOAD_BYTES}")
    fields = Fields(parse_canonical(payload, subject="record core"), _CORE_NAMES, subject="record core")
    return RecordCore(
        version=fields.integer("version", 1, 1),
        issuer=fields.text("issuer", max_chars=MAX_ISSUER_CHARS),
        key_id=fields.match("key_id", KEY_ID),
        nonce=fields.match("nonce", _NONCE),
        source_sha256=fields.match("source_sha256", SHA256_HEX),
        phash=fields.match("phash", _PHASH),
        descriptors_sha256=fields.match("descriptors_sha256", SHA256_HEX),
        preview_sha256=fields.match_or_none("preview_sha256", SHA256_HEX),
        width_px=fields.integer("width_px", 1, MAX_SIDE_PX),
        height_px=fields.integer("height_px", 1, MAX_SIDE_PX),
        model_id=fields.match("model_id", _MODEL_ID),
        carrier_key_id=fields.match("carrier_key_id", CARRIER_KEY_ID),
        created=fields.utc("created"),
        rights=fields.text("rights", max_chars=MAX_TEXT_CHARS, allow_empty=True),
        contact=fields.text("contact", max_chars=MAX_TEXT_CHARS, allow_empty=True),
        policy=fields.text("policy", max_chars=MAX_TEXT_CHARS, allow_empty=True),
    )


def parse_binding(payload: bytes) -> BindingStatement:
    """Read a binding statement from its payload bytes. Nothing is verified.

    Raises:
        TrustError: As ``parse_record_core``.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise TrustError(f"binding has {len(payload)} bytes, more than {MAX_PAYLOAD_BYTES}")
    fields = Fields(parse_canonical(payload, subject="binding"), _BINDING_NAMES, subject="binding")
    return BindingStatement(
        version=fields.integer("version", 1, 1),
        tag_id=fields.match("tag_id", TAG_ID),
        record_sha256=fields.match("record_sha256", SHA256_HEX),
        tagged_sha256=fields.match("tagged_sha256", SHA256_HEX),
        tagged_phash=fields.match("tagged_phash", _PHASH),
        media_type=fields.match("media_type", _MEDIA_TYPE),
        created=fields.utc("created"),
    )


def log_entry(row: RegisteredRecord) -> bytes:
    """The bytes that a registry's log keeps as the leaf of a row: canonical JSON naming every part of it by its hash.

    The row's index and log time are in it, so neither can be changed without breaking the tree.
    """
    binding = None if row.binding is None else hashlib.sha256(envelope_to_json(row.binding)).hexdigest()
    return canonical_json(
        {
            "binding_envelope_sha256": binding,
            "carrier_key_id": row.carrier_key_id,
            "descriptors_sha256": hashlib.sha256(row.descriptors).hexdigest(),
            "kind": "record",
            "log_index": row.log_index,
            "logged_at": row.logged_at,
            "preview_sha256": None if row.preview is None else hashlib.sha256(row.preview).hexdigest(),
            "public_key": row.public_key.hex(),
            "record_envelope_sha256": hashlib.sha256(envelope_to_json(row.record)).hexdigest(),
            "tag_id": row.tag_id,
        }
    )


def verify_record(
    row: RegisteredRecord, trust: TrustList, checked_at: str, *, trusted_time: str | None = None
) -> VerifiedRecord:
    """Turn a registry row into a verified record.

    Args:
        row: From any registry, trusted in nothing.
        trust: The issuers and keys that the investigator pinned out of band.
        checked_at: When the check is made (UTC); it decides whether an announced supersession is in force.
        trusted_time: A time by which the record is known to have existed from an RFC 3161 token or a witnessed log that
            the caller has verified; None where there is none. The log's own ``logged_at`` is not such a time.

    Raises:
        SignatureInvalid: Steps 1 to 7: the record is not what its key signed, or the row was put together from parts.
        IssuerUntrusted: Step 8: the signature verifies, but nobody pinned this key for this issuer and time.
        KeyRevoked: Step 9: the key was revoked and no trusted time saves the signature.
        TrustError: ``checked_at`` or ``trusted_time`` is not a UTC time.

    Does not establish that the record's statements are true, that the issuer took the photograph, that ``created`` or
    ``logged_at`` are right, nor that any picture at hand comes from this one.
    """
    parse_utc(checked_at, subject="checked_at")
    if trusted_time is not None:
        parse_utc(trusted_time, subject="trusted_time")
    core, binding, sha256 = verify_row_parts(row)
    # 7. The tag id follows from the payload (slow, therefore late).
    _check_tag_id(row, row.record.payload)
    # 8. Somebody pinned this key for this issuer, and the record's times lie in the window: the one that it claims, and
    #    the trusted one or else the log's. The log's time proves nothing for a record, but it may speak against it,
    #    unless it cannot be true: nothing was logged before it was made.
    logged_at = row.logged_at if parse_utc(row.logged_at) >= parse_utc(core.created) else core.created
    _check_pinned(core, logged_at if trusted_time is None else trusted_time, trust)
    # 9. The key was not revoked, or a trusted time precedes the revocation.
    trust.check_revocation(core.key_id, checked_at=checked_at, trusted_time=trusted_time)
    return VerifiedRecord(
        tag_id=row.tag_id,
        core=core,
        binding=binding,
        record_sha256=sha256,
        issuer=core.issuer,
        key_id=core.key_id,
        checked_at=checked_at,
        log_index=row.log_index,
        logged_at=row.logged_at,
    )


def verify_row_parts(row: RegisteredRecord) -> tuple[RecordCore, BindingStatement | None, str]:
    """Steps 1 to 6 of ``verify_record``: the row's parts are what the key that came with it signed.

    Returns:
        The core, the binding where there is one, and the record's name. Whose key it is, and whether the tag id follows
        from the record, is not established.

    Raises:
        SignatureInvalid: They are not.
    """
    try:
        # 1. The key that came with the row is the one the envelope names; 2. it signed this type and these bytes.
        payload = verify_envelope(row.record, row.public_key, RECORD_PAYLOAD_TYPE)
        # 3. The payload is canonical and has exactly a record's fields.
        core = parse_record_core(payload)
        sha256 = record_sha256(payload)
        # 4. The record speaks for the key that signed it, and the row for the record's carrier key and blobs.
        _check_row(row, core)
        # 5. The binding, if any, is by the same key and about this record.
        binding = _verify_binding(row, sha256)
        # 6. The row's log time is a time.
        parse_utc(row.logged_at, subject="logged_at")
    except SignatureInvalid:
        raise
    except TrustError as exc:
        raise SignatureInvalid(exc.what, subject=exc.subject, remedy=exc.remedy) from exc
    return core, binding, sha256


def _check_signer(key_id: str, signer: Signer) -> None:
    if key_id != signer.key_id:
        raise TrustError(
            f"record names the key {key_id[:80]!a}, but {signer.key_id} is to sign it", remedy="sign with the named key"
        )


def _check_row(row: RegisteredRecord, core: RecordCore) -> None:
    if core.key_id != row.record.key_id:
        raise SignatureInvalid(f"record names the key {core.key_id}, but {row.record.key_id} signed it")
    if core.carrier_key_id != row.carrier_key_id:
        raise SignatureInvalid(f"record was made for the carrier key {core.carrier_key_id}, not {row.carrier_key_id}")
    if hashlib.sha256(row.descriptors).hexdigest() != core.descriptors_sha256:
        raise SignatureInvalid("descriptors are not the ones that the record signs")
    preview = None if row.preview is None else hashlib.sha256(row.preview).hexdigest()
    if preview is not None and preview != core.preview_sha256:
        raise SignatureInvalid("preview is not the one that the record signs")


def _verify_binding(row: RegisteredRecord, sha256: str) -> BindingStatement | None:
    if row.binding is None:
        return None
    binding = parse_binding(verify_envelope(row.binding, row.public_key, BINDING_PAYLOAD_TYPE))
    if binding.record_sha256 != sha256 or binding.tag_id != row.tag_id:
        raise SignatureInvalid("binding speaks of another record", subject=sha256)
    return binding


def _check_tag_id(row: RegisteredRecord, payload: bytes) -> None:
    if tag_id(payload) != row.tag_id:
        raise SignatureInvalid(
            f"tag id {row.tag_id[:40]!a} does not follow from the record", subject=record_sha256(payload)
        )


def _check_pinned(core: RecordCore, known_at: str, trust: TrustList) -> None:
    pins = [pin for pin in trust.issuer_pins if pin.fingerprint == core.key_id]
    if not pins:
        raise IssuerUntrusted(
            "signature verifies, but under a key that nobody pinned",
            subject=f"{core.issuer}, {core.key_id}",
            remedy="compare the fingerprint with the issuer by another way, then use 'ftf trust add'",
        )
    own = [pin for pin in pins if pin.issuer == core.issuer]
    if not own:
        raise IssuerUntrusted(
            f"key is pinned for {pins[0].issuer!r}, but the record claims {core.issuer!r}",
            subject=core.key_id,
            remedy="ask the issuer which name the key signs for",
        )
    if not any(pin.covers(core.created) and pin.covers(known_at) for pin in own):
        raise IssuerUntrusted(
            f"record says {core.created} and was logged or stamped at {known_at}, outside the window of the pinned key",
            subject=f"{core.issuer}, {core.key_id}",
            remedy="check the issuer's key dates with 'ftf trust list'",
        )
