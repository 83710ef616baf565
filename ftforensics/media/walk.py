"""Folders become a totally ordered list of evidence paths; nothing is opened and no link is followed.

Enters: the roots that the investigator named. Leaves: one ``EvidencePath`` for every file, and one with a failure for
everything that is not a plain readable file, so that nothing in the evidence passes in silence. The order depends on
the names' bytes alone, never on the file system, so that two walks of the same evidence agree.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftforensics.domain.evidence import IntakeFailure
from ftforensics.errors import UsageError
from ftforensics.media.escape import display_path

SKIPPED_TYPES = frozenset({"SymlinkNotFollowed", "LargerThanLimit", "DeeperThanLimit", "CaseLeftOut"})

_KINDS: tuple[tuple[int, str], ...] = (
    (stat.S_IFIFO, "named pipe"),
    (stat.S_IFSOCK, "socket"),
    (stat.S_IFCHR, "character device"),
    (stat.S_IFBLK, "block device"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePath:
    """One thing found by a walk.

    ``root`` is the absolute folder, as bytes, that all roots of the walk have in common; ``raw`` the exact bytes of the
    path relative to it. ``size_bytes`` is what the folder said at the time. ``failure`` is set where there is no plain
    file to read.
    """

    root: bytes
    raw: bytes
    size_bytes: int = 0
    failure: IntakeFailure | None = None

    @property
    def full(self) -> bytes:
        """The absolute path, to open."""
        return os.path.join(self.root, self.raw)  # noqa: PTH118 - pathlib has no bytes paths

    @property
    def path(self) -> str:
        """The relative path as text with POSIX separators; control characters are left for the printer to escape."""
        return display_path(self.raw)

    @property
    def path_b64(self) -> str:
        """Base64 of ``raw``."""
        return base64.b64encode(self.raw).decode("ascii")

    @property
    def is_skipped(self) -> bool:
        """Left out by a rule (a link, a limit), as against something that could not be read."""
        return self.failure is not None and self.failure.type in SKIPPED_TYPES


def walk_evidence(
    roots: Sequence[str | bytes | Path],
    *,
    max_depth: int | None = None,
    skip_larger_bytes: int | None = None,
    file_list: Path | None = None,
    case_folders: Iterable[Path] = (),
    check_root: Callable[[bytes], None] | None = None,
) -> Iterator[EvidencePath]:
    """Find every file under the roots, in the order of their relative paths' bytes, each once.

    A root that is a symbolic link is followed, for the investigator named it; a link found inside is reported and not
    followed. Pipes, sockets, devices, unreadable folders and folders that contain themselves are reported.

    Args:
        roots: Files and folders. Relative ones start at the working folder.
        max_depth: How many levels of folders to enter below a root; 1 stays in the root itself.
        skip_larger_bytes: Files larger than this are reported as skipped.
        file_list: A file that lists more roots (see ``parse_file_list``); a listed file that is missing is reported.
        case_folders: Folders of cases, which are no evidence: reported as skipped where a walk comes upon one. What was
            named itself is walked, a folder inside a case too.
        check_root: Called with the absolute path, links resolved, of everything that was named or listed; what it
            raises is passed on before anything is walked.

    Yields:
        Evidence paths relative to the folder that all roots have in common.

    Raises:
        UsageError: A root does not exist, or the list cannot be read: nothing is scanned then.
    """
    named = [_resolve(os.fsencode(root)) for root in roots]
    for given, root in zip(roots, named, strict=True):
        if not os.path.lexists(root):
            raise UsageError(
                "There is nothing to scan", subject=display_path(os.fsencode(given)), remedy="check the path"
            )
    listed = [] if file_list is None else [_resolve(entry) for entry in load_file_list(file_list)]
    everything = sorted(set(named + listed))
    if check_root is not None:
        for root in everything:
            check_root(root)
    if not everything:
        return iter(())
    base = os.path.commonpath([root if _is_folder(root) else os.path.dirname(root) for root in everything])  # noqa: PTH120
    cases = frozenset(_resolve(os.fsencode(folder)) for folder in case_folders)
    walker = _Walk(base=base, max_depth=max_depth, skip_larger_bytes=skip_larger_bytes, cases=cases)
    return walker.run(everything)


def load_file_list(path: Path) -> list[bytes]:
    """Read a list of evidence paths from a file.

    Raises:
        UsageError: The list is missing or not permitted.
    """
    try:
        return parse_file_list(path.read_bytes())
    except OSError as exc:
        raise UsageError(
            f"The file list cannot be read ({exc.strerror})", subject=str(path), remedy="check the path"
        ) from exc


def parse_file_list(data: bytes) -> list[bytes]:
    """Paths separated by NUL bytes if there are any (as ``find -print0`` writes them), by line ends otherwise."""
    entries = data.split(b"\0") if b"\0" in data else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [entry for entry in entries if entry]


def components(raw: bytes) -> tuple[bytes, ...]:
    """The sort key of the walk: the path's names, compared as bytes."""
    return tuple(raw.split(b"/"))


