"""The precision that training computes in."""

from __future__ import annotations

import torch

from ftforensics.engine.processor import has_bf16


def autocast(device: str) -> torch.autocast:
    """bfloat16 where it is quick: on GPUs, and on processors that compute in it; others take twice as long for it.

    Args:
        device: The kind of device, as torch names it: "cpu" or "cuda".
    """
    return torch.autocast(device, dtype=torch.bfloat16, enabled=device != "cpu" or has_bf16() is not False)
