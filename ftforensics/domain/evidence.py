"""Evidence: a file as it was found, before anyone interpreted it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeInfo:
    """How the pixels were coded in the file.

    ``width_px`` and ``height_px`` are as stored, before the EXIF orientation (1..8) is applied. ``icc`` is the
    SHA-256 of the embedded ICC profile, or None.
    """

    codec: str
    mode: str
    width_px: int
    height_px: int
    orientation: int = 1
    icc: str | None = None
    frames: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceItem:
    """One input file at intake.

    ``path`` is relative to the scanned root, POSIX separators, undecodable bytes shown with backslash escapes;
    ``path_b64`` is the base64 of the exact bytes of that relative path. ``mtime`` is UTC ISO 8601 and, like EXIF, a
    claim of whoever wrote the file. ``acquired_at`` is the investigator's own statement of when the exhibit was in
    hand.
    """

    path: str
    path_b64: str
    size_bytes: int
    mtime: str
    sha256: str
    media_type: str
    ext_mismatch: bool
    decode: DecodeInfo | None = None
    exif: dict[str, str] = field(default_factory=dict)
    acquired_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeFailure:
    """Why a file, or one stage of it, could not be read. Written into the case, never only logged."""

    stage: Literal["walk", "open", "hash", "sniff", "exif", "decode", "read", "link", "worker"]
    type: str
    message: str
