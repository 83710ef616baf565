"""Exit codes. In: an error, or the codes of several things that went wrong. Out: the one code that ``ftf`` ends with.

Scripts branch on these, so a code never changes its meaning. The table stands in the user guide too.
"""

from __future__ import annotations

from collections.abc import Iterable

from ftforensics import errors

COMPLETE = 0
FAIL_ON_MATCHED = 1
USAGE = 2
PARTIAL = 3
INTEGRITY = 4
ENGINE = 5
KEYS = 6
CANNOT_WRITE = 7
INTERNAL = 70
INTERRUPTED = 130
OUTPUT_CLOSED = 141

MEANINGS: dict[int, str] = {
    COMPLETE: "complete, every input was read",
    FAIL_ON_MATCHED: "a verdict named by --fail-on was given",
    USAGE: "the command was asked for something that makes no sense, or names something that is not there",
    PARTIAL: "partial: some inputs could not be read",
    INTEGRITY: "integrity: a chain, signature, hash or database does not hold",
    ENGINE: "a model, engine, backend or database of another version is missing or does not match",
    KEYS: "a key or trust list is missing, locked, revoked or not trusted (wrong passphrase too)",
    CANNOT_WRITE: "cannot write: disk full, not permitted, or something of that name is there already",
    INTERNAL: "a bug in this program",
    INTERRUPTED: "interrupted; what was done is kept, and the command can be run again",
    OUTPUT_CLOSED: "whoever read the output stopped reading (as with '| head')",
}

# First match wins, so a class stands before the class it derives from.
_CODES: tuple[tuple[type[errors.FtfError], int], ...] = (
    (errors.UsageError, USAGE),
    (errors.EvidenceError, PARTIAL),
    (errors.CodecError, PARTIAL),
    (errors.LinkError, PARTIAL),
    (errors.ReportError, PARTIAL),
    (errors.EngineError, ENGINE),
    (errors.SignatureInvalid, INTEGRITY),
    (errors.ChainBroken, INTEGRITY),
    (errors.TrustError, KEYS),
    (errors.SchemaMismatch, ENGINE),
    (errors.AlreadyExists, CANNOT_WRITE),
    (errors.NotFound, USAGE),
    (errors.StoreError, INTEGRITY),
    (errors.WriteFailed, CANNOT_WRITE),
)
_WORST_FIRST = (INTERNAL, INTEGRITY, CANNOT_WRITE, KEYS, ENGINE, INTERRUPTED, PARTIAL, USAGE, FAIL_ON_MATCHED, COMPLETE)
_SQLITE_BUSY_CODES = (5, 6)


def exit_code(error: BaseException) -> int:
    """The exit code of one error; anything that is no ``FtfError`` is a bug of ours, 70, unless it is Ctrl-C.

    A database or case that another program keeps locked is unavailable (5), not damaged (4).
    """
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, errors.StoreError) and _is_busy(error.__cause__):
        return ENGINE
    return next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL)


def check_code(error: BaseException) -> int:
    """The exit code of an error met while checking what the user asked to have checked.

    There, a malformed signature, key or row is a failed check (4), not a problem with the user's own keys.
    """
    code = exit_code(error)
    return INTEGRITY if code == KEYS and isinstance(error, errors.TrustError) else code


def combine_codes(codes: Iterable[int]) -> int:
    """The one code for several outcomes: 70 > 4 > 7 > 6 > 5 > 130 > 3 > 2 > 1 > 0.

    Args:
        codes: Exit codes of this module; none at all means complete. An unknown code counts as 70.

    Returns:
        The worst of them.
    """
    ranks = [_WORST_FIRST.index(code) if code in _WORST_FIRST else 0 for code in codes]
    return _WORST_FIRST[min(ranks)] if ranks else COMPLETE


def _is_busy(cause: BaseException | None) -> bool:
    code = getattr(cause, "sqlite_errorcode", None)
    return isinstance(cause, BlockingIOError) or (isinstance(code, int) and code & 0xFF in _SQLITE_BUSY_CODES)
