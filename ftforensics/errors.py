"""The one tree of errors.

Every error is one clear sentence: what went wrong, with which file, and what to do about it. Only ``cli`` prints them
and turns them into exit codes; every other room raises. Third-party errors are wrapped at a room's door with ``raise …
from exc``.
"""

from __future__ import annotations


class FtfError(Exception):
    """Root of all errors that a user can cause or mend.

    Args:
        what: What went wrong, as the start of a sentence without a full stop.
        subject: The file, key, record or case it happened to, if any.
        remedy: What to do about it, if there is something to do.
    """

    def __init__(self, what: str, *, subject: str | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.subject = subject
        self.remedy = remedy
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """The whole sentence, ending in a full stop."""
        text = self.what if self.subject is None else f"{self.what}: {self.subject}"
        if self.remedy is not None:
            text = f"{text}; {self.remedy}"
        return text + "."


class UsageError(FtfError):
    """The command was asked for something that makes no sense."""


class EvidenceError(FtfError):
    """An input picture cannot be read, decoded or tagged."""


class EvidenceUnreadable(EvidenceError):
    """Missing, permission denied, truncated, zero bytes, not a picture."""


class EvidenceTooLarge(EvidenceError):
    """Over the size, pixel, memory or time limit."""


class ModeUnsupported(EvidenceError):
    """A picture that can be looked at but not tagged (palette, CMYK, 16-bit)."""


class CodecError(FtfError):
    """A payload, carrier or code word is malformed."""


class EngineError(FtfError):
    """No usable model, backend or engine."""


class ModelMissing(EngineError):
    """The model folder, its card or its graph is not there or does not match its hash."""


class BackendUnavailable(EngineError):
    """A backend that was asked for does not work on this machine."""


class PlanRefused(EngineError):
    """An engine plan's manifest does not verify, or the plan is not what it vouches for: it is never loaded."""


class TrustError(FtfError):
    """Keys, signatures, trust list or ledger."""


class KeyUnknown(TrustError):
    """The key is not in the key folder or trust list."""


class KeyLocked(TrustError):
    """The passphrase is missing or wrong."""


class KeyRevoked(TrustError):
    """The key was revoked and no trusted time saves the signature."""


class IssuerUntrusted(TrustError):
    """The signature verifies, under a key that nobody pinned."""


class SignatureInvalid(TrustError):
    """The signature, payload type or canonical form is wrong."""


class ChainBroken(TrustError):
    """A hash chain, Merkle tree or signed head does not fit its contents.

    Args:
        position: Sequence number of the first entry that does not fit, if known.
    """

    def __init__(
        self, what: str, *, position: int | None = None, subject: str | None = None, remedy: str | None = None
    ) -> None:
        self.position = position
        super().__init__(what, subject=subject, remedy=remedy)


class StoreError(FtfError):
    """A registry or case cannot be opened, read or changed."""


class SchemaMismatch(StoreError):
    """The database has another schema version than this program."""


class AlreadyExists(StoreError):
    """Something of that name is there already and would be overwritten."""


class NotFound(StoreError):
    """No such registry, case, record, exhibit or engine plan."""


class LinkError(FtfError):
    """Registration of a suspect to its source was asked for with unusable input."""


class ReportError(FtfError):
    """A report cannot be made from this case."""


class WriteFailed(FtfError):
    """The disk is full, read-only or not permitted: nothing half-written was left behind."""
