"""What this machine's processor has, asked without importing anything heavy. Out: cores, and whether it knows bf16."""

from __future__ import annotations

import os
from pathlib import Path

NO_BF16, NO_BF16_REMEDY = "this processor does not compute in bf16", "choose --precision fp32"

CPUINFO = Path("/proc/cpuinfo")
# As Linux names the instructions that multiply bfloat16: on x86 with 512 or 256 bits, and on ARM.
_BF16 = frozenset({"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})


def count_usable_cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_bf16(cpuinfo: Path = CPUINFO) -> bool | None:
    """Whether the processor multiplies bfloat16, None where the system does not say: only Linux does."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return not _BF16.isdisjoint(value.split())
    return None
