"""The wire between the program and a media worker: length-prefixed frames over pipes.

A frame is ``>IQ`` (bytes of JSON, bytes of data), the JSON object, the data. Nothing else crosses: no pickles, for a
worker that a hostile file took over must not be able to run code in the program. Lengths are checked against the
reader's own limits before anything is allocated.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PREFIX = struct.Struct(">IQ")
MAX_HEADER_BYTES = 1 << 20


class FrameInvalid(Exception):
    """The other side sent something that is no frame, or one over the limit."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: a small JSON object and bytes."""

    header: dict[str, Any]
    data: bytes | bytearray = b""


def encode_frame_head(header: dict[str, Any], data_bytes: int) -> bytes:
    """Prefix and JSON of a frame; the caller sends ``data_bytes`` bytes of data after it."""
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode("ascii")
    return PREFIX.pack(len(text), data_bytes) + text


def read_frame(read_exactly: Callable[[int], bytes | bytearray], *, max_data_bytes: int) -> Frame:
    """Read one frame.

    Args:
        read_exactly: Gives exactly that many bytes or raises.
        max_data_bytes: Largest data accepted.

    Raises:
        FrameInvalid: Lengths over the limit, or the header is no JSON object.
    """
    header_bytes, data_bytes = PREFIX.unpack(read_exactly(PREFIX.size))
    if header_bytes > MAX_HEADER_BYTES or data_bytes > max_data_bytes:
        raise FrameInvalid(f"frame of {header_bytes} + {data_bytes} bytes is over the limit")
    try:
        header = json.loads(bytes(read_exactly(header_bytes)))
    except (ValueError, RecursionError) as exc:
        raise FrameInvalid("frame header is not JSON") from exc
    if not isinstance(header, dict):
        raise FrameInvalid("frame header is not an object")
    return Frame(header, read_exactly(data_bytes) if data_bytes else b"")
