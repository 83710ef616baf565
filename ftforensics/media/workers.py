"""Parsers in isolated, killable processes: a hang, a crash or a memory bomb costs one file and nothing else.

Enters: a file's bytes and its sniffed type. Leaves: ``ParsedFile``. Workers are started afresh (not forked), each with
its own memory limit, and are killed and replaced when they exceed a time limit, die, or report memory trouble. What a
worker says is checked as untrusted input: a hostile file may have taken it over.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

import ftforensics
from ftforensics.domain.evidence import IntakeFailure
from ftforensics.errors import EvidenceUnreadable
from ftforensics.media.frames import Frame, FrameInvalid, encode_frame_head, read_frame
from ftforensics.media.limits import EXIT_OUT_OF_MEMORY, WorkerLimits
from ftforensics.media.replies import ParsedFile, parse_exif_reply, parse_picture_reply

Item = TypeVar("Item")
Result = TypeVar("Result")

START_TIMEOUT_S = 60.0
EXIF_TIMEOUT_S = 5.0
FILES_PER_WORKER = 1000
_FATAL_TO_WORKER = frozenset({"EvidenceTooLarge", "MemoryLimit"})

_BOOTSTRAP = "import json,sys;sys.path[:]=json.loads(sys.argv[1]);from ftforensics.media.worker import main;main()"


class PoolClosed(Exception):
    """The pool was closed while work was going on."""


class _WorkerGone(Exception):
    """The process ended or broke the protocol; the text says how."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


