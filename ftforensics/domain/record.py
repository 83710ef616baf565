"""The signed record of a photograph and what verifying it yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RECORD_PAYLOAD_TYPE = "application/vnd.ftforensics.record-core.v1+json"
BINDING_PAYLOAD_TYPE = "application/vnd.ftforensics.binding.v1+json"

# Long side of the preview that ``ftf tag`` keeps of a source; a stranger's may be larger.
PREVIEW_PX = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCore:
    """What an issuer signs before embedding. All hashes lower-case hex SHA-256; times UTC ISO 8601 with Z.

    ``nonce`` is 128 bits in hex. ``source_sha256`` is the hash of the untagged photograph's file. ``phash`` is a 64-bit
    perceptual hash in hex. ``preview_sha256`` is None where the issuer keeps no preview; a report then cannot show the
    source.
    """

    issuer: str
    key_id: str
    nonce: str
    source_sha256: str
    phash: str
    descriptors_sha256: str
    preview_sha256: str | None
    width_px: int
    height_px: int
    model_id: str
    carrier_key_id: str
    created: str
    rights: str = ""
    contact: str = ""
    policy: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingStatement:
    """What an issuer signs after embedding: this tag id is in this file."""

    tag_id: str
    record_sha256: str
    tagged_sha256: str
    tagged_phash: str
    media_type: str
    created: str
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedEnvelope:
    """A DSSE envelope: exact payload bytes, their type, and one Ed25519 signature by ``key_id``."""

    payload_type: str
    payload: bytes
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredRecord:
    """One row of the registry, untrusted until ``trust.verify_record`` has made a VerifiedRecord of it.

    ``descriptors`` and ``preview`` are the blobs whose hashes the record signs (see ``link.fingerprint``).
    ``log_index`` and ``logged_at`` are the claim of order and time of the log that is called ``log_name`` and signs
    with ``log_key_id``; both are empty where the row did not come from a log. A record may stand in several logs.
    """

    tag_id: str
    carrier_key_id: str
    record: SignedEnvelope
    binding: SignedEnvelope | None
    public_key: bytes
    descriptors: bytes
    preview: bytes | None
    log_index: int
    logged_at: str
    log_name: str = ""
    log_key_id: str = ""


SignatureStatus = Literal["verified", "issuer_untrusted", "key_revoked", "signature_invalid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRecord:
    """Made only by ``trust.verify_record``: signature, canonical form, tag id, blobs and pinned issuer all hold."""

    tag_id: str
    core: RecordCore
    binding: BindingStatement | None
    record_sha256: str
    issuer: str
    key_id: str
    checked_at: str
    log_index: int
    logged_at: str
