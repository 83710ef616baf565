"""A worker process: takes one file's bytes at a time and gives back what the parsers made of it.

It is started by ``workers`` with its limits on the command line, speaks ``frames`` over its standard streams, opens no
evidence (the bytes are sent to it) and can write no file. It imports neither NumPy nor any model runtime, so that it
starts in a blink and its memory limit means something.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

from ftforensics.media.frames import Frame, FrameInvalid, encode_frame_head, read_frame
from ftforensics.media.limits import EXIT_OUT_OF_MEMORY

MAX_OPEN_FILES = 64
GRACE_S = 5.0


def confine(memory_bytes: int) -> None:
    """Give up what a parser does not need: memory beyond the limit, core dumps, writing files, many descriptors."""
    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, MAX_OPEN_FILES)]
    if sys.platform != "darwin":  # macOS knows the limit and refuses to set it
        limits.append((resource.RLIMIT_AS, memory_bytes))
    for what, limit in limits:
        _, hard = resource.getrlimit(what)
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (bound, bound))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def serve(requests: BinaryIO, replies: BinaryIO, max_file_bytes: int) -> None:
    """Answer requests until the other side hangs up.

    A request holds ``media_type, max_px, max_pixels, timeout_s`` and the file's bytes. Two frames answer it: the
    decoded pixels or an error, then the EXIF fields or an error, so that a hang in the second costs only the second.
    """
    _send(replies, {"ready": True})
    while True:
        try:
            frame = read_frame(lambda count: _read_exactly(requests, count), max_data_bytes=max_file_bytes)
        except (EOFError, FrameInvalid):
            return
        _answer(frame, replies)


def main() -> None:
    """Entry point: ``argv`` is (.., memory limit in bytes, largest file in bytes)."""
    confine(int(sys.argv[-2]))
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)  # a C library that prints must not speak on the wire
    os.dup2(nothing, 2)
    try:
        import ftforensics.media.decode  # after the limits, before the first request
        import ftforensics.media.exif

        ftforensics.media.decode.lift_library_limit()
        serve(sys.stdin.buffer, replies, int(sys.argv[-1]))
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)


def _answer(frame: Frame, replies: BinaryIO) -> None:
    from ftforensics.errors import FtfError
    from ftforensics.media import decode, exif

    request = frame.header
    data = bytes(frame.data)
    _arm(request["timeout_s"])
    try:
        picture = decode.decode_for_reading(
            data, request["media_type"], max_px=request["max_px"], max_pixels=request["max_pixels"]
        )
        header: dict[str, Any] = {"decode": asdict(picture.info), "width_px": picture.width_px}
        header["height_px"] = picture.height_px
        rgb = picture.rgb
    except FtfError as exc:
        header, rgb = {"error": type(exc).__name__, "message": exc.what}, b""
    except MemoryError:
        header, rgb = {"error": "MemoryLimit", "message": "the picture needs more memory than a worker may use"}, b""
    _send(replies, header, rgb)
    _arm(request["timeout_s"])
    try:
        answer: dict[str, Any] = {"exif": exif.parse_exif(data)}
    except FtfError as exc:
        answer = {"error": type(exc).__name__, "message": exc.what}
    except MemoryError:
        answer = {"error": "MemoryLimit", "message": "the EXIF block needs more memory than a worker may use"}
    _send(replies, answer)


def _arm(timeout_s: float) -> None:
    """End this process if it hangs and nobody is left to kill it; the default action needs no Python to run."""
    signal.setitimer(signal.ITIMER_REAL, timeout_s + GRACE_S)


def _send(replies: BinaryIO, header: dict[str, Any], data: bytes = b"") -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)  # a slow reader is no hang
    for part in (encode_frame_head(header, len(data)), data):
        view = memoryview(part)
        while view:
            view = view[replies.write(view) :]


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


if __name__ == "__main__":
    main()