class WorkerPool:
    """Up to ``jobs`` workers and as many threads that feed them.

    Args:
        jobs: How many files are worked on at once, at least 1.
        limits: What one file may cost.
    """

    def __init__(self, jobs: int, limits: WorkerLimits) -> None:
        self.limits = limits
        self.jobs = max(1, jobs)
        self._closed = threading.Event()
        self._workers = [_Worker(limits, self._closed) for _ in range(self.jobs)]
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(self.jobs, thread_name_prefix="media")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called; long work in the pool's threads asks this now and then."""
        return self._closed.is_set()

    def start(self, count: int) -> None:
        """Have up to ``count`` processes started meanwhile, and return at once.

        Without it they are started when they are first needed. One that cannot be started is tried again then.
        """
        for _ in range(min(count, self.jobs)):
            self._threads.submit(self._start_one)

    def _start_one(self) -> None:
        worker = self._idle.get()
        try:
            with contextlib.suppress(EvidenceUnreadable, PoolClosed):
                worker.start()
        finally:
            self._idle.put(worker)

    def parse(self, data: bytes | bytearray, media_type: str) -> ParsedFile:
        """Have a file parsed by a free worker; may be called from any thread.

        Args:
            data: The whole file, at most ``limits.max_file_bytes``.
            media_type: What ``sniff_media_type`` said of it.

        Raises:
            EvidenceUnreadable: Workers cannot be started on this machine at all.
            PoolClosed: The pool was closed meanwhile.
        """
        worker = self._idle.get()
        try:
            return worker.parse(data, media_type)
        finally:
            self._idle.put(worker)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply ``function`` in the pool's threads; results come in the order of the items, with bounded look-ahead."""
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(self._threads.submit(function, item))
                if len(waiting) >= 2 * self.jobs + 2:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Kill every worker, at once and whatever it is doing."""
        self._closed.set()
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        at_rest = [self._idle.get() for _ in self._workers]  # nobody reads their pipes any more
        for worker in at_rest:
            worker.dispose()
            self._idle.put(worker)


class _Worker:
    """One process, started when first needed and replaced when it dies."""

    def __init__(self, limits: WorkerLimits, closed: threading.Event) -> None:
        self._limits = limits
        self._closed = closed
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._served = 0

    def parse(self, data: bytes | bytearray, media_type: str) -> ParsedFile:
        limits = self._limits
        process = self._ready_process()
        request = {
            "media_type": media_type,
            "max_px": limits.max_px,
            "max_pixels": limits.max_pixels,
            "timeout_s": limits.timeout_s,
        }
        try:
            deadline = time.monotonic() + limits.timeout_s
            _write(process, encode_frame_head(request, len(data)), deadline)
            _write(process, data, deadline)
            parsed = parse_picture_reply(self._receive(process, deadline, 3 * limits.max_px**2), limits.max_px)
        except (_WorkerGone, FrameInvalid) as exc:
            return ParsedFile(failure=self._bury("decode", exc))
        try:
            deadline = time.monotonic() + min(limits.timeout_s, EXIF_TIMEOUT_S)
            exif, failure = parse_exif_reply(self._receive(process, deadline, 0))
        except (_WorkerGone, FrameInvalid) as exc:
            exif, failure = {}, self._bury("exif", exc)
        self._served += 1
        failure = parsed.failure or failure
        if self._served >= FILES_PER_WORKER or (failure is not None and failure.type in _FATAL_TO_WORKER):
            self.dispose()
        return ParsedFile(decode=parsed.decode, pixels=parsed.pixels, exif=exif, failure=failure)

    def start(self) -> None:
        """Start the process, if it does not run, and wait until it is ready."""
        self._ready_process()

    def kill(self) -> None:
        """End the process without waiting; its pipes stay open for the thread that may be reading them."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def dispose(self) -> None:
        """End the process and close its pipes."""
        with self._lock:
            process, self._process = self._process, None
        self._served = 0
        if process is not None:
            process.kill()
            _close_pipes(process)
            with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: leave it behind
                process.wait(timeout=5.0)

    def _ready_process(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed.is_set():
                raise PoolClosed
            if self._process is not None and self._process.poll() is None:
                return self._process
        self.dispose()
        with self._lock:
            if self._closed.is_set():
                raise PoolClosed
            process = self._process = _start_process(self._limits)
        try:
            self._receive(process, time.monotonic() + START_TIMEOUT_S, 0)
        except (_WorkerGone, FrameInvalid) as exc:
            self._bury("worker", exc)
            raise EvidenceUnreadable(
                f"A media worker could not be started ({exc})", remedy="allow the workers more memory"
            ) from exc
        return process

    def _receive(self, process: subprocess.Popen[bytes], deadline: float, max_data_bytes: int) -> Frame:
        return read_frame(lambda count: _read(process, count, deadline), max_data_bytes=max_data_bytes)

    def _bury(self, stage: Literal["decode", "exif", "worker"], exc: _WorkerGone | FrameInvalid) -> IntakeFailure:
        self.dispose()
        if self._closed.is_set():
            raise PoolClosed from exc
        if isinstance(exc, _WorkerGone):
            return IntakeFailure(stage=stage, type=exc.kind, message=str(exc))
        return IntakeFailure(stage=stage, type="WorkerDied", message=f"the worker broke its protocol: {exc}")


def _start_process(limits: WorkerLimits) -> subprocess.Popen[bytes]:
    package_root = str(Path(ftforensics.__file__).resolve().parent.parent)
    paths = [package_root, *(entry for entry in sys.path if entry and entry != package_root)]
    command = [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, json.dumps(paths)]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            [*command, str(limits.memory_bytes), str(limits.max_file_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            process_group=0,
        )
    except OSError as exc:
        raise EvidenceUnreadable(f"A media worker could not be started ({exc.strerror})") from exc
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            os.set_blocking(stream.fileno(), False)
    return process


def _write(process: subprocess.Popen[bytes], data: bytes | bytearray, deadline: float) -> None:
    if process.stdin is None:
        raise _WorkerGone("WorkerDied", "the worker has no pipe")
    view = memoryview(data)
    while view:
        _wait(process.stdin.fileno(), select.POLLOUT, deadline)
        try:
            view = view[os.write(process.stdin.fileno(), view[: 1 << 20]) :]
        except BlockingIOError:
            continue
        except OSError as exc:
            raise _explain_end(process) from exc


def _read(process: subprocess.Popen[bytes], count: int, deadline: float) -> bytearray:
    if process.stdout is None:
        raise _WorkerGone("WorkerDied", "the worker has no pipe")
    data = bytearray(count)
    view = memoryview(data)
    while view:
        _wait(process.stdout.fileno(), select.POLLIN, deadline)
        try:
            got = os.readv(process.stdout.fileno(), [view])
        except BlockingIOError:
            continue
        if not got:
            raise _explain_end(process)
        view = view[got:]
    return data


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    left_s = deadline - time.monotonic()
    if not poll.poll(max(0.0, left_s) * 1000):
        raise _WorkerGone("Timeout", "the parser did not finish in time and was stopped")


def _explain_end(process: subprocess.Popen[bytes]) -> _WorkerGone:
    try:
        code = process.wait(timeout=5.0)
    except subprocess.TimeoutExpired:
        return _WorkerGone("WorkerDied", "the worker closed its pipes")
    if code == EXIT_OUT_OF_MEMORY:
        return _WorkerGone("MemoryLimit", "the file needs more memory than a worker may use")
    if code == -signal.SIGALRM:
        return _WorkerGone("Timeout", "the parser did not finish in time and was stopped")
    if code < 0:
        with contextlib.suppress(ValueError):
            return _WorkerGone("WorkerDied", f"the parser crashed ({signal.Signals(-code).name})")
    return _WorkerGone("WorkerDied", f"the worker ended with status {code}")


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
