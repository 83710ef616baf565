"""What one file may cost, and the numbers on which the program and its workers must agree."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PIXELS = 1 << 28
MAX_SIDE_PX = 65_535
EXIT_OUT_OF_MEMORY = 77


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What one file may cost.

    ``timeout_s`` holds for decoding, and EXIF gets at most five seconds more; ``memory_bytes`` is the worker's whole
    address space; ``max_file_bytes`` the largest file that is decoded at all (larger ones are only hashed); ``max_px``
    the long side of the pixels handed back; ``max_pixels`` the largest picture that is decoded.
    """

    timeout_s: float = 30.0
    memory_bytes: int = 2 << 30
    max_file_bytes: int = 256 << 20
    max_px: int = 1024
    max_pixels: int = MAX_PIXELS