@dataclass(frozen=True, slots=True)
class _Walk:
    base: bytes
    max_depth: int | None
    skip_larger_bytes: int | None
    cases: frozenset[bytes]

    def run(self, roots: list[bytes]) -> Iterator[EvidencePath]:
        folders = {root for root in roots if _is_folder(root)}
        files = (self._judge(root, self._relative(root)) for root in roots if root not in folders)
        streams: list[Iterable[EvidencePath]] = [self._descend(folder) for folder in sorted(folders)]
        streams.append(sorted(files, key=_order))
        merged = heapq.merge(*streams, key=_order)
        for _, same in itertools.groupby(merged, key=lambda entry: entry.raw):
            yield min(same, key=lambda entry: entry.failure is not None)

    def _relative(self, full: bytes) -> bytes:
        return os.path.relpath(full, self.base)

    def _descend(self, folder: bytes) -> Iterator[EvidencePath]:
        """Depth first with an own stack, so that no depth of nesting can exhaust the interpreter's."""
        start = b"" if folder == self.base else self._relative(folder)
        listing = self._open(folder, start, ())
        stack: list[tuple[Iterator[EvidencePath | bytes], frozenset[tuple[int, int]]]] = [listing]
        while stack:
            entries, above = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
            elif isinstance(entry, EvidencePath):
                yield entry
            elif self.max_depth is not None and len(stack) >= self.max_depth:
                yield self._fail(entry, "DeeperThanLimit", f"folder below the depth limit of {self.max_depth}")
            else:
                stack.append(self._open(self._full(entry), entry, above))

    def _full(self, raw: bytes) -> bytes:
        return os.path.join(self.base, raw)  # noqa: PTH118 - pathlib has no bytes paths

    def _open(
        self, folder: bytes, raw: bytes, above: Iterable[tuple[int, int]]
    ) -> tuple[Iterator[EvidencePath | bytes], frozenset[tuple[int, int]]]:
        """List one folder in order: files as entries, folders as their relative path."""
        seen = frozenset(above)
        try:
            status = os.stat(folder)  # noqa: PTH116 - pathlib has no bytes paths
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                return iter([self._fail(raw, "FolderLoop", "the folder contains itself (a mount loop)")]), seen
            names = sorted(os.listdir(folder))  # noqa: PTH208 - pathlib has no bytes paths
        except OSError as exc:
            return iter([self._fail(raw, type(exc).__name__, f"the folder cannot be listed: {exc.strerror}")]), seen
        prefix = raw + b"/" if raw else b""
        return (self._look(prefix + name) for name in names), seen | {identity}

    def _look(self, raw: bytes) -> EvidencePath | bytes:
        full = self._full(raw)
        try:
            is_folder = stat.S_ISDIR(os.lstat(full).st_mode)
        except OSError as exc:
            return self._fail(raw, type(exc).__name__, f"cannot be looked at: {exc.strerror}")
        if is_folder and full in self.cases:
            return self._fail(raw, "CaseLeftOut", "the folder of a case, left out: it is no evidence")
        return raw if is_folder else self._judge(full, raw)

    def _judge(self, full: bytes, raw: bytes) -> EvidencePath:
        """A plain file gives a path to read, anything else a failure; only ``lstat`` is asked."""
        try:
            status = os.lstat(full)
        except OSError as exc:
            return self._fail(raw, type(exc).__name__, f"cannot be looked at: {exc.strerror}")
        if stat.S_ISLNK(status.st_mode):
            return self._fail(raw, "SymlinkNotFollowed", "symbolic link, not followed")
        for kind, label in _KINDS:
            if stat.S_IFMT(status.st_mode) == kind:
                return self._fail(raw, "NotAFile", f"{label}, not opened")
        limit = self.skip_larger_bytes
        if limit is not None and status.st_size > limit:
            message = f"{status.st_size} bytes, over the limit of {limit}"
            return self._fail(raw, "LargerThanLimit", message, status.st_size)
        return EvidencePath(root=self.base, raw=raw, size_bytes=status.st_size)

    def _fail(self, raw: bytes, kind: str, message: str, size_bytes: int = 0) -> EvidencePath:
        failure = IntakeFailure(stage="walk", type=kind, message=message)
        return EvidencePath(root=self.base, raw=raw or b".", size_bytes=size_bytes, failure=failure)


def _order(entry: EvidencePath) -> tuple[bytes, ...]:
    return components(entry.raw)


def _is_folder(full: bytes) -> bool:
    return os.path.isdir(full) and not os.path.islink(full)  # noqa: PTH112, PTH114 - pathlib has no bytes paths


def _resolve(given: bytes) -> bytes:
    """Absolute path of a named root with links resolved; a link that cannot be resolved is left as it is."""
    try:
        return os.path.realpath(given, strict=True)
    except OSError:
        return os.path.abspath(given)  # noqa: PTH100 - pathlib has no bytes paths
